"""Encode and check one shard at a time: chunks compressed in threads, decoded again at once, and the file read back.

This is the sharding codec of Zarr v3 ("sharding-indexed" 1.0, section "Binary shard format"; index at the end with its
CRC-32C) for the one layout we write. The library's own encoder costs twice the CPU, and reading every voxel back through
it doubles that again; here a chunk is compared while it is still in the processor's cache.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import google_crc32c
import numcodecs.blosc  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from fairlead.errors import CheckFailed

LEVEL: Final = 1
BLOCK_BYTES: Final = 512 * 1024
"""What blosc compresses at once. Its own choice for zstd-1 is 32 KiB, which costs a quarter more time, both ways, and 8 % more bytes."""
ABSENT: Final = 2**64 - 1
LITTLE: Final = "<"
_own: Final = threading.local()


@dataclass(frozen=True, slots=True)
class ShardLayout:
    """Where shards of an array lie and how large they and their chunks are, in axis order."""

    folder: Path
    shard: tuple[int, ...]
    chunk: tuple[int, ...]

    def file(self, index: Sequence[int]) -> Path:
        """Return the file of a shard (chunk key encoding "default")."""
        return self.folder.joinpath("c", *map(str, index))

    @property
    def grid(self) -> tuple[int, ...]:
        """How many chunks a shard has along every axis."""
        return tuple(whole // piece for whole, piece in zip(self.shard, self.chunk, strict=True))


def write_shard(layout: ShardLayout, index: Sequence[int], values: NDArray[Any], pool: ThreadPoolExecutor) -> str:
    """Write one shard and return the sha256 of its file; ``values`` may be smaller than a shard at the array's end.

    Raises
    ------
    CheckFailed : a chunk that does not decode to what went in, or a file that reads back other bytes.
    """
    places = list(itertools.product(*(range(size) for size in layout.grid)))
    encoded = list(pool.map(lambda place: _encoded(layout, values, place), places))
    table = np.full((len(places), 2), ABSENT, "<u8")
    offset = 0
    for number, chunk in enumerate(encoded):
        if chunk is not None:
            table[number] = offset, len(chunk)
            offset += len(chunk)
    listed = table.tobytes()
    pieces = [*(chunk for chunk in encoded if chunk is not None), listed, google_crc32c.value(listed).to_bytes(4, "little")]
    return write_checked(layout.file(index), pieces)


def write_checked(file: Path, pieces: Sequence[bytes]) -> str:
    """Write a file piece by piece, read it back, and return its sha256, taken of the pieces while they are at hand.

    Joined, the pieces of a shard would cost their size twice in fresh memory.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with file.open("w+b", buffering=0) as handle:
        for piece in pieces:
            _write_all(handle, piece)
            digest.update(piece)
        same = os.fstat(handle.fileno()).st_size == sum(map(len, pieces)) and _reads_back(handle, pieces)
    if not same:
        raise CheckFailed("Voxels read back from the new store differ from the source.", remedy="Check the disk and convert again.")
    return digest.hexdigest()


def _reads_back(handle: io.FileIO, pieces: Sequence[bytes]) -> bool:
    """Compare a file with the pieces that were written to it; bytes are compared twice as fast as arrays are."""
    handle.seek(0)
    return all(handle.read(len(piece)) == piece for piece in pieces)


def _write_all(handle: io.FileIO, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:  # a system call may take less than it is given
        rest = rest[handle.write(rest) :]


def _workspace(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return two chunks of memory that this thread uses again and again: fresh ones cost as much as the compression."""
    held: tuple[NDArray[Any], NDArray[Any]] | None = getattr(_own, "chunks", None)
    if held is None or held[0].shape != shape or held[0].dtype != dtype:
        held = _own.chunks = np.empty(shape, dtype), np.empty(shape, dtype)
    return held


def _encoded(layout: ShardLayout, values: NDArray[Any], place: tuple[int, ...]) -> bytes | None:
    """Return one compressed chunk, filled up with zeros at the array's end; None beyond it."""
    corner = tuple(number * size for number, size in zip(place, layout.chunk, strict=True))
    if any(start >= size for start, size in zip(corner, values.shape, strict=True)):
        return None
    part = values[tuple(slice(start, start + size) for start, size in zip(corner, layout.chunk, strict=True))]
    chunk, again = _workspace(layout.chunk, part.dtype.newbyteorder(LITTLE))
    if part.shape != layout.chunk:
        chunk[...] = 0
    chunk[tuple(slice(size) for size in part.shape)] = part
    packed: bytes = numcodecs.blosc.compress(chunk, b"zstd", LEVEL, numcodecs.blosc.BITSHUFFLE, BLOCK_BYTES)
    numcodecs.blosc.decompress(packed, again)
    if not _same_bits(again, chunk):
        raise CheckFailed("A compressed chunk does not decode to what went in.", remedy="Check the memory of this machine.")
    return packed


def _same_bits(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Compare bit by bit, eight bytes at a time where they divide the chunk: not-a-number equals itself, zero is not minus zero."""
    word = np.uint64 if one.nbytes % 8 == 0 else np.uint8
    return bool(np.array_equal(one.reshape(-1).view(word), other.reshape(-1).view(word)))
