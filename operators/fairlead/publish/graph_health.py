"""The ``healthdcat-ap`` view: HealthDCAT-AP Release 8, for public, non-public and restricted datasets, on top of DCAT-AP 3.0.1.

Every concept of a controlled list states its scheme and every scheme is typed, so that the document can be judged by itself. Activities
keep no type here (the list of health activities is closed) and ``dct:conformsTo`` names the DICOM standard only: OME-Zarr is cited on
the distributions. Source: https://healthdataeu.pages.code.europa.eu/healthdcat-ap/releases/release-8/.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rdflib import DCTERMS, FOAF, PROV, RDF, RDFS, SKOS, XSD, Graph, Literal, Namespace, URIRef

from fairlead.publish.addresses import Site
from fairlead.publish.graph_ap import catalog_graph_ap, dataset_graph_ap, distribution_graph_ap, root_graph_ap
from fairlead.publish.members import COLUMN_WORDS, TABLE
from fairlead.publish.vocabulary import (
    ADMS,
    AUTHORITY,
    CSVW,
    DCAT,
    DCATAP,
    EHDS_REGULATION,
    FILE_TYPES,
    HEALTH,
    SPDX,
    THEME_TAXONOMY,
    VCARD,
    AccessRights,
)
from fairlead.records import Agent, DatasetRecord, Distribution

CV: Final = Namespace("http://data.europa.eu/m8g/")
DPV: Final = Namespace("https://w3id.org/dpv#")
LISTS: Final = "https://hdeu-dcat.data.health.europa.eu/resource/authority/"
PURPOSE: Final = "Scientific research in the health or care sector, Regulation (EU) 2025/327, Article 53(1)(e)."
BINARY: Final = AUTHORITY["file-type/BIN"]
"""The EU list of file types has no entry for Zarr; the distribution cites the NGFF specification."""


def root_graph_health(site: Site) -> Graph:
    """Return the service's record; HealthDCAT-AP asks nothing more of it than DCAT-AP."""
    return root_graph_ap(site)


def catalog_graph_health(site: Site, records: Iterable[DatasetRecord]) -> Graph:
    """Return the catalogue with its datasets."""
    known = tuple(records)
    graph, node = catalog_graph_ap(site, known), URIRef(site.catalog)
    graph.add((node, DCATAP.applicableLegislation, URIRef(EHDS_REGULATION)))
    for record in known:
        _add_health(graph, site, record)
    _close(graph)
    return graph


def dataset_graph_health(site: Site, record: DatasetRecord) -> Graph:
    """Return a dataset's record with what Release 8 makes mandatory for its access rights."""
    graph = dataset_graph_ap(site, record)
    _add_health(graph, site, record)
    _close(graph)
    return graph


def distribution_graph_health(site: Site, record: DatasetRecord, item: Distribution) -> Graph:
    """Return a distribution's record with a format of the EU list."""
    graph = distribution_graph_ap(site, record, item)
    _set_format(graph, site, record, item)
    _close(graph)
    return graph


def _add_health(graph: Graph, site: Site, record: DatasetRecord) -> None:
    node, words = URIRef(site.dataset(record.id)), site.words.health
    graph.set((node, DCTERMS.identifier, Literal(site.pid(record) or str(node), datatype=XSD.anyURI)))
    _concept(graph, node, HEALTH.healthCategory, f"{LISTS}healthcategories", words.category)
    if words.theme:
        _concept(graph, node, HEALTH.healthTheme, f"{LISTS}health-theme", words.theme)
    if words.country:
        country = _concept(graph, node, DCTERMS.spatial, str(AUTHORITY.country), words.country)
        graph.add((country, RDF.type, DCTERMS.Location))
    if record.deidentification:
        standard = _concept(graph, node, DCTERMS.conformsTo, f"{LISTS}standard", "DICOM")
        graph.add((standard, RDF.type, DCTERMS.Standard))
    _add_access_body(graph, node, site, record)
    _add_variables(graph, node, site, record)
    _add_statements(graph, node, record)
    for item in record.distributions:
        _set_format(graph, site, record, item)
        if item.path == TABLE:
            graph.add((node, ADMS.sample, URIRef(site.distribution(record, item))))


def _add_access_body(graph: Graph, node: URIRef, site: Site, record: DatasetRecord) -> None:
    words = site.words.health
    body = Agent(name=words.access_body, email=words.access_body_email) if words.access_body else record.publisher
    agent = URIRef(body.iri or f"{node}#access-body")
    graph.add((node, HEALTH.hdab, agent))
    graph.add((agent, RDF.type, FOAF.Agent))
    if (agent, FOAF.name, None) not in graph:
        graph.add((agent, FOAF.name, Literal(body.name)))
    for who, email in {agent: body.email, next(iter(graph.objects(node, DCTERMS.publisher))): record.publisher.email}.items():
        _add_reachable(graph, URIRef(str(who)), email or record.contact.email or "", page=str(node))
    publisher = URIRef(str(graph.value(node, DCTERMS.publisher)))
    graph.add((publisher, HEALTH.publisherNote, Literal(f"{record.publisher.name} publishes imaging datasets.")))
    graph.add((publisher, HEALTH.trustedDataHolder, Literal(False)))
    kind = URIRef(f"{node}#publisher-type")
    graph.add((publisher, HEALTH.publisherType, kind))
    graph.add((kind, RDF.type, SKOS.Concept))
    graph.add((kind, SKOS.prefLabel, Literal("Health data holder", lang="en")))
    for contact in graph.objects(node, DCAT.contactPoint):
        graph.add((contact, VCARD.hasURL, node))


