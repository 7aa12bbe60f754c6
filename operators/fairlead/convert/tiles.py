"""Where a frame lies in a total pixel matrix, the mosaic that whole-slide images are made of (PS3.3 C.8.12.14, C.7.6.17.3)."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from fairlead.errors import UnreadableImage


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
    return Tile(int(row) - 1, int(column) - 1, float(depth) if depth is not None else 0.0)
