"""Decode one frame to its stored values; plain little-endian pixels are read straight from the file."""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut

from fairlead.convert.bounded import require_image
from fairlead.convert.frames import PixelFormat
from fairlead.convert.sop_classes import decoders_of
from fairlead.errors import InvalidInput, UnreadableImage, UnsupportedInput

type Pixels = NDArray[Any]
# A plugin that fails is logged by pydicom with a traceback, which may quote the file; what failed is said by our own error.
logging.getLogger("pydicom.pixels").setLevel(logging.CRITICAL)
HTJ2K: Final = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (201, 202, 203))
REFUSES: Final = (InvalidInput, RuntimeError, ValueError, OSError)
"""What a decoder says that cannot read a frame: ours a named error; pydicom's plugins RuntimeError (also for encodings that they do
not know, as NotImplementedError), gdcm and openjpeg ValueError, pillow OSError. Anything else is not for the next plugin to mend."""
COLOUR: Final = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT", "PALETTE COLOR"})


def stored_dtype(pixels: PixelFormat) -> np.dtype[Any]:
    """Return the integer type of stored values."""
    return np.dtype(f"{'f' if pixels.floating else 'i' if pixels.signed else 'u'}{pixels.bits_allocated // 8}")


def decode_frame(path: Path, pixels: PixelFormat, index: int) -> Pixels:
    """Return stored values of one frame, shape (rows, columns), or (3, rows, columns) for colour, which becomes RGB.

    Bits above BitsStored (old overlays, noise) are cleared, the sign is extended (PS3.5 section 8.1.1).

    Raises
    ------
    UnreadableImage : the pixels are shorter than the header says, or no decoder can read them.
    """
    if pixels.offset is not None and pixels.samples == 1 and pixels.photometric not in COLOUR:
        return _cleared(_raw_frame(path, pixels, index), pixels)
    try:
        plane = _decoded(path, pixels, index)
    except (InvalidInput, MemoryError):
        raise
    except Exception as error:  # decoders raise their own kinds; their texts may quote the file
        raise UnreadableImage(f"Pixels cannot be decoded ({type(error).__name__}).") from error
    if plane.shape[:2] != (pixels.rows, pixels.columns):
        raise UnreadableImage(f"Decoded pixels have the shape {plane.shape[:2]}, the header says {(pixels.rows, pixels.columns)}.")
    return np.moveaxis(plane, 2, 0) if plane.ndim == 3 else _cleared(plane, pixels)


def _raw_frame(path: Path, pixels: PixelFormat, index: int) -> Pixels:
    dtype = stored_dtype(pixels).newbyteorder("<")
    count = pixels.rows * pixels.columns
    start = (pixels.offset or 0) + index * count * dtype.itemsize
    with path.open("rb") as handle:
        there = os.fstat(handle.fileno()).st_size - start
        if there < count * dtype.itemsize:  # asked before memory is taken for what a header claims
            raise UnreadableImage(f"Pixels end early: {max(there, 0)} of {count * dtype.itemsize} bytes of frame {index + 1} are there.")
        handle.seek(start)
        data = handle.read(count * dtype.itemsize)
    return np.frombuffer(data, dtype).reshape(pixels.rows, pixels.columns)


def _decoded(path: Path, pixels: PixelFormat, index: int) -> Pixels:
    dataset = _dataset(path)
    if "PixelData" not in dataset:
        raise UnreadableImage("The file holds no pixels.")
    plane = _plane(dataset, pixels, index)
    if pixels.photometric == "PALETTE COLOR":
        return np.asarray(apply_color_lut(plane, dataset))
    return plane


def _plane(dataset: Dataset, pixels: PixelFormat, index: int) -> Pixels:
    which = index if pixels.frames > 1 else 0
    plugins = decoders_of(pixels.transfer_syntax_uid)
    if not plugins:
        return np.asarray(get_decoder(pixels.transfer_syntax_uid).as_array(dataset, index=which)[0])
    frame = get_frame(dataset.PixelData, which, number_of_frames=pixels.frames)
    require_image(frame, pixels.rows * pixels.columns * pixels.samples)
    for plugin in plugins[:-1]:
        try:
            return _by_plugin(dataset, pixels, which, plugin=plugin)
        except REFUSES:
            continue  # the next plugin of the explicit order may read it; what the last one raises is the answer
    return _by_plugin(dataset, pixels, which, plugin=plugins[-1])


def _by_plugin(dataset: Dataset, pixels: PixelFormat, index: int, *, plugin: str) -> Pixels:
    if plugin != "imagecodecs":
        decoder = get_decoder(pixels.transfer_syntax_uid)
        return np.asarray(decoder.as_array(dataset, index=index, decoding_plugin=plugin)[0])
    frame = get_frame(dataset.PixelData, index, number_of_frames=pixels.frames)
    return _htj2k(frame, pixels) if pixels.transfer_syntax_uid in HTJ2K else _jpeg_12(frame, pixels)


def _htj2k(frame: bytes, pixels: PixelFormat) -> Pixels:
    """Decode a grey frame with openjph; colour, and a codestream that contradicts the header, are left to the next plugin."""
    if pixels.samples != 1:
        raise UnsupportedInput("Colour in HTJ2K is not decoded by openjph.", remedy="Install openjpeg, which reads it.")
    plane, stored = np.asarray(imagecodecs.htj2k_decode(frame)), stored_dtype(pixels)
    if plane.dtype.kind != stored.kind or plane.dtype.itemsize > stored.itemsize:
        raise UnreadableImage(f"The codestream holds {plane.dtype}, the header says {stored}.")
    return plane.astype(stored, copy=False)


def _jpeg_12(frame: bytes, pixels: PixelFormat) -> Pixels:
    if pixels.samples != 1:
        raise UnsupportedInput("Colour of more than 8 bits in JPEG extended is not decoded.", remedy="Export it uncompressed.")
    return np.asarray(imagecodecs.jpeg8_decode(frame)).astype(stored_dtype(pixels), copy=False)


def _dataset(path: Path) -> Dataset:
    stat = path.stat()
    return _read(str(path), stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=2)
def _read(path: str, modified_ns: int, size: int) -> Dataset:
    # Two, because two decoding threads work side by side; multi-frame files would otherwise be parsed once per frame.
    return pydicom.dcmread(path, force=True)


def forget_files() -> None:
    """Release the files that the decoder still holds in memory."""
    _read.cache_clear()


def _cleared(plane: Pixels, pixels: PixelFormat) -> Pixels:
    spare = pixels.bits_allocated - pixels.bits_stored
    if spare <= 0 or plane.dtype.kind not in "iu" or plane.dtype.itemsize * 8 != pixels.bits_allocated:
        return plane
    if plane.dtype.kind == "u" and int(plane.max()) >> pixels.bits_stored == 0:
        return plane  # nothing to clear: one fast look instead of two copies
    return (plane << spare) >> spare
