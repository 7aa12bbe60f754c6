"""The ``dcat-ap`` and ``health-ri`` views: DCAT-AP 3.0.1 with the mandatory properties of Health-RI core 2.

One renderer serves both: Health-RI only asks for more. Against the ``fdp`` view, media types and formats are IRIs,
contact points are vCard nodes, and agents have an identifier, a homepage and a mailbox.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from rdflib import DCTERMS, FOAF, RDF, RDFS, SKOS, Graph, Literal, URIRef

from fairlead.publish.addresses import Site
from fairlead.publish.graph import add_dataset_facts, add_distribution_facts, concepts, moment, new_graph
from fairlead.publish.vocabulary import (
    AUTHORITY,
    DCAT,
    DCATAP,
    EHDS_REGULATION,
    EU_LANGUAGES,
    FILE_TYPES,
    THEME_TAXONOMY,
    VCARD,
    concept_iri,
)
from fairlead.records import Agent, DatasetRecord, Distribution

IANA: Final = "https://www.iana.org/assignments/media-types/"


def root_graph_ap(site: Site) -> Graph:
    """Return the service's record: a ``dcat:DataService`` that serves the catalogue's datasets."""
    graph, node, words = new_graph(), URIRef(site.root), site.words
    graph.add((node, RDF.type, DCAT.DataService))
    graph.add((node, DCTERMS.title, Literal(words.title)))
    graph.add((node, DCTERMS.description, Literal(words.description)))
    graph.add((node, DCAT.endpointURL, node))
    graph.add((node, DCTERMS.publisher, _agent(graph, site.publisher)))
    graph.add((node, DCAT.contactPoint, _contact(graph, f"{node}#contact", site.publisher)))
    return graph


def catalog_graph_ap(site: Site, records: Iterable[DatasetRecord]) -> Graph:
    """Return the catalogue with everything it lists: the range shapes want what is pointed to in the same document."""
    graph, node, words = new_graph(), URIRef(site.catalog), site.words
    graph.add((node, RDF.type, DCAT.Catalog))
    graph.add((node, DCTERMS.title, Literal(site.catalog_title)))
    graph.add((node, DCTERMS.description, Literal(words.description)))
    graph.add((node, DCTERMS.publisher, _agent(graph, site.publisher)))
    graph.add((node, DCAT.contactPoint, _contact(graph, f"{node}#contact", site.publisher)))
    graph.add((node, DCTERMS.license, _licence(graph, words.license)))
    graph.add((node, FOAF.homepage, URIRef(site.root)))
    graph.add((URIRef(site.root), RDF.type, FOAF.Document))
    for record in sorted(records, key=lambda item: item.id):
        graph.add((node, DCAT.dataset, URIRef(site.dataset(record.id))))
        _add_dataset(graph, site, record)
    return graph


def dataset_graph_ap(site: Site, record: DatasetRecord) -> Graph:
    """Return a dataset's record with every range typed, as DCAT-AP's range shapes demand."""
    graph = new_graph()
    _add_dataset(graph, site, record)
    return graph


def _add_dataset(graph: Graph, site: Site, record: DatasetRecord) -> None:
    node = URIRef(site.dataset(record.id))
    graph.add((node, RDF.type, DCAT.Dataset))
    graph.add((node, DCTERMS.title, Literal(record.title)))
    graph.add((node, DCTERMS.description, Literal(record.description)))
    graph.add((node, DCAT.version, Literal(str(record.version))))
    add_dataset_facts(graph, node, site, record)
    _type_ranges(graph, node, record)
    graph.add((node, DCTERMS.publisher, _agent(graph, record.publisher)))
    for creator in record.creators:
        graph.add((node, DCTERMS.creator, _agent(graph, creator)))
    graph.add((node, DCAT.contactPoint, _contact(graph, f"{node}#contact", record.contact)))
    graph.add((node, DCAT.landingPage, node))
    graph.add((node, RDF.type, FOAF.Document))
    if language := EU_LANGUAGES.get(record.language):
        graph.add((node, DCTERMS.language, _typed(graph, AUTHORITY[f"language/{language}"], DCTERMS.LinguisticSystem)))
    graph.add((node, DCATAP.applicableLegislation, _legislation(graph)))
    for item in record.distributions:
        graph.add((node, DCAT.distribution, URIRef(site.distribution(record, item))))
        _add_distribution(graph, site, record, item)


def distribution_graph_ap(site: Site, record: DatasetRecord, item: Distribution) -> Graph:
    """Return a distribution's record with media type, format and rights as IRIs."""
    graph = new_graph()
    _add_distribution(graph, site, record, item)
    return graph


