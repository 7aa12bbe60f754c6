"""One file of a whole-slide image: its tiles by place, and their pixels, read one frame at a time (PS3.3 A.32.8, C.8.12).

A slide has gigabytes, so the file is never read whole: frames are found by the item headers of the pixel data element
(PS3.5 section A.4) or, when uncompressed, by counting.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder

from fairlead.convert.bounded import require_image
from fairlead.convert.headers import Header, pixel_offset
from fairlead.convert.sop_classes import decoders_of
from fairlead.convert.tiles import Tile, slide_tile, tiled_full
from fairlead.errors import UnreadableImage, UnsupportedInput

JPEG_BASELINE: Final = "1.2.840.10008.1.2.4.50"
ITEM: Final = b"\xfe\xff\x00\xe0"
UNDEFINED: Final = 0xFFFFFFFF
MAX_TILES: Final = 2_000_000
MAX_MATRIX: Final = 2**31


@dataclass(frozen=True, slots=True)
class TileKey:
    """Which tile: optical path, depth in mm (or number of the focal plane), first row and column."""

    path: str
    depth: float
    row: int
    column: int


@dataclass(frozen=True, slots=True)
class SlideFile:
    """One instance of a slide and where its tiles lie. ``offset`` and ``lengths`` tell where the frames are in the file."""

    header: Header
    matrix: tuple[int, int]
    tile: tuple[int, int]
    samples: int
    photometric: str
    bits: int
    bits_stored: int
    planar: bool
    syntax: str
    spacing_mm: tuple[float, float] | None
    depth_step_mm: float | None
    pyramid: str
    tiles: tuple[TileKey, ...]
    frames: tuple[tuple[int, int], ...]
    dataset: Dataset
    full: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of one sample."""
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)


