"""Where the frames of an instance lie in space and time, single-frame and multi-frame alike.

Source: DICOM PS3.3 C.7.6.2 (image plane), C.7.6.16 (functional groups), C.8.8.3 (grid frame offsets). Coordinates are LPS, mm.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from fairlead.extract.headers import decimals, decoded, values_of
from fairlead.extract.readings import as_float, as_integer
from fairlead.extract.tagpaths import FRAME_GROUPS, SHARED_GROUPS

type Vector = tuple[float, ...]

TIME_KEYWORDS: Final = ("TemporalPositionIdentifier", "TriggerTime")
KIND_KEYWORDS: Final = ("EchoTime", "EchoNumbers", "DiffusionBValue", "DiffusionGradientOrientation", "ImageType", "AcquisitionNumber")
MOSAIC: Final = "MOSAIC"
TILED: Final = "TotalPixelMatrixColumns"

PLACE_TAGS: Final = frozenset({0x00200032, 0x00200013})
"""ImagePositionPatient and InstanceNumber: what commonly is all that differs between the slices of a stack."""

FRAME_TAGS: Final = PLACE_TAGS | frozenset(
    tag
    for keyword in (*TIME_KEYWORDS, *KIND_KEYWORDS, TILED, "ImageOrientationPatient", "GridFrameOffsetVector")
    if (tag := tag_for_keyword(keyword)) is not None
) | {SHARED_GROUPS, FRAME_GROUPS}  # fmt: skip
"""Every attribute that :func:`frames_of` looks at."""

PLANE_TAGS: Final = frozenset(
    tag
    for keyword in (
        *("Columns", "Rows", "SamplesPerPixel", "PixelSpacing", TILED, "TotalPixelMatrixRows", "NumberOfFrames"),
        *("FrameTime", "FrameTimeVector", "CineRate", "NumberOfTemporalPositions", "ImageType"),
        *("BitsAllocated", "PhotometricInterpretation"),
    )
    if (tag := tag_for_keyword(keyword)) is not None
) | {SHARED_GROUPS, FRAME_GROUPS}  # fmt: skip
"""Every attribute that plane, counts of frames and time, and the mosaic rule look at."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One plane: position of its first pixel, direction cosines of row and column, and what tells it from its neighbours."""

    position: Vector
    orientation: Vector
    time: Hashable
    kind: Hashable
    number: int | None


@dataclass(frozen=True, slots=True)
class Plane:
    """Sampling inside a plane: counts, and millimetres between columns (x) and rows (y), None where not calibrated."""

    columns: int
    rows: int
    samples: int
    spacing_x_mm: float | None
    spacing_y_mm: float | None
    is_tiled: bool


def plane_of(dataset: Dataset) -> Plane | None:
    """Return the plane of an instance, of the whole pixel matrix for a slide level; None for an object without pixels."""
    columns, rows = whole(dataset, "Columns"), whole(dataset, "Rows")
    if not columns or not rows:
        return None
    tiled = TILED in dataset
    spacing = _spacing(dataset)
    return Plane(
        columns=(whole(dataset, TILED) if tiled else None) or columns,
        rows=(whole(dataset, "TotalPixelMatrixRows") if tiled else None) or rows,
        samples=whole(dataset, "SamplesPerPixel") or 1,
        spacing_x_mm=spacing[1] if spacing else None,
        spacing_y_mm=spacing[0] if spacing else None,
        is_tiled=tiled,
    )


def frame_count(dataset: Dataset) -> int:
    """Return how many frames the instance has: NumberOfFrames, 1 for a plain image, 0 for an object without pixels."""
    if not whole(dataset, "Rows"):
        return 0
    return max(whole(dataset, "NumberOfFrames") or 1, 1)


def native_bytes(dataset: Dataset) -> int | None:
    """Return how long native pixel data must be (PS3.3 C.7.6.3.1), None where the header does not say all that it takes."""
    stated = [whole(dataset, keyword) for keyword in ("Rows", "Columns", "BitsAllocated")]
    photometric = decoded(dataset, "PhotometricInterpretation")
    if None in stated or (photometric is not None and "422" in str(photometric.value)):
        return None
    bits = math.prod(number for number in stated if number is not None)
    return (bits * (whole(dataset, "SamplesPerPixel") or 1) * frame_count(dataset) + 7) // 8


def timed_frames(dataset: Dataset) -> int:
    """Return how many frames are steps in time by FrameTime or FrameTimeVector (PS3.3 C.7.6.5), 0 for other instances."""
    has_time = any(decoded(dataset, keyword) is not None for keyword in ("FrameTime", "FrameTimeVector", "CineRate"))
    return frame_count(dataset) if has_time and frame_count(dataset) > 1 else 0


def is_mosaic(dataset: Dataset) -> bool:
    """Return whether many slices are tiled in one frame (Siemens MOSAIC), so that its position is that of no slice."""
    return MOSAIC in {str(value).upper() for value in values_of(decoded(dataset, "ImageType"))}


