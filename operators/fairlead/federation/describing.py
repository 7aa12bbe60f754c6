"""What a gateway says about itself: its fields and vocabularies, and its entry in catalogues (DCAT 3, section 6.9 Data Service)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fairlead.federation.signing import fingerprint
from fairlead.records import JsonObject

if TYPE_CHECKING:
    from fairlead.federation.gateway import Gateway

PROTOCOL: Final = "https://w3id.org/fairlead/gateway/1"
"""IRI of the protocol: what ``dct:conformsTo`` of the data service holds, and what a hub looks for."""


def vocabulary_of(gateway: Gateway) -> JsonObject:
    """Return the fields that may be asked about and those that may be tabulated."""
    policy = gateway.policy()
    fields = [
        {
            "id": field.id,
            "title": field.title,
            "type": field.type,
            "unit": field.unit,
            "aliases": list(field.aliases),
            "vocabulary": field.vocabulary,
            "facet": field.id in policy.fields.facets,
        }
        for field in gateway.catalogue.fields.values()
        if field.project is None and field.id not in policy.fields.closed and (field.type != "text" or policy.fields.text)
    ]
    return {"center": gateway.center, "catalogue_sha256": gateway.catalogue.sha256, "fields": fields}


def service_turtle(gateway: Gateway, url: str) -> str:
    """Return the gateway as a ``dcat:DataService``: where it is, which protocol, and the key that signs its answers."""
    from rdflib import DCAT, DCTERMS, RDF, Graph, Literal, URIRef

    graph, node = Graph(), URIRef(f"{url}/v1/service")
    graph.bind("dcat", DCAT)
    policy = gateway.policy()
    key = gateway.identity.public_key
    graph.add((node, RDF.type, DCAT.DataService))
    graph.add((node, DCTERMS.title, Literal(f"Gateway of {gateway.center}", lang="en")))
    graph.add((node, DCTERMS.identifier, Literal(gateway.center)))
    graph.add((node, DCTERMS.conformsTo, URIRef(PROTOCOL)))
    graph.add((node, DCAT.endpointURL, URIRef(url)))
    graph.add((node, DCAT.endpointDescription, URIRef(f"{url}/openapi.json")))
    graph.add((node, DCTERMS.relation, URIRef(f"{url}/v1/vocabulary")))
    graph.add((node, DCTERMS.relation, URIRef(f"{url}/v1/policy")))
    graph.add((node, URIRef(f"{PROTOCOL}#publicKey"), Literal(key)))
    graph.add((node, URIRef(f"{PROTOCOL}#fingerprint"), Literal(fingerprint(key))))
    rules = policy.disclosure
    said = (
        f"Counts of patients from {rules.threshold} up, in steps of {rules.rounding}, with noise; policy {policy.version}, {policy.sha256}."
    )
    graph.add((node, DCTERMS.description, Literal(said, lang="en")))
    for name in policy.fields.facets:
        graph.add((node, DCAT.keyword, Literal(name)))
    return graph.serialize(format="turtle")
