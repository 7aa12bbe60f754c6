"""The items of sequences, taken only where every length adds up.

pydicom reads an element that runs past the end of its item as far as there are bytes: what it swallows would be copied as if it were the
value, names and dates among it. So nothing is walked that does not fill its item, and its items their sequence, to the byte (PS3.5 section
7.5), at every level.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import BinaryIO, Final

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_sequence
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from fairlead.deidentify.elements import element_of, encodings_of, plain_tags
from fairlead.deidentify.table import is_private, vr_of
from fairlead.errors import UnreadableImage

ITEM_TAGS: Final = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
DELIMITER: Final = (0xFFFE, 0xE0DD)
UNDEFINED_LENGTH: Final = 0xFFFFFFFF
DEEPEST: Final = 64
UNREAD: Final = (
    ValueError,  # a length or a tag that cannot be, text that its character set has not (UnicodeError)
    TypeError, AttributeError,  # an element without the value that its length promises
    LookupError,  # a character set that Python does not know (also KeyError and IndexError)
    EOFError, OSError, struct.error,  # the bytes end too early; pydicom says so in three ways
    NotImplementedError,  # a value representation that DICOM does not have
)  # fmt: skip
"""What pydicom raises on sequences that cannot be read; a mistake of our own is an error of the file here, which only refuses it."""
OVERRUN: Final = "An element is longer than the item or the sequence that holds it."
TOO_DEEP: Final = f"The data set is nested more than {DEEPEST} levels deep."


def is_sequence(source: Dataset, tag: int) -> bool:
    """Return whether an element is a sequence, whatever value representation the file gives it."""
    raw = element_of(source, tag)
    vr = raw.VR
    if vr == "SQ" or (vr is None and vr_of(tag) == "SQ"):
        return True
    return isinstance(raw.value, bytes) and raw.value[:4] in ITEM_TAGS and (vr == "UN" or vr_of(tag) in ("SQ", "UN"))


def items_of(source: Dataset, tag: int, depth: int) -> list[Dataset]:
    """Return the items of a sequence.

    Raises
    ------
    UnreadableImage : they are nested too deeply, cannot be read, or do not fill the sequence exactly.
    """
    if depth >= DEEPEST:
        raise UnreadableImage(TOO_DEEP)
    raw = element_of(source, tag)
    if not isinstance(raw.value, bytes):
        return list(raw.value or [])
    if raw.VR in ("SQ", None) and isinstance(raw, RawDataElement):
        found = _parsed(raw.value, implicit=raw.is_implicit_VR, little=raw.is_little_endian, encodings=encodings_of(source))
        if found is not None:
            source._dict[Tag(tag)] = DataElement(tag, "SQ", found)
    else:
        found = _hidden(source, raw.value)
    if found is None:
        raise UnreadableImage(f"The sequence ({tag >> 16:04X},{tag & 0xFFFF:04X}) cannot be read: its lengths do not add up.")
    return list(found)


def _hidden(source: Dataset, value: bytes) -> Sequence | None:
    """Return the items that a file hides in UN: implicit VR by PS3.5 section 6.2.2, explicit VR by the mistake of many writers."""
    encodings = encodings_of(source)
    for implicit, little in ((True, True), (False, True), (False, False)):
        found = _parsed(value, implicit=implicit, little=little, encodings=encodings)
        if found is not None:
            return found
    return None


def _parsed(value: bytes, *, implicit: bool, little: bool, encodings: list[str]) -> Sequence | None:
    """Return the items of a value that they fill exactly, else None."""
    buffer = BytesIO(value)
    try:
        items = read_sequence(buffer, implicit, little, len(value), encodings)
        require_exact(buffer, list(items), start=0, end=len(value), little=little)
    except (*UNREAD, UnreadableImage):
        return None
    return items


def require_exact(file: BinaryIO, items: list[Dataset], *, start: int, end: int | None, little: bool, depth: int = 0) -> None:
    """Refuse items whose elements do not fill them; ``end`` is where the sequence ends, None where a delimiter says so.

    ``file`` is what pydicom read the items from, so that its positions hold.

    Raises
    ------
    UnreadableImage : an element, an item or the sequence is longer or shorter than what it holds.
    """
    if depth >= DEEPEST:
        raise UnreadableImage(TOO_DEEP)
    at: int | None = start
    for item in items:
        begin = int(item.seq_item_tell)
        if at is not None and begin != at:
            raise UnreadableImage(OVERRUN)
        (length,) = _read(file, begin + 4, "L", little=little)
        at = None if length == UNDEFINED_LENGTH else begin + 8 + length
        _require_inside(file, item, at, little=little, depth=depth)
    if end is None:
        if at is not None and _read(file, at, "HH", little=little) != DELIMITER:
            raise UnreadableImage(OVERRUN)
    elif at is not None and at != end:
        raise UnreadableImage(OVERRUN)


def _require_inside(file: BinaryIO, item: Dataset, limit: int | None, *, little: bool, depth: int) -> None:
    reached = 0
    for raw in item._dict.values():
        if isinstance(raw, RawDataElement):
            if raw.length == UNDEFINED_LENGTH:
                continue
            if len(raw.value or b"") != raw.length:
                raise UnreadableImage(OVERRUN)
            reached = max(reached, raw.value_tell + raw.length)
        elif raw.VR == "SQ":
            inner = list(raw.value or [])
            if inner:
                require_exact(file, inner, start=int(inner[0].seq_item_tell), end=None, little=little, depth=depth + 1)
    if limit is not None and reached > limit:
        raise UnreadableImage(OVERRUN)


def _read(file: BinaryIO, at: int, layout: str, *, little: bool) -> tuple[int, ...]:
    form = struct.Struct(("<" if little else ">") + layout)
    file.seek(at)
    content = file.read(form.size)
    if len(content) < form.size:
        raise UnreadableImage(OVERRUN)
    return form.unpack(content)


def open_sequences(dataset: Dataset, file: BinaryIO) -> None:
    """Parse and check every public sequence of a data set that was read from ``file``, hidden ones too, so that nobody reads them loosely.

    Raises
    ------
    UnreadableImage : a sequence whose lengths do not add up.
    """
    little = bool(dataset.original_encoding[1])
    for tag in plain_tags(dataset):
        if is_private(tag):
            continue  # removed, or opened by the walk
        raw = dataset._dict[Tag(tag)]
        if not isinstance(raw, RawDataElement):
            items = list(raw.value or []) if raw.VR == "SQ" else []
            if items:
                require_exact(file, items, start=int(items[0].seq_item_tell), end=None, little=little)
        elif raw.length and raw.VR in ("SQ", "UN", None) and is_sequence(dataset, tag):
            items = items_of(dataset, tag, 0)
            if isinstance(dataset._dict[Tag(tag)], RawDataElement):  # hidden in UN
                dataset._dict[Tag(tag)] = DataElement(tag, "SQ", Sequence(items))
