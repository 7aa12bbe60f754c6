"""JSON-LD views of a dataset in words of the web: schema.org ``Dataset``, and Croissant on top of it.

Sources: https://schema.org/Dataset, Croissant 1.0 (https://docs.mlcommons.org/croissant). Contexts are inline.
"""

from __future__ import annotations

from typing import Any, Final

from fairlead.publish.addresses import Site
from fairlead.publish.citing import citation_bibtex
from fairlead.publish.counting import shown_counts
from fairlead.publish.graph import concepts
from fairlead.publish.members import COLUMNS
from fairlead.publish.vocabulary import AccessRights, concept_iri
from fairlead.records import Agent, DatasetRecord, Distribution, JsonObject

CONTEXT: Final[JsonObject] = {"@vocab": "https://schema.org/"} | {name: {"@type": "@id"} for name in ("license", "url", "contentUrl")}
PID_TYPES: Final = {"doi": "DOI", "handle": "Handle", "ark": "ARK"}
CROISSANT: Final = "http://mlcommons.org/croissant/1.0"
CROISSANT_CONTEXT: Final[JsonObject] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def schema_org(record: DatasetRecord, *, site: Site) -> JsonObject:
    """Return the ``Dataset`` that search engines and assessment tools read."""
    here = site.dataset(record.id)
    public = record.access_rights == AccessRights.PUBLIC
    document: JsonObject = {
        "@context": CONTEXT,
        "@type": "Dataset",
        "@id": here,
        "identifier": site.pid(record) or here,
        "url": here,
        "name": record.title,
        "description": record.description,
        "version": str(record.version),
        "license": record.license,
        "keywords": list(record.keywords),
        "inLanguage": record.language,
        "datePublished": record.issued.date().isoformat(),
        "dateModified": record.modified.date().isoformat(),
        "isAccessibleForFree": public,
        "conditionsOfAccess": record.access_rights,
        "publisher": _agent(record.publisher),
        "creator": [_agent(creator) for creator in record.creators],
        "includedInDataCatalog": {"@type": "DataCatalog", "@id": site.catalog, "name": site.catalog_title, "url": site.catalog},
        "about": [
            {"@type": "DefinedTerm", "@id": concept_iri(item.curie), "name": item.label or item.raw, "url": concept_iri(item.curie)}
            for item in concepts(record)
        ],
        "variableMeasured": [{"@type": "PropertyValue", "name": unit, "value": number} for unit, number in shown_counts(record).items()],
    }
    if public:
        document["distribution"] = [_download(record, item, site=site) for item in record.distributions]
    return document


def _agent(agent: Agent) -> JsonObject:
    known = {"@id": agent.iri, "name": agent.name, "url": agent.homepage, "email": agent.email}
    return {"@type": "Organization"} | {key: value for key, value in known.items() if value}


def _download(record: DatasetRecord, item: Distribution, *, site: Site) -> JsonObject:
    return {
        "@type": "DataDownload",
        "@id": site.distribution(record, item),
        "name": item.title,
        "contentUrl": site.data(record, item.path),
        "encodingFormat": item.media_type,
        "contentSize": str(item.size_bytes),
        "sha256": item.sha256,
    }


def croissant(record: DatasetRecord, *, site: Site) -> JsonObject:
    """Return the dataset as Croissant: the members table as a record set whose rows name the stores to open.

    A store is a folder and Croissant's ``FileObject`` a file, so stores are rows of the table, each with its address; the file
    object is the table itself, with its checksum.
    """
    plain = schema_org(record, site=site)
    keep = ("@id", "name", "description", "license", "url", "version", "keywords", "datePublished", "dateModified", "creator", "publisher")
    table = next(item for item in record.distributions if item.path == "members.csv")
    document: JsonObject = {"@context": CROISSANT_CONTEXT, "@type": "sc:Dataset"} | {key: plain[key] for key in keep}
    document |= {"conformsTo": CROISSANT, "inLanguage": record.language, "citeAs": citation_bibtex(record, site)}
    document["version"] = f"{record.version}.0.0"
    document["distribution"] = [
        {
            "@type": "cr:FileObject",
            "@id": "members-table",
            "name": "members-table",
            "description": table.title,
            "contentUrl": site.data(record, table.path),
            "contentSize": f"{table.size_bytes} B",
            "encodingFormat": "text/csv",
            "sha256": table.sha256,
        }
    ]
    document["recordSet"] = [
        {
            "@type": "cr:RecordSet",
            "@id": "images",
            "name": "images",
            "description": f"One row an image; its OME-Zarr store is at {site.data(record)} followed by the column store.",
            "key": {"@id": "images/image"},
            "field": [_field(name) for name in COLUMNS],
        }
    ]
    return document


def _field(name: str) -> JsonObject:
    return {
        "@type": "cr:Field",
        "@id": f"images/{name}",
        "name": name,
        "dataType": "sc:Text",
        "source": {"fileObject": {"@id": "members-table"}, "extract": {"column": name}},
    }


def datacite(record: DatasetRecord, *, site: Site) -> JsonObject:
    """Return DataCite metadata 4.5 as JSON; without a DOI the dataset's own address is the identifier.

    Source: https://schema.datacite.org/meta/kernel-4.5/, mandatory and recommended properties.
    """
    here, pid, kind = site.dataset(record.id), site.pid(record), site.words.pid.kind
    identifier = {"identifier": pid or here, "identifierType": PID_TYPES.get(kind, "URL")}
    document: dict[str, Any] = {
        "schemaVersion": "http://datacite.org/schema/kernel-4",
        "identifiers": [identifier],
        "url": here,
        "titles": [{"title": record.title, "lang": record.language}],
        "creators": [_creator(creator) for creator in record.creators],
        "publisher": {"name": record.publisher.name} | _publisher_identifier(record.publisher),
        "publicationYear": str(record.issued.year),
        "types": {"resourceTypeGeneral": "Dataset", "resourceType": "Imaging dataset"},
        "language": record.language,
        "version": str(record.version),
        "dates": [
            {"date": record.issued.date().isoformat(), "dateType": "Issued"},
            {"date": record.modified.date().isoformat(), "dateType": "Updated"},
        ],
        "subjects": [{"subject": item.label or item.raw, "valueUri": concept_iri(item.curie)} for item in concepts(record)],
        "descriptions": [{"description": record.description, "descriptionType": "Abstract"}],
        "rightsList": [{"rightsUri": record.license}],
        "sizes": [f"{record.counts.size_bytes} bytes", f"{record.counts.series} series", f"{record.counts.images} images"],
        "formats": sorted({item.media_type for item in record.distributions}),
        "relatedIdentifiers": [{"relatedIdentifier": site.catalog, "relatedIdentifierType": "URL", "relationType": "IsPartOf"}],
    }
    if pid and kind == "doi":
        del document["identifiers"]  # the JSON schema of 4.5 has a DOI of its own, and others beside it
        document["doi"] = pid.removeprefix("https://doi.org/")
        document["prefix"], _, document["suffix"] = document["doi"].partition("/")
        document["alternateIdentifiers"] = [{"alternateIdentifier": here, "alternateIdentifierType": "URL"}]
    return document


def _creator(agent: Agent) -> JsonObject:
    found: JsonObject = {"name": agent.name, "nameType": "Organizational"}
    if agent.iri:
        found["nameIdentifiers"] = [{"nameIdentifier": agent.iri, "nameIdentifierScheme": "URL"}]
    return found


def _publisher_identifier(agent: Agent) -> JsonObject:
    return {"publisherIdentifier": agent.iri, "publisherIdentifierScheme": "URL"} if agent.iri else {}
