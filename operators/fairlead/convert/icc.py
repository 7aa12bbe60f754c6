"""Colour profiles without words: what turns colours stays, what programs and people wrote does not (ICC.1:2022, ISO 15076-1)."""

from __future__ import annotations

import struct
from typing import Final

HEADER: Final = 128
ENTRY: Final = 12
MAX_TAGS: Final = 200
CREATED: Final = slice(24, 36)
MAKERS: Final = slice(48, 56)
CREATOR: Final = slice(80, 84)
IDENTITY: Final = slice(84, 100)
RESERVED: Final = slice(100, 128)
COLOUR: Final = frozenset({
    b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt", b"bkpt", b"chad", b"rTRC", b"gTRC", b"bTRC", b"kTRC", b"A2B0", b"A2B1", b"A2B2", b"B2A0", b"B2A1",
    b"B2A2", b"D2B0", b"D2B1", b"D2B2", b"D2B3", b"B2D0", b"B2D1", b"B2D2", b"B2D3", b"gamt", b"chrm", b"lumi", b"pre0", b"pre1", b"pre2",
})  # fmt: skip
"""Tags of ICC.1 section 9 that hold numbers only."""
NUMBERS: Final = frozenset({b"XYZ ", b"curv", b"para", b"sf32", b"mft1", b"mft2", b"mAB ", b"mBA ", b"chrm", b"mpet"})
"""Types of ICC.1 section 10 in which such tags are written."""
TITLE: Final = "Colour profile"
RIGHTS: Final = "Not stated"


def bare_profile(data: bytes) -> bytes | None:
    """Return the profile with its colour tags, a neutral title and no date, maker or serial number; None when it is no profile."""
    if len(data) < HEADER + 4 or data[36:40] != b"acsp":
        return None
    count = struct.unpack_from(">I", data, HEADER)[0]
    if not 0 < count <= MAX_TAGS or len(data) < HEADER + 4 + count * ENTRY:
        return None
    kept: dict[bytes, bytes] = {}
    for number in range(count):
        name, offset, size = struct.unpack_from(">4sII", data, HEADER + 4 + number * ENTRY)
        content = data[offset : offset + size]
        if name in COLOUR and len(content) == size and content[:4] in NUMBERS:
            kept[name] = content
    modern = data[8] >= 4
    words = {b"desc": _words(TITLE) if modern else _title(TITLE), b"cprt": _words(RIGHTS) if modern else _text(RIGHTS)}
    return _joined(bytearray(data[:HEADER]), words | kept) if kept else None


def _joined(header: bytearray, tags: dict[bytes, bytes]) -> bytes:
    """Return header, tag table and contents; equal contents lie there once, as in most profiles."""
    for field in (CREATED, MAKERS, CREATOR, IDENTITY, RESERVED):
        header[field] = bytes(field.stop - field.start)
    body, places = bytearray(), dict[bytes, int]()
    start = HEADER + 4 + len(tags) * ENTRY
    for content in tags.values():
        if content not in places:
            places[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
    table = b"".join(struct.pack(">4sII", name, places[content], len(content)) for name, content in tags.items())
    header[0:4] = struct.pack(">I", start + len(body))
    return bytes(header) + struct.pack(">I", len(tags)) + table + bytes(body)


def _words(text: str) -> bytes:
    """Return a multiLocalizedUnicodeType of one record (section 10.15)."""
    coded = text.encode("utf-16-be")
    return struct.pack(">4s4xII2s2sII", b"mluc", 1, 12, b"en", b"US", len(coded), 28) + coded


def _text(text: str) -> bytes:
    return b"text" + bytes(4) + text.encode("ascii") + b"\x00"


def _title(text: str) -> bytes:
    """Return a textDescriptionType of version 2, with empty Unicode and ScriptCode parts."""
    coded = text.encode("ascii") + b"\x00"
    return b"desc" + bytes(4) + struct.pack(">I", len(coded)) + coded + bytes(8 + 3 + 67)
