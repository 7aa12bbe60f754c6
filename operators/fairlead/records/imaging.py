"""One DICOM series or OME image as it is indexed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal

from pydantic import Field

from fairlead.records.base import JsonObject, Name, Record, Sha256, Value


class Concept(Record):
    """A value with its meaning: ``raw`` as the header states it; ``curie`` is None while the value is still "to map"."""

    raw: str
    curie: str | None = None
    label: str | None = None


class Geometry(Record):
    """Extent and sampling of an image. Sizes are counts; spacings in mm, None where the source does not say."""

    size_x: int | None = None
    size_y: int | None = None
    size_z: int | None = None
    size_c: int | None = None
    size_t: int | None = None
    spacing_x_mm: float | None = None
    spacing_y_mm: float | None = None
    spacing_z_mm: float | None = None
    regular: bool | None = None
    missing_slices: int | None = None
    duplicate_positions: int | None = None
    verdict: str = ""


class Source(Record):
    """Where the bytes are: ``archive`` with paths relative to its root, or ``file`` with one absolute path read in place."""

    place: Literal["archive", "file"]
    paths: tuple[str, ...]
    image_index: int = 0


class Core(Record):
    """Modality-neutral part of a record.

    ``id`` is deterministic: ``center:project:series-uid`` or ``center:project:ome-<sha256[:32]>-<image>``.

    ``patient_key`` is a keyed pseudonym, never the header's patient id. ``patient_basis`` says what it rests on:
    ``stated`` (a patient or subject id in the source) or ``assumed`` (none stated: one subject per study or file).
    """

    id: str
    kind: Literal["dicom-series", "ome-image"]
    project: Name
    center: Name
    patient_key: str
    patient_basis: Literal["stated", "assumed"]
    study_uid: str
    series_uid: str
    generation: Sha256
    modality: Concept | None = None
    body_part: Concept | None = None
    organism: Concept | None = None
    imaging_method: Concept | None = None
    acquired_on: date | None = None
    instances: int
    size_bytes: int
    geometry: Geometry
    licence: str | None = None
    source: Source


class DicomMetadata(Record):
    """Promoted DICOM attributes by catalogue name, and the rest as DICOM JSON (PS3.18 Annex F) without identities."""

    attributes: Mapping[str, Value]
    mixed: tuple[str, ...] = ()
    other: JsonObject = Field(default_factory=dict)


class OmeMetadata(Record):
    """Promoted OME attributes by catalogue name, and REMBI groups of what the file states."""

    attributes: Mapping[str, Value]
    rembi: JsonObject = Field(default_factory=dict)


class Community(Record):
    """Metadata in the words of a community; a record has one of the two."""

    dicom: DicomMetadata | None = None
    ome: OmeMetadata | None = None


class Finding(Record):
    """One thing that is missing, odd or contradictory in the source, in words without identities."""

    code: str
    message: str


class ImagingRecord(Record):
    """One DICOM series or one OME image, as it is indexed. Every field is declared once in configs/fields.yaml."""

    schema_version: Literal["1"] = "1"
    core: Core
    community: Community
    custom: Mapping[str, Value] = Field(default_factory=dict)
    vendor: JsonObject = Field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def id(self) -> str:
        """Deterministic record id."""
        return self.core.id


class Refusal(Record):
    """Input that was not taken, and why; ``source`` names the file or series, ``reason`` holds no patient data."""

    source: str
    code: str
    reason: str