def _add_distribution(graph: Graph, site: Site, record: DatasetRecord, item: Distribution) -> None:
    node = URIRef(site.distribution(record, item))
    graph.add((node, RDF.type, DCAT.Distribution))
    graph.add((node, DCTERMS.title, Literal(item.title)))
    add_distribution_facts(graph, node, site, record, item)
    graph.remove((node, DCTERMS.accessRights, None))
    media = URIRef(IANA + item.media_type)
    graph.add((node, DCAT.mediaType, _typed(graph, media, DCTERMS.MediaType)))
    known = FILE_TYPES.get(item.media_type)
    form = AUTHORITY[f"file-type/{known}"] if known else media
    graph.add((node, DCTERMS["format"], _typed(graph, form, DCTERMS.MediaTypeOrExtent)))
    graph.add((node, DCTERMS.rights, _typed(graph, URIRef(f"{site.dataset(record.id)}#rights"), DCTERMS.RightsStatement)))
    _licence(graph, record.license)
    if item.conforms_to:
        _typed(graph, URIRef(item.conforms_to), DCTERMS.Standard)
    graph.add((node, DCATAP.applicableLegislation, _legislation(graph)))


def _agent(graph: Graph, agent: Agent) -> URIRef:
    node = URIRef(agent.iri or f"urn:fairlead:agent:{quote(agent.name)}")
    if (node, RDF.type, FOAF.Agent) in graph:
        return node  # the first description of an agent in a document stays the only one: each has one name and one mailbox
    graph.add((node, RDF.type, FOAF.Agent))
    graph.add((node, FOAF.name, Literal(agent.name)))
    graph.add((node, DCTERMS.identifier, Literal(str(node))))
    if agent.homepage:
        graph.add((node, FOAF.homepage, _typed(graph, URIRef(agent.homepage), FOAF.Document)))
    if agent.email:
        graph.add((node, FOAF.mbox, URIRef(f"mailto:{agent.email}")))
    return node


def _contact(graph: Graph, iri: str, agent: Agent) -> URIRef:
    node = _typed(graph, URIRef(iri), VCARD.Kind)
    graph.add((node, VCARD.fn, Literal(agent.name)))
    if agent.email:
        graph.add((node, VCARD.hasEmail, URIRef(f"mailto:{agent.email}")))
    return node


def _typed(graph: Graph, node: URIRef, kind: URIRef) -> URIRef:
    graph.add((node, RDF.type, kind))
    return node


def _licence(graph: Graph, licence: str) -> URIRef:
    return _typed(graph, URIRef(licence), DCTERMS.LicenseDocument)


def _legislation(graph: Graph) -> URIRef:
    return _typed(graph, URIRef(EHDS_REGULATION), URIRef("http://data.europa.eu/eli/ontology#LegalResource"))


def _type_ranges(graph: Graph, node: URIRef, record: DatasetRecord) -> None:
    """Type the foreign nodes a dataset points to; concepts get the label that the Category shape asks for."""
    for theme in record.themes:
        _concept(graph, theme, theme.rpartition("/")[2], THEME_TAXONOMY)
    for concept in concepts(record):
        iri = concept_iri(concept.curie) or ""
        _concept(graph, iri, concept.label or concept.raw, None)
    for rights in graph.objects(node, DCTERMS.accessRights):
        _typed(graph, URIRef(str(rights)), DCTERMS.RightsStatement)
    graph.remove((node, DCTERMS.license, None))  # DCAT-AP puts the licence on the distribution
    graph.add((node, DCTERMS.modified, moment(record.modified)))


def _concept(graph: Graph, iri: str, label: str, scheme: str | None) -> None:
    node = _typed(graph, URIRef(iri), SKOS.Concept)
    graph.add((node, SKOS.prefLabel, Literal(label, lang="en")))
    graph.add((node, RDFS.label, Literal(label)))
    if scheme:
        graph.add((node, SKOS.inScheme, URIRef(scheme)))