def _add_reachable(graph: Graph, agent: URIRef, email: str, *, page: str) -> None:
    """Give an agent exactly one ``cv:ContactPoint``, a mailbox and a home page."""
    if graph.value(agent, CV.contactPoint) is None:
        point = URIRef(f"{page}#reach-{'publisher' if graph.value(None, DCTERMS.publisher, agent) else 'access-body'}")
        graph.add((agent, CV.contactPoint, point))
        graph.add((point, RDF.type, CV.ContactPoint))
        graph.add((point, CV.email, Literal(email)))
        graph.add((point, CV.contactPage, URIRef(page)))
    if graph.value(agent, FOAF.mbox) is None and email:
        graph.add((agent, FOAF.mbox, URIRef(f"mailto:{email}")))
    if graph.value(agent, FOAF.homepage) is None:
        graph.add((agent, FOAF.homepage, URIRef(page)))


def _add_variables(graph: Graph, node: URIRef, site: Site, record: DatasetRecord) -> None:
    """Describe the members table in CSVW: it is the structured part of an imaging dataset."""
    group, table = URIRef(f"{node}#variables"), URIRef(f"{node}#members-table")
    graph.add((node, HEALTH.hasStructuredData, Literal(True)))
    graph.add((node, HEALTH.hasVariables, group))
    graph.add((group, RDF.type, CSVW.TableGroup))
    graph.add((group, DCTERMS.title, Literal("Variables of the table of images and subjects")))
    graph.add((group, CSVW.table, table))
    graph.add((table, RDF.type, CSVW.Table))
    graph.add((table, DCTERMS.title, Literal("Images and subjects")))
    graph.add((table, CSVW.url, URIRef(site.data(record, TABLE))))
    for name, (title, kind, words) in COLUMN_WORDS.items():
        column = URIRef(f"{node}#column-{name}")
        graph.add((table, CSVW.column, column))
        graph.add((column, RDF.type, CSVW.Column))
        graph.add((column, CSVW.name, Literal(name)))
        graph.add((column, CSVW.title, Literal(title)))
        graph.add((column, CSVW.titles, Literal(title)))
        graph.add((column, CSVW.datatype, Literal(kind)))
        graph.add((column, DCTERMS.description, Literal(words)))


def _add_statements(graph: Graph, node: URIRef, record: DatasetRecord) -> None:
    """State provenance, purpose and type, which are mandatory for data that are not public."""
    provenance, purpose = URIRef(f"{node}#provenance"), URIRef(f"{node}#purpose")
    graph.add((node, DCTERMS.provenance, provenance))
    graph.add((provenance, RDF.type, DCTERMS.ProvenanceStatement))
    graph.add((provenance, RDFS.label, Literal(" ".join(record.provenance) or record.description)))
    graph.add((node, DPV.hasPurpose, purpose))
    graph.add((purpose, RDF.type, DPV.Purpose))
    graph.add((purpose, DCTERMS.description, Literal(PURPOSE)))
    kind = "PERSONAL_DATA" if record.deidentification else "TEST_DATA"
    for activity in list(graph.objects(node, PROV.wasGeneratedBy)):
        graph.remove((activity, DCTERMS.type, None))
    _concept(graph, node, DCTERMS.type, str(AUTHORITY["dataset-type"]), kind)
    _in_list(graph, URIRef(AccessRights(record.access_rights).iri), str(AUTHORITY["access-right"]))
    _in_list(graph, URIRef(record.themes[0]), THEME_TAXONOMY)
    for language in graph.objects(node, DCTERMS.language):
        _in_list(graph, URIRef(str(language)), str(AUTHORITY.language))


def _set_format(graph: Graph, site: Site, record: DatasetRecord, item: Distribution) -> None:
    node = URIRef(site.distribution(record, item))
    known = FILE_TYPES.get(item.media_type)
    form = AUTHORITY[f"file-type/{known}"] if known else BINARY
    graph.set((node, DCTERMS["format"], form))
    graph.add((form, RDF.type, DCTERMS.MediaTypeOrExtent))
    _in_list(graph, form, str(AUTHORITY["file-type"]))


def _concept(graph: Graph, node: URIRef, predicate: URIRef, scheme: str, code: str) -> URIRef:
    value = URIRef(f"{scheme}/{code}")
    graph.add((node, predicate, value))
    graph.add((value, RDF.type, SKOS.Concept))
    graph.add((value, SKOS.prefLabel, Literal(code, lang="en")))
    _in_list(graph, value, scheme)
    return value


def _in_list(graph: Graph, value: URIRef, scheme: str) -> None:
    graph.add((value, SKOS.inScheme, URIRef(scheme)))
    if (URIRef(scheme), RDF.type, None) not in graph:
        graph.add((URIRef(scheme), RDF.type, SKOS.ConceptScheme))
        graph.add((URIRef(scheme), DCTERMS.title, Literal(scheme.rpartition("/")[2])))


def _close(graph: Graph) -> None:
    """Type what the range shapes look at: algorithms of checksums, and legal texts."""
    for algorithm in set(graph.objects(None, SPDX.algorithm)):
        graph.add((algorithm, RDF.type, SPDX.ChecksumAlgorithm))
    graph.add((URIRef(EHDS_REGULATION), RDF.type, URIRef("http://data.europa.eu/eli/ontology#LegalResource")))
