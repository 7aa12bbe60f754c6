"""A part file under way: pieces gathered into few large writes that go to the disk directly, past the page cache, and hashed on the way.

Direct writes (O_DIRECT) are on the device when the last piece has come, so that the sync at the end has little left to wait for, they
take half the processor time, and a large transfer does not push the database out of the cache. They need aligned buffers, and file
systems without them (a tmpfs) get plain ones.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import mmap
import os
from collections.abc import Buffer, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from fairlead.errors import InvalidInput
from fairlead.receive.heads import Head, is_whole, read_beginning, read_head
from fairlead.receive.part10 import STAMP_BYTES

BUFFER_BYTES: Final = 1024 * 1024
HEAD_BYTES: Final = 64 * 1024
HASH_BYTES: Final = 192 * 1024
ALIGNED_BYTES: Final = 4096
DIRECT: Final = getattr(os, "O_DIRECT", 0)


def create(path: Path) -> BinaryIO:
    """Open a new file for direct writes, or for plain ones where the file system knows no others; raise FileExistsError."""
    try:
        return open(path, "x+b", buffering=0, opener=lambda name, flags: os.open(name, flags | DIRECT, 0o644))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    path.unlink(missing_ok=True)  # some kernels make the file before they refuse the flag
    return path.open("x+b", buffering=0)


class PartFile:
    """One object on its way to the disk; one thread at a time."""

    def __init__(self, path: Path, handle: BinaryIO, *, meta: bytes, stamped: bool, buffer: mmap.mmap) -> None:
        self.path = path
        self.handle = handle
        self.offset = len(meta)
        self.size = 0
        self.stamped = stamped
        """Whether the meta is ours and ends with room for the sha256 of the data set."""
        self._digest = hashlib.sha256()
        self._buffer = buffer
        self._filled = self._written = 0
        self._hashed = BUFFER_BYTES
        """How many bytes at the buffer's begin are hashed, or do not belong to the data set."""
        self._head = b""
        self._fill(memoryview(meta))
        self._hashed = self._filled

    def add(self, chunk: Buffer) -> None:
        """Take the next piece; it may be reused when this returns."""
        view = memoryview(chunk)
        self.size += view.nbytes
        self._fill(view)
        if self._filled - self._hashed >= HASH_BYTES:
            self._hash()  # now, while the sender prepares what comes next

    def finish(self) -> str:
        """Write what is left, and the stamp; return the sha256 of the data set."""
        self._hash()
        digest, place = self._digest.digest(), self.offset - STAMP_BYTES
        if self.stamped and not self._written:
            self._buffer[place : self.offset] = digest
            self._write()
        else:
            self._write()
            self._write_plainly()
            if self.stamped:
                os.pwrite(self.handle.fileno(), digest, place)
        return digest.hex()

    def _fill(self, view: memoryview) -> None:
        while view:
            count = min(view.nbytes, BUFFER_BYTES - self._filled)
            self._buffer[self._filled : self._filled + count] = view[:count]
            self._filled += count
            view = view[count:]
            if self._filled == BUFFER_BYTES:
                self._hash()
                self._write()

    def _hash(self) -> None:
        with memoryview(self._buffer) as whole, whole[self._hashed : self._filled] as block:
            self._head = self._head or bytes(block[:HEAD_BYTES])
            self._digest.update(block)
        self._hashed = max(self._hashed, self._filled)

    def _write(self) -> None:
        """Write the buffer and empty it: whole pages as the file is opened, the rest of the last one through the cache."""
        whole = self._filled // ALIGNED_BYTES * ALIGNED_BYTES
        self._put(0, whole)
        if whole < self._filled:
            self._write_plainly()
            self._put(whole, self._filled)
        self._written += self._filled
        self._filled, self._hashed = 0, 0 if self.size else BUFFER_BYTES

    def _put(self, done: int, until: int) -> None:
        with memoryview(self._buffer) as whole:
            while done < until:
                try:
                    done += os.pwrite(self.handle.fileno(), whole[done:until], self._written + done)
                except OSError as error:
                    if error.errno != errno.EINVAL or not self._is_direct():
                        raise
                    self._write_plainly()

    def _is_direct(self) -> bool:
        return bool(fcntl.fcntl(self.handle, fcntl.F_GETFL) & DIRECT)

    def _write_plainly(self) -> None:
        """Give direct writes up: at the end, or where a file system wants a larger alignment than ours."""
        fcntl.fcntl(self.handle, fcntl.F_SETFL, fcntl.fcntl(self.handle, fcntl.F_GETFL) & ~DIRECT)

    def head(self, transfer_syntax_uid: str) -> Head:
        """Return the identity that the data set states: from its first bytes in memory, and from the file where they do not tell."""
        try:
            return read_beginning(self._head, transfer_syntax_uid=transfer_syntax_uid)
        except InvalidInput:
            with self.path.open("rb") as file:
                return read_head(file, offset=self.offset, size=self.offset + self.size, transfer_syntax_uid=transfer_syntax_uid)

    def is_whole(self, transfer_syntax_uid: str) -> bool:
        """Return whether every top-level element ends inside the data set."""
        with self.path.open("rb") as file:
            return is_whole(file, offset=self.offset, size=self.offset + self.size, transfer_syntax_uid=transfer_syntax_uid)


class Buffers:
    """Buffers of one sink, lent and returned: fresh ones would cost page faults for every object."""

    def __init__(self) -> None:
        self._idle: list[mmap.mmap] = []

    @contextmanager
    def lent(self) -> Iterator[mmap.mmap]:
        """Yield a buffer that nobody else has."""
        try:
            buffer = self._idle.pop()
        except IndexError:
            buffer = mmap.mmap(-1, BUFFER_BYTES)  # begins at a page, as direct writes ask for
        try:
            yield buffer
        finally:
            self._idle.append(buffer)
