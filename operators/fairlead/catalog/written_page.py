"""What the page of a written record says: its statements in the words of people, and what is below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from rdflib import DCTERMS, FOAF, RDF, RDFS, SKOS, BNode, Graph, Literal, URIRef
from rdflib.term import Node

from fairlead.publish.vocabulary import DCAT, FDP, LICENCES, PREFIXES, AccessRights

LABELS: Final[Mapping[URIRef, str]] = {
    DCTERMS.publisher: "Publisher",
    DCTERMS.creator: "Creator",
    DCAT.contactPoint: "Contact",
    DCTERMS.license: "Licence",
    DCTERMS.accessRights: "Access",
    DCTERMS.rights: "Rights",
    DCAT.keyword: "Keywords",
    DCAT.theme: "Themes",
    DCAT.themeTaxonomy: "Themes come from",
    DCTERMS.subject: "Subjects",
    DCTERMS.identifier: "Identifier",
    DCAT.version: "Version",
    DCTERMS.hasVersion: "Version",
    DCTERMS.language: "Language",
    DCTERMS.spatial: "Place",
    DCTERMS.temporal: "Time",
    DCAT.mediaType: "Type",
    DCTERMS["format"]: "Format",
    DCAT.byteSize: "Bytes",
    DCAT.downloadURL: "Download",
    DCAT.accessURL: "Where it is",
    DCAT.landingPage: "Web page",
    FOAF.page: "Web page",
    FOAF.homepage: "Web page",
    DCTERMS.conformsTo: "Conforms to",
    DCTERMS.issued: "Issued",
    DCTERMS.modified: "Changed",
    FDP.metadataIssued: "Record made",
    FDP.metadataModified: "Record changed",
}
"""In the order of the page; other properties follow under their short names."""
ELSEWHERE: Final = frozenset(
    {RDF.type, RDFS.label, DCTERMS.title, DCTERMS.description, DCTERMS.isPartOf, FDP.metadataIdentifier, FDP.hasMetadata}
    | {FOAF.isPrimaryTopicOf, DCAT.dataset, DCAT.distribution, FDP.metadataCatalog}
)
"""What is the heading, the lead, the way up, the list below, or for programs only."""
NAMES: Final = (FOAF.name, SKOS.prefLabel, RDFS.label, DCTERMS.title)
MOST: Final = 200
"""Children that the page lists; the record has them all."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value as it is shown, and where it leads when it leads anywhere."""

    text: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """One property with its values; ``is_code`` when it has no name for people."""

    name: str
    values: tuple[Value, ...]
    is_code: bool = False


def written_page(graph: Graph, iri: str) -> dict[str, Any]:
    """Return what the page of a record shows: lead, facts, children and how many there are."""
    node = URIRef(iri)
    links = (DCAT.dataset, DCAT.distribution)
    children = sorted((_name(graph, child) or str(child), str(child)) for link in links for child in graph.objects(node, link))
    below = "Distributions" if (node, RDF.type, DCAT.Dataset) in graph else "Datasets"
    return {
        "description": str(graph.value(node, DCTERMS.description) or ""),
        "facts": [*_known(graph, node), *_others(graph, node)],
        "below": below,
        "children": children[:MOST],
        "more": max(0, len(children) - MOST),
    }


def _known(graph: Graph, node: URIRef) -> Iterator[Fact]:
    found: dict[str, set[Value]] = {}
    for predicate, label in LABELS.items():
        for value in graph.objects(node, predicate):
            if not (predicate == DCTERMS.conformsTo and str(value).endswith("/profile/written")):
                found.setdefault(label, set()).add(_shown(graph, value))
    for label, values in found.items():
        yield Fact(label, tuple(sorted(values, key=lambda value: value.text)))


def _others(graph: Graph, node: URIRef) -> Iterator[Fact]:
    for predicate in sorted(set(graph.predicates(node)) - set(LABELS) - ELSEWHERE, key=str):
        values = {_shown(graph, value) for value in graph.objects(node, predicate)}
        yield Fact(_short(predicate), tuple(sorted(values, key=lambda value: value.text)), is_code=True)


def _short(predicate: Node) -> str:
    text = str(predicate)
    prefix = next(((name, base) for name, base in PREFIXES.items() if text.startswith(base)), None)
    return f"{prefix[0]}:{text.removeprefix(prefix[1])}" if prefix else text


def _name(graph: Graph, value: Node) -> str:
    """Return what the record calls a thing, its name, label or title."""
    return next((str(text) for predicate in NAMES for text in sorted(graph.objects(value, predicate), key=str)), "")


def _shown(graph: Graph, value: Node) -> Value:
    """Return a value for people: dates as dates, things by their names, addresses as links; a thing without a name has none to show."""
    if isinstance(value, Literal):
        moment = value.toPython()
        return Value(f"{moment:%-d %B %Y}" if isinstance(moment, datetime) else str(value))
    name = _name(graph, value)
    if isinstance(value, BNode):
        return Value(name or "described in the record")
    iri = str(value)
    known = next((licence for licence, address in LICENCES.items() if address == iri), "")
    rights = next((right.value for right in AccessRights if right.iri == iri), "")
    text = known or rights or (name if name != iri else "") or iri.removeprefix("mailto:")
    return Value(text, iri if iri.startswith(("http://", "https://", "mailto:")) else "")
