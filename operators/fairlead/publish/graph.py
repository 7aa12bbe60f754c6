"""The ``fdp`` view: FAIR Data Point 1.2, one described entity per document with its containers and its metadata record.

Every node that a shape targets is typed as what it is *and* as ``dcat:Resource``: shapes target classes without
inference, and a record typed only ``dcat:Dataset`` would never meet the Resource shape. ``dcat:mediaType`` is a literal
and ``dcat:contactPoint`` an IRI here; the AP view has them the other way round, which is why there are two views.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from rdflib import DCTERMS, FOAF, PROV, RDF, RDFS, XSD, Graph, Literal, URIRef

from fairlead.publish.addresses import Site
from fairlead.publish.counting import shown_counts
from fairlead.publish.vocabulary import (
    DCAT,
    FDP,
    FDP_SPECIFICATION,
    HEALTH,
    LANGUAGE,
    LDP,
    PREFIXES,
    SCHEMA,
    SPDX,
    THEME_TAXONOMY,
    AccessRights,
    concept_iri,
)
from fairlead.records import Agent, Concept, DatasetRecord, Distribution

type Child = tuple[str, str]
"""IRI and title of a member of a container."""

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""Stands where no record gives a date: the day this record format was fixed."""

CONTAINER_TITLES: Final[Mapping[str, str]] = {
    "metadataCatalog": "Catalogues",
    "dataset": "Datasets",
    "distribution": "Distributions",
    "resource": "Dataset series",
    "seriesMember": "Datasets of the series",
}


def new_graph() -> Graph:
    """Return an empty graph with our prefixes and nothing else bound."""
    graph = Graph(bind_namespaces="none")
    for prefix, iri in PREFIXES.items():  # to the store itself: the graph's own bind looks for conflicts, and here are none
        graph.store.bind(prefix, URIRef(iri))
    return graph


def moment(value: datetime) -> Literal:
    """Return an ``xsd:dateTime`` in UTC with a ``Z``, to the second (the AP shapes match it by pattern)."""
    return Literal(value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), datatype=XSD.dateTime)


def whole(value: int) -> Literal:
    """Return an ``xsd:nonNegativeInteger``."""
    return Literal(value, datatype=XSD.nonNegativeInteger)


def add_agent(graph: Graph, agent: Agent) -> URIRef:
    """Describe a ``foaf:Agent`` and return it; the first name given to an IRI stays the only one, as the shapes ask."""
    node = URIRef(agent.iri or f"urn:fairlead:agent:{quote(agent.name)}")
    graph.add((node, RDF.type, FOAF.Agent))
    if graph.value(node, FOAF.name) is None:
        graph.add((node, FOAF.name, Literal(agent.name)))
    return node


@dataclass(frozen=True, slots=True)
class Words:
    """What a resource says of itself."""

    title: str
    description: str
    publisher: Agent
    version: str = "1"
    language: str = "en"

    @classmethod
    def of_site(cls, site: Site, title: str) -> Words:
        """Return the words of the service and of its catalogue."""
        return cls(title, site.words.description, site.publisher, language=site.words.language)

    @classmethod
    def of_record(cls, record: DatasetRecord, title: str, description: str) -> Words:
        """Return the words of a dataset or of a part of it."""
        return cls(title, description, record.publisher, str(record.version), record.language)


def add_resource(graph: Graph, node: URIRef, site: Site, words: Words) -> None:
    """State what every ``dcat:Resource`` states: title, description, publisher, version, language, profile."""
    graph.add((node, RDF.type, DCAT.Resource))
    graph.add((node, DCTERMS.title, Literal(words.title)))
    graph.add((node, RDFS.label, Literal(words.title)))
    graph.add((node, DCTERMS.description, Literal(words.description)))
    graph.add((node, DCAT.version, Literal(words.version)))
    graph.add((node, DCTERMS.language, URIRef(LANGUAGE + words.language)))
    graph.add((node, DCTERMS.publisher, add_agent(graph, words.publisher)))
    graph.add((node, DCTERMS.conformsTo, URIRef(site.profile("fdp"))))


def add_metadata_record(graph: Graph, node: URIRef, *, issued: datetime, modified: datetime) -> None:
    """State the metadata about the metadata: identifier, issued, modified (FDP 1.2)."""
    identifier = URIRef(f"{node}#identifier")
    graph.add((node, FDP.metadataIdentifier, identifier))
    graph.add((identifier, DCTERMS.identifier, Literal(str(node))))
    graph.add((node, FDP.metadataIssued, moment(issued)))
    graph.add((node, FDP.metadataModified, moment(modified)))


def add_container(graph: Graph, container: str, *, member_of: URIRef, relation: URIRef, children: Sequence[Child]) -> None:
    """Describe an LDP direct container with *all* children: harvesters take a container for complete (LDP 1.0 section 5.4)."""
    node = URIRef(container)
    graph.add((node, RDF.type, LDP.DirectContainer))
    graph.add((node, DCTERMS.title, Literal(CONTAINER_TITLES[str(relation).rpartition("#")[2]])))
    graph.add((node, LDP.membershipResource, member_of))
    graph.add((node, LDP.hasMemberRelation, relation))
    for iri, title in children:
        graph.add((node, LDP.contains, URIRef(iri)))
        graph.add((member_of, relation, URIRef(iri)))
        graph.add((URIRef(iri), RDFS.label, Literal(title)))


