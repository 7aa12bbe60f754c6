"""Rectangles in an image: what of it stays and what is blanked. Geometry only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from fairlead.errors import UnreadableImage


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, rows and columns, first included, last excluded."""

    top: int
    bottom: int
    left: int
    right: int

    def within(self, rows: int, columns: int) -> Self:
        """Return the part that lies in the image."""
        return type(self)(max(self.top, 0), min(self.bottom, rows), max(self.left, 0), min(self.right, columns))

    @property
    def is_empty(self) -> bool:
        """Whether no pixel lies in it."""
        return self.top >= self.bottom or self.left >= self.right


def regions(dataset: Dataset) -> tuple[Box, ...]:
    """Return the declared ultrasound regions (PS3.3 C.8.5.5.1.2: both corners belong to the region).

    Raises
    ------
    UnreadableImage : a region has no corners, or lies outside of the image by more than the pixel of those who count from one.
    """
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    boxes = []
    for item in dataset.SequenceOfUltrasoundRegions:
        try:
            left, top = int(item.RegionLocationMinX0), int(item.RegionLocationMinY0)
            right, bottom = int(item.RegionLocationMaxX1) + 1, int(item.RegionLocationMaxY1) + 1
        except (AttributeError, TypeError, ValueError) as error:
            raise UnreadableImage("An ultrasound region has no corners.") from error
        if min(left, top) < 0 or right > columns + 1 or bottom > rows + 1:
            raise UnreadableImage("An ultrasound region lies outside of the image.")
        boxes.append(Box(top, bottom, left, right).within(rows, columns))
    return tuple(box for box in boxes if not box.is_empty)


def outside(boxes: Iterable[Box], rows: int, columns: int) -> NDArray[np.bool_]:
    """Return a mask of shape (rows, columns), true where no box is."""
    return ~inside(boxes, rows, columns)


def inside(boxes: Iterable[Box], rows: int, columns: int) -> NDArray[np.bool_]:
    """Return a mask of shape (rows, columns), true where a box is."""
    mask = np.zeros((rows, columns), dtype=bool)
    for box in boxes:
        cut = box.within(rows, columns)
        mask[cut.top : cut.bottom, cut.left : cut.right] = True
    return mask
