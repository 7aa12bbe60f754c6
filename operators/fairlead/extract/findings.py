"""Findings: what is missing, odd or contradictory in a source, in words without identities. One table, one line each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from fairlead.extract.lattice import Lattice
from fairlead.records import Finding

MESSAGES: Final[Mapping[str, str]] = {
    "age-contradicts": "{count} instances state an age and a birth date that differ by more than a year and a half.",
    "body-part-to-map": "The body part is a text that no vocabulary knows; add it to configs/vocabularies/body_part.yaml.",
    "duplicate-positions": "{count} frames lie where another one lies, and nothing tells them apart.",
    "first-file-only": "Read from a Kaapana index, which knows one file of the series: no spacing, no missing slices, no mixed values.",
    "irregular-spacing": "The slices have no common spacing.",
    "missing-files": "{count} image files that the metadata names are not there.",
    "missing-slices": "{count} slices are missing in an otherwise even stack.",
    "modality-contradicts": "{count} instances state another modality than their SOP class is for.",
    "mosaic": "{count} instances hold many slices tiled in one frame; positions of the slices are not stated.",
    "no-chunks": "No chunk is stored: every pixel reads as the fill value.",
    "no-modality": "{count} instances state no modality.",
    "no-patient-id": "No patient is stated; one subject per study or file is assumed.",
    "no-study-date": "{count} instances state no valid study date.",
    "odd-age": "{count} instances state an age that is none (000Y, or no age string).",
    "metadata-only": "The file describes an image and holds no pixels.",
    "pixels-cut": "{count} files end before their pixel data does.",
    "missing-images": "{count} images that the plate, the well or the collection lists cannot be read.",
    "schema-invalid": "The XSD of the OME-XML's own schema version rejects it; what a record needs is there.",
    "schema-unchecked": "The OME-XML states a schema version whose XSD is not at hand: read, but not validated.",
    "pixels-contradict": "{count} instances have more or fewer bytes of pixels than rows, columns and frames come to.",
    "several-orientations": "The slices have {count} orientations.",
    "several-patients": "The instances state {count} different patients; the first in order of ids stands for the series.",
    "several-volumes": "Up to {count} frames share a position: echoes, b-values, segments or repetitions.",
    "several-sizes": "The instances have {count} different matrix sizes or pixel spacings.",
    "spacing-contradicts": "The slice spacing that the header states is not the measured one.",
    "sheared": "The slices are shifted against each other (gantry tilt).",
}

MISSING, ODD, CONTRADICTORY = "missing", "odd", "contradictory"
COMPLETE: Final = "complete"
CONTRADICTIONS: Final = frozenset(
    {
        "age-contradicts",
        "duplicate-positions",
        "modality-contradicts",
        "pixels-contradict",
        "schema-invalid",
        "several-patients",
        "spacing-contradicts",
    }
)
ABSENCES: Final = frozenset(
    {"metadata-only", "missing-files", "missing-images", "missing-slices", "no-chunks", "no-modality", "no-patient-id", "no-study-date",
     "pixels-cut", "schema-unchecked", "first-file-only"}
)  # fmt: skip
"""What is not there; every other finding is odd: possible, and worth a look."""

SPACING_TOLERANCE: Final = 0.01


def verdict_of(codes: Iterable[str]) -> tuple[str, ...]:
    """Return what a record's findings come to: ``complete``, or the kinds of findings there are.

    >>> verdict_of(["no-modality", "sheared"]), verdict_of([])
    (('missing', 'odd'), ('complete',))
    """
    return tuple(sorted({kind_of_finding(code) for code in codes})) or (COMPLETE,)


def kind_of_finding(code: str) -> str:
    """Return whether a finding is of something missing, odd or contradictory."""
    return CONTRADICTORY if code in CONTRADICTIONS else MISSING if code in ABSENCES else ODD


def findings_of(seen: Mapping[str, int], lattice: Lattice) -> tuple[Finding, ...]:
    """Return the findings of a DICOM series, sorted by code: what the reader noted and what the lattice shows."""
    counts = {**seen, **dict(_of_lattice(lattice))}
    return tuple(finding(code, counts[code]) for code in sorted(counts))


def finding(code: str, count: int = 0) -> Finding:
    """Return the finding of a code, with its count in the words."""
    return Finding(code=code, message=MESSAGES[code].format(count=count))


def _of_lattice(lattice: Lattice) -> Iterator[tuple[str, int]]:
    if lattice.duplicates:
        yield "duplicate-positions", lattice.duplicates
    if lattice.missing:
        yield "missing-slices", lattice.missing
    if lattice.orientations > 1:
        yield "several-orientations", lattice.orientations
    elif lattice.verdict == "irregular" and lattice.spacing_mm is None:
        yield "irregular-spacing", 0
    if lattice.verdict == "sheared":
        yield "sheared", 0
    if lattice.volumes > 1 and lattice.times == 1:
        yield "several-volumes", lattice.volumes
