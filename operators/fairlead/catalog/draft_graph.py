"""What the FDP 2.0 draft adds to records: the link to the metadata record, that record itself, and what its shapes want besides.

Source: FDP 2.0 draft, sections on the metadata model; FDP-O 1.0 has ``hasMetadata`` and ``isMetadataOf`` for the same links.
"""

from __future__ import annotations

from typing import Final

from rdflib import DCTERMS, FOAF, RDF, Graph, Literal, URIRef

from fairlead.publish.graph import new_graph
from fairlead.publish.vocabulary import DCAT, FDP, THEME_TAXONOMY, VCARD

BUNDLE_RELATION: Final = "https://w3id.org/fdp/rel/bundle"
DRAFT: Final = "fdp-draft"
"""Name of the shapes in the package."""


def metadata_iri(iri: str) -> str:
    """Return the address of a record's metadata record."""
    return f"{iri.rstrip('/')}/metadata"


def add_draft(graph: Graph) -> Graph:
    """Link what has metadata of its own to the record of that; name a contact's e-mail, and the themes that a catalogue leaves open."""
    for node in set(graph.subjects(FDP.metadataIdentifier, None)):
        record = URIRef(metadata_iri(str(node)))
        graph.add((node, FDP.hasMetadata, record))
        graph.add((node, FOAF.isPrimaryTopicOf, record))
        if (node, RDF.type, DCAT.Catalog) in graph and graph.value(node, DCAT.themeTaxonomy) is None:
            graph.add((node, DCAT.themeTaxonomy, URIRef(THEME_TAXONOMY)))
        for contact in list(graph.objects(node, DCAT.contactPoint)):
            if isinstance(contact, URIRef) and contact.startswith("mailto:"):
                graph.add((contact, RDF.type, VCARD.Kind))
                graph.set((contact, VCARD.hasEmail, Literal(str(contact).removeprefix("mailto:"))))
    return graph


def metadata_record(graph: Graph, iri: str) -> Graph:
    """Return the metadata record of a record: what it is about, since when, and when it was changed.

    Of what DCAT counts among its resources it is a ``dcat:CatalogRecord`` too; a distribution is none of them.
    """
    found, here, node = new_graph(), URIRef(metadata_iri(iri)), URIRef(iri)
    found.add((here, RDF.type, FDP.MetadataRecord))
    if (node, RDF.type, DCAT.Distribution) not in graph:
        found.add((here, RDF.type, DCAT.CatalogRecord))
    found.add((here, FOAF.primaryTopic, node))
    found.add((here, FDP.isMetadataOf, node))
    found.add((here, DCTERMS.identifier, Literal(str(here))))
    for term, predicate in ((DCTERMS.issued, FDP.metadataIssued), (DCTERMS.modified, FDP.metadataModified)):
        for value in graph.objects(node, predicate):
            found.add((here, term, value))
    return found


def draft_links(iri: str, *, has_bundle: bool) -> list[str]:
    """Return the links that a record's answer has in the draft: to its metadata record, and to the bundle of what is below it."""
    links = [f'<{metadata_iri(iri)}>; rel="describedby"']
    return [*links, f'<{iri.rstrip("/")}/bundle>; rel="{BUNDLE_RELATION}"'] if has_bundle else links
