"""A TIFF file with only its image structure: the tags that are needed to read the pixels stay where they are, every other byte is zero.

TIFF 6.0 and BigTIFF. Nothing moves, so pixel bytes are copied as they lie, and what no allowed tag points at cannot get through.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from fairlead.deidentify.parts import Part, Parts, Span
from fairlead.errors import UnreadableImage

MAGIC: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
TYPE_BYTES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
INTEGERS: Final = {3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}
IMAGE_DESCRIPTION: Final = 270
SUB_IFDS: Final = 330
OFFSETS, COUNTS = (273, 324), (279, 325)
JPEG_TABLES: Final = 347
JPEG: Final = frozenset({6, 7, 33003, 33005, 34712})
COMPRESSION: Final = 259
SHORTS, WIDE, RATIONALS, FLOATS = frozenset({3, 4}), frozenset({3, 4, 13, 16, 18}), frozenset({3, 4, 5, 11, 12}), frozenset({11, 12})
ANY_NUMBER: Final = frozenset({1, 3, 4, 5, 6, 8, 9, 10}) | FLOATS
FEW: Final = 64
"""Values of a tag that has one for each sample."""
STRUCTURE: Final[dict[int, tuple[frozenset[int], int]]] = {
    **dict.fromkeys((254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 274, 277, 278, 284, 292, 293, 296), (WIDE, FEW)),
    **dict.fromkeys((297, 317, 322, 323, 332, 338, 339, 530, 531, 32995, 32996, 32997, 32998), (WIDE, FEW)),
    **dict.fromkeys((280, 281), (SHORTS, FEW)),
    **dict.fromkeys((282, 283, 318, 319, 529, 532), (RATIONALS, FEW)),
    **dict.fromkeys((340, 341), (ANY_NUMBER - {1, 6}, FEW)),
    **dict.fromkeys((273, 279, 324, 325, 330), (WIDE, 1 << 40)),
    320: (SHORTS, 3 << 16),
    JPEG_TABLES: (frozenset({7}), 1 << 16),
}
"""Tags that describe samples, strips, tiles and colour, with their types and how many values they have at most (TIFF 6.0 sections 4 to 22).

