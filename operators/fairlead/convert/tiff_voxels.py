"""Voxels of TIFF files, decoded on demand: one series with its sub-resolutions, or a set with one file per plane."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from fairlead.convert.ome_xml import OmeImage
from fairlead.convert.plan import AXIS_ORDER
from fairlead.errors import UnreadableImage

COLOUR_PICTURE: Final = "YXS"
DAMAGED: Final = (tifffile.TiffFileError, ValueError, IndexError, KeyError, TypeError, RuntimeError, OSError, AttributeError)
"""What tifffile and imagecodecs raise for damaged files; ``imagecodecs`` errors are RuntimeErrors."""


class TiffVoxels:
    """Voxels of one TIFF series and its sub-resolutions; tiles and strips are decoded on demand."""

    def __init__(self, arrays: list[zarr.Array[Any]], axes: str) -> None:
        self._arrays = arrays
        self._axes = axes

    def read(self, level: int, lead: tuple[int, ...], start: int, stop: int) -> NDArray[Any]:
        """Return planes (or rows) ``start:stop`` of a level, axes in NGFF order; rows of a colour picture with all channels."""
        array = self._arrays[level]
        where = (slice(start, stop),) if self._axes == COLOUR_PICTURE else self._where(array, lead, start, stop)
        try:
            found = np.asarray(array[where])
        except DAMAGED as error:
            raise UnreadableImage(f"Pixels of the TIFF cannot be decoded ({type(error).__name__}).") from error
        if self._axes == COLOUR_PICTURE:
            return found.transpose(0, 2, 1)
        space = [axis for axis in self._axes if axis in "ZYX"]
        wanted = sorted(space, key="ZYX".index)
        return np.ascontiguousarray(found.transpose([space.index(axis) for axis in wanted]))

    def _where(self, array: zarr.Array[Any], lead: tuple[int, ...], start: int, stop: int) -> tuple[int | slice, ...]:
        names = [axis for axis in AXIS_ORDER.upper() if axis in self._axes.replace("S", "") or (axis == "C" and "S" in self._axes)]
        index = dict(zip([name for name in names if name not in "ZYX"], lead, strict=True))
        if "S" in self._axes:
            samples = array.shape[self._axes.index("S")]
            index["C"], index["S"] = divmod(index["C"], samples)
        first = "Z" if "Z" in self._axes else "Y"
        return tuple(slice(start, stop) if axis == first else slice(None) if axis in "ZYX" else index.get(axis, 0) for axis in self._axes)


class PlaneFiles:
    """Voxels of a multi-file set: one file and page per plane, as the companion's TiffData says."""

    def __init__(self, planes: dict[tuple[int, int, int], tuple[Path, int]], image: OmeImage, dtype: np.dtype[Any]) -> None:
        self._planes = planes
        self._image = image
        self._dtype = dtype

    def read(self, level: int, lead: tuple[int, ...], start: int, stop: int) -> NDArray[Any]:
        """Return planes ``start:stop`` along z, or rows of the only plane."""
        sizes = self._image.sizes
        index = dict(zip([name for name in "tc" if sizes[name] > 1], lead, strict=True))
        time, channel = index.get("t", 0), index.get("c", 0)
        if sizes["z"] == 1:
            return self._plane(time, channel, 0)[start:stop]
        return np.stack([self._plane(time, channel, depth) for depth in range(start, stop)])

    def _plane(self, time: int, channel: int, depth: int) -> NDArray[Any]:
        file, page = self._planes[time, channel, depth]
        try:
            plane = np.asarray(tifffile.imread(file, key=page))
        except DAMAGED as error:
            raise UnreadableImage(f"A file of the set cannot be read ({type(error).__name__}).") from error
        if plane.shape != (self._image.sizes["y"], self._image.sizes["x"]):
            raise UnreadableImage("A file of the set has another size than its companion says.")
        return plane.astype(self._dtype, copy=False)
