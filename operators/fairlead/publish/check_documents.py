"""JSON views as a gate: schemas for what each format makes mandatory, checked before anything is published.

They are our own reading of the specifications, closed where a wrong word would be taken for a right one. The tests give the same
documents to the formats' own validators. Sources: schema.org Dataset with Google's required properties, Croissant 1.0, DataCite 4.5,
FHIR R5 Group, GA4GH Beacon v2 cohorts, Helmholtz Kernel Information Profile, foundingGIDE (its own shapes), MICrate 1.0 draft.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from fairlead.errors import ShapeViolation
from fairlead.publish.addresses import Site
from fairlead.publish.documents import OF_DATASET, document_of
from fairlead.publish.views import DatasetNode, DistributionNode
from fairlead.records import DatasetRecord, JsonObject

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError as SchemaError

type Schema = dict[str, Any]
TEXT: Final[Schema] = {"type": "string", "minLength": 1}
IRI: Final[Schema] = {"type": "string", "pattern": r"^(https?://|urn:|mailto:)[^\s<>\"{}|\\^`]+$"}
DAY: Final[Schema] = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}"}
SHA256: Final[Schema] = {"type": "string", "pattern": r"^[0-9a-f]{64}$"}
WHOLE: Final[Schema] = {"type": "integer", "minimum": 0}
CURIE: Final[Schema] = {"type": "string", "pattern": r"^\w[^:]*:.+$"}


def _object(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


def _some(items: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": items}


def _one_of(*words: str) -> Schema:
    return {"enum": list(words)}


def _with(name: str) -> Schema:
    return {"contains": _object({"name": {"const": name}, "key": TEXT, "value": TEXT})}


AGENT: Final = _object({"name": TEXT}, {"url": IRI, "@id": IRI})
SUMMARY: Final[Mapping[str, Schema]] = {
    "@context": {}, "@id": IRI, "name": TEXT, "description": TEXT, "license": IRI, "url": IRI, "version": TEXT,
    "datePublished": DAY, "creator": _some(AGENT), "publisher": AGENT,
}  # fmt: skip
CODING: Final = _object({"system": IRI, "code": TEXT, "display": TEXT})
FIELD: Final = _object({
    "@type": {"const": "cr:Field"}, "@id": TEXT, "dataType": TEXT,
    "source": _object({"fileObject": _object({"@id": TEXT}), "extract": _object({"column": TEXT})}),
})  # fmt: skip
SPECIMEN: Final = _object({"organism_classification": _some({"type": "object"})})
KERNEL: Final = ("kernelInformationProfile", "digitalObjectType", "digitalObjectLocation", "digitalObjectPolicy", "etag", "dateModified")
SCHEMAS: Final[Mapping[str, Schema]] = {
    "schemaorg": _object(
        {"@type": {"const": "Dataset"}, **SUMMARY, "identifier": TEXT, "isAccessibleForFree": {"type": "boolean"}},
        {
            "distribution": _some(_object({"contentUrl": IRI, "encodingFormat": TEXT, "sha256": SHA256, "name": TEXT})),
            "about": {"type": "array", "items": _object({"@id": IRI, "name": TEXT})},
            "variableMeasured": _some(_object({"name": TEXT, "value": WHOLE})),
        },
    ),
    "croissant": _object({
        "@type": {"const": "sc:Dataset"}, **SUMMARY, "conformsTo": {"const": "http://mlcommons.org/croissant/1.0"},
        "distribution": _some(_object({
            "@type": {"const": "cr:FileObject"}, "@id": TEXT, "contentUrl": IRI, "encodingFormat": TEXT, "sha256": SHA256,
        })),
        "recordSet": _some(_object({"@type": {"const": "cr:RecordSet"}, "@id": TEXT, "field": _some(FIELD)})),
    }),
    "datacite": _object(
        {
            "schemaVersion": {"const": "http://datacite.org/schema/kernel-4"},
            "titles": _some(_object({"title": TEXT})), "creators": _some(_object({"name": TEXT})),
            "publisher": _object({"name": TEXT}), "publicationYear": {"type": "string", "pattern": r"^\d{4}$"},
            "types": _object({"resourceTypeGeneral": {"const": "Dataset"}, "resourceType": TEXT}), "url": IRI,
        },
        {
            "identifiers": _some(_object({"identifier": TEXT, "identifierType": _one_of("DOI", "Handle", "ARK", "URL")})),
            "doi": {"type": "string", "pattern": r"^10\.\d+(\.\d+)*/.+$"},
            "dates": _some(_object({"date": DAY, "dateType": _one_of("Issued", "Updated")})),
            "subjects": {"type": "array", "items": _object({"subject": TEXT, "valueUri": IRI})},
            "rightsList": _some(_object({"rightsUri": IRI})),
            "relatedIdentifiers": _some(_object({"relatedIdentifier": IRI, "relatedIdentifierType": TEXT, "relationType": TEXT})),
        },
    ) | {"anyOf": [{"required": ["doi"]}, {"required": ["identifiers"]}]},
    "fdo": _object({"pid": {"type": "string"}, "record": {"type": "array", "allOf": [_with(name) for name in KERNEL]}}),
    "fhir": _object(
        {
            "resourceType": {"const": "Group"}, "id": TEXT, "url": IRI, "identifier": _some(_object({"system": IRI, "value": TEXT})),
            "status": _one_of("draft", "active", "retired"), "type": _one_of("person", "specimen"), "membership": {"const": "definitional"},
            "date": DAY,
        },
        {
            "quantity": WHOLE, "member": {"not": {}},
            "characteristic": _some(_object({
                "code": _object({"text": TEXT}), "valueCodeableConcept": _object({"coding": _some(CODING)}), "exclude": {"type": "boolean"},
            })),
        },
    ),
    "beacon": _object(
        {
            "id": TEXT, "name": TEXT, "cohortType": _one_of("study-defined", "user-defined", "beacon-defined"),
            "cohortDesign": _object({"id": CURIE, "label": TEXT}), "inclusionCriteria": {"type": "object"},
        },
        {"cohortSize": WHOLE, "cohortDataTypes": {"type": "array", "items": _object({"id": CURIE, "label": TEXT})}},
    ),
    "gide": _object({"@context": {}, "@graph": _some(_object({"@id": TEXT, "@type": {}}))}),
    "micrate": _object({"@context": {}, "@graph": _some(_object({"@id": TEXT, "@type": {}})) | {"contains": SPECIMEN}}),
}  # fmt: skip


@cache
def _validator(profile: str) -> Draft202012Validator:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(SCHEMAS[profile])


def findings(profile: str, document: JsonObject) -> list[str]:
    """Return what is wrong with a JSON view, in words; nothing when it may be published.

    >>> findings("beacon", {"id": "ds-1", "cohortType": "friends"})[0]
    "at cohortType: 'friends' is not one of ['study-defined', 'user-defined', 'beacon-defined']"
    """
    errors = sorted(_validator(profile).iter_errors(document), key=lambda error: error.json_path)
    found = [f"at {'/'.join(map(str, error.absolute_path)) or 'the top'}: {_words(error)}" for error in errors]
    return sorted(found) + (list(_dangling(document)) if profile == "croissant" and not found else [])


def _words(error: SchemaError) -> str:
    """Return what is wrong in one line; the only choice there is would be told with the whole document."""
    if error.validator == "anyOf":
        return "one of doi, identifiers has to be there"
    return error.message[:200]


def _dangling(croissant: JsonObject) -> Iterator[str]:
    """Yield the fields of record sets that read a file which the document does not have."""
    files = {item["@id"] for item in croissant["distribution"]}
    for rows in croissant["recordSet"]:
        for field in rows["field"]:
            if field["source"]["fileObject"]["@id"] not in files:
                yield f"field {field['@id']} reads {field['source']['fileObject']['@id']}, which is no file of the dataset"


def require_documents(record: DatasetRecord, *, site: Site) -> None:
    """Render and check every JSON view of a dataset and of its parts.

    Raises
    ------
    ShapeViolation : one breaks what its format makes mandatory; the message says where, and nothing is published.
    """
    for profile in OF_DATASET:
        _require(profile, document_of(DatasetNode(record), profile, site=site))
    for item in record.distributions:
        for profile in ("fdo", "micrate") if item.store is not None else ("fdo",):
            _require(profile, document_of(DistributionNode(record, item), profile, site=site))


def _require(profile: str, document: JsonObject) -> None:
    if found := findings(profile, document):
        raise ShapeViolation(
            f"The {profile} view breaks its schema in {len(found)} places: {'; '.join(found[:5])}",
            remedy="Correct the catalogue settings or the export's parameters; nothing was published.",
        )
