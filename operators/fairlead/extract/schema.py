"""The JSON Schema of a record and the Beacon filtering terms, both generated from the catalogue.

Schema: JSON Schema 2020-12, stored as ``configs/schemas/imaging-record-v1.schema.json``; ``python -m fairlead.extract.reference schema``
writes it, and a test keeps it current. Filtering terms: GA4GH Beacon v2.1, ``/filtering_terms``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from fairlead.extract.catalogue import ATTRIBUTES, FieldCatalogue
from fairlead.extract.declarations import FieldDeclaration
from fairlead.extract.vocabulary import vocabulary
from fairlead.records import Grain, ImagingRecord, JsonObject

SCHEMA_ID: Final = "urn:imaging-record:1"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
TYPES: Final[Mapping[str, str]] = {"integer": "integer", "float": "number", "boolean": "boolean"}
SCOPES: Final[Mapping[Grain, str]] = {
    Grain.PATIENT: "individuals",
    Grain.STUDY: "imagingStudies",
    Grain.SERIES: "series",
    Grain.IMAGE: "images",
}
"""Grain -> the entry type that a filter is about; individuals is Beacon's own, the others are of an imaging beacon."""


def record_schema(catalogue: FieldCatalogue) -> JsonObject:
    """Return the JSON Schema of ``ImagingRecord``, with every promoted attribute of the catalogue by its id, type, unit and meaning."""
    schema: JsonObject = ImagingRecord.model_json_schema(mode="serialization")
    for name, community in (("DicomMetadata", "community:dicom"), ("OmeMetadata", "community:rembi")):
        attributes = schema["$defs"][name]["properties"]["attributes"]
        declared = (one for one in catalogue.fields.values() if one.path.startswith(ATTRIBUTES) and one.module in ("community", community))
        attributes["properties"] = {one.path.removeprefix(ATTRIBUTES): _property(one) for one in declared}
    return {"$schema": DIALECT, "$id": SCHEMA_ID, "x-catalogue-sha256": catalogue.sha256, **schema}


def _property(field: FieldDeclaration) -> JsonObject:
    value: JsonObject = {"type": TYPES.get(field.type, "string"), **({"format": "date"} if field.type == "date" else {})}
    stated: dict[str, Any] = {"x-unit": field.unit, "x-vocabulary": field.vocabulary, "x-grain": field.grain.value}
    return {
        "title": field.title,
        "description": field.help,
        "anyOf": [value, {"type": "array", "items": value, "minItems": 2}],
        **{name: text for name, text in stated.items() if text is not None},
    }


def filtering_terms(catalogue: FieldCatalogue) -> JsonObject:
    """Return the ``response`` of Beacon's ``/filtering_terms``: alphanumeric terms for fields, ontology terms for what they may hold.

    Sensitive fields are offered like the others; what may be answered about them is the business of whoever answers.
    """
    fields = [one for one in catalogue.fields.values() if one.facetable or one.type in ("integer", "float", "date")]
    terms = [_alphanumeric(one) for one in fields]
    terms += [term for one in fields for term in _ontology(one)]
    used = {str(term["id"]).partition(":")[0] for term in terms if term["type"] == "ontology"}
    return {"filteringTerms": terms, "resources": [RESOURCES[prefix] for prefix in sorted(used & RESOURCES.keys())]}


def _alphanumeric(field: FieldDeclaration) -> JsonObject:
    return {"type": "alphanumeric", "id": field.id, "label": field.title, "scopes": [SCOPES[field.grain]]}


def _ontology(field: FieldDeclaration) -> Iterator[JsonObject]:
    words = vocabulary(field.vocabulary) if field.vocabulary is not None else None
    for curie, label in sorted(words.labels.items()) if words is not None and words.scheme is not None else ():
        yield {"type": "ontology", "id": curie, "label": label, "scopes": [SCOPES[field.grain]]}


RESOURCES: Final[Mapping[str, JsonObject]] = {
    "DCM": {
        "id": "dcm",
        "name": "DICOM Controlled Terminology",
        "url": "http://dicom.nema.org/resources/ontology/DCM",
        "namespacePrefix": "DCM",
        "iriPrefix": "http://dicom.nema.org/resources/ontology/DCM/",
    },
    "FBbi": {
        "id": "fbbi",
        "name": "Biological Imaging Methods Ontology",
        "url": "http://purl.obolibrary.org/obo/fbbi.owl",
        "namespacePrefix": "FBbi",
        "iriPrefix": "http://purl.obolibrary.org/obo/FBbi_",
    },
    "NCBITaxon": {
        "id": "ncbitaxon",
        "name": "NCBI organismal classification",
        "url": "http://purl.obolibrary.org/obo/ncbitaxon.owl",
        "namespacePrefix": "NCBITaxon",
        "iriPrefix": "http://purl.obolibrary.org/obo/NCBITaxon_",
    },
    "SCT": {
        "id": "sct",
        "name": "SNOMED CT (DICOM subset)",
        "url": "http://snomed.info/sct",
        "namespacePrefix": "SCT",
        "iriPrefix": "http://snomed.info/id/",
    },
}
"""CURIE prefix -> ontology resource (Beacon v2 ``Resource``)."""


def render_schema(catalogue: FieldCatalogue) -> str:
    """Return the schema as it is stored."""
    return json.dumps(record_schema(catalogue), indent=2, ensure_ascii=False) + "\n"
