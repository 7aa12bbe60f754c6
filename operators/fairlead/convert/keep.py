"""Keep the chunks of Zarr v2 arrays when only their metadata are old: NGFF 0.1 to 0.4 becomes 0.5 without encoding a voxel again.

A chunk of Zarr v2 is a chunk of Zarr v3 when v3 has its compressor (Zarr v3 core, "codecs"), the bytes lie in C order and no filter
came before; only its name differs.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, BytesCodec, GzipCodec, ZstdCodec

from fairlead.convert.plan import ImagePlan, KeptArray, VoxelSource
from fairlead.convert.writer import Levels, note_ranges
from fairlead.errors import CheckFailed, UnreadableImage
from fairlead.files import sha256_file
from fairlead.progress import Progress

SHUFFLES: Final[Mapping[int, str]] = {0: "noshuffle", 1: "shuffle", 2: "bitshuffle"}


@dataclass(frozen=True, slots=True)
class _Compressor:
    """The Zarr v3 codec that reads what a v2 compressor wrote; None for plain bytes."""

    codec: Any


def kept_arrays(arrays: Sequence[zarr.Array[Any]]) -> tuple[KeptArray, ...]:
    """Return the arrays as they can be kept, or nothing when one of them has to be encoded again."""
    found = [_kept(array) for array in arrays]
    return tuple(array for array in found if array is not None) if all(found) else ()


def _kept(array: zarr.Array[Any]) -> KeptArray | None:
    metadata: Any = array.metadata
    if metadata.zarr_format != 2 or metadata.order != "C" or metadata.filters or array.ndim == 0:
        return None
    if (compressor := _compressor(metadata.compressor, array.dtype.itemsize)) is None:
        return None
    separator, store = str(metadata.dimension_separator), array.store_path
    root: Any = store.store
    return KeptArray(array, Path(root.root) / store.path, separator, compressor.codec)


def _compressor(stated: Any, itemsize: int) -> _Compressor | None:
    if stated is None:
        return _Compressor(None)
    config = stated.get_config()
    match config.get("id"):
        case "blosc" if config["shuffle"] in SHUFFLES:
            shuffle: Any = SHUFFLES[config["shuffle"]]
            codec = BloscCodec(
                cname=config["cname"], clevel=config["clevel"], shuffle=shuffle, typesize=itemsize, blocksize=config["blocksize"]
            )
            return _Compressor(codec)
        case "zstd":
            return _Compressor(ZstdCodec(level=config["level"], checksum=bool(config.get("checksum"))))
        case "gzip":
            return _Compressor(GzipCodec(level=config["level"]))
    return None


def write_kept(plan: ImagePlan, folder: Path, progress: Progress) -> Levels:
    """Write the arrays ``folder/0`` … with the source's chunks, and compare every voxel, read through the old and the new metadata.

    Raises
    ------
    UnreadableImage : a chunk that cannot be decoded, or that changed while it was copied.
    CheckFailed : a voxel that the new metadata read as another value.
    """
    arrays = [_written(plan, kept, folder / str(number), progress) for number, kept in enumerate(plan.kept)]
    with ThreadPoolExecutor(1) as pool:
        levels = Levels(arrays, 0, [], pool)
        note_ranges(replace(plan, voxels=_Compared(plan.voxels, arrays)), levels)
    return levels


class _Compared:
    """The source's voxels, each compared with what the new metadata make of the same bytes."""

    def __init__(self, source: VoxelSource, arrays: Sequence[zarr.Array[Any]]) -> None:
        self._source = source
        self._arrays = arrays

    def read(self, level: int, lead: tuple[int, ...], start: int, stop: int) -> NDArray[Any]:
        """Return planes (or rows) of a level."""
        wanted = self._source.read(level, lead, start, stop)
        where: tuple[int | slice, ...] = (*lead, slice(start, stop))
        found = np.ascontiguousarray(self._arrays[level][where])
        if found.tobytes() != np.ascontiguousarray(wanted, found.dtype).tobytes():
            raise CheckFailed("Voxels of the new store differ from the source.", remedy="Check the disk and convert again.")
        return found


def _written(plan: ImagePlan, kept: KeptArray, folder: Path, progress: Progress) -> zarr.Array[Any]:
    source = kept.array
    array = zarr.create_array(
        store=str(folder),
        shape=source.shape,
        dtype=source.dtype.newbyteorder("="),
        chunks=source.chunks,
        serializer=BytesCodec(endian="big" if source.dtype.byteorder == ">" else "little") if source.dtype.itemsize > 1 else "auto",
        compressors=kept.codec,
        dimension_names=[axis.name for axis in plan.axes],
        fill_value=source.fill_value or 0,
    )
    for place in itertools.product(*(range(-(-size // step)) for size, step in zip(source.shape, source.chunks, strict=True))):
        numbers = [str(number) for number in place]
        chunk, target = kept.folder / kept.separator.join(numbers), folder.joinpath("c", *numbers)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(chunk, target)
        if sha256_file(chunk) != sha256_file(target):
            raise UnreadableImage("A chunk changed while it was copied.", remedy="Convert again when nobody writes to the source.")
        progress.step(0, target.stat().st_size)
    return array
