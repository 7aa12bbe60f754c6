"""The head of a data set: the four UIDs that identify an instance, found by walking element headers and skipping values.

Nothing is decoded and nothing is held: a 4 GiB element costs one seek. Source: DICOM PS3.5 section 7 (element
encoding), 7.5 (sequences), 6.2.2 (UN of undefined length holds Implicit VR Little Endian), A.5 (deflated).
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO, Final

from fairlead.errors import InvalidUid, NotDicom, UnreadableImage
from fairlead.records import is_uid

IMPLICIT_LE: Final = "1.2.840.10008.1.2"
EXPLICIT_LE: Final = "1.2.840.10008.1.2.1"
DEFLATED_LE: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE: Final = "1.2.840.10008.1.2.2"
GE_IMPLICIT: Final = "1.2.840.113619.5.2"

SOP_CLASS, SOP_INSTANCE = 0x0008_0016, 0x0008_0018
STUDY, SERIES = 0x0020_000D, 0x0020_000E
NAMES: Final = {
    SOP_CLASS: "SOP Class UID (0008,0016)",
    SOP_INSTANCE: "SOP Instance UID (0008,0018)",
    STUDY: "Study Instance UID (0020,000D)",
    SERIES: "Series Instance UID (0020,000E)",
}
ITEM, ITEM_END, SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
UNDEFINED: Final = 0xFFFF_FFFF
LONG_VRS: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
SHORT_VRS: Final = frozenset(
    b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split()  # PS3.5 Table 7.1-2
)
_SHORT: Final = struct.Struct("<HH2sH").unpack_from
_LONG: Final = struct.Struct("<L").unpack_from
MAX_ELEMENTS: Final = 200_000
MAX_DEPTH: Final = 64
INFLATED_HEAD_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Head:
    """What identifies an instance, as its own data set states it."""

    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str


class Walker:
    """Steps over the elements of one data set in a seekable file, from the present position to ``end``."""

    def __init__(self, file: BinaryIO, *, end: int, transfer_syntax_uid: str) -> None:
        self.file = file
        self.end = end
        self.order = ">" if transfer_syntax_uid == EXPLICIT_BE else "<"
        self.implicit = transfer_syntax_uid in (IMPLICIT_LE, GE_IMPLICIT)
        self.left = MAX_ELEMENTS

    def element(self, *, implicit: bool) -> tuple[int, bytes, int] | None:
        """Return (tag, VR or empty, length) of the next element, None at the end; the file stands at its value."""
        head = self.file.read(8)
        if not head:
            return None
        self.left -= 1
        if len(head) < 8:
            raise UnreadableImage("The data set ends inside an element header.")
        if self.left < 0:
            raise UnreadableImage(f"The data set has more than {MAX_ELEMENTS} elements before its series is named.")
        group, number = struct.unpack(self.order + "HH", head[:4])
        tag, vr = group << 16 | number, head[4:6]
        if implicit or group == 0xFFFE or not (vr.isalpha() and vr.isupper()):
            return tag, b"", struct.unpack(self.order + "L", head[4:])[0]
        if vr not in LONG_VRS:
            return tag, vr, struct.unpack(self.order + "H", head[6:])[0]
        rest = self.file.read(4)
        if len(rest) < 4:
            raise UnreadableImage("The data set ends inside an element header.")
        return tag, vr, struct.unpack(self.order + "L", rest)[0]

    def skip(self, vr: bytes, length: int, *, implicit: bool, depth: int = 0) -> None:
        """Move behind the value of an element, defined or undefined length."""
        if length == UNDEFINED:
            self._skip_items(implicit=implicit or vr == b"UN", depth=depth)
            return
        if self.file.tell() + length > self.end:
            raise UnreadableImage("An element claims more bytes than the data set has.")
        self.file.seek(length, io.SEEK_CUR)

    def _skip_items(self, *, implicit: bool, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise UnreadableImage(f"Sequences are nested deeper than {MAX_DEPTH}.")
        while (found := self.element(implicit=implicit)) is not None:
            tag, _, length = found
            if tag == SEQUENCE_END:
                return
            if tag != ITEM:
                raise UnreadableImage("A sequence holds something that is not an item.")
            if length == UNDEFINED:
                self._skip_elements(implicit=implicit, depth=depth + 1)
            else:
                self.skip(b"", length, implicit=implicit)
        raise UnreadableImage("The data set ends inside a sequence.")

    def _skip_elements(self, *, implicit: bool, depth: int) -> None:
        while (found := self.element(implicit=implicit)) is not None:
            tag, vr, length = found
            if tag == ITEM_END:
                return
            self.skip(vr, length, implicit=implicit, depth=depth)
        raise UnreadableImage("The data set ends inside an item.")


def glance(data: bytes) -> dict[int, str]:
    """Return the UIDs of :data:`NAMES` that a plain beginning states: Explicit VR Little Endian, nothing of undefined length before them.

    It does in one pass what :func:`find_uids` does step by step, for what nearly every object looks like; empty when it does not.
    """
    found: dict[int, str] = {}
    at, end = 0, len(data) - 12
    while at <= end:
        group, number, vr, length = _SHORT(data, at)
        tag, start = group << 16 | number, at + 8
        if tag > SERIES:
            return found
        if vr in LONG_VRS:
            (length,), start = _LONG(data, start), at + 12
        elif vr not in SHORT_VRS:
            return {}
        at = start + length
        if tag in NAMES and at <= len(data):
            found[tag] = data[start:at].rstrip(b"\0 ").decode("latin-1")
    return {}


def find_uids(walker: Walker) -> dict[int, str]:
    """Return the UIDs of :data:`NAMES` that the top level states, in raw form; stops behind the last place they can be."""
    found: dict[int, str] = {}
    while (element := walker.element(implicit=walker.implicit)) is not None:
        tag, vr, length = element
        if tag > SERIES:
            break
        if tag in NAMES and length <= 1024:
            value = walker.file.read(length)
            if len(value) < length:
                raise UnreadableImage("The data set ends inside a UID.")
            found[tag] = value.rstrip(b"\0 ").decode("latin-1")
        else:
            walker.skip(vr, length, implicit=walker.implicit)
    return found


def read_head(file: BinaryIO, *, offset: int, size: int, transfer_syntax_uid: str) -> Head:
    """Return the identity of the data set that fills the file from ``offset`` to ``size``.

    Raises
    ------
    UnreadableImage : the elements cannot be walked up to the series.
    NotDicom : walked, but it states no SOP Class UID and no SOP Instance UID.
    InvalidUid : one of the four UIDs is absent or malformed.
    """
    file.seek(offset)
    if transfer_syntax_uid == DEFLATED_LE:
        file = _inflated(file)
        size = file.getbuffer().nbytes
    return _head(find_uids(Walker(file, end=size, transfer_syntax_uid=transfer_syntax_uid)))


def read_beginning(data: bytes, *, transfer_syntax_uid: str) -> Head:
    """Return the identity that the first bytes of a data set state; raise InvalidInput where they are not enough to tell."""
    if transfer_syntax_uid not in (IMPLICIT_LE, GE_IMPLICIT, EXPLICIT_BE, DEFLATED_LE) and (found := glance(data)):
        return _head(found)
    return read_head(io.BytesIO(data), offset=0, size=len(data), transfer_syntax_uid=transfer_syntax_uid)


def _head(found: dict[int, str]) -> Head:
    if SOP_CLASS not in found and SOP_INSTANCE not in found:
        raise NotDicom("The data set names neither a SOP class nor a SOP instance.")
    for tag, name in NAMES.items():
        if not found.get(tag):
            raise InvalidUid(f"The data set has no {name}.")
        if not is_uid(found[tag]):
            raise InvalidUid(f"The {name} is not digits and dots, at most 64 characters.")
    return Head(found[SOP_CLASS], found[SOP_INSTANCE], found[STUDY], found[SERIES])


def is_whole(file: BinaryIO, *, offset: int, size: int, transfer_syntax_uid: str) -> bool:
    """Return whether every top-level element ends inside the data set; a truncated copy does not."""
    if transfer_syntax_uid == DEFLATED_LE:
        return True
    file.seek(offset)
    walker = Walker(file, end=size, transfer_syntax_uid=transfer_syntax_uid)
    try:
        while (element := walker.element(implicit=walker.implicit)) is not None:
            walker.skip(element[1], element[2], implicit=walker.implicit)
    except UnreadableImage:
        return False
    return True


def _inflated(file: BinaryIO) -> io.BytesIO:
    try:
        return io.BytesIO(zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(INFLATED_HEAD_BYTES), INFLATED_HEAD_BYTES))
    except zlib.error as error:
        raise UnreadableImage("The deflated data set cannot be inflated.") from error
