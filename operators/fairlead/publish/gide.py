"""Detached RO-Crates in the words of bioimaging archives: foundingGIDE for a dataset, MICrate for one image.

Sources: foundingGIDE profile (January 2026), MICrate 1.0 draft, RO-Crate 1.2 (https://w3id.org/ro/crate/1.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fairlead.publish.addresses import Site
from fairlead.publish.counting import how_many
from fairlead.publish.vocabulary import AccessRights, concept_iri
from fairlead.records import Agent, Concept, DatasetRecord, Distribution, JsonObject

CONTEXT: Final = [
    "https://w3id.org/ro/crate/1.2/context",
    {
        "dwc": "http://rs.tdwg.org/dwc/terms/",
        "dwciri": "http://rs.tdwg.org/dwc/iri/",
        "Taxon": "dwc:Taxon",
        "scientificName": "dwc:scientificName",
        "measurementMethod": "dwciri:measurementMethod",
        "BioSample": "http://schema.org/BioSample",
        "taxonomicRange": "http://schema.org/taxonomicRange",
        "specimen": "http://purl.obolibrary.org/obo/HSO_0000308",
        "organism_classification": "https://schema.org/taxonomicRange",
    },
]
DESCRIPTOR: Final = "ro-crate-metadata.json"
FILE_COUNT: Final = ("http://purl.obolibrary.org/obo/UO_0000189", "file count")
BYTES: Final = ("http://purl.obolibrary.org/obo/UO_0000233", "bytes")
METHODS: Final[Mapping[str, tuple[str, str]]] = {
    "DCM:CT": ("FBbi:00001002", "X-ray computed tomography"),
    "DCM:CR": ("FBbi:00001001", "X-ray radiography"),
    "DCM:DX": ("FBbi:00001001", "X-ray radiography"),
    "DCM:MG": ("FBbi:00001001", "X-ray radiography"),
    "DCM:SM": ("FBbi:00000243", "bright-field microscopy"),
}
"""FBbi methods of DICOM modalities that it knows; the others stay concepts of DICOM (FBbi has none for MR, PET or ultrasound)."""


def gide(record: DatasetRecord, *, site: Site) -> JsonObject:
    """Return the dataset as a detached crate of the foundingGIDE profile, with the links to data that its shapes leave open."""
    here = site.dataset(record.id)
    entities: dict[str, JsonObject] = {}
    root: dict[str, Any] = _root(record, entities, here, name=record.title, description=record.description)
    root["identifier"] = site.pid(record) or here
    root["keywords"] = list(record.keywords)
    root["size"] = [
        _quantity(entities, "#file-count", record.counts.images, FILE_COUNT),
        _quantity(entities, "#total-size", record.counts.size_bytes, BYTES),
    ]
    pictures = [site.data(record, item.store.preview) for item in record.distributions if item.store and item.store.preview]
    if record.access_rights == AccessRights.PUBLIC:
        root["hasPart"] = [_part(entities, record, item, site) for item in record.distributions]
        if pictures:
            root["thumbnailUrl"] = pictures[0]
    return _document(here, root, entities)


def micrate(record: DatasetRecord, item: Distribution, *, site: Site) -> JsonObject:
    """Return one image as a detached MICrate: the root is the store's address, and it has a specimen with its organism."""
    here = site.data(record, item.path)
    entities: dict[str, JsonObject] = {}
    root: dict[str, Any] = _root(record, entities, here, name=item.title, description=f"{item.title} of {record.title}")
    root["identifier"] = site.pid(record, item) or site.distribution(record, item)
    root["isPartOf"] = {"@id": site.dataset(record.id)}
    root["specimen"] = {"@id": "#specimen"}
    taxa = [{"@id": concept_iri(one.curie)} for one in record.organisms if concept_iri(one.curie)]
    entities["#specimen"]["organism_classification"] = taxa or [{"@id": "http://purl.obolibrary.org/obo/OBI_0100026"}]
    return _document(here, root, entities)


