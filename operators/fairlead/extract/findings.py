"""Findings: what is missing, odd or contradictory in a source, in words without identities. One table, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from fairlead.extract.lattice import Lattice
from fairlead.records import Finding

MESSAGES: Final[Mapping[str, str]] = {
    "body-part-to-map": "The body part is a text that no vocabulary knows; add it to configs/vocabularies/body_part.yaml.",
    "duplicate-positions": "{count} frames lie where another one lies, and nothing tells them apart.",
    "irregular-spacing": "The slices have no common spacing.",
    "missing-files": "{count} image files that the metadata names are not there.",
    "missing-slices": "{count} slices are missing in an otherwise even stack.",
    "mosaic": "{count} instances hold many slices tiled in one frame; positions of the slices are not stated.",
    "no-chunks": "No chunk is stored: every pixel reads as the fill value.",
    "no-modality": "{count} instances state no modality.",
    "no-patient-id": "No patient is stated; one subject per study or file is assumed.",
    "odd-age": "{count} instances state an age that is none (000Y, or no age string).",
    "metadata-only": "The file describes an image and holds no pixels.",
    "pixels-cut": "{count} files end before their pixel data does.",
    "missing-images": "{count} images that the plate, the well or the collection lists cannot be read.",
    "schema-invalid": "The XSD of the OME-XML's own schema version rejects it; what a record needs is there.",
    "schema-unchecked": "The OME-XML states a schema version whose XSD is not at hand: read, but not validated.",
    "several-orientations": "The slices have {count} orientations.",
    "several-patients": "The instances state {count} different patients; the first in order of ids stands for the series.",
    "several-volumes": "Up to {count} frames share a position: echoes, b-values, segments or repetitions.",
    "several-sizes": "The instances have {count} different matrix sizes or pixel spacings.",
    "sheared": "The slices are shifted against each other (gantry tilt).",
}


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