def frames_of(dataset: Dataset) -> Iterator[Frame]:
    """Yield every frame that states its position; tiles of a slide and mosaics are no stack of planes and give none."""
    if TILED in dataset or is_mosaic(dataset):
        return
    if FRAME_GROUPS in dataset:
        yield from _functional(dataset)
    elif "GridFrameOffsetVector" in dataset:
        yield from _grid(dataset)
    elif frame := _single(dataset):
        yield frame


def _single(dataset: Dataset) -> Frame | None:
    position, orientation = vector(dataset, "ImagePositionPatient", 3), vector(dataset, "ImageOrientationPatient", 6)
    if position is None or orientation is None:
        return None
    return Frame(position, orientation, _facts(dataset, TIME_KEYWORDS), _facts(dataset, KIND_KEYWORDS), whole(dataset, "InstanceNumber"))


def moved(frame: Frame, dataset: Dataset) -> Frame | None:
    """Return a single frame at the position and number of another instance that is the same in all else; None without a position."""
    position = vector(dataset, "ImagePositionPatient", 3)
    return None if position is None else replace(frame, position=position, number=whole(dataset, "InstanceNumber"))


def _facts(dataset: Dataset, keywords: tuple[str, ...]) -> Hashable:
    facts = tuple(tuple(str(value) for value in values_of(decoded(dataset, keyword))) for keyword in keywords)
    return facts if any(facts) else None


def _grid(dataset: Dataset) -> Iterator[Frame]:
    """Yield the planes of an RT dose grid; offsets are relative when the first one is 0, else absolute z (PS3.3 C.8.8.3.2)."""
    first = _single(dataset)
    offsets = [as_float(value) for value in values_of(decoded(dataset, "GridFrameOffsetVector"))]
    if first is None or not offsets or offsets[0] is None:
        return
    normal = normal_of(first.orientation)
    start = offsets[0]
    for index, offset in enumerate(offsets):
        if offset is not None:
            moved = tuple(place + (offset - start) * part for place, part in zip(first.position, normal, strict=True))
            yield Frame(moved, first.orientation, None, None, index)


def _functional(dataset: Dataset) -> Iterator[Frame]:
    shared = next(iter(values_of(decoded(dataset, SHARED_GROUPS))), Dataset())
    for index, own in enumerate(values_of(decoded(dataset, FRAME_GROUPS))):
        position = _group_vector(own, shared, "PlanePositionSequence", "ImagePositionPatient", 3)
        orientation = _group_vector(own, shared, "PlaneOrientationSequence", "ImageOrientationPatient", 6)
        if position is None or orientation is None:
            continue
        content = _macro(own, "FrameContentSequence") or Dataset()
        segment = _macro(own, "SegmentIdentificationSequence") or Dataset()
        kind = (_facts(content, ("DimensionIndexValues",)), _facts(segment, ("ReferencedSegmentNumber",)))
        yield Frame(position, orientation, _facts(content, ("TemporalPositionIndex",)), kind, index)


def _group_vector(own: Dataset, shared: Dataset, macro: str, keyword: str, length: int) -> Vector | None:
    item = _macro(own, macro) or _macro(shared, macro)
    return vector(item, keyword, length) if item is not None else None


def _macro(group: Any, macro: str) -> Dataset | None:
    items = values_of(decoded(group, macro)) if isinstance(group, Dataset) else []
    return items[0] if items and isinstance(items[0], Dataset) else None


def _spacing(dataset: Dataset) -> Vector | None:
    if direct := vector(dataset, "PixelSpacing", 2):
        return direct
    for tag in (SHARED_GROUPS, FRAME_GROUPS):
        for group in values_of(decoded(dataset, tag))[:1]:
            item = _macro(group, "PixelMeasuresSequence")
            if item is not None and (spacing := vector(item, "PixelSpacing", 2)):
                return spacing
    return None


def vector(dataset: Dataset, keyword: str, length: int) -> Vector | None:
    """Return a numeric attribute of exactly ``length`` finite values, else None."""
    tag = tag_for_keyword(keyword)
    if tag is not None and (raw := decimals(dataset, tag)) is not None:
        return tuple(raw) if len(raw) == length and all(map(math.isfinite, raw)) else None
    numbers = [as_float(value) for value in values_of(decoded(dataset, keyword))]
    stated = tuple(number for number in numbers if number is not None)
    return stated if len(numbers) == len(stated) == length else None


def whole(dataset: Dataset, keyword: str) -> int | None:
    """Return a whole number attribute, None when absent or malformed."""
    tag = tag_for_keyword(keyword)
    if tag is not None and (raw := decimals(dataset, tag)) is not None:
        return as_integer(raw[0])
    values = values_of(decoded(dataset, keyword))
    return as_integer(values[0]) if values else None


def normal_of(orientation: Vector) -> Vector:
    """Return the cross product of row and column direction: the direction in which slices stack."""
    a, b = orientation[:3], orientation[3:]
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
