"""DICOM files at the byte level: where the data set begins, how it is encoded, and the file meta we write ourselves.

Source: DICOM PS3.10 section 7.1. Files in the wild come without preamble, without meta, or without a transfer syntax;
the data-set bytes are kept as they are in every case, and a missing or unusable meta is replaced by ours.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from fairlead.errors import NotDicom
from fairlead.receive.heads import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, LONG_VRS
from fairlead.records import is_uid

PREAMBLE_BYTES: Final = 128
PREFIX: Final = b"DICM"
IMPLEMENTATION_UID: Final = "2.25.218840963511425463790216853017423611307"
IMPLEMENTATION_VERSION: Final = "FAIRLEAD_1"
MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"
META_LIMIT_BYTES: Final = 1024 * 1024
PRIVATE_CREATOR, PRIVATE_INFORMATION = 0x0100, 0x0102
STAMP_CREATOR: Final = f"{IMPLEMENTATION_UID}.1"
STAMP_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the data set of a file begins and how it is encoded; ``keep_meta`` is false when ours must replace the file's."""

    offset: int
    transfer_syntax_uid: str
    sop_class_uid: str
    keep_meta: bool
    stated_sha256: str = ""
    """What our own meta says the data set's sha256 is; empty when somebody else wrote the meta."""


def read_layout(file: BinaryIO, *, size: int) -> Layout:
    """Return the layout of a DICOM file, or of a bare data set when its first element makes that plausible.

    Raises
    ------
    NotDicom : neither; the message says what was found.
    """
    if size == 0:
        raise NotDicom("The file is empty.")
    file.seek(0)
    start = file.read(PREAMBLE_BYTES + 4)
    has_preamble = start[PREAMBLE_BYTES:] == PREFIX
    origin = PREAMBLE_BYTES + 4 if has_preamble else 0
    if not has_preamble and start[:2] != b"\x02\x00":
        return Layout(0, _guess(start[:8]), "", keep_meta=False)
    offset, meta = _read_meta(file, origin)
    syntax = meta.get(0x0010, "")
    if offset >= size:
        raise NotDicom("The file holds a header and no data set.")
    if not is_uid(syntax):
        file.seek(offset)
        return Layout(offset, _guess(file.read(8)), meta.get(0x0002, ""), keep_meta=False)
    stamp = meta.get(PRIVATE_INFORMATION, "") if meta.get(PRIVATE_CREATOR) == STAMP_CREATOR else ""
    return Layout(offset, syntax, meta.get(0x0002, ""), keep_meta=has_preamble, stated_sha256=stamp)


def _read_meta(file: BinaryIO, origin: int) -> tuple[int, dict[int, str]]:
    """Return where group 0002 ends, whatever its group length claims, and by element number its UIDs and our stamp in hexadecimal."""
    found: dict[int, str] = {}
    file.seek(origin)
    while len(head := file.read(8)) == 8 and head[:2] == b"\x02\x00":
        number, vr, length = struct.unpack("<2xH2sH", head)
        if vr in LONG_VRS:
            (length,) = struct.unpack("<L", file.read(4).ljust(4, b"\0"))
        if length > META_LIMIT_BYTES:
            raise NotDicom("The file meta information claims an element of more than 1 MiB.")
        value = file.read(length)
        if vr == b"UI":
            found[number] = value.rstrip(b"\0 ").decode("latin-1")
        elif number == PRIVATE_INFORMATION and length == STAMP_BYTES:
            found[number] = value.hex()
        origin = file.tell()
    return origin, found


def _guess(head: bytes) -> str:
    """Return the encoding of a bare data set from its first eight bytes; its first group must be a low even one."""
    if len(head) == 8:
        little, big = struct.unpack("<H", head[:2])[0], struct.unpack(">H", head[:2])[0]
        explicit = head[4:6].isalpha() and head[4:6].isupper()
        if little in (0x0008, 0x0004):
            return EXPLICIT_LE if explicit else IMPLICIT_LE
        if big in (0x0008, 0x0004) and explicit:
            return EXPLICIT_BE
    raise NotDicom("The file has no DICOM prefix and does not begin with a data set.")


def build_meta(*, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Return preamble, prefix and group 0002 for a data set that came without; who sent it is not written here.

    Its last :data:`STAMP_BYTES` are room for the sha256 of the data set, as private information (PS3.10 section 7.1): a file whose
    name survived a power cut can then tell whether all of its bytes did.
    """
    body = b"".join(
        (
            struct.pack("<HH2sHL", 2, 0x0001, b"OB", 0, 2) + b"\x00\x01",
            _short(0x0002, b"UI", sop_class_uid, b"\0"),
            _short(0x0003, b"UI", sop_instance_uid, b"\0"),
            _short(0x0010, b"UI", transfer_syntax_uid, b"\0"),
            _short(0x0012, b"UI", IMPLEMENTATION_UID, b"\0"),
            _short(0x0013, b"SH", IMPLEMENTATION_VERSION, b" "),
            _short(PRIVATE_CREATOR, b"UI", STAMP_CREATOR, b"\0"),
            struct.pack("<HH2sHL", 2, PRIVATE_INFORMATION, b"OB", 0, STAMP_BYTES) + bytes(STAMP_BYTES),
        )
    )
    return bytes(PREAMBLE_BYTES) + PREFIX + struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(body)) + body


def _short(number: int, vr: bytes, text: str, padding: bytes) -> bytes:
    value = text.encode("ascii")
    value += padding * (len(value) % 2)
    return struct.pack("<HH2sH", 2, number, vr, len(value)) + value


def dataset_offset(path: Path) -> int:
    """Return where the data set of an archived file begins."""
    with path.open("rb") as file:
        return read_layout(file, size=path.stat().st_size).offset
