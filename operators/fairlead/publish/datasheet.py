"""The AI-readiness datasheet of a dataset: seven requirements, each with what was measured, from the record and its stores alone.

A measure is true, false, or a number; what nobody has measured is not in it, and nothing here is asked of people. The same measures are
a graph in the words of the Data Quality Vocabulary. Sources: W3C DQV (https://www.w3.org/TR/vocab-dqv/); DCAT 3 chapter 8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from rdflib import DCTERMS, RDF, RDFS, SKOS, XSD, Graph, Literal, URIRef

from fairlead.publish.addresses import Site
from fairlead.publish.counting import left_behind, shown_counts
from fairlead.publish.graph import concepts, moment, new_graph
from fairlead.publish.members import PARQUET, TABLE
from fairlead.publish.vocabulary import DQV, IMG, AccessRights
from fairlead.records import DatasetRecord, Distribution

REQUIREMENTS: Final[Mapping[str, str]] = {
    "accessibility": "A program that knows only the address finds the record, the terms and the bytes.",
    "quality": "What is published was compared with its source and judged by validators.",
    "variety": "How much of the field the images cover.",
    "context": "How the images came to be, in words and in concepts.",
    "structure": "Images, subjects and annotations are told apart, and linked.",
    "formats": "Open formats that are read in parts.",
    "infrastructure": "The services that training and search need are there.",
}


@dataclass(frozen=True, slots=True)
class Measure:
    """One measured thing: what it says, and its value; a truth value counts for or against, a number informs."""

    name: str
    text: str
    value: bool | int


@dataclass(frozen=True, slots=True)
class Requirement:
    """One of the seven requirements with its measures."""

    name: str
    text: str
    measures: tuple[Measure, ...]

    @property
    def met(self) -> int:
        """How many of the things that can be true are."""
        return sum(item.value is True for item in self.measures)

    @property
    def asked(self) -> int:
        """How many things can be true."""
        return sum(isinstance(item.value, bool) for item in self.measures)


def datasheet(record: DatasetRecord, *, site: Site) -> tuple[Requirement, ...]:
    """Return the seven requirements as this dataset meets them."""
    return tuple(Requirement(name, text, _MEASURES[name](record, site)) for name, text in REQUIREMENTS.items())


def datasheet_graph(record: DatasetRecord, *, site: Site) -> Graph:
    """Return the datasheet as quality measurements of the dataset, each in one of seven dimensions."""
    graph, node, sheet = new_graph(), URIRef(site.dataset(record.id)), site.datasheet(record.id)
    graph.add((URIRef(sheet), RDF.type, DQV.QualityMetadata))
    graph.add((URIRef(sheet), DCTERMS.title, Literal(f"AI-readiness datasheet of {record.title}")))
    graph.add((URIRef(sheet), DCTERMS.modified, moment(record.modified)))
    for requirement in datasheet(record, site=site):
        dimension = IMG[f"requirement-{requirement.name}"]
        graph.add((dimension, RDF.type, DQV.Dimension))
        graph.add((dimension, SKOS.prefLabel, Literal(requirement.name, lang="en")))
        graph.add((dimension, SKOS.definition, Literal(requirement.text, lang="en")))
        for measure in requirement.measures:
            datatype = XSD.boolean if isinstance(measure.value, bool) else XSD.integer
            _add(graph, node, (sheet, measure.name), (dimension, measure.text, Literal(measure.value, datatype=datatype)))
    for number, tally in enumerate(record.tallies, start=1):
        for place, (label, percent) in enumerate(tally.cells, start=1):
            words = f"{tally.name}: {label}, percent of {tally.unit}"
            value = Literal(percent, datatype=XSD.integer)
            _add(graph, node, (sheet, f"share-{number}-{place}"), (IMG["requirement-variety"], words, value))
    return graph


def _add(graph: Graph, node: URIRef, name: tuple[str, str], said: tuple[URIRef, str, Literal]) -> None:
    measurement, metric = URIRef(f"{name[0]}#{name[1]}"), URIRef(f"{name[0]}#metric-{name[1]}")
    dimension, text, value = said
    graph.add((node, DQV.hasQualityMeasurement, measurement))
    graph.add((measurement, RDF.type, DQV.QualityMeasurement))
    graph.add((measurement, DQV.computedOn, node))
    graph.add((measurement, DQV.isMeasurementOf, metric))
    graph.add((measurement, DQV.value, value))
    graph.add((metric, RDF.type, DQV.Metric))
    graph.add((metric, RDFS.label, Literal(text)))
    graph.add((metric, DQV.expectedDataType, value.datatype or XSD.string))
    graph.add((metric, DQV.inDimension, dimension))


def _stores(record: DatasetRecord) -> list[Distribution]:
    return [item for item in record.distributions if item.store is not None]


def _accessibility(record: DatasetRecord, site: Site) -> tuple[Measure, ...]:
    public = record.access_rights == AccessRights.PUBLIC
    return (
        Measure("bytes-public", "the bytes are served without asking anybody", public),
        Measure("address-of-every-part", "every part has an address of its own", all(item.path for item in record.distributions)),
        Measure("licence", "a licence that machines know", record.license.startswith(("http://", "https://"))),
        Measure("persistent-identifier", "a registered persistent identifier", site.pid(record) is not None),
        Measure("contact", "somebody to ask", bool(record.contact.email)),
    )


def _quality(record: DatasetRecord, site: Site) -> tuple[Measure, ...]:
    stores = [item.store for item in record.distributions if item.store is not None]
    verified = sum(store.verified_voxels for store in stores)
    valid = sum(store.valid.ome_zarr_models and store.valid.json_schema for store in stores)
    return (
        Measure(
            "voxels-verified", f"voxels of {verified} of {len(stores)} stores were compared with their source", verified == len(stores)
        ),
        Measure("stores-valid", f"{valid} of {len(stores)} stores pass two validators", valid == len(stores)),
        Measure("checksums", "every part has a checksum", all(item.sha256 for item in record.distributions)),
        Measure("regular-sampling", "stores with regular sampling", sum(store.geometry.verdict in ("regular", "none") for store in stores)),
        Measure("left-behind", "members of the cohort that could not be published", left_behind(record)),
    )


def _variety(record: DatasetRecord, site: Site) -> tuple[Measure, ...]:
    counts = [Measure(unit, unit, number) for unit, number in shown_counts(record).items()]
    return (
        *counts,
        Measure("modalities", "modalities and imaging methods", len(record.modalities)),
        Measure("body-parts", "body parts", len(record.body_parts)),
        Measure("organisms", "organisms", len(record.organisms)),
        Measure("distributions-shown", "distributions that enough people are in to be shown", any(tally.cells for tally in record.tallies)),
    )


def _context(record: DatasetRecord, site: Site) -> tuple[Measure, ...]:
    return (
        Measure("selection", "what was selected, in words", bool(record.sentence)),
        Measure("provenance", "steps of the provenance", len(record.provenance)),
        Measure("de-identification", "codes of PS3.15 say how it was de-identified", bool(record.deidentification)),
        Measure("modality-coded", "the modality is a concept with an address", bool(record.modalities)),
        Measure("anatomy-coded", "the body part is a concept with an address", bool(record.body_parts)),
        Measure("concepts", "concepts of open vocabularies", len(concepts(record))),
    )


def _structure(record: DatasetRecord, site: Site) -> tuple[Measure, ...]:
    stores = _stores(record)
    paths = {item.path for item in record.distributions}
    labelled = sum(bool(item.store and item.store.labels) for item in stores)
    return (
        Measure("table", "a table joins images and subjects", TABLE in paths),
        Measure("one-store-an-image", "each image is a store of its own", bool(stores)),
        Measure("spacing", "stores that state their spacing", sum(bool(item.store and item.store.geometry.spacing_mm) for item in stores)),
        Measure("labels", "stores with label images", labelled),
        Measure("series-of-versions", "the versions of the cohort are one series", True),
    )


def _formats(record: DatasetRecord, site: Site) -> tuple[Measure, ...]:
    stores = _stores(record)
    return (
        Measure("ome-zarr", "images are OME-Zarr", all(item.conforms_to for item in stores)),
        Measure("pyramids", "stores with more than one resolution", sum(bool(item.store and item.store.levels > 1) for item in stores)),
        Measure("table-csv", "the table is CSV", any(item.path == TABLE for item in record.distributions)),
        Measure("table-parquet", "the table is Parquet", any(item.path == PARQUET for item in record.distributions)),
        Measure("media-types", "different media types", len({item.media_type for item in record.distributions})),
    )


def _infrastructure(record: DatasetRecord, site: Site) -> tuple[Measure, ...]:
    public = record.access_rights == AccessRights.PUBLIC
    return (
        Measure("parts-of-files", "bytes are read in parts and from other sites (Range, CORS)", public),
        Measure("croissant", "training code loads it by its Croissant record", public),
        Measure("query", "the record is searched by SPARQL, OAI-PMH and words", True),
        Measure("fair-data-point", "the record is harvested as a FAIR Data Point", True),
        Measure("size", "bytes", record.counts.size_bytes),
    )


_MEASURES: Final[Mapping[str, Callable[[DatasetRecord, Site], tuple[Measure, ...]]]] = {
    "accessibility": _accessibility,
    "quality": _quality,
    "variety": _variety,
    "context": _context,
    "structure": _structure,
    "formats": _formats,
    "infrastructure": _infrastructure,
}
