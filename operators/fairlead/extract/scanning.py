"""The layout of a native DICOM header: which elements it has, and, file after file, which of them have other bytes than before.

The files of a series are nearly the same. A header is cut into its elements once; of the next file only those are looked at whose
bytes differ. Nothing is decoded here, and everything that is not plain little endian Part 10 (PS3.5 section 7, PS3.10 section 7)
is answered with None: then the general reader takes the file.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

LONG_VRS: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
SHORT_VRS: Final = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS", b"ST", b"TM",
     b"UI", b"UL", b"US"}
)  # fmt: skip
META_START: Final = 132
META_END: Final = 0x00030000
UNDEFINED: Final = 0xFFFFFFFF
MAX_DEPTH: Final = 8
PIXEL_HEADS: Final = frozenset({b"\xe0\x7f\x08\x00", b"\xe0\x7f\x09\x00", b"\xe0\x7f\x10\x00"})

_TAG: Final = struct.Struct("<HH")
_LONG: Final = struct.Struct("<L")
_SHORT: Final = struct.Struct("<H")


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its tag, and where the next one begins."""

    tag: int
    end: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A header cut into elements, in order. ``runs`` joins neighbours that have not differed so far: one comparison each."""

    implicit: bool
    tags: tuple[int, ...]
    parts: tuple[bytes, ...]
    runs: tuple[tuple[int, int, bytes | None], ...]
    end: int

    def follow(self, buffer: bytes) -> tuple[Layout, dict[int, bytes]] | None:
        """Return the layout of another header with the same elements, and those of other bytes by tag; None for other elements."""
        if buffer[128:132] != b"DICM":
            return None
        at, changed, split = META_START, dict[int, bytes](), False
        for first, last, blob in self.runs:
            if blob is not None and buffer.startswith(blob, at):
                at += len(blob)
                continue
            for index in range(first, last):
                part = self.parts[index]
                end = at + len(part) if buffer.startswith(part, at) else self._end(buffer, at, index)
                if end is None:
                    return None
                if buffer[at:end] != part:
                    changed[index] = buffer[at:end]
                at = end
            split = split or blob is not None
        if not _closes(buffer, at):
            return None
        return self._with(changed, at, split=split), {self.tags[index]: part for index, part in changed.items()}

    def _end(self, buffer: bytes, at: int, index: int) -> int | None:
        part, implicit = self.parts[index], self.implicit and self.tags[index] >= META_END
        if not implicit and part[4:6] in SHORT_VRS and buffer[at : at + 8] == part[:8]:
            return at + len(part) if at + len(part) <= len(buffer) else None
        same = 4 if implicit else 6
        if buffer[at : at + same] != part[:same]:
            return None
        element = element_at(buffer, at, implicit=implicit)
        return element.end if element is not None else None

    def _with(self, changed: Mapping[int, bytes], end: int, *, split: bool) -> Layout:
        parts = list(self.parts)
        for index, part in changed.items():
            parts[index] = part
        runs = self.runs
        if split:
            varying = {first for first, _, blob in self.runs if blob is None} | set(changed)
            runs = _runs(parts, varying)
        return Layout(self.implicit, self.tags, tuple(parts), runs, end)


def _runs(parts: list[bytes] | tuple[bytes, ...], varying: set[int]) -> tuple[tuple[int, int, bytes | None], ...]:
    edges = sorted({0, len(parts), *varying, *(index + 1 for index in varying)})
    pairs = pairwise(edges)
    return tuple((first, last, None if first in varying else b"".join(parts[first:last])) for first, last in pairs)


def layout_of(buffer: bytes, *, implicit: bool) -> Layout | None:
    """Return the layout of a Part 10 header up to its pixels or its end; None where it is unusual or longer than the buffer."""
    if buffer[128:132] != b"DICM":
        return None
    at, tags, parts = META_START, list[int](), list[bytes]()
    while not _closes(buffer, at):
        element = element_at(buffer, at, implicit=implicit and not _is_meta(buffer, at))
        if element is None or (tags and element.tag <= tags[-1]):
            return None
        tags.append(element.tag)
        parts.append(buffer[at : element.end])
        at = element.end
    return Layout(implicit, tuple(tags), tuple(parts), _runs(parts, set()), at)


def _is_meta(buffer: bytes, at: int) -> bool:
    return buffer[at : at + 2] == b"\x02\x00"


def _closes(buffer: bytes, at: int) -> bool:
    """Return whether the header ends here: with the pixels (7FE0,0008-0010), or with the bytes."""
    return buffer[at : at + 4] in PIXEL_HEADS or at == len(buffer)


def element_at(buffer: bytes, at: int, *, implicit: bool, depth: int = 0) -> Element | None:
    """Return the element that begins at ``at``; None when it is unusual or not all there."""
    if at + 12 > len(buffer):
        return _short_end(buffer, at, implicit=implicit)
    group, number = _TAG.unpack_from(buffer, at)
    tag = group << 16 | number
    if implicit:
        length, value_at = _LONG.unpack_from(buffer, at + 4)[0], at + 8
    elif (vr := buffer[at + 4 : at + 6]) in SHORT_VRS:
        length, value_at = _SHORT.unpack_from(buffer, at + 6)[0], at + 8
    elif vr in LONG_VRS:
        length, value_at = _LONG.unpack_from(buffer, at + 8)[0], at + 12
        if length == UNDEFINED and vr != b"SQ":
            return None
    else:
        return None
    if length == UNDEFINED:
        end = _sequence_end(buffer, value_at, implicit=implicit, depth=depth + 1)
        return Element(tag, end) if end is not None else None
    return Element(tag, value_at + length) if value_at + length <= len(buffer) else None


def _short_end(buffer: bytes, at: int, *, implicit: bool) -> Element | None:
    """Return an element in the last eleven bytes: a short one, or none."""
    if at + 8 > len(buffer) or (not implicit and buffer[at + 4 : at + 6] not in SHORT_VRS):
        return None
    group, number = _TAG.unpack_from(buffer, at)
    length = _LONG.unpack_from(buffer, at + 4)[0] if implicit else _SHORT.unpack_from(buffer, at + 6)[0]
    return Element(group << 16 | number, at + 8 + length) if at + 8 + length <= len(buffer) else None


def _sequence_end(buffer: bytes, at: int, *, implicit: bool, depth: int) -> int | None:
    """Return where a sequence of undefined length ends, behind its delimitation item (PS3.5 section 7.5.2)."""
    while depth <= MAX_DEPTH and at + 8 <= len(buffer):
        group, number = _TAG.unpack_from(buffer, at)
        length = _LONG.unpack_from(buffer, at + 4)[0]
        at += 8
        match group << 16 | number:
            case 0xFFFEE0DD:
                return at if length == 0 else None
            case 0xFFFEE000:
                after = _item_end(buffer, at, None if length == UNDEFINED else at + length, implicit=implicit, depth=depth)
            case _:
                return None
        if after is None:
            return None
        at = after
    return None


def _item_end(buffer: bytes, at: int, stated: int | None, *, implicit: bool, depth: int) -> int | None:
    """Return where an item ends: where it says so, or behind its delimitation item; its elements must come out there."""
    while at + 8 <= len(buffer) and at != stated:
        group, number = _TAG.unpack_from(buffer, at)
        if group == 0xFFFE:
            return at + 8 if number == 0xE00D and stated is None else None
        element = element_at(buffer, at, implicit=implicit, depth=depth)
        if element is None:
            return None
        at = element.end
    return at if at == stated else None
