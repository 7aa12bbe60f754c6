"""Voxels of TIFF files, decoded on demand: one series with its sub-resolutions, or a set with one file per plane."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from fairlead.convert.bounded import require_image
from fairlead.convert.image_parts import Part
from fairlead.convert.plan import AXIS_ORDER
from fairlead.errors import UnreadableImage, UnsupportedInput

COLOUR_PICTURE: Final = "YXS"
MAX_TILE_BYTES: Final = 2 * 1024**3
HEAD_BYTES: Final = 4096
BYTES: Final = frozenset({1, 5, 8, 32773, 32946, 34925, 34926, 50000})
"""Compressions of bytes, whose decoders get the size of a tile: none, LZW, deflate, PackBits, LZMA, zstd (TIFF tag 259)."""
PICTURES: Final = frozenset({6, 7, 33003, 33004, 33005, 34712})
"""JPEG and JPEG 2000, whose decoders believe the picture's own header."""
DAMAGED: Final = (tifffile.TiffFileError, ValueError, IndexError, KeyError, TypeError, RuntimeError, OSError, AttributeError)
"""What tifffile and imagecodecs raise for damaged files; ``imagecodecs`` errors are RuntimeErrors."""


def require_complete(page: Any) -> None:
    """Refuse a page with absent or cut tiles and strips: libraries read them as zeros without a word.

    Raises
    ------
    UnreadableImage : the page, or some of its pixels, are not in the file.
    UnsupportedInput : one tile or strip would not fit into memory.
    """
    if page is None:
        raise UnreadableImage("Pages of the TIFF are absent.")
    keyframe = page.keyframe
    size = page.parent.filehandle.size
    spans = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    whole = len(spans) >= math.prod(keyframe.chunked) or keyframe.is_contiguous
    if not whole or any(count == 0 or offset + count > size for offset, count in spans):
        raise UnreadableImage("Some tiles or strips are absent or cut short; they are not read as zeros.")
    if int(keyframe.compression) in PICTURES:
        for offset, count in spans:
            _require_picture(page.parent.filehandle, offset, count, math.prod(keyframe.chunks))
    elif int(keyframe.compression) not in BYTES:
        raise UnsupportedInput(
            f"TIFF compression {int(keyframe.compression)} is not converted.", remedy="Write the TIFF with deflate, zstd, LZW or JPEG 2000."
        )
    if (decoded := math.prod(keyframe.chunks) * np.dtype(keyframe.dtype).itemsize) > MAX_TILE_BYTES:
        raise UnsupportedInput(f"A tile or strip of {decoded / 1e9:.1f} GB is not converted.", remedy="Write the TIFF in tiles.")


def _require_picture(handle: Any, offset: int, count: int, samples: int) -> None:
    """Refuse a JPEG or JPEG 2000 tile that claims to be larger than the TIFF says; its header is at its begin, or anywhere."""
    for length in (min(count, HEAD_BYTES), count):
        handle.seek(offset)
        if require_image(handle.read(length), samples):
            return


class TiffVoxels:
    """Voxels of one TIFF series and its sub-resolutions; tiles and strips are decoded on demand.

    ``part`` says which samples of the axes are read where they divide into several images.
    """

    def __init__(self, arrays: list[zarr.Array[Any]], axes: str, part: Part) -> None:
        self._arrays = arrays
        self._axes = axes
        self._part = part

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
        where: dict[str, int | slice] = {name: self._part.stored(name.lower(), number) for name, number in index.items()}
        count = self._part.places.get("z", (1, 0))[0]
        if "Z" in self._axes:
            where["Z"] = slice(self._part.stored("z", start), self._part.stored("z", stop - 1) + 1, count)
        else:
            where["Y"] = slice(start, stop)
        return tuple(where.get(axis, slice(None) if axis in "YX" else 0) for axis in self._axes)


class PlaneFiles:
    """Voxels of a multi-file set: one file and page per plane, as the companion's TiffData says."""

    def __init__(self, planes: dict[tuple[int, int, int], tuple[Path, int]], part: Part, dtype: np.dtype[Any]) -> None:
        self._planes = planes
        self._part = part
        self._image = part.image
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
        stored = self._part.stored
        file, page = self._planes[stored("t", time), stored("c", channel), stored("z", depth)]
        wanted = (self._image.sizes["y"], self._image.sizes["x"])
        try:
            with tifffile.TiffFile(file) as tiff:
                found: Any = tiff.pages[page]
                if found.shape != wanted:
                    raise UnreadableImage("A file of the set has another size than its companion says.")
                if np.dtype(found.dtype).newbyteorder("=") != self._dtype:
                    raise UnreadableImage("Files of the set differ in the type of their pixels.")
                require_complete(found)
                return np.asarray(found.asarray()).astype(self._dtype, copy=False)
        except DAMAGED as error:
            raise UnreadableImage(f"A file of the set cannot be read ({type(error).__name__}).") from error