def _root(record: DatasetRecord, entities: dict[str, JsonObject], here: str, *, name: str, description: str) -> dict[str, Any]:
    taxa = [_taxon(entities, concept) for concept in record.organisms if concept_iri(concept.curie)]
    sample: dict[str, Any] = {"@id": "#specimen", "@type": "BioSample", "name": "Imaged subjects", "description": _sample_words(record)}
    if taxa:
        sample["taxonomicRange"] = taxa
    entities["#specimen"] = sample
    anatomy = [_term(entities, concept.curie or "", concept.label or concept.raw) for concept in record.body_parts]
    authors = [_agent(entities, agent) for agent in record.creators]
    return {
        "@id": here,
        "@type": "Dataset",
        "name": name,
        "description": description,
        "datePublished": record.issued.date().isoformat(),
        "license": {"@id": record.license},
        "author": authors if len(authors) > 1 else authors[0],
        "publisher": _agent(entities, record.publisher),
        "about": [{"@id": "#specimen"}, *taxa, *anatomy],
        "measurementMethod": methods(record, entities),
    }


def methods(record: DatasetRecord, entities: dict[str, JsonObject]) -> list[JsonObject]:
    """Return the imaging methods as terms of FBbi where it has one, else of DICOM."""
    found = [METHODS.get(concept.curie or "", (concept.curie or "", concept.label or concept.raw)) for concept in record.modalities]
    known = [(curie, name) for curie, name in dict(found).items() if concept_iri(curie)]
    return [_term(entities, curie, name) for curie, name in known] or [_term(entities, "FBbi:00000222", "imaging method")]


def _sample_words(record: DatasetRecord) -> str:
    where = ", ".join(concept.label or concept.raw for concept in record.body_parts if concept_iri(concept.curie))
    return f"{how_many(record.counts.patients, record.counts_below)} subjects" + (f", imaged at: {where}." if where else ".")


def _taxon(entities: dict[str, JsonObject], concept: Concept) -> JsonObject:
    iri = concept_iri(concept.curie) or ""
    entities[iri] = {"@id": iri, "@type": "Taxon", "scientificName": concept.label or concept.raw}
    return {"@id": iri}


def _term(entities: dict[str, JsonObject], curie: str, name: str) -> JsonObject:
    iri = concept_iri(curie) or f"#term-{name}"
    entities[iri] = {"@id": iri, "@type": "DefinedTerm", "name": name}
    return {"@id": iri}


def _agent(entities: dict[str, JsonObject], agent: Agent) -> JsonObject:
    iri = agent.iri or "#publisher"
    entities[iri] = {"@id": iri, "@type": "Organization", "name": agent.name}
    if agent.homepage:
        entities[iri] = {**entities[iri], "url": agent.homepage}
    return {"@id": iri}


def _quantity(entities: dict[str, JsonObject], identifier: str, value: int, unit: tuple[str, str]) -> JsonObject:
    entities[identifier] = {"@id": identifier, "@type": "QuantitativeValue", "value": value, "unitCode": unit[0], "unitText": unit[1]}
    return {"@id": identifier}


def _part(entities: dict[str, JsonObject], record: DatasetRecord, item: Distribution, site: Site) -> JsonObject:
    address = site.data(record, item.path)
    entities[address] = {
        "@id": address,
        "@type": "File",
        "name": item.title,
        "encodingFormat": item.media_type,
        "contentSize": str(item.size_bytes),
    }
    return {"@id": address}


def _document(root: str, entity: Mapping[str, Any], entities: Mapping[str, JsonObject]) -> JsonObject:
    descriptor = {
        "@id": DESCRIPTOR,
        "@type": "CreativeWork",
        "about": {"@id": root},
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.2"},
    }
    licence = entity["license"]["@id"]
    rest: Iterable[JsonObject] = (entities[name] for name in sorted(entities))
    named = {"@id": licence, "@type": "CreativeWork", "name": "Licence", "description": "The licence of this dataset."}
    return {"@context": CONTEXT, "@graph": [descriptor, dict(entity), named, *rest]}
