"""Blank what lies outside the ultrasound regions, in native pixel data, sample by sample where it is stored."""

from __future__ import annotations

from dataclasses import dataclass

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


def regions(dataset: Dataset) -> tuple[Box, ...]:
    """Return the declared regions (PS3.3 C.8.5.5.1.2: both corners belong to the region), cut to the image."""
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    boxes = []
    for item in dataset.SequenceOfUltrasoundRegions:
        try:
            left, top = int(item.RegionLocationMinX0), int(item.RegionLocationMinY0)
            right, bottom = int(item.RegionLocationMaxX1) + 1, int(item.RegionLocationMaxY1) + 1
        except (AttributeError, TypeError, ValueError) as error:
            raise UnreadableImage("An ultrasound region has no corners.") from error
        boxes.append(Box(max(top, 0), min(bottom, rows), max(left, 0), min(right, columns)))
    return tuple(box for box in boxes if box.top < box.bottom and box.left < box.right)


def outside(boxes: tuple[Box, ...], rows: int, columns: int) -> NDArray[np.bool_]:
    """Return a mask of shape (rows, columns), true where no region is."""
    mask = np.ones((rows, columns), dtype=bool)
    for box in boxes:
        mask[box.top : box.bottom, box.left : box.right] = False
    return mask


def masked_pixels(dataset: Dataset) -> bytes:
    """Return native pixel data with zeros outside the regions, same length and layout as the source.

    Raises
    ------
    UnreadableImage : no usable region, a layout other than whole bytes, or too few bytes.
    """
    rows, columns, samples = int(dataset.Rows), int(dataset.Columns), int(dataset.get("SamplesPerPixel") or 1)
    bits, frames = int(dataset.BitsAllocated), int(dataset.get("NumberOfFrames") or 1)
    boxes = regions(dataset)
    value = bytes(dataset.PixelData)
    size = frames * rows * columns * samples * (bits // 8)
    subsampled = "422" in str(dataset.get("PhotometricInterpretation") or "") or "420" in str(
        dataset.get("PhotometricInterpretation") or ""
    )
    if not boxes or bits not in (8, 16) or subsampled or size > len(value) or not size:
        raise UnreadableImage("The ultrasound regions cannot be applied to this pixel layout.")
    pixels = np.frombuffer(value[:size], dtype=np.uint8 if bits == 8 else "<u2").copy()
    mask = outside(boxes, rows, columns)
    if samples > 1 and int(dataset.get("PlanarConfiguration") or 0) == 1:
        pixels.reshape(frames * samples, rows, columns)[:, mask] = 0
    else:
        pixels.reshape(frames, rows, columns, samples)[:, mask, :] = 0
    return pixels.tobytes() + value[size:]