def root_graph(site: Site, *, modified: datetime = EPOCH, software_version: str = "") -> Graph:
    """Return the FAIR Data Point's own record: typed as the specification, the index and the reference harvester want it."""
    graph, node, words = new_graph(), URIRef(site.root), site.words
    for kind in (FDP.FAIRDataPoint, FDP.MetadataService, DCAT.DataService):
        graph.add((node, RDF.type, kind))
    add_resource(graph, node, site, Words.of_site(site, words.title))
    add_metadata_record(graph, node, issued=EPOCH, modified=modified)
    graph.add((node, DCTERMS.license, URIRef(words.license)))
    graph.add((node, DCTERMS.accessRights, URIRef(AccessRights.PUBLIC.iri)))
    graph.add((node, DCAT.endpointURL, node))
    graph.add((node, DCAT.contactPoint, URIRef(f"mailto:{words.contact_email}")))
    graph.add((node, FDP.conformsToFdpSpec, URIRef(FDP_SPECIFICATION)))
    graph.add((node, FDP.uiLanguage, URIRef(LANGUAGE + words.language)))
    if software_version:
        graph.add((node, FDP.hasSoftwareVersion, Literal(software_version)))
    children = [(site.catalog, site.catalog_title)]
    add_container(graph, f"{site.base}/catalog/", member_of=node, relation=FDP.metadataCatalog, children=children)
    return graph


def catalog_graph(site: Site, records: Iterable[DatasetRecord], series: Sequence[Child] = ()) -> Graph:
    """Return the catalogue's record; it is never typed ``dcat:Dataset``, which would make a theme mandatory on it."""
    graph, node, words = new_graph(), URIRef(site.catalog), site.words
    known = sorted(records, key=lambda record: record.id)
    modified = max((record.modified for record in known), default=EPOCH)
    graph.add((node, RDF.type, DCAT.Catalog))
    add_resource(graph, node, site, Words.of_site(site, site.catalog_title))
    add_metadata_record(graph, node, issued=EPOCH, modified=modified)
    graph.add((node, DCTERMS.license, URIRef(words.license)))
    graph.add((node, DCTERMS.isPartOf, URIRef(site.root)))
    graph.add((node, DCTERMS.issued, moment(EPOCH)))
    graph.add((node, DCTERMS.modified, moment(modified)))
    graph.add((node, DCAT.themeTaxonomy, URIRef(THEME_TAXONOMY)))
    graph.add((node, FOAF.homepage, URIRef(site.root)))
    children = [(site.dataset(record.id), record.title) for record in known]
    add_container(graph, f"{site.catalog}/dataset/", member_of=node, relation=DCAT.dataset, children=children)
    if series:
        add_container(graph, f"{site.catalog}/series/", member_of=node, relation=DCAT.resource, children=series)
    return graph


def dataset_graph(site: Site, record: DatasetRecord) -> Graph:
    """Return a dataset's record: what it holds, who may use it how, how it was made, and where its distributions are."""
    graph, node = new_graph(), URIRef(site.dataset(record.id))
    graph.add((node, RDF.type, DCAT.Dataset))
    add_resource(graph, node, site, Words.of_record(record, record.title, record.description))
    add_metadata_record(graph, node, issued=record.issued, modified=record.modified)
    add_dataset_facts(graph, node, site, record)
    graph.add((node, DCTERMS.isPartOf, URIRef(site.catalog)))
    graph.add((node, DCAT.landingPage, node))
    graph.add((node, FOAF.page, URIRef(site.datasheet(record.id))))
    graph.add((node, DCAT.inSeries, URIRef(record.series or site.series(record))))  # of centres, else of versions (DCAT 3 section 6.7)
    graph.add((node, DCAT.contactPoint, URIRef(f"mailto:{record.contact.email}")))
    add_pictures(graph, node, site, record)
    for creator in record.creators:
        graph.add((node, DCTERMS.creator, add_agent(graph, creator)))
    children = [(site.distribution(record, item), item.title) for item in record.distributions]
    add_container(graph, f"{node}/distribution/", member_of=node, relation=DCAT.distribution, children=children)
    return graph


def add_dataset_facts(graph: Graph, node: URIRef, site: Site, record: DatasetRecord) -> None:
    """State what both views say of a dataset in the same words."""
    graph.add((node, DCTERMS.identifier, Literal(site.pid(record) or str(node))))
    graph.add((node, DCTERMS.license, URIRef(record.license)))
    graph.add((node, DCTERMS.accessRights, URIRef(AccessRights(record.access_rights).iri)))
    graph.add((node, DCTERMS.issued, moment(record.issued)))
    graph.add((node, DCTERMS.modified, moment(record.modified)))
    graph.add((node, HEALTH.numberOfRecords, whole(record.counts.series)))
    if "patients" in shown_counts(record):
        graph.add((node, HEALTH.numberOfUniqueIndividuals, whole(record.counts.patients)))
    for theme in record.themes:
        graph.add((node, DCAT.theme, URIRef(theme)))
    for keyword in record.keywords:
        graph.add((node, DCAT.keyword, Literal(keyword)))
    for concept in concepts(record):
        graph.add((node, DCTERMS.subject, add_concept(graph, concept)))
    add_counts(graph, node, record)
    add_provenance(graph, node, record)


