"""Reports of de-identification and conversion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, SerializeAsAny

from fairlead.records.base import Record, Sha256
from fairlead.records.imaging import Refusal


class Quarantined(Record):
    """A file that did not pass; ``path`` is relative to the input, never a patient's name."""

    path: str
    reason: str


class DeidentifyReport(Record):
    """What the de-identification did; ``files = written + len(quarantined)``, and a test asserts the sum."""

    files: int
    written: int
    outputs: int = 0
    """How many objects the written files are in the output: copies of one object, byte by byte, become one."""
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
    ocr_words_in: tuple[str, ...] = ()
    """Their names in the output."""
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


class SourceRefusal(Refusal):
    """A refusal of which the file is known; ``files`` are relative to the input and may tell of people, so they stay with the user."""

    files: tuple[str, ...] = ()


class StoreNote(Record):
    """What a reader of the report should know of a store in the output folder: replaced, labels kept, left over, or own."""

    path: str
    code: Literal["replaced", "labels-kept", "left-over", "own"]
    text: str


class ConvertReport(Record):
    """Every store written and every source refused, and notes on what lay in the output folder before."""

    stores: tuple[StoreReport, ...]
    refused: tuple[SerializeAsAny[Refusal], ...]
    seconds: float
    peak_rss_mb: float
    notes: tuple[StoreNote, ...] = ()
