"""The headers of one series, one after the other: the first is read by pydicom, of each further one only what is different.

What comes out is the same as if pydicom had read every file (a property test holds it to that): elements with the bytes of the file
before keep their decoded values, the others are handed to pydicom undecoded. A file that is not plain little endian Part 10, or whose
difference could change the meaning of other elements, is read as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement, empty_value_for_VR
from pydicom.tag import BaseTag

from fairlead.errors import UnreadableImage
from fairlead.extract.headers import Header, native_pixels, read_header
from fairlead.extract.scanning import LONG_VRS, META_END, SHORT_VRS, Layout, layout_of

FIRST_BYTES: Final = 64 * 1024
SLACK_BYTES: Final = 4096
LARGEST_BYTES: Final = 1024 * 1024
"""Longer headers (per-frame groups, contours) come one or a few in a series: remembering them would cost more than it saves."""

UNDEFINED_LENGTH: Final = b"\xff\xff\xff\xff"
VR_HEADS: Final = {vr: (vr.decode(), 8) for vr in SHORT_VRS} | {vr: (vr.decode(), 12) for vr in LONG_VRS}
"""VR -> its name and the bytes before the value (PS3.5 section 7.1.2)."""

META_LENGTH, META_INSTANCE = 0x00020000, 0x00020003
MEANING: Final = frozenset({0x00080005, 0x00280103})
"""Character set and sign of pixels: they change what the bytes of other elements mean."""


@dataclass(slots=True)
class _Base:
    """What the next header is compared with; ``dataset`` is a view of ``elements``, and keeps there what it decoded."""

    layout: Layout
    dataset: Dataset
    elements: dict[BaseTag, Any]
    tags: Mapping[int, BaseTag]
    transfer_syntax_uid: str


class HeaderStream:
    """Reads the headers of a series in turn; ``Header.changed`` says what differs from the one before.

    A header read by its differences is good until the next one is read: both share the data set.
    """

    def __init__(self) -> None:
        self._base: _Base | None = None

    def read(self, file: Path) -> Header:
        """Return the header of the next file.

        Raises
        ------
        NotDicom, UnreadableImage : as :func:`fairlead.extract.headers.read_header`.
        """
        if self._base is None:
            return self._afresh(file)
        try:
            buffer, size = _beginning(file, self._base.layout.end + SLACK_BYTES)
        except OSError as error:
            raise UnreadableImage("The DICOM header is damaged and cannot be parsed.") from error
        return self._next(buffer, size, self._base) or self._afresh(file)

    def forget(self) -> None:
        """Read the next file as a whole, because the header read last was not used."""
        self._base = None

    def _afresh(self, file: Path) -> Header:
        self._base = None
        header = read_header(file)
        implicit, little = header.dataset.original_encoding
        if little is True:
            with suppress(OSError):  # gone since it was read: the next one is read as a whole
                self._base = _base_of(file, header, implicit=bool(implicit))
        return header

    def _next(self, buffer: bytes, size: int, base: _Base) -> Header | None:
        followed = base.layout.follow(buffer)
        if followed is None or (followed[0].end == len(buffer) and len(buffer) != size):
            return None
        layout, parts = followed
        if any(not _harmless(tag) for tag in parts):
            return None
        changed = {base.tags[tag]: _raw(base.tags[tag], part, layout) for tag, part in parts.items() if tag >= META_END}
        if None in changed.values():
            return None
        base.elements.update(changed)
        stated, cut = native_pixels(buffer[layout.end : layout.end + 12], at=layout.end, size_bytes=size, implicit=layout.implicit)
        base.layout = layout
        return Header(base.dataset, base.transfer_syntax_uid, size, cut, frozenset(changed), stated)


def _base_of(file: Path, header: Header, *, implicit: bool) -> _Base | None:
    """Return what the next header can be compared with; None unless our cut of this one finds just the elements pydicom found."""
    buffer, size = _beginning(file, FIRST_BYTES)
    layout = layout_of(buffer, implicit=implicit)
    if layout is None and size > FIRST_BYTES:
        buffer, size = _beginning(file, LARGEST_BYTES)
        layout = layout_of(buffer, implicit=implicit)
    if layout is None or (layout.end == len(buffer) and len(buffer) != size):
        return None
    tags = {int(tag): tag for tag in list(header.dataset.keys())}
    if tuple(tags) != tuple(tag for tag in layout.tags if tag >= META_END):
        return None
    elements: dict[BaseTag, Any] = {tag: header.dataset.get_item(tag, keep_deferred=True) for tag in tags.values()}
    dataset = Dataset(elements)
    dataset.set_original_encoding(implicit, True, header.dataset.original_character_set)
    return _Base(layout, dataset, elements, tags, header.transfer_syntax_uid)


def _beginning(file: Path, count: int) -> tuple[bytes, int]:
    """Return the first bytes of a file and its size, by the system's calls: half the cost of a file object, paid for every file."""
    handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(handle, count), os.fstat(handle).st_size
    finally:
        os.close(handle)


@cache
def _harmless(tag: int) -> bool:
    """Return whether other bytes of this element leave the meaning of all others as it was."""
    if tag < META_END:
        return tag in (META_LENGTH, META_INSTANCE)
    is_creator = bool(tag & 0x00010000) and 0x10 <= tag & 0xFFFF <= 0xFF
    return not is_creator and tag not in MEANING


def _raw(tag: BaseTag, part: bytes, layout: Layout) -> RawDataElement | None:
    """Return the element as pydicom reads it, None for a value of undefined length that is no sequence."""
    vr, head = (None, 8) if layout.implicit else VR_HEADS[part[4:6]]
    value: bytes | None = part[head:]
    if part[head - 4 : head] == UNDEFINED_LENGTH and (layout.implicit or head == 12):
        if layout.implicit and not _is_sequence(tag):
            return None
        vr, value = "SQ", part[head:-8]
    elif not value:
        value = empty_value_for_VR(vr, raw=True)  # type: ignore[assignment]  # bytes or None for raw values
    return RawDataElement(tag, vr, len(value or b""), value, 0, layout.implicit, True)


def _is_sequence(tag: BaseTag) -> bool:
    try:
        return dictionary_VR(tag) == "SQ"
    except KeyError:
        return True  # pydicom takes items for a sequence where it does not know better
