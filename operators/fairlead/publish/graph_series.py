"""Dataset series as records of their own: a cohort's versions, or the parts of one cohort at several centres.

Source: DCAT 3 section 6.7 and chapter 12 (dataset series); FDP 1.2 for the record around it; DCAT-AP 3.0.1 for the mandatory properties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rdflib import DCTERMS, RDF, Graph, Literal, URIRef

from fairlead.publish.addresses import Site
from fairlead.publish.graph import EPOCH, Child, Words, add_container, add_metadata_record, add_resource, moment, new_graph
from fairlead.publish.vocabulary import DCAT, DCATAP, EHDS_REGULATION
from fairlead.records import DatasetRecord

VERSIONS: Final = "Every dataset of the series is one frozen version of the same cohort."
CENTRES: Final = "Every dataset of the series is the part of one cohort that one centre publishes."


@dataclass(frozen=True, slots=True)
class SeriesNode:
    """A dataset series: its address, and its datasets, the oldest version first."""

    iri: str
    title: str
    description: str
    parts: tuple[Child, ...]
    issued: datetime = EPOCH
    modified: datetime = EPOCH


def series_of_versions(site: Site, records: Sequence[DatasetRecord]) -> SeriesNode:
    """Return the series of one cohort's published versions."""
    known = sorted(records, key=lambda record: (int(record.cohort.rpartition("@")[2]), record.id))
    return SeriesNode(
        iri=site.series(known[-1]),
        title=versions_title(known[-1]),
        description=VERSIONS,
        parts=tuple((site.dataset(record.id), record.title) for record in known),
        issued=min(record.issued for record in known),
        modified=max(record.modified for record in known),
    )


def versions_title(record: DatasetRecord) -> str:
    """Return the title of the series of a cohort's versions, by its newest."""
    return f"Versions of the cohort of {record.title}"


def series_graph(site: Site, node: SeriesNode) -> Graph:
    """Return a series' record with the container of its datasets, the ``fdp`` view."""
    graph, here = new_graph(), URIRef(node.iri)
    graph.add((here, RDF.type, DCAT.DatasetSeries))
    words = Words(node.title, node.description, site.publisher, language=site.words.language)
    add_resource(graph, here, site, words)
    add_metadata_record(graph, here, issued=node.issued, modified=node.modified)
    graph.add((here, DCTERMS.license, URIRef(site.words.license)))
    graph.add((here, DCTERMS.isPartOf, URIRef(site.catalog)))
    _add_dates(graph, here, node)
    add_container(graph, f"{node.iri}/dataset/", member_of=here, relation=DCAT.seriesMember, children=node.parts)
    return graph


def series_graph_ap(node: SeriesNode) -> Graph:
    """Return a series' record as DCAT-AP 3 has it: title, description, legislation, dates; its datasets are documents of their own."""
    graph, here = new_graph(), URIRef(node.iri)
    add_series(graph, here, title=node.title, description=node.description)
    _add_dates(graph, here, node)
    for iri, _ in node.parts:
        graph.add((here, DCAT.seriesMember, URIRef(iri)))
    return graph


def add_series(graph: Graph, series: URIRef, *, title: str, description: str) -> None:
    """State of a series what DCAT-AP wants of it in any document that names it."""
    graph.add((series, RDF.type, DCAT.DatasetSeries))
    graph.add((series, DCTERMS.title, Literal(title)))
    graph.add((series, DCTERMS.description, Literal(description)))
    graph.add((series, DCATAP.applicableLegislation, URIRef(EHDS_REGULATION)))


def _add_dates(graph: Graph, here: URIRef, node: SeriesNode) -> None:
    graph.add((here, DCTERMS.issued, moment(node.issued)))
    graph.add((here, DCTERMS.modified, moment(node.modified)))
    if node.parts:
        graph.add((here, DCAT.first, URIRef(node.parts[0][0])))
        graph.add((here, DCAT.last, URIRef(node.parts[-1][0])))
