"""Centres are found through their catalogues: a data service that conforms to our protocol says where the gateway is, and its key.

What is found is only a proposal. Whoever controls the network controls what is found; the fingerprint that a person compares decides.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx

from fairlead.errors import InvalidInput, NotPermitted, ServiceUnreachable
from fairlead.federation.centers import Center, Mode
from fairlead.federation.describing import PROTOCOL
from fairlead.federation.signing import public_bytes
from fairlead.records import NAME_PATTERN

LARGEST: Final = 2 * 1024 * 1024
WAIT_S: Final = 10.0
MOST_SERVICES: Final = 100


def discover(url: str, *, private: bool = False, pull: bool = False) -> list[Center]:
    """Return the gateways that a catalogue names, or the gateway at the address itself.

    Raises
    ------
    ServiceUnreachable : nothing answers there; InvalidInput : what answers is no catalogue; NotPermitted : an address of a private network.
    """
    from rdflib import DCAT, RDF, Graph, URIRef

    graph = Graph()
    page = _fetched(url, private=private)
    try:
        graph.parse(data=page, format="turtle", publicID=url)
    except Exception as error:  # rdflib's parsers raise many kinds
        raise InvalidInput(
            "What answers there is no catalogue in Turtle.", remedy="Give the address of a FAIR Data Point or gateway."
        ) from error
    ours = (URIRef("http://purl.org/dc/terms/conformsTo"), URIRef(PROTOCOL))
    services = sorted(str(node) for node in graph.subjects(RDF.type, DCAT.DataService) if (node, *ours) in graph)
    for named in sorted(str(node) for node in graph.objects(None, DCAT.service))[:MOST_SERVICES]:
        if named not in services:
            graph.parse(data=_fetched(urljoin(url, named), private=private), format="turtle", publicID=named)
    services = sorted(str(node) for node in graph.subjects(RDF.type, DCAT.DataService) if (node, *ours) in graph)
    return [_center(graph, service, url, pull=pull) for service in services[:MOST_SERVICES]]


def _center(graph: object, service: str, source: str, *, pull: bool) -> Center:
    from rdflib import DCAT, DCTERMS, Graph, URIRef

    if not isinstance(graph, Graph):
        raise InvalidInput("What answers there is no catalogue.")
    node = URIRef(service)

    def one(predicate: str) -> str:
        """Return the value of a predicate, or an empty text."""
        return str(graph.value(node, URIRef(predicate)) or "")

    name, address, key = one(str(DCTERMS.identifier)), one(str(DCAT.endpointURL)), one(f"{PROTOCOL}#publicKey")
    if not re.fullmatch(NAME_PATTERN, name) or urlsplit(address).scheme not in ("http", "https"):
        raise InvalidInput("The data service of a gateway names no centre, or no address.", remedy="Tell the centre's administrator.")
    public_bytes(key)
    facets = sorted(str(word) for word in graph.objects(node, DCAT.keyword))
    summary = {"policy": one(str(DCTERMS.description))[:500], "facets": facets[:100]}
    mode: Mode = "pull" if pull else "push"
    return Center(name, address, key, mode, source=source, summary=summary)


def _fetched(url: str, *, private: bool) -> bytes:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput("A catalogue has an http or https address.")
    if not private and not _is_public(parts.hostname):
        raise NotPermitted(
            "The address lies in a private network.", remedy="Set federation.private when the catalogues you ask are inside."
        )
    received = bytearray()
    try:
        with httpx.stream(
            "GET", url, headers={"Accept": "text/turtle"}, timeout=WAIT_S, follow_redirects=False, trust_env=False
        ) as response:
            if response.status_code != httpx.codes.OK:
                raise InvalidInput(f"The address answers with status {response.status_code}.")
            for part in response.iter_bytes():
                received += part
                if len(received) > LARGEST:
                    raise InvalidInput("What answers there is larger than any catalogue's front page.")
    except (httpx.HTTPError, OSError) as error:
        raise ServiceUnreachable("Nothing answers at the address.") from error
    return bytes(received)


def _is_public(host: str) -> bool:
    try:
        found = {ipaddress.ip_address(one[4][0]) for one in socket.getaddrinfo(host, None)}
    except (OSError, ValueError):
        return True  # asking it will say so
    return all(address.is_global for address in found)
