"""Pixel values as they are written: copied, but for words in compressed frames, which are blanked where they lie: no offset changes.

What a decoder needs stays: JFIF, colour profile, colour transforms; :mod:`.frames` knows where they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import BinaryIO, Final

from pydicom.dataset import Dataset

from fairlead.deidentify.elements import PIXEL_TAGS, element_of
from fairlead.deidentify.frames import Place, Words, words_of_frames
from fairlead.deidentify.part10 import UNDEFINED_LENGTH, Source, fragments_of
from fairlead.deidentify.parts import Part, Parts, Span

CLOSING: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"


@dataclass(frozen=True, slots=True)
class Pixels:
    """Pixel values by tag as they are written, and those parts of compressed ones that are text and stay."""

    parts: dict[int, Parts]
    texts: list[Part] = field(default_factory=list)


def is_encapsulated(dataset: Dataset, tag: int) -> bool:
    """Return whether pixel data come in fragments (PS3.5 section A.4)."""
    return bool(getattr(element_of(dataset, tag), "length", 0) == UNDEFINED_LENGTH)


def pixels_of(source: Source) -> Pixels:
    """Return the pixel values of a source, without the comments in compressed frames.

    Raises
    ------
    UnreadableImage : the frames are no codestreams.
    """
    found = Pixels({tag: (span,) for tag, span in source.pixels.items()})
    little = bool(source.dataset.original_encoding[1])
    for tag in (tag for tag in PIXEL_TAGS if tag in source.dataset and is_encapsulated(source.dataset, tag)):
        span, value = source.pixels.get(tag), element_of(source.dataset, tag).value
        if span is not None:
            with span.path.open("rb") as file:
                words = _words(file, span.offset, little=little)
            found.parts[tag] = tuple(_around(span, words.blanked))
            found.texts.extend(replace(span, offset=at, size=size) for at, size in words.searched)
        elif isinstance(value, bytes):
            words = _words(BytesIO(value + CLOSING), 0, little=little)
            found.parts[tag] = (blanked(value, words.blanked),)
    return found


def blanked(value: bytes, holes: list[Place]) -> bytes:
    r"""Return bytes with zeros in the holes.

    >>> blanked(b"abcdef", [(1, 2), (5, 9)])
    b'a\x00\x00de\x00'
    """
    out = bytearray(value)
    for at, size in holes:
        out[at : at + size] = bytes(len(out[at : at + size]))
    return bytes(out)


def _words(file: BinaryIO, start: int, *, little: bool) -> Words:
    return words_of_frames(file, (fragments_of(file, start, little=little) or [])[1:])  # the first item is the offset table


def _around(span: Span, holes: list[Place]) -> Iterator[Part]:
    at, end = span.offset, span.offset + span.size
    for begin, size in holes:
        if begin > at:
            yield replace(span, offset=at, size=begin - at)
        yield bytes(size)
        at = begin + size
    yield replace(span, offset=at, size=end - at)
