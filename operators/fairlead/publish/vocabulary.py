"""Names of the outside world: namespaces, access rights, licences, and how a concept's short form becomes an IRI.

Sources: FDP 1.2 (https://specs.fairdatapoint.org), DCAT 3, DCAT-AP 3.0.1, EU authority tables, DICOM PS3.16.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from rdflib import Namespace
from rdflib.namespace import DCTERMS, FOAF, PROV, RDFS, SKOS, XSD

from fairlead.terms import CHANNEL_TERMS as CHANNEL_TERMS

DCAT: Final = Namespace("http://www.w3.org/ns/dcat#")
"""DCAT 3; rdflib's closed namespace is still DCAT 2 and does not know ``dcat:version``."""
FDP: Final = Namespace("https://w3id.org/fdp/fdp-o#")
LDP: Final = Namespace("http://www.w3.org/ns/ldp#")
VCARD: Final = Namespace("http://www.w3.org/2006/vcard/ns#")
SPDX: Final = Namespace("http://spdx.org/rdf/terms#")
SCHEMA: Final = Namespace("http://schema.org/")
HEALTH: Final = Namespace("http://healthdataportal.eu/ns/health#")
DCATAP: Final = Namespace("http://data.europa.eu/r5r/")
AUTHORITY: Final = Namespace("http://publications.europa.eu/resource/authority/")
ADMS: Final = Namespace("http://www.w3.org/ns/adms#")
CSVW: Final = Namespace("http://www.w3.org/ns/csvw#")
DQV: Final = Namespace("http://www.w3.org/ns/dqv#")
IMG: Final = Namespace("urn:fairlead:imaging#")
"""Terms of our imaging extension of DCAT; documented in docs/profile/imaging.md."""

PREFIXES: Final[Mapping[str, str]] = {
    "dcat": str(DCAT),
    "dct": str(DCTERMS),
    "fdp-o": str(FDP),
    "ldp": str(LDP),
    "foaf": str(FOAF),
    "vcard": str(VCARD),
    "prov": str(PROV),
    "rdfs": str(RDFS),
    "skos": str(SKOS),
    "spdx": str(SPDX),
    "schema": str(SCHEMA),
    "healthdcatap": str(HEALTH),
    "dcatap": str(DCATAP),
    "xsd": str(XSD),
    "adms": str(ADMS),
    "csvw": str(CSVW),
    "dqv": str(DQV),
    "img": str(IMG),
}

FDP_SPECIFICATION: Final = "https://specs.fairdatapoint.org/fdp-specs-v1.2.html"
THEME_TAXONOMY: Final = "http://publications.europa.eu/resource/authority/data-theme"
HEALTH_THEME: Final = "http://publications.europa.eu/resource/authority/data-theme/HEAL"
EHDS_REGULATION: Final = "http://data.europa.eu/eli/reg/2025/327/oj"
"""Regulation (EU) 2025/327: what the AP profiles cite as applicable legislation of health data."""

NGFF: Final[Mapping[str, str]] = {"0.5": "https://ngff.openmicroscopy.org/0.5/", "0.6": "https://ngff.openmicroscopy.org/0.6/"}
ZARR_MEDIA_TYPE: Final = "application/vnd.zarr"
"""IANA has not settled ``application/vnd.zarr`` against ``vnd+zarr``; it is written in this one place."""


class AccessRights(StrEnum):
    """Who may fetch the bytes; the record itself is always public."""

    PUBLIC = "public"
    RESTRICTED = "restricted"
    NON_PUBLIC = "non-public"

    @property
    def iri(self) -> str:
        """Concept of the EU access-right table, which DCAT-AP 3 requires."""
        return str(AUTHORITY[f"access-right/{self.value.upper().replace('-', '_')}"])


LICENCES: Final[Mapping[str, str]] = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-SA-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "CC-BY-NC-4.0": "https://creativecommons.org/licenses/by-nc/4.0/",
    "CC-BY-NC-SA-4.0": "https://creativecommons.org/licenses/by-nc-sa/4.0/",
    "CC-BY-ND-4.0": "https://creativecommons.org/licenses/by-nd/4.0/",
    "ODbL-1.0": "https://opendatacommons.org/licenses/odbl/1-0/",
    "PDDL-1.0": "https://opendatacommons.org/licenses/pddl/1-0/",
}
"""SPDX short names that may be given instead of an IRI."""

CONCEPTS: Final[Mapping[str, str]] = {
    "DCM": "http://dicom.nema.org/resources/ontology/DCM/",
    "SCT": "http://snomed.info/id/",
    "SNOMED": "http://snomed.info/id/",
    "NCBITaxon": "http://purl.obolibrary.org/obo/NCBITaxon_",
    "FBbi": "http://purl.obolibrary.org/obo/FBbi_",
    "UBERON": "http://purl.obolibrary.org/obo/UBERON_",
    "EDAM": "http://edamontology.org/",
}
"""Prefixes of the short forms that records carry (``DCM:CT``), and what they stand for."""

LANGUAGE: Final = "http://id.loc.gov/vocabulary/iso639-1/"
EU_LANGUAGES: Final[Mapping[str, str]] = {
    "en": "ENG",
    "de": "DEU",
    "fr": "FRA",
    "nl": "NLD",
    "es": "SPA",
    "it": "ITA",
    "pl": "POL",
    "pt": "POR",
}
FILE_TYPES: Final[Mapping[str, str]] = {
    "text/csv": "CSV",
    "application/vnd.apache.parquet": "PARQUET",
    "application/ld+json": "JSON_LD",
    "text/turtle": "RDF_TURTLE",
    "text/plain": "TXT",
}

IRI: Final = re.compile(r"https?://[^\s<>\"{}|\\^`\x00-\x20]+")
EMAIL: Final = re.compile(r"[^\s\x00-\x1f\x7f<>\"{}|\\^`@]+@[^\s\x00-\x1f\x7f<>\"{}|\\^`@]+\.[^\s\x00-\x1f\x7f<>\"{}|\\^`@]+")
LOCAL_ID: Final = re.compile(r"[A-Za-z0-9._-]+")


def is_iri(text: str) -> bool:
    """Return whether ``text`` is an absolute http(s) IRI without characters that RDF forbids (RFC 3987, RDF 1.1 section 3.2).

    >>> is_iri("https://example.org/a"), is_iri("file:///etc/passwd"), is_iri("https://example.org/a b")
    (True, False, False)
    """
    return len(text) <= 2048 and IRI.fullmatch(text) is not None


def concept_iri(curie: str | None) -> str | None:
    """Return the IRI of a short form, None when its prefix is not known or it is still "to map".

    >>> concept_iri("DCM:CT"), concept_iri("LOCAL:1")
    ('http://dicom.nema.org/resources/ontology/DCM/CT', None)
    """
    if curie is None:
        return None
    if is_iri(curie):
        return curie
    prefix, _, local = curie.partition(":")
    base = CONCEPTS.get(prefix)
    return base + local if base and LOCAL_ID.fullmatch(local) else None