@dataclass(frozen=True, slots=True)
class SlideLevel:
    """One resolution: files of equal matrix, and which frame of which file each tile is."""

    files: tuple[SlideFile, ...]
    tiles: Mapping[TileKey, tuple[int, int]]

    @property
    def first(self) -> SlideFile:
        """The file that stands for the level: all agree in matrix, tile and pixel format."""
        return self.files[0]

    @property
    def wanted(self) -> int:
        """How many tiles one path and depth would have."""
        (rows, columns), (height, width) = self.first.matrix, self.first.tile
        return -(-rows // height) * -(-columns // width)


def read_slide_file(header: Header) -> SlideFile:
    """Return one instance of a slide by its header and the item headers of its pixels.

    Raises
    ------
    UnsupportedInput : label and overview images, or pixels that are not converted.
    UnreadableImage : tiles that do not fit the total pixel matrix, or a damaged file.
    """
    try:
        with header.path.open("rb") as handle, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(handle, stop_before_pixels=True, force=True)
            return _slide_file(header, dataset, handle)
    except (UnreadableImage, UnsupportedInput):
        raise
    except MemoryError as error:
        raise UnreadableImage("The header claims more than fits in memory.") from error
    except Exception as error:  # as in headers: the kind is enough, the text may quote values
        raise UnreadableImage(f"The slide's header cannot be read ({type(error).__name__}).") from error


def encoded_tile(source: SlideFile, frame: int) -> bytes:
    """Return the bytes of one frame as they are in the file.

    Raises
    ------
    UnreadableImage : the frame is cut short.
    """
    start, length = source.frames[frame]
    with source.header.path.open("rb") as handle:
        handle.seek(start)
        data = handle.read(length)
    if len(data) < length:
        raise UnreadableImage("A tile of the slide is cut short.")
    return data


def decode_tile(source: SlideFile, frame: int) -> NDArray[Any]:
    """Return one tile, shape (rows, columns) or (rows, columns, 3) in RGB.

    Raises
    ------
    UnreadableImage : the frame is cut short or cannot be decoded.
    """
    data = encoded_tile(source, frame)
    require_image(data, math.prod(source.tile) * source.samples)
    try:
        found = _decoded(source, data)
    except Exception as error:  # decoders raise their own kinds
        raise UnreadableImage(f"A tile of the slide cannot be decoded ({type(error).__name__}).") from error
    wanted = source.tile if source.samples == 1 else (*source.tile, source.samples)
    if found.shape != wanted:
        raise UnreadableImage(f"A tile of the slide has the shape {found.shape}, the header says {wanted}.")
    return found


def _decoded(source: SlideFile, data: bytes) -> NDArray[Any]:
    plugins = decoders_of(source.syntax)
    if source.syntax == JPEG_BASELINE and source.samples == 3:
        coded = "RGB" if source.photometric == "RGB" else "YCBCR"
        return np.asarray(imagecodecs.jpeg8_decode(data, colorspace=coded, outcolorspace="RGB"))
    described: dict[str, Any] = {
        "rows": source.tile[0],
        "columns": source.tile[1],
        "number_of_frames": 1,
        "samples_per_pixel": source.samples,
        "photometric_interpretation": source.photometric,
        "bits_allocated": source.bits,
        "bits_stored": source.bits_stored,
        "pixel_representation": 0,
        "planar_configuration": int(source.planar),
        "pixel_keyword": "PixelData",
    }
    if plugins:
        data, described["decoding_plugin"] = encapsulate([data], has_bot=False), plugins[0]
    return np.asarray(get_decoder(source.syntax).as_array(data, index=0, **described)[0])


def _slide_file(header: Header, dataset: FileDataset, handle: BinaryIO) -> SlideFile:
    if {"LABEL", "OVERVIEW"} & set(header.image_type):
        raise UnsupportedInput(
            "Label and overview images of slides are never converted: they show names and numbers.", remedy="Leave them out."
        )
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    plugins = decoders_of(syntax)
    matrix = (int(dataset.TotalPixelMatrixRows), int(dataset.TotalPixelMatrixColumns))
    tile = (int(dataset.Rows), int(dataset.Columns))
    bits, samples = int(dataset.BitsAllocated), int(dataset.SamplesPerPixel)
    if bits not in {8, 16} or samples not in {1, 3} or int(dataset.PixelRepresentation) or (samples == 3 and bits != 8):
        raise UnsupportedInput(
            f"Tiles of {samples} samples of {bits} bits are not converted.", remedy="Converted are 8-bit colour and grey."
        )
    if not (min(matrix + tile) > 0 and max(matrix) < MAX_MATRIX and max(tile) <= 65535):
        raise UnreadableImage("The total pixel matrix or the tiles have no size.")
    count = int(dataset.get("NumberOfFrames") or 1)
    measures = _first(_first(dataset, "SharedFunctionalGroupsSequence"), "PixelMeasuresSequence")
    step = float(measures.SpacingBetweenSlices) if measures.get("SpacingBetweenSlices") else None
    keys = tuple(_keys(dataset, matrix, count, step))
    frames = _encapsulated(handle, count) if plugins else _native(handle, dataset, count, tile[0] * tile[1] * samples * bits // 8)
    return SlideFile(
        header=header,
        matrix=matrix,
        tile=tile,
        samples=samples,
        photometric=str(dataset.PhotometricInterpretation),
        bits=bits,
        bits_stored=int(dataset.BitsStored),
        planar=bool(dataset.get("PlanarConfiguration", 0)),
        syntax=syntax,
        spacing_mm=_spacing(dataset, measures, matrix),
        depth_step_mm=step,
        pyramid=str(dataset.get("PyramidUID") or header.frame_of_reference_uid),
        tiles=keys,
        frames=frames,
        dataset=dataset,
        full=dataset.get("DimensionOrganizationType") == "TILED_FULL",
    )


def _keys(dataset: Dataset, matrix: tuple[int, int], count: int, step_mm: float | None) -> Iterator[TileKey]:
    """Yield the place of every frame: counted for TILED_FULL (PS3.3 C.7.6.17.3), else as the functional groups say."""
    paths = [str(item.get("OpticalPathIdentifier", "")) for item in dataset.get("OpticalPathSequence") or [Dataset()]]
    if count > MAX_TILES:
        raise UnsupportedInput(f"A level of {count} tiles is not converted.", remedy=f"Levels may have up to {MAX_TILES} tiles.")
    if dataset.get("DimensionOrganizationType") != "TILED_FULL":
        groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
        if len(groups) != count:
            raise UnreadableImage(f"The slide has {count} tiles, but functional groups for {len(groups)}.")
        shared = _first(dataset, "SharedFunctionalGroupsSequence")
        for item in groups:
            yield _sparse_key(item, shared, paths, matrix)
        return
    frames = tiled_full(dataset, len(paths), step_mm)
    first = int(dataset.get("ConcatenationFrameOffsetNumber") or 0)
    if first < 0 or first + count > frames.count or (first == 0 and count < frames.count and not _is_part(dataset)):
        raise UnreadableImage(f"{count} tiles do not fill a matrix that has {frames.count}.")
    for channel, tile in frames.places(first, count):
        yield TileKey(paths[channel], tile.depth_mm, tile.row, tile.column)


def _is_part(dataset: Dataset) -> bool:
    """Return whether the instance is one part of a concatenation (PS3.3 C.7.6.16.2.2.4)."""
    return bool(dataset.get("ConcatenationUID"))


def _sparse_key(item: Dataset, shared: Dataset, paths: list[str], matrix: tuple[int, int]) -> TileKey:
    tile: Tile | None = slide_tile(item)
    if tile is None or tile.row >= matrix[0] or tile.column >= matrix[1]:
        raise UnreadableImage("A tile lies outside the total pixel matrix, or nowhere.")
    which = _first(item, "OpticalPathIdentificationSequence") or _first(shared, "OpticalPathIdentificationSequence")
    return TileKey(str(which.get("OpticalPathIdentifier", paths[0])), tile.depth_mm, tile.row, tile.column)


def _spacing(dataset: Dataset, measures: Dataset, matrix: tuple[int, int]) -> tuple[float, float] | None:
    stated = measures.get("PixelSpacing")
    if stated is not None and len(stated) == 2 and float(stated[0]) > 0 and float(stated[1]) > 0:
        return float(stated[0]), float(stated[1])
    height, width = dataset.get("ImagedVolumeHeight"), dataset.get("ImagedVolumeWidth")
    return (float(height) / matrix[0], float(width) / matrix[1]) if height and width else None


def _native(handle: BinaryIO, dataset: FileDataset, count: int, size: int) -> tuple[tuple[int, int], ...]:
    offset = pixel_offset(handle, dataset)
    if offset is None:
        raise UnsupportedInput("Tiles in this transfer syntax are not converted.", remedy="Send them in little-endian byte order.")
    return tuple((offset + number * size, size) for number in range(count))


def _encapsulated(handle: BinaryIO, count: int) -> tuple[tuple[int, int], ...]:
    """Return (offset, length) of every frame: one fragment per frame, as whole-slide files have."""
    start = handle.read(12)
    if start[:4] != b"\xe0\x7f\x10\x00":
        raise UnreadableImage("The slide has no pixels.")
    found: list[tuple[int, int]] = []
    while (item := handle.read(8))[:4] == ITEM and len(item) == 8:
        length = int.from_bytes(item[4:], "little")
        if length == UNDEFINED or len(found) > count:
            break
        found.append((handle.tell(), length))
        handle.seek(length, 1)
    fragments = found[1:]  # the first item is the basic offset table
    if len(fragments) != count:
        raise UnreadableImage(f"The slide has {count} tiles, but {len(fragments)} fragments of pixels; one per tile is read.")
    return tuple(fragments)


def _first(dataset: Dataset, name: str) -> Dataset:
    items = dataset.get(name)
    return items[0] if items else Dataset()
