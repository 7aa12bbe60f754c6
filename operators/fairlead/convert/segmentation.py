"""Read a DICOM segmentation: what its segments mean, where its frames lie, and one frame's bits (PS3.3 A.51, C.8.20).

Nothing of a patient is read: segments carry codes, colours, tracking UIDs and labels of known words, frames carry positions.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder

from fairlead.convert.frames import FARTHEST_MM, enhanced_pose
from fairlead.convert.headers import Header, pixel_offset
from fairlead.convert.lattice import PlanePose
from fairlead.convert.sop_classes import UNCOMPRESSED, decoders_of
from fairlead.convert.tiles import Tile, place_on_slide, slide_tile, tiled_full
from fairlead.convert.words import coded, known_words
from fairlead.errors import UnreadableImage, UnsupportedInput
from fairlead.records import JsonObject, is_uid

type Kind = Literal["binary", "fractional", "labelmap"]

KINDS: Final[Mapping[str, Kind]] = {"BINARY": "binary", "FRACTIONAL": "fractional", "LABELMAP": "labelmap"}
MAX_FRAMES: Final = 200_000
ALGORITHMS: Final = frozenset({"AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"})
"""Values of SegmentAlgorithmType (PS3.3 C.8.20.2)."""
D50: Final = (0.9642, 1.0, 0.8251)
XYZ_TO_RGB: Final = np.array([[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540], [0.0719453, -0.2289914, 1.4052427]])
"""XYZ under D50 to linear sRGB, Bradford adapted."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: its number in the object and what it stands for; ``rgb`` None when no colour is recommended."""

    number: int
    label: str
    properties: JsonObject
    rgb: tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class SegmentFrame:
    """One frame: the segment it shows (None in a label map), its plane in the patient, or its tile on a slide."""

    index: int
    segment: int | None
    pose: PlanePose | None
    tile: Tile | None


@dataclass(frozen=True, slots=True)
class Segmentation:
    """One segmentation object. ``matrix`` is (rows, columns) of the slide it lies on, None in a patient.

    ``on_slide`` is where on the glass: origin in mm and directions of rows and columns, empty where they are not stated.
    """

    header: Header
    kind: Kind
    rows: int
    columns: int
    bits: int
    offset: int | None
    syntax: str
    segments: tuple[Segment, ...]
    frames: tuple[SegmentFrame, ...]
    maximum: int
    fractional_type: str
    padding: int | None
    referenced_series: frozenset[str]
    matrix: tuple[int, int] | None
    spacing_between_mm: float | None
    pixel_mm: tuple[float, float] | None
    on_slide: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())


def read_segmentation(header: Header) -> Segmentation:
    """Return a segmentation by its header.

    Raises
    ------
    UnreadableImage : segments, frames or sizes that do not hold together.
    UnsupportedInput : a kind of segmentation or a transfer syntax that is not converted.
    """
    try:
        with header.path.open("rb") as handle, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(handle, stop_before_pixels=True, force=True)
            return _segmentation(header, dataset, pixel_offset(handle, dataset))
    except (UnreadableImage, UnsupportedInput):
        raise
    except MemoryError as error:
        raise UnreadableImage("The header claims more than fits in memory.") from error
    except Exception as error:  # as in headers: the kind is enough, the text may quote values
        raise UnreadableImage(f"The segmentation's header cannot be read ({type(error).__name__}).") from error


