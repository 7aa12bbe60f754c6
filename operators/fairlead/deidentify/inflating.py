"""How much a deflated DICOM file holds, before anybody reads it whole (PS3.5 section A.5)."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Final

from fairlead.errors import UnsupportedInput

DEFLATED: Final = b"1.2.840.10008.1.2.1.99"
MOST_INFLATED_BYTES: Final = 128 * 1024 * 1024
"""A deflated data set is held in memory several times over; a thousandfold of its size fits into a small file."""
HEADER_BYTES: Final = 16 * 1024
BLOCK_BYTES: Final = 256 * 1024
LONG: Final = frozenset({b"OB", b"OW", b"UN", b"UT", b"SQ"})


def require_bounded(path: Path) -> None:
    """Refuse a deflated file that would fill the memory.

    Raises
    ------
    UnsupportedInput : it holds more than :data:`MOST_INFLATED_BYTES`.
    """
    with path.open("rb") as file:
        begin = file.read(HEADER_BYTES)
        if DEFLATED not in begin:
            return
        file.seek(_after_meta(begin))
        inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while not inflater.eof and (block := inflater.unconsumed_tail or file.read(BLOCK_BYTES)):
            try:
                size += len(inflater.decompress(block, BLOCK_BYTES))
            except zlib.error:
                return  # no deflated stream: whoever reads it says so
            if size > MOST_INFLATED_BYTES:
                raise UnsupportedInput(
                    f"The deflated data set holds more than {MOST_INFLATED_BYTES // 2**20} MB.",
                    remedy="Write it in another transfer syntax.",
                )


def _after_meta(begin: bytes) -> int:
    """Return where the file meta end: elements of group 2, explicit VR, little endian (PS3.10 section 7.1)."""
    at = 132 if begin[128:132] == b"DICM" else 0
    while begin[at : at + 2] == b"\x02\0":
        wide = begin[at + 4 : at + 6] in LONG
        size = begin[at + 8 : at + 12] if wide else begin[at + 6 : at + 8]
        at += (12 if wide else 8) + int.from_bytes(size, "little")
    return at
