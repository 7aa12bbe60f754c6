"""Segments of JPEG, JPEG-LS and JPEG 2000 frames: which bytes are words, and which of them a decoder needs.

Nobody has a table for them: a comment, EXIF, XMP or IPTC may name anybody, also people the header does not know. All fragments are read as
one run of bytes, from the start of each frame to its end: a comment may follow fill bytes, stand between two scans, or go on in the next
fragment (ISO/IEC 10918-1 annex B, 14495-1 annex C, 15444-1 annex A; PS3.5 section A.4).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import BinaryIO, Final

from fairlead.errors import UnreadableImage

SOI, SOC, END = b"\xff\xd8", b"\xff\x4f", 0xD9
BOXES: Final = frozenset({b"jP  \r\n\x87\n", b"JXL \r\n\x87\n"})
"""Signatures of the file formats around JPEG 2000 and JPEG XL codestreams, behind a length."""
MARKER: Final = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
"""What ends compressed data: neither a stuffed byte nor a restart; of JPEG-LS bytes after 0xFF are below 0x80."""
END_2000: Final = re.compile(rb"\xff\xd9")
RESTARTS: Final = frozenset(range(0xD0, 0xD8))
START_OF_SCAN: Final = 0xDA
NEEDED: Final = frozenset({*range(0xC0, 0xD0), *range(0xDA, 0xE0), 0xF7, 0xF8})
"""Frame headers, tables, scans, and those of JPEG-LS."""
KEPT_APPS: Final = frozenset({0xE0, 0xE2, 0xE8, 0xEE})
"""JFIF, colour profile, and the colour transforms of JPEG-LS (APP8) and Adobe (APP14): they stay, and are searched."""
TILE_PART, DATA_2000, COMMENT_2000 = 0x90, 0x93, 0x64
NEEDED_2000: Final = frozenset({*range(0x50, 0x54), *range(0x55, 0x5A), *range(0x5C, 0x62), 0x63, TILE_PART})
WITHOUT_LENGTH: Final = frozenset({*range(0x30, 0x40), 0x92})
BLOCK_BYTES: Final = 1024 * 1024
type Place = tuple[int, int]
"""Position and size."""


@dataclass(frozen=True, slots=True)
class Words:
    """Where in a file words lie: what is blanked, and what stays and is searched."""

    blanked: list[Place]
    searched: list[Place]


class Fragments:
    """The fragments of an element as one run of bytes."""

    def __init__(self, file: BinaryIO, fragments: list[Place]) -> None:
        self._file, self._places = file, fragments
        self._ends = list(accumulate(size for _, size in fragments))
        self.size = self._ends[-1] if self._ends else 0

    def read(self, at: int, size: int) -> bytes:
        """Return bytes from any position, across fragments."""
        pieces = []
        for begin, length in self.places(at, size):
            self._file.seek(begin)
            pieces.append(self._file.read(length))
        return b"".join(pieces)

    def places(self, at: int, size: int) -> Iterator[Place]:
        """Yield where bytes of the run lie in the file."""
        end = min(at + size, self.size)
        number = bisect_right(self._ends, at)
        while at < end:
            begin, length = self._places[number]
            inside = at - (self._ends[number] - length)
            taken = min(length - inside, end - at)
            if taken:
                yield begin + inside, taken
            at += taken
            number += 1

    def find(self, pattern: re.Pattern[bytes], at: int) -> int:
        """Return where a pattern of two bytes occurs next, the end of the run if nowhere."""
        while at < self.size:
            block = self.read(at, BLOCK_BYTES)
            if found := pattern.search(block):
                return at + found.start()
            at += max(len(block) - 1, 1) if at + len(block) < self.size else len(block) or 1
        return self.size

    def next_fragment(self, at: int) -> int:
        """Return where the next fragment begins."""
        number = bisect_right(self._ends, at)
        return self._ends[number] if number < len(self._ends) else self.size


def words_of_frames(file: BinaryIO, fragments: list[Place]) -> Words:
    """Return where words lie in compressed frames; nowhere in formats without segments.

    Raises
    ------
    UnreadableImage : the frames are files of their own, with boxes that can hold any text.
    """
    run = Fragments(file, fragments)
    blanked: list[Place] = []
    searched: list[Place] = []
    for at, size, stays in _scanned(run):
        (searched if stays else blanked).extend(run.places(at, size))
    return Words(sorted(blanked), sorted(searched))


type Found = Iterator[tuple[int, int, bool]]


def _scanned(run: Fragments) -> Found:
    at, ended = 0, False
    while at < run.size:
        begin = run.read(at, 12)
        if begin[4:] in BOXES:
            raise UnreadableImage(
                "The frames are files with boxes that can hold any text, and not codestreams (PS3.5 section A.4.4).",
                remedy="Decompress the file first.",
            )
        if begin[:2] in (SOI, SOC):
            cursor = _Cursor(at + 2)
            yield from _jpeg(run, cursor) if begin[:2] == SOI else _jpeg_2000(run, cursor)
            at, ended = max(cursor.at, at + 2), cursor.ended
        else:
            after = run.next_fragment(at)
            if ended and run.read(at, after - at).strip(b"\0"):
                yield at, after - at, False  # behind the end of a frame
            at = after


@dataclass(slots=True)
class _Cursor:
    """Where the reader of a frame is, and whether it has seen the frame's end."""

    at: int
    ended: bool = False


def _jpeg(run: Fragments, cursor: _Cursor) -> Found:
    """Yield the words of one frame; the cursor stops behind its end, or at the next frame."""
    while cursor.at < run.size:
        begin, cursor.at = cursor.at, run.find(MARKER, cursor.at)
        if run.read(begin, min(cursor.at - begin, BLOCK_BYTES)).strip(b"\xff\0"):
            yield begin, cursor.at - begin, False  # between segments nothing but fill bytes belongs
        code = run.read(cursor.at, 2)[1:]
        if not code or code == SOI[1:]:
            return
        cursor.at += 2
        if code[0] == END:
            cursor.ended = True
            return
        length = max(int.from_bytes(run.read(cursor.at, 2), "big"), 2)
        payload = (cursor.at + 2, length - 2)
        cursor.at += length
        if code[0] == START_OF_SCAN:
            cursor.at = run.find(MARKER, cursor.at)
        elif code[0] not in NEEDED and length > 2:
            yield *payload, code[0] in KEPT_APPS


def _jpeg_2000(run: Fragments, cursor: _Cursor) -> Found:
    """Yield the words of one codestream: comments of its main header and of every tile-part, and segments that nobody knows."""
    tile_end = 0
    while cursor.at < run.size:
        head = run.read(cursor.at, 10)
        if head[:1] != b"\xff" or head[:2] == SOC or len(head) < 2:
            cursor.at = cursor.at if head[:2] == SOC else run.next_fragment(cursor.at)
            return
        code, begin = head[1], cursor.at
        if code == END:
            cursor.at, cursor.ended = begin + 2, True
            return
        if code == DATA_2000:
            cursor.at = tile_end if tile_end > begin + 1 else run.find(END_2000, begin + 2)
            continue
        if code in WITHOUT_LENGTH:
            cursor.at += 2
            continue
        length = max(int.from_bytes(head[2:4], "big"), 2)
        cursor.at += 2 + length
        if code == TILE_PART:
            tile_end = begin + int.from_bytes(head[6:10], "big")
        elif code == COMMENT_2000 and length > 4:
            yield begin + 6, length - 4, False  # the first two bytes say which kind of comment it is
        elif code not in NEEDED_2000 and length > 2:
            yield begin + 4, length - 2, False
