"""The shapes that cross rooms: frozen, closed, and the only thing one room may assume about another.

Coordinates are DICOM patient coordinates (LPS, mm, centre of the first pixel). Arrays are named by their index order
(``zyx``). Times are timezone-aware UTC; dates of care are plain dates as the header states them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

type Scalar = str | int | float | bool
type Value = Scalar | tuple[Scalar, ...]
type JsonObject = dict[str, Any]

UID_PATTERN: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9_-]{0,62}$"
"""Projects and centres: safe in a path, an index name, an IRI and a Kubernetes label."""

Uid = Annotated[str, StringConstraints(pattern=r"^[0-9.]{1,64}$")]
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def is_uid(text: str) -> bool:
    """Return whether ``text`` is a UID by PS3.5 section 9.1, leading zeros in a component tolerated.

    >>> is_uid("1.2.840.10008.1.1"), is_uid("../evil"), is_uid("1..2")
    (True, False, False)
    """
    return len(text) <= 64 and UID_PATTERN.fullmatch(text) is not None


class Record(BaseModel):
    """Base of every shape that crosses rooms: immutable, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# --- receive ---------------------------------------------------------------------------------------------------------


class Route(Record):
    """Who sent it and where it belongs; kept in the ledger and a sidecar, never written into a DICOM file."""

    project: Name
    center: Name
    calling_ae: str = ""
    called_ae: str = ""
    peer: str = ""
    tls_subject: str | None = None
    door: Literal["dimse", "stow", "ingest", "watch"] = "ingest"


class Instance(Record):
    """One stored SOP instance. ``path`` is relative to the archive root, made from hashes only, never from peers' text."""

    sop_instance_uid: Uid
    sop_class_uid: Uid
    transfer_syntax_uid: Uid
    sha256: Sha256
    size_bytes: int
    path: str


class SeriesState(StrEnum):
    """Life of a series in the ledger."""

    RECEIVING = "receiving"
    SETTLING = "settling"
    COMPLETE = "complete"
    INDEXED = "indexed"
    QUARANTINED = "quarantined"


class ReceivedSeries(Record):
    """A completed series, as it leaves the front door.

    ``generation`` is the sha256 over the sorted ``(SOPInstanceUID, sha256)`` pairs: the same instances give the same
    generation, whatever the order or the number of times they were sent.
    """

    study_uid: Uid
    series_uid: Uid
    generation: Sha256
    instances: tuple[Instance, ...]
    route: Route
    first_received_at: datetime
    last_received_at: datetime


class ReceivedFile(Record):
    """One OME file (or OME-Zarr folder) seen by the storage watcher; read in place unless configured otherwise.

    ``path`` is absolute; ``name`` is the path inside the watched root; ``sha256`` covers the file, or for a folder
    the sorted list of (relative name, sha256).
    """

    path: str
    name: str
    sha256: Sha256
    size_bytes: int
    route: Route
    seen_at: datetime


# --- extract ---------------------------------------------------------------------------------------------------------


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


# --- cohort ----------------------------------------------------------------------------------------------------------


class Grain(StrEnum):
    """What is counted."""

    PATIENT = "patient"
    STUDY = "study"
    SERIES = "series"
    IMAGE = "image"


class Counts(Record):
    """Exact numbers at the four grains, and bytes."""

    patients: int
    studies: int
    series: int
    images: int
    size_bytes: int


class CohortSummary(Record):
    """What a list of cohorts shows of a version: everything but who is in it.

    ``members_sha256`` is the sha256 of the sorted record ids joined by newlines, UTF-8; ``catalogue_sha256`` is the field
    catalogue they were read with.
    """

    id: str
    version: int
    title: str
    unit: Grain
    definition: JsonObject
    definition_sha256: Sha256
    members_sha256: Sha256
    counts: Counts
    sentence: str
    index_generation: str
    author: str
    purpose: str = ""
    created_at: datetime
    catalogue_sha256: str = ""

    @property
    def ref(self) -> str:
        """The pinned reference, ``ID@N``."""
        return f"{self.id}@{self.version}"


class CohortVersion(CohortSummary):
    """An immutable version: the definition, what it meant on the day, and exactly who was in it.

    ``members`` are record ids, sorted; ``revisions`` are their content hashes, in the same order.
    """

    members: tuple[str, ...]
    revisions: tuple[Sha256, ...] = ()


# --- deidentify, convert -----------------------------------------------------------------------------------------------