class SegmentPixels:
    """Frames of one segmentation, decoded on demand: booleans for bits, stored numbers otherwise."""

    def __init__(self, source: Segmentation) -> None:
        self._source = source
        self._whole: Dataset | None = None

    def frame(self, index: int) -> NDArray[Any]:
        """Return one frame, shape (rows, columns).

        Raises
        ------
        UnreadableImage : pixels that end early or cannot be decoded.
        """
        source = self._source
        if source.offset is None:
            return self._decoded(index)
        count = source.rows * source.columns
        first = index * count * source.bits
        last = first + count * source.bits
        data = _bytes(source.header.path, source.offset + first // 8, source.offset + -(-last // 8))
        if source.bits != 1:
            return np.frombuffer(data, f"<u{source.bits // 8}").reshape(source.rows, source.columns)
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[first % 8 : first % 8 + count]
        return bits.view(np.bool_).reshape(source.rows, source.columns)

    def _decoded(self, index: int) -> NDArray[Any]:
        source = self._source
        if self._whole is None:
            self._whole = pydicom.dcmread(source.header.path, force=True)
        plugins = decoders_of(source.syntax)
        try:
            decoder = get_decoder(source.syntax)
            found = np.asarray(decoder.as_array(self._whole, index=index, decoding_plugin=plugins[0] if plugins else "")[0])
        except Exception as error:  # decoders raise their own kinds
            raise UnreadableImage(f"A frame of the segmentation cannot be decoded ({type(error).__name__}).") from error
        return found.astype(np.bool_) if source.bits == 1 else found


def _bytes(path: Path, start: int, stop: int) -> bytes:
    with path.open("rb") as handle:
        handle.seek(start)
        data = handle.read(stop - start)
    if len(data) < stop - start:
        raise UnreadableImage(f"Pixels of the segmentation end early: {len(data)} of {stop - start} bytes of a frame are there.")
    return data


def _segmentation(header: Header, dataset: Dataset, offset: int | None) -> Segmentation:
    kind = KINDS.get(str(dataset.get("SegmentationType", "")))
    if kind is None:
        raise UnsupportedInput("The segmentation's type is not converted.", remedy="Converted are BINARY, FRACTIONAL and LABELMAP.")
    rows, columns, bits = int(dataset.Rows), int(dataset.Columns), int(dataset.BitsAllocated)
    if bits not in {1, 8, 16} or rows < 1 or columns < 1 or (kind == "labelmap") < (bits == 16):
        raise UnreadableImage(f"Frames of {rows} × {columns} pixels of {bits} bits do not fit the segmentation's type.")
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    decoders_of(syntax)
    count = int(dataset.get("NumberOfFrames") or 1)
    segments = tuple(_segment(item) for item in dataset.get("SegmentSequence") or [])
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    measures = (shared.get("PixelMeasuresSequence") or [Dataset()])[0]
    between, spacing = measures.get("SpacingBetweenSlices"), measures.get("PixelSpacing")
    frames = _frames(dataset, count, segments, shared, kind=kind, step_mm=float(between) if between else None)
    _known(frames, {segment.number for segment in segments}, len(segments))
    matrix = (int(dataset.get("TotalPixelMatrixRows") or 0), int(dataset.get("TotalPixelMatrixColumns") or 0))
    padding = dataset.get("PixelPaddingValue")
    return Segmentation(
        header=header,
        kind=kind,
        rows=rows,
        columns=columns,
        bits=bits,
        offset=offset if syntax in UNCOMPRESSED else None,
        syntax=syntax,
        segments=segments,
        frames=frames,
        maximum=int(dataset.get("MaximumFractionalValue") or 255),
        fractional_type=str(dataset.get("SegmentationFractionalType", "")),
        padding=int(padding) if padding is not None and kind == "labelmap" else None,
        referenced_series=frozenset(str(item.get("SeriesInstanceUID", "")) for item in dataset.get("ReferencedSeriesSequence") or []),
        matrix=matrix if all(matrix) and all(frame.tile for frame in frames) else None,
        spacing_between_mm=float(between) if between else None,
        pixel_mm=_pixel_mm(spacing),
        on_slide=place_on_slide(dataset),
    )


def _frames(
    dataset: Dataset, count: int, segments: tuple[Segment, ...], shared: Dataset, *, kind: Kind, step_mm: float | None
) -> tuple[SegmentFrame, ...]:
    """Return the frames: as their functional groups say, or counted where a segmentation of a slide has none (TILED_FULL)."""
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
    if not groups and dataset.get("DimensionOrganizationType") == "TILED_FULL" and 0 < count <= MAX_FRAMES:
        full = tiled_full(dataset, 1 if kind == "labelmap" else len(segments), step_mm)
        if full.count != count:
            raise UnreadableImage(f"The segmentation has {count} frames, its total pixel matrix {full.count}.")
        numbers = [None] if kind == "labelmap" else [segment.number for segment in segments]
        return tuple(SegmentFrame(index, numbers[channel], None, tile) for index, (channel, tile) in enumerate(full.places(0, count)))
    if count > MAX_FRAMES or len(groups) != count:
        raise UnreadableImage(f"The segmentation has {count} frames, but functional groups for {len(groups)}.")
    return tuple(_frame(number, item, shared, kind) for number, item in enumerate(groups))


def _pixel_mm(stated: Any) -> tuple[float, float] | None:
    pair = tuple(float(part) for part in stated) if stated is not None and not isinstance(stated, str) else ()
    return (pair[0], pair[1]) if len(pair) == 2 and all(0 < part < FARTHEST_MM for part in pair) else None


def _known(frames: tuple[SegmentFrame, ...], numbers: set[int], described: int) -> None:
    if len(numbers) != described or not numbers or min(numbers) < 0 or max(numbers) > 65535:
        raise UnreadableImage("Segment numbers are absent, repeated or out of range.")
    if any(frame.segment is not None and frame.segment not in numbers for frame in frames):
        raise UnreadableImage("A frame shows a segment that the object does not describe.")


def _frame(index: int, item: Dataset, shared: Dataset, kind: Kind) -> SegmentFrame:
    number = None
    if kind != "labelmap":
        which = (item.get("SegmentIdentificationSequence") or shared.get("SegmentIdentificationSequence") or [Dataset()])[0]
        number = which.get("ReferencedSegmentNumber")
        if number is None:
            raise UnreadableImage("A frame does not say which segment it shows.")
    tile = slide_tile(item)
    return SegmentFrame(index, int(number) if number is not None else None, None if tile else enhanced_pose(item, shared), tile)


def _segment(item: Dataset) -> Segment:
    properties: JsonObject = {}
    for name, key in (
        ("SegmentedPropertyCategoryCodeSequence", "category"),
        ("SegmentedPropertyTypeCodeSequence", "type"),
        ("AnatomicRegionSequence", "anatomic_region"),
    ):
        if codes := item.get(name):
            properties |= {key: code} if (code := _code(codes[0])) else {}
    if (algorithm := str(item.get("SegmentAlgorithmType") or "")) in ALGORITHMS:
        properties["algorithm_type"] = algorithm
    if is_uid(tracking := str(item.get("TrackingUID") or "")):
        properties["tracking_uid"] = f"urn:oid:{tracking}"
    label = known_words(str(item.get("SegmentLabel") or "")) or f"segment {int(item.SegmentNumber)}"
    return Segment(int(item.SegmentNumber), label, properties, _rgb(item))


def _code(item: Dataset) -> JsonObject:
    value = item.get("CodeValue") or item.get("LongCodeValue") or item.get("URNCodeValue") or ""
    return coded(value, item.get("CodingSchemeDesignator", ""), item.get("CodeMeaning", ""))


def _rgb(item: Dataset) -> tuple[int, int, int] | None:
    value = item.get("RecommendedDisplayCIELabValue")
    return lab_to_rgb(tuple(int(part) for part in value)) if value is not None and len(value) == 3 else None


def lab_to_rgb(encoded: tuple[int, ...]) -> tuple[int, int, int]:
    """Return sRGB of a CIELab colour encoded in 16 bits (PS3.3 C.10.7.1.1).

    >>> lab_to_rgb((65535, 32896, 32896)), lab_to_rgb((0, 32896, 32896))
    ((255, 255, 255), (0, 0, 0))
    """
    light, a, b = encoded[0] / 65535 * 100, encoded[1] / 65535 * 255 - 128, encoded[2] / 65535 * 255 - 128
    y = (light + 16) / 116
    curve = [t**3 if t > 6 / 29 else 3 * (6 / 29) ** 2 * (t - 4 / 29) for t in (y + a / 500, y, y - b / 200)]
    linear = np.clip(XYZ_TO_RGB @ (np.asarray(curve) * D50), 0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = (round(float(part) * 255) for part in srgb)
    return red, green, blue
