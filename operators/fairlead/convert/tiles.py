"""Where a frame lies in a total pixel matrix, the mosaic that whole-slide images are made of (PS3.3 C.8.12.14, C.7.6.17.3)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from fairlead.errors import UnreadableImage

MICROMETRES: Final = 1000.0
"""In a millimetre: Z Offset in Slide Coordinate System is the one length of DICOM in micrometres (PS3.3 C.8.12.6.1)."""
DEPTH_DECIMALS: Final = 7
MAX_PLANES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Tile:
    """Place of a frame's first pixel, counted from zero; ``depth_mm`` is the offset of its focal plane."""

    row: int
    column: int
    depth_mm: float = 0.0


def slide_tile(item: Dataset) -> Tile | None:
    """Return the place that a frame's functional groups state, None when they state none.

    Raises
    ------
    UnreadableImage : a place before the first row or column.
    """
    places = item.get("PlanePositionSlideSequence")
    if not places:
        return None
    place = places[0]
    row, column = place.get("RowPositionInTotalImagePixelMatrix"), place.get("ColumnPositionInTotalImagePixelMatrix")
    if row is None or column is None or int(row) < 1 or int(column) < 1:
        raise UnreadableImage("A tile does not say where it lies in the total pixel matrix.")
    depth = place.get("ZOffsetInSlideCoordinateSystem")
    return Tile(int(row) - 1, int(column) - 1, depth_mm(depth))


@dataclass(frozen=True, slots=True)
class TiledFull:
    """Frames whose places are not stated but counted: columns, rows, focal planes, channels (PS3.3 C.7.6.17.3, TILED_FULL).

    A channel is an optical path of a slide, or a segment. ``depths`` are those of the focal planes, from the slide up.
    """

    matrix: tuple[int, int]
    tile: tuple[int, int]
    depths: tuple[float, ...]
    channels: int

    @property
    def count(self) -> int:
        """How many frames there are."""
        (rows, columns), (height, width) = self.matrix, self.tile
        return -(-rows // height) * -(-columns // width) * len(self.depths) * self.channels

    def places(self, first: int, count: int) -> Iterator[tuple[int, Tile]]:
        """Yield channel and place of ``count`` frames from the one with the number ``first``."""
        down, across = -(-self.matrix[0] // self.tile[0]), -(-self.matrix[1] // self.tile[1])
        for number in range(first, first + count):
            plane, place = divmod(number, down * across)
            channel, depth = divmod(plane, len(self.depths))
            yield channel, Tile(place // across * self.tile[0], place % across * self.tile[1], self.depths[depth])


def tiled_full(dataset: Dataset, channels: int, step_mm: float | None) -> TiledFull:
    """Return how the frames of a TILED_FULL image or segmentation lie; without a step, focal planes are told by their number.

    Raises
    ------
    UnreadableImage : no focal plane, or a depth that is no number.
    """
    planes = int(dataset.get("TotalPixelMatrixFocalPlanes") or 1)
    if not 0 < planes <= MAX_PLANES:
        raise UnreadableImage(f"A slide has no {planes} focal planes.")
    origin = (dataset.get("TotalPixelMatrixOriginSequence") or [Dataset()])[0]
    lowest = depth_mm(origin.get("ZOffsetInSlideCoordinateSystem"))
    depths = tuple(round(lowest + number * (step_mm or 1.0), DEPTH_DECIMALS) for number in range(planes))
    matrix = (int(dataset.TotalPixelMatrixRows), int(dataset.TotalPixelMatrixColumns))
    return TiledFull(matrix, (int(dataset.Rows), int(dataset.Columns)), depths, channels)


def place_on_slide(dataset: Dataset) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return where a total pixel matrix begins on the glass, in mm, and how rows and columns run; empty where it is not stated.

    Sources: Total Pixel Matrix Origin Sequence and Image Orientation (Slide) (PS3.3 C.8.12.4).
    """
    origin = (dataset.get("TotalPixelMatrixOriginSequence") or [Dataset()])[0]
    stated = (origin.get("XOffsetInSlideCoordinateSystem"), origin.get("YOffsetInSlideCoordinateSystem"))
    place = tuple(float(part) for part in stated if part is not None)
    return place if len(place) == len(stated) else (), tuple(float(part) for part in dataset.get("ImageOrientationSlide") or [])


def depth_mm(offset: object) -> float:
    """Return a Z offset in millimetres, zero where none is stated.

    Raises
    ------
    UnreadableImage : it is no finite number.
    """
    depth = float(str(offset)) / MICROMETRES if offset is not None else 0.0
    if not math.isfinite(depth):
        raise UnreadableImage("The depth of a focal plane is no number.")
    return round(depth, DEPTH_DECIMALS)
