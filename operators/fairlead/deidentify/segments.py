"""Segments of JPEG, JPEG-LS and JPEG 2000 frames: comments and camera data are blanked where they lie, so that no offset changes.

Nobody has a table for them: a comment, EXIF, XMP or IPTC may name anybody, also people the header does not know. What a decoder needs
stays: JFIF, colour profile, colour transforms (ISO/IEC 10918-1 section B.2.4, 15444-1 annex A).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import BinaryIO, Final

from pydicom.dataset import Dataset

from fairlead.deidentify.elements import PIXEL_TAGS, element_of
from fairlead.deidentify.part10 import UNDEFINED_LENGTH, Source, fragments_of
from fairlead.deidentify.parts import Part, Parts, Span

JPEG, JPEG_2000 = b"\xff\xd8", b"\xff\x4f"
DATA_FOLLOW: Final = frozenset({0xDA, 0x90})
"""Start of scan, start of tile-part: compressed data follow."""
COMMENT_2000: Final = 0x64
NEEDED_APPS: Final = frozenset({0xE0, 0xE2, 0xE8, 0xEE})
"""JFIF, colour profile, and the colour transforms of JPEG-LS (APP8) and Adobe (APP14)."""
CLOSING: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"
type Hole = tuple[int, int]
"""Where to blank: position and size."""


def segments_of(file: BinaryIO, at: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Yield marker, position and size of the payload of every segment before the compressed data; nothing for other formats."""
    file.seek(at)
    if file.read(2) not in (JPEG, JPEG_2000):
        return
    position = 2
    while position + 4 <= size:
        file.seek(at + position)
        marker = file.read(4)
        if len(marker) < 4 or marker[0] != 0xFF or marker[1] in DATA_FOLLOW:
            return
        length = int.from_bytes(marker[2:], "big")
        yield marker[1], at + position + 4, max(min(length - 2, size - position - 4), 0)
        position += 2 + max(length, 2)


def header_of(file: BinaryIO, at: int, size: int) -> tuple[int, list[Hole]]:
    """Return how long the header of a frame is, 0 for formats without segments, and what of it is blanked."""
    end, holes = 0, []
    for marker, position, length in segments_of(file, at, size):
        end = position + length - at
        if marker == COMMENT_2000:
            holes.append((position + 2, max(length - 2, 0)))  # the first two bytes say which kind of comment it is
        elif marker == 0xFE or (0xE0 <= marker <= 0xEF and marker not in NEEDED_APPS):
            holes.append((position, length))
    return end, holes


def is_encapsulated(dataset: Dataset, tag: int) -> bool:
    """Return whether pixel data come in fragments (PS3.5 section A.4)."""
    return bool(getattr(element_of(dataset, tag), "length", 0) == UNDEFINED_LENGTH)


def pixel_parts(source: Source) -> dict[int, Parts]:
    """Return the pixel values of a source as they are written: copied, but for the comments in compressed frames."""
    parts: dict[int, Parts] = {tag: (span,) for tag, span in source.pixels.items()}
    little = bool(source.dataset.original_encoding[1])
    for tag in (tag for tag in PIXEL_TAGS if tag in source.dataset and is_encapsulated(source.dataset, tag)):
        span, value = source.pixels.get(tag), element_of(source.dataset, tag).value
        if span is not None:
            with span.path.open("rb") as file:
                parts[tag] = tuple(_around(span, _holes(file, span.offset, little=little)))
        elif isinstance(value, bytes):
            parts[tag] = (blanked(value, _holes(BytesIO(value + CLOSING), 0, little=little)),)
    return parts


def blanked(value: bytes, holes: list[Hole]) -> bytes:
    r"""Return bytes with zeros in the holes.

    >>> blanked(b"abcdef", [(1, 2), (5, 9)])
    b'a\x00\x00de\x00'
    """
    out = bytearray(value)
    for at, size in holes:
        out[at : at + size] = bytes(len(out[at : at + size]))
    return bytes(out)


def _holes(file: BinaryIO, start: int, *, little: bool) -> list[Hole]:
    return [hole for at, size in fragments_of(file, start, little=little) or () for hole in header_of(file, at, size)[1] if hole[1]]


def _around(span: Span, holes: list[Hole]) -> Iterator[Part]:
    at, end = span.offset, span.offset + span.size
    for begin, size in holes:
        yield replace(span, offset=at, size=begin - at)
        yield bytes(size)
        at = begin + size
    yield replace(span, offset=at, size=end - at)