class Quarantined(Record):
    """A file that did not pass; ``path`` is relative to the input, never a patient's name."""

    path: str
    reason: str


class DeidentifyReport(Record):
    """What the de-identification did; ``files = written + len(quarantined)``, and a test asserts the sum."""

    files: int
    written: int
    quarantined: tuple[Quarantined, ...]
    residue: tuple[str, ...]
    profile_codes: tuple[str, ...]
    profile_sha256: Sha256
    dciodvfy_new_errors: int
    """Counted over the ``dciodvfy_checked`` files only: 0 of 0 means that nobody looked."""
    dciodvfy_checked: int = 0
    already: int = 0
    """Files that an earlier run finished, recognised by their content and not repeated."""
    rules: Mapping[str, int] = Field(default_factory=dict)
    """How many written files each pixel rule let through."""
    faces_not_cleaned: int = 0
    """Written volumes of the head or neck whose face nobody removed (113102 is not claimed)."""
    ocr_checked: int = 0
    ocr_with_words: int = 0
    """Written files in which an OCR program believes to see words; a reason to look, never the gate."""
    seconds: float


class GeometryVerdict(Record):
    """What the converter found about the lattice. ``affine`` maps index (k, j, i, 1) to LPS mm, rows x, y, z, 1."""

    verdict: Literal["regular", "sheared", "irregular", "single", "none"]
    reason: str
    affine: tuple[tuple[float, float, float, float], ...] | None = None
    spacing_mm: tuple[float, ...] | None = None
    missing: tuple[int, ...] = ()
    duplicates: tuple[int, ...] = ()


class Validity(Record):
    """Answers of validators we did not write."""

    ome_zarr_models: bool = Field(serialization_alias="ome-zarr-models")
    json_schema: bool = Field(serialization_alias="schema")


class StoreReport(Record):
    """One OME-Zarr store: what it came from, what it is, and what was checked. ``path`` is relative to the output folder."""

    path: str
    source: str
    record_id: str | None = None
    kind: str
    shape: tuple[int, ...]
    dtype: str
    axes: tuple[str, ...]
    geometry: GeometryVerdict
    levels: int
    size_bytes: int = Field(serialization_alias="bytes")
    manifest_sha256: Sha256
    verified_voxels: bool
    valid: Validity
    dropped: tuple[str, ...] = ()
    instances: int = 1
    labels: tuple[str, ...] = ()
    """Names of the label images below ``labels/``."""
    image_index: int | None = None
    """Which image of an OME file with several this is, counted from 0 as the index does; None for everything else."""
    preview: str | None = None


class ConvertReport(Record):
    """Every store written and every source refused."""

    stores: tuple[StoreReport, ...]
    refused: tuple[Refusal, ...]
    seconds: float
    peak_rss_mb: float


# --- publish ---------------------------------------------------------------------------------------------------------


class Agent(Record):
    """A person or organisation responsible for a dataset."""

    name: str
    iri: str | None = None
    email: str | None = None
    homepage: str | None = None


class Approval(Record):
    """The steward's decision. Four eyes: ``requested_by`` and ``decided_by`` differ unless governance allows otherwise."""

    requested_by: str
    decided_by: str
    decided_at: datetime
    approved: bool
    reason: str = ""


class Distribution(Record):
    """One downloadable thing of a dataset; ``path`` is relative to the dataset's published folder."""

    id: str
    title: str
    path: str
    media_type: str
    conforms_to: str | None = None
    size_bytes: int
    sha256: Sha256
    store: StoreReport | None = None


class DatasetRecord(Record):
    """The one internal model that every FAIR view is rendered from. It holds no original UID and no patient-level row."""

    id: str
    version: int
    cohort: str
    title: str
    description: str
    publisher: Agent
    creators: tuple[Agent, ...]
    contact: Agent
    license: str
    access_rights: str
    keywords: tuple[str, ...]
    themes: tuple[str, ...]
    language: str = "en"
    issued: datetime
    modified: datetime
    counts: Counts
    modalities: tuple[Concept, ...] = ()
    body_parts: tuple[Concept, ...] = ()
    organisms: tuple[Concept, ...] = ()
    sentence: str = ""
    definition_sha256: Sha256
    members_sha256: Sha256
    deidentification: tuple[str, ...] = ()
    provenance: tuple[str, ...] = ()
    approval: Approval
    distributions: tuple[Distribution, ...]
    refused: tuple[Refusal, ...] = ()