def concepts(record: DatasetRecord) -> list[Concept]:
    """Return the modalities, body parts and organisms that have a meaning with an IRI."""
    return [item for item in (*record.modalities, *record.body_parts, *record.organisms) if concept_iri(item.curie)]


def add_concept(graph: Graph, concept: Concept) -> URIRef:
    """Label a concept of a foreign vocabulary and return its IRI."""
    node = URIRef(concept_iri(concept.curie) or "")
    graph.add((node, RDFS.label, Literal(concept.label or concept.raw)))
    return node


def add_pictures(graph: Graph, node: URIRef, site: Site, record: DatasetRecord) -> None:
    """State the previews as ``foaf:depiction``; pictures of pixels that are not public are not public either."""
    if record.access_rights == AccessRights.PUBLIC:
        for item in record.distributions:
            if item.store is not None and item.store.preview:
                graph.add((node, FOAF.depiction, URIRef(site.data(record, item.store.preview))))


def add_counts(graph: Graph, node: URIRef, record: DatasetRecord) -> None:
    """State the counts as ``schema:size`` quantities, as the foundingGIDE profile does."""
    for unit, number in shown_counts(record).items():
        quantity = URIRef(f"{node}#count-{unit}")
        graph.add((node, SCHEMA.size, quantity))
        graph.add((quantity, RDF.type, SCHEMA.QuantitativeValue))
        graph.add((quantity, SCHEMA.value, whole(number)))
        graph.add((quantity, SCHEMA.unitText, Literal(unit)))


def add_provenance(graph: Graph, node: URIRef, record: DatasetRecord) -> None:
    """State how it was made: one ``prov:Activity`` a step, the PS3.15 method codes on the de-identification."""
    for number, text in enumerate(record.provenance, start=1):
        activity = URIRef(f"{node}#step-{number}")
        graph.add((node, PROV.wasGeneratedBy, activity))
        graph.add((activity, RDF.type, PROV.Activity))
        graph.add((activity, RDFS.label, Literal(text)))
    method = URIRef(f"{node}#deidentification")
    for code in record.deidentification:
        graph.add((node, PROV.wasGeneratedBy, method))
        graph.add((method, RDF.type, PROV.Activity))
        graph.add((method, RDFS.label, Literal("De-identification by DICOM PS3.15 Annex E")))
        if iri := concept_iri(f"DCM:{code}"):
            graph.add((method, DCTERMS.type, URIRef(iri)))


def distribution_graph(site: Site, record: DatasetRecord, item: Distribution) -> Graph:
    """Return a distribution's record: address, format, size and checksum of one downloadable thing."""
    graph, node = new_graph(), URIRef(site.distribution(record, item))
    graph.add((node, RDF.type, DCAT.Distribution))
    add_resource(graph, node, site, Words.of_record(record, item.title, f"{item.title} of {record.title}"))
    add_metadata_record(graph, node, issued=record.issued, modified=record.modified)
    graph.add((node, DCTERMS.isPartOf, URIRef(site.dataset(record.id))))
    graph.add((node, DCAT.mediaType, Literal(item.media_type)))
    graph.add((node, DCAT["format"], Literal(item.media_type)))
    add_distribution_facts(graph, node, site, record, item)
    return graph


def add_distribution_facts(graph: Graph, node: URIRef, site: Site, record: DatasetRecord, item: Distribution) -> None:
    """State what both views say of a distribution; bytes that are not public lead to the dataset's page instead."""
    public = record.access_rights == AccessRights.PUBLIC
    address = URIRef(site.data(record, item.path))
    graph.add((node, DCAT.accessURL, address if public else URIRef(site.dataset(record.id))))
    if public:
        graph.add((node, DCAT.downloadURL, address))
    graph.add((node, DCTERMS.license, URIRef(record.license)))
    graph.add((node, DCTERMS.accessRights, URIRef(AccessRights(record.access_rights).iri)))
    graph.add((node, DCTERMS.issued, moment(record.issued)))
    graph.add((node, DCTERMS.modified, moment(record.modified)))
    graph.add((node, DCAT.byteSize, whole(item.size_bytes)))
    if item.conforms_to:
        graph.add((node, DCTERMS.conformsTo, URIRef(item.conforms_to)))
    checksum = URIRef(f"{node}#checksum")
    graph.add((node, SPDX.checksum, checksum))
    graph.add((checksum, RDF.type, SPDX.Checksum))
    graph.add((checksum, SPDX.algorithm, SPDX.checksumAlgorithm_sha256))
    graph.add((checksum, SPDX.checksumValue, Literal(item.sha256, datatype=XSD.hexBinary)))
