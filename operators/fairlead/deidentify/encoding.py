"""Data sets as bytes: what was read is written as it was read, what was made anew is encoded (PS3.5 section 7), file meta are our own.

Most of a header is text and sequences; both are encoded here, in a third of the time that pydicom's general writer takes. Everything else
goes to that writer: numbers, other bytes, text that is not ASCII, big endian, items that were read in another encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_sequence_item
from pydicom.multival import MultiValue
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, PersonName

from fairlead.deidentify.elements import Element, element_of, encodings_of, plain_tags, values_of
from fairlead.deidentify.stamp import IMPLEMENTATION_NAME, IMPLEMENTATION_UID, PREAMBLE

SHORT_LENGTH: Final = 0xFFFF
TEXT: Final = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"})
CHARACTER_SET: Final = 0x00080005
UNLIKE_ASCII: Final = frozenset("\\~")
"""The characters that some character sets of PS3.3 C.12.1.1.2 put elsewhere."""
ITEM: Final = b"\xfe\xff\x00\xe0"
SOP_CLASS, SOP_INSTANCE = 0x00080016, 0x00080018


def head_of(dataset: Dataset, *, syntax: str) -> bytes:
    """Return preamble and file meta: no source AE title, no private information, the new instance UID (PS3.10 section 7.1)."""
    uids = [_only(dataset, SOP_CLASS), _only(dataset, SOP_INSTANCE), syntax, IMPLEMENTATION_UID]
    meta = _explicit(0x00020001, "OB", b"\0\1")
    for tag, uid in zip((0x00020002, 0x00020003, 0x00020010, 0x00020012), uids, strict=True):
        meta += _explicit(tag, "UI", _padded(uid.encode("ascii"), b"\0"))
    meta += _explicit(0x00020013, "SH", _padded(IMPLEMENTATION_NAME.encode("ascii"), b" "))
    return PREAMBLE + b"DICM" + _explicit(0x00020000, "UL", struct.pack("<L", len(meta))) + meta


def encoded(dataset: Dataset, tags: Iterable[int] | None = None) -> bytes:
    """Return a data set, or the elements of these tags, in the encoding it was read in."""
    implicit, little = bool(dataset.original_encoding[0]), bool(dataset.original_encoding[1])
    return _elements(dataset, plain_tags(dataset) if tags is None else tags, encodings_of(dataset), implicit=implicit, little=little)


def _elements(dataset: Dataset, tags: Iterable[int], encodings: list[str], *, implicit: bool, little: bool) -> bytes:
    pieces = []
    for tag in sorted(tags):
        element = element_of(dataset, tag)
        piece = None
        if little:
            read = isinstance(element, RawDataElement)
            piece = _as_read(element, implicit=implicit) if read else _as_made(element, encodings, implicit=implicit)  # type: ignore[arg-type]  # by read
        pieces.append(piece if piece is not None else _by_pydicom(element, encodings, implicit=implicit, little=little))
    return b"".join(pieces)


def _by_pydicom(element: Element, encodings: list[str], *, implicit: bool, little: bool) -> bytes:
    if isinstance(element, RawDataElement) and element.value is None:
        element = element._replace(value=b"")  # so pydicom reads an empty value
    buffer = _buffer(implicit=implicit, little=little)
    write_data_element(buffer, element, encodings)
    return buffer.getvalue()


def _buffer(*, implicit: bool, little: bool) -> DicomBytesIO:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = implicit, little
    return buffer


def _as_read(element: RawDataElement, *, implicit: bool) -> bytes | None:
    """Return an element with the bytes it was read as, None when it has to be encoded."""
    value, vr = element.value, element.VR
    if value is None or element.is_implicit_VR != implicit or not element.is_little_endian or element.length != len(value) or vr == "SQ":
        return None
    if implicit:
        return _implicit(element.tag, value)
    return None if vr is None or (len(value) > SHORT_LENGTH and vr not in EXPLICIT_VR_LENGTH_32) else _explicit(element.tag, str(vr), value)


def _as_made(element: DataElement, encodings: list[str], *, implicit: bool) -> bytes | None:
    """Return an element of plain text, or a sequence; None for everything else."""
    vr = str(element.VR)
    if vr == "SQ":
        if element.is_undefined_length:
            return None
        value: bytes | None = b"".join(_item(item, encodings, implicit=implicit) for item in element.value or ())
    else:
        value = _plain(element.value, vr) if vr in TEXT else None
    if value is None or (len(value) > SHORT_LENGTH and vr not in EXPLICIT_VR_LENGTH_32):
        return None
    return _implicit(element.tag, value) if implicit else _explicit(element.tag, vr, value)


def _plain(value: object, vr: str) -> bytes | None:
    if value is None:
        return b""
    values = list(value) if isinstance(value, (MultiValue, list)) else [value]
    if not all(isinstance(one, (str, PersonName)) for one in values):
        return None
    texts = [str(one) for one in values]
    if not all(text.isascii() and UNLIKE_ASCII.isdisjoint(text) for text in texts):
        return None
    return _padded("\\".join(texts).encode("ascii"), b"\0" if vr == "UI" else b" ")


def _item(item: Dataset, encodings: list[str], *, implicit: bool) -> bytes:
    """Return an item with its length; what was read in another encoding, or has a character set of its own, goes through pydicom."""
    as_read = item.original_encoding == (implicit, True) and item.original_character_set == item._character_set
    as_made = item.original_encoding == (None, None) and all(one.VR == "SQ" or one.VR in TEXT for one in item._dict.values())
    undefined = getattr(item, "is_undefined_length_sequence_item", False)
    if undefined or CHARACTER_SET in item._dict or not (as_read or as_made):
        buffer = _buffer(implicit=implicit, little=True)
        write_sequence_item(buffer, item, encodings)
        return buffer.getvalue()
    content = _elements(item, [tag for tag in plain_tags(item) if tag & 0xFFFF], encodings, implicit=implicit, little=True)
    return ITEM + struct.pack("<L", len(content)) + content


def _padded(value: bytes, padding: bytes) -> bytes:
    return value + padding if len(value) % 2 else value


def _only(dataset: Dataset, tag: int) -> str:
    return "".join(values_of(element_of(dataset, tag), [])[:1])


def _implicit(tag: int, value: bytes) -> bytes:
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value


def _explicit(tag: int, vr: str, value: bytes) -> bytes:
    if vr in EXPLICIT_VR_LENGTH_32:
        return struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, vr.encode(), 0, len(value)) + value
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(value)) + value