Names, dates, programs, EXIF, XMP and private tags are not in it, and neither are bytes and text under any tag.
"""
QUANTISATION, HUFFMAN = 0xDB, 0xC4
TABLE_MARKERS: Final = (b"\xdb", b"\xc4", b"\xdd", b"\xee")
MOST_IFDS: Final = 200_000
LARGEST_VALUE: Final = 64 * 1024 * 1024
ZEROS: Final = bytes(1024 * 1024)


@dataclass(frozen=True, slots=True)
class Entry:
    """One tag of an IFD: its type, count and value bytes, and where they lie when not in the entry itself."""

    tag: int
    type: int
    count: int
    value: bytes
    offset: int | None


@dataclass(frozen=True, slots=True)
class Ifd:
    """One image file directory."""

    offset: int
    entries: tuple[Entry, ...]
    size: int
    following: int

    def integers(self, tag: int, order: str) -> list[int]:
        """Return the values of an integer tag, nothing when it is absent."""
        for entry in self.entries:
            if entry.tag == tag and entry.type in INTEGERS:
                return list(struct.unpack(f"{order}{entry.count}{INTEGERS[entry.type]}", entry.value))
        return []


class TiffStructure:
    """The directories of an open TIFF file, main and sub, in file order."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.header = file.read(16)
        if self.header[:4] not in MAGIC:
            raise UnreadableImage("The file is no TIFF.")
        self.order = "<" if self.header[:2] == b"II" else ">"
        self.big = self.header[2:4] in (b"+\0", b"\0+")
        self.first = self._unpack("Q", self.header[8:16]) if self.big else self._unpack("L", self.header[4:8])
        self.ifds = list(self._walk())

    def _unpack(self, code: str, value: bytes) -> int:
        try:
            return int(struct.unpack(self.order + code, value)[0])
        except struct.error as error:
            raise UnreadableImage("The TIFF structure is damaged.") from error

    def _walk(self) -> Iterator[Ifd]:
        waiting, seen = [self.first], set[int]()
        while waiting:
            offset = waiting.pop(0)
            while offset and offset not in seen:  # levels of a pyramid are listed, and chained as well
                if len(seen) >= MOST_IFDS:
                    raise UnreadableImage("The TIFF has too many directories.")
                seen.add(offset)
                ifd = self._ifd(offset)
                yield ifd
                waiting += ifd.integers(SUB_IFDS, self.order)
                offset = ifd.following

    def _ifd(self, offset: int) -> Ifd:
        wide, code = (20, "Q") if self.big else (12, "L")
        self._file.seek(offset)
        head = self._file.read(8 if self.big else 2)
        count = self._unpack("Q" if self.big else "H", head)
        if count > 4096:
            raise UnreadableImage("A TIFF directory has too many tags.")
        body = self._file.read(count * wide + struct.calcsize(f"<{code}"))
        if len(body) != count * wide + struct.calcsize(f"<{code}"):
            raise UnreadableImage("The TIFF ends inside a directory.")
        entries = tuple(self._entry(body[at : at + wide]) for at in range(0, count * wide, wide))
        return Ifd(offset, entries, len(head) + len(body), self._unpack(code, body[count * wide :]))

    def _entry(self, raw: bytes) -> Entry:
        tag, kind = struct.unpack(self.order + "HH", raw[:4])
        count = self._unpack("Q" if self.big else "L", raw[4:12] if self.big else raw[4:8])
        field = raw[12:] if self.big else raw[8:]
        size = TYPE_BYTES.get(kind, 1) * count
        if size <= len(field):
            return Entry(tag, kind, count, field[:size], None)
        if size > LARGEST_VALUE:
            raise UnreadableImage("A TIFF tag is too large.")
        offset = self._unpack("Q" if self.big else "L", field)
        self._file.seek(offset)
        value = self._file.read(size)
        if len(value) != size:
            raise UnreadableImage("The TIFF ends inside a tag.")
        return Entry(tag, kind, count, value, offset)

    @property
    def description(self) -> bytes:
        """The ImageDescription of the first directory."""
        return (
            next((entry.value.rstrip(b"\0") for entry in self.ifds[0].entries if entry.tag == IMAGE_DESCRIPTION), b"") if self.ifds else b""
        )


def bare_parts(structure: TiffStructure, file: BinaryIO, description: bytes) -> Parts:
    """Return the file with structure, pixels and the new description of the first directory, and zeros everywhere else.

    Raises
    ------
    UnreadableImage : a strip lies outside of the file or across something else.
    """
    end = file.seek(0, 2)
    pieces: dict[int, Part] = {0: structure.header if structure.big else structure.header[:8]}
    text = description + b"\0"
    placed = _place(structure.ifds[0], text, end)
    if placed is not None:
        pieces[placed] = text
    for number, ifd in enumerate(structure.ifds):
        entries = _structure(structure, ifd)
        pieces |= {entry.offset: entry.value for entry in entries if entry.offset is not None}
        if number == 0:
            entries = sorted([*entries, _description(text, placed)], key=lambda entry: entry.tag)
        pieces[ifd.offset] = _directory(structure, ifd, entries)
        pieces |= _strips(structure, ifd, file)
    return tuple(_laid_out(pieces))


