"""The ``imaging`` view: the FDP record with what no DCAT profile says of images; terms and shapes are in docs/profile/imaging.md."""

from __future__ import annotations

from typing import Final

from rdflib import RDFS, XSD, Graph, Literal, URIRef

from fairlead.publish.addresses import Site
from fairlead.publish.counting import shown_counts
from fairlead.publish.graph import add_concept, dataset_graph, distribution_graph, whole
from fairlead.publish.graph_series import VERSIONS, add_series, versions_title
from fairlead.publish.vocabulary import CONCEPTS, DCAT, IMG, concept_iri
from fairlead.records import Concept, DatasetRecord, Distribution, StoreReport

MM_IN_M: Final = 1000


def dataset_graph_imaging(site: Site, record: DatasetRecord) -> Graph:
    """Return a dataset's record with modalities, anatomy, organisms, counts, sampling and de-identification as terms of their own."""
    graph, node = dataset_graph(site, record), URIRef(site.dataset(record.id))
    for name, concepts in (("bodyPart", record.body_parts), ("organism", record.organisms)):
        for concept in concepts:
            _add(graph, node, IMG[name], concept)
    for concept in record.modalities:
        is_method = (concept.curie or "").startswith("FBbi:")
        _add(graph, node, IMG.imagingMethod if is_method else IMG.modality, concept)
    for unit, value in _counts(record).items():
        graph.add((node, IMG[unit], whole(value)))
    for code in record.deidentification:
        graph.add((node, IMG.deidentificationMethod, URIRef(CONCEPTS["DCM"] + code)))
    if coarsest := max((max(item.store.geometry.spacing_mm or (0,)) for item in record.distributions if item.store), default=0):
        graph.add((node, DCAT.spatialResolutionInMeters, Literal(f"{coarsest / MM_IN_M:.9f}".rstrip("0"), datatype=XSD.decimal)))
    if not record.series:  # a dataset is in one series; that of the centres says more
        add_series(graph, URIRef(site.series(record)), title=versions_title(record), description=VERSIONS)
    return graph


def distribution_graph_imaging(site: Site, record: DatasetRecord, item: Distribution) -> Graph:
    """Return a distribution's record; a store also says its kind, extent, sampling and what was verified."""
    graph = distribution_graph(site, record, item)
    if item.store is not None:
        _add_store(graph, URIRef(site.distribution(record, item)), item.store)
    return graph


def _add_store(graph: Graph, node: URIRef, store: StoreReport) -> None:
    graph.add((node, IMG.kind, Literal(store.kind)))
    graph.add((node, IMG.dataType, Literal(store.dtype)))
    graph.add((node, IMG.shape, Literal(" ".join(map(str, store.shape)))))
    graph.add((node, IMG.axes, Literal(" ".join(store.axes))))
    graph.add((node, IMG.levels, whole(store.levels)))
    graph.add((node, IMG.geometry, Literal(store.geometry.verdict)))
    graph.add((node, IMG.voxelsVerified, Literal(store.verified_voxels)))
    if store.geometry.spacing_mm:
        graph.add((node, IMG.spacingMm, Literal(" ".join(f"{value:g}" for value in store.geometry.spacing_mm))))
    for label in store.labels:
        graph.add((node, IMG.hasLabel, Literal(label)))


def _add(graph: Graph, node: URIRef, predicate: URIRef, concept: Concept) -> None:
    if concept_iri(concept.curie):
        found = add_concept(graph, concept)
        if graph.value(found, RDFS.label) is not None:
            graph.add((node, predicate, found))


def _counts(record: DatasetRecord) -> dict[str, int]:
    return {"subjects" if unit == "patients" else unit: number for unit, number in shown_counts(record).items()}
