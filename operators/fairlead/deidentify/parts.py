"""The bytes of an output file as parts: what was made anew lies in memory, pixel bytes stay where they are until they are copied.

A part on disk is a :class:`Span`; a 400 MB instance therefore costs no more memory than a slice.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from fairlead.errors import UnreadableImage

BLOCK_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Span:
    """So many bytes of a file from an offset; the file must still be the one that was looked at (its size and time say so)."""

    path: Path
    offset: int
    size: int
    file_size: int
    mtime_ns: int

    @classmethod
    def of(cls, file: BinaryIO, offset: int, size: int) -> Span:
        """Return a span of an open file, cut at the end of the file."""
        state = os.fstat(file.fileno())
        return cls(Path(file.name), offset, max(min(size, state.st_size - offset), 0), state.st_size, state.st_mtime_ns)

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes block by block.

        Raises
        ------
        UnreadableImage : the file has changed since it was judged.
        """
        with self.path.open("rb") as file:
            state, left = os.fstat(file.fileno()), self.size
            if (state.st_size, state.st_mtime_ns) != (self.file_size, self.mtime_ns):
                raise UnreadableImage("The file changed while it was de-identified.", remedy="Run the command again.")
            file.seek(self.offset)
            while left > 0:
                block = file.read(min(left, BLOCK_BYTES))
                if not block:
                    raise UnreadableImage("The file changed while it was de-identified.", remedy="Run the command again.")
                left -= len(block)
                yield block

    def head(self, size: int) -> bytes:
        """Return the first bytes, at most ``size``."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(min(size, self.size))


type Part = bytes | Span
type Parts = tuple[Part, ...]


def blocks_of(parts: Parts) -> Iterator[bytes]:
    """Yield the bytes of all parts in order, at most a block of a file at a time."""
    for part in parts:
        if isinstance(part, Span):
            yield from part.blocks()
        else:
            yield part


def size_of(parts: Parts) -> int:
    """Return how many bytes the parts are together.

    >>> size_of((b"abc", b"de"))
    5
    """
    return sum(part.size if isinstance(part, Span) else len(part) for part in parts)


def sha256_of(parts: Parts) -> str:
    """Return the digest of the parts, read in blocks."""
    digest = hashlib.sha256()
    for block in blocks_of(parts):
        digest.update(block)
    return digest.hexdigest()