def _structure(structure: TiffStructure, ifd: Ifd) -> list[Entry]:
    """Return the entries that are numbers of the image; those of another type than TIFF gives them go.

    Raises
    ------
    UnreadableImage : the tables without which the JPEG strips cannot be read are none.
    """
    is_jpeg = bool(JPEG.intersection(ifd.integers(COMPRESSION, structure.order)))
    kept = []
    for entry in ifd.entries:
        types, most = STRUCTURE.get(entry.tag, (frozenset(), 0))
        if entry.type not in types or entry.count > most or (entry.tag == JPEG_TABLES and not is_jpeg):
            continue
        if entry.tag == JPEG_TABLES and not are_jpeg_tables(entry.value):
            raise UnreadableImage("The JPEG tables of the TIFF are none.")
        kept.append(entry)
    return kept


def are_jpeg_tables(value: bytes) -> bool:
    """Return whether bytes are quantisation and Huffman tables, and nothing beside (ITU-T T.81 section B.5)."""
    at = 2
    while value[at : at + 1] == b"\xff" and value[at + 1 : at + 2] in TABLE_MARKERS:
        size = int.from_bytes(value[at + 2 : at + 4])
        if not _fits(value[at + 1], value[at + 4 : at + 2 + size]):
            return False
        at += 2 + size
    return value[:2] == b"\xff\xd8" and value[at:].rstrip(b"\0") == b"\xff\xd9"


def _fits(marker: int, body: bytes) -> bool:
    at = 0
    while at < len(body):
        if marker == HUFFMAN:
            at += 17 + sum(body[at + 1 : at + 17])
        elif marker == QUANTISATION:
            at += 1 + 64 * (1 + (body[at] >> 4))
        else:
            return len(body) == 2 or (body[:5] == b"Adobe" and len(body) == 12)
    return at == len(body)


def _place(ifd: Ifd, text: bytes, end: int) -> int | None:
    """Return where the new description goes: over the old one when it fits, else behind the end of the file; None inside the entry."""
    old = next((entry for entry in ifd.entries if entry.tag == IMAGE_DESCRIPTION), None)
    if old is not None and old.offset is not None and len(text) <= len(old.value):
        return old.offset
    return end + end % 2


def _description(text: bytes, placed: int | None) -> Entry:
    return Entry(IMAGE_DESCRIPTION, 2, len(text), text, placed)


def _directory(structure: TiffStructure, ifd: Ifd, entries: list[Entry]) -> bytes:
    order, word = structure.order, "Q" if structure.big else "L"
    room = 8 if structure.big else 4
    out = struct.pack(order + ("Q" if structure.big else "H"), len(entries))
    for entry in entries:
        value = entry.value.ljust(room, b"\0") if entry.offset is None else struct.pack(order + word, entry.offset)
        out += struct.pack(f"{order}HH{word}", entry.tag, entry.type, entry.count) + value
    out += struct.pack(order + word, ifd.following)
    if len(out) > ifd.size:
        raise UnreadableImage("The first TIFF directory has no description that could be replaced.")
    return out


def _strips(structure: TiffStructure, ifd: Ifd, file: BinaryIO) -> dict[int, Part]:
    strips: dict[int, Part] = {}
    for offsets_tag, counts_tag in zip(OFFSETS, COUNTS, strict=True):
        offsets, counts = (ifd.integers(tag, structure.order) for tag in (offsets_tag, counts_tag))
        if len(offsets) != len(counts):
            raise UnreadableImage("The TIFF says where its pixels are, but not how many.")
        for offset, count in zip(offsets, counts, strict=True):
            span = Span.of(file, offset, count)
            if span.size != count:
                raise UnreadableImage("The TIFF ends before its pixel data does.")
            if count:
                strips[offset] = span
    return strips


def _laid_out(pieces: dict[int, Part]) -> Iterator[Part]:
    at = 0
    for offset, piece in sorted(pieces.items()):
        if offset < at:
            raise UnreadableImage("Parts of the TIFF lie across each other.")
        while at < offset:
            gap = min(offset - at, len(ZEROS))
            yield ZEROS if gap == len(ZEROS) else bytes(gap)
            at += gap
        yield piece
        at += piece.size if isinstance(piece, Span) else len(piece)
