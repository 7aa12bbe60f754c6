"""DICOM Part 10 files in and out without their pixel bytes: the header is parsed and written, pixel data are pointed at (PS3.10 section 7).

A deflated data set (PS3.5 section A.5) is the exception: it is one compressed stream, and is held in memory whole.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from pydicom import dcmread
from pydicom._uid_dict import UID_dictionary
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from fairlead.deidentify.elements import PIXEL_TAGS, element_of, plain_tags, text_of
from fairlead.deidentify.encoding import encoded, head_of
from fairlead.deidentify.inflating import require_bounded
from fairlead.deidentify.items import open_sequences
from fairlead.deidentify.parts import Part, Parts, Span, size_of
from fairlead.deidentify.table import vr_of
from fairlead.errors import InvalidInput, NotDicom, UnreadableImage, UnsupportedInput
from fairlead.records import is_uid

MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"
NAMED_BY: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
UNDEFINED_LENGTH: Final = 0xFFFFFFFF
DEFER_BYTES: Final = 64 * 1024
LONG_VRS: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
CUT_OFF: Final = "The file ends in the middle of an element."
ITEM, DELIMITER = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
DAMAGE: Final = (
    ValueError,  # a value that is none of its kind; also UnicodeError
    BytesLengthException,  # a number of another size than its kind has
    TypeError, AttributeError,  # an element without the value that its length promises
    LookupError,  # a character set that Python does not know; also KeyError and IndexError
    EOFError, struct.error, InvalidDicomError,  # the bytes end too early, or are no DICOM
    OverflowError,  # a number that does not fit into its field
    NotImplementedError,  # a value representation that DICOM does not have
    RecursionError, MemoryError,  # nested too deeply, or a length that no memory holds
)  # fmt: skip
"""What pydicom raises on damaged files; each becomes a quarantine reason that names the step, never the value. It ends one file, never a
run, and nothing is written: so wide a list cannot hide that a file was not de-identified."""


@dataclass(frozen=True, slots=True)
class Source:
    """One instance: its data set, how it is encoded, and where its pixel values lie in the file (by tag)."""

    dataset: FileDataset
    syntax: str
    pixels: dict[int, Span]


def read_source(path: Path) -> Source:
    """Return an instance with its pixel values left in the file.

    Raises
    ------
    NotDicom : no DICOM, or a data set without SOP Class and Instance UID.
    UnsupportedInput : a media directory, pixel data whose transfer syntax is not stated, or a deflated file that would fill the memory.
    InvalidInput : the study, series or instance has no UID, so that nothing could refer to it consistently.
    """
    require_bounded(path)
    with path.open("rb") as file:
        if not file.read(1):
            raise NotDicom("The file is empty.")
        file.seek(0)
        try:
            dataset = dcmread(file, force=True, defer_size=DEFER_BYTES)
            if dataset.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
                file.seek(0)
                dataset = dcmread(file, force=True)
        except DAMAGE as error:
            raise NotDicom("The file cannot be read as DICOM.") from error
        syntax = _checked_syntax(dataset)
        if syntax != DeflatedExplicitVRLittleEndian:
            _require_whole(dataset, file.seek(0, SEEK_END))
            open_sequences(dataset, file)
        else:
            open_sequences(dataset, _inflated(dataset, file))
        return Source(dataset, syntax, _pixel_spans(dataset, file))


def _require_whole(dataset: FileDataset, file_size: int) -> None:
    """Refuse a file that ends inside an element: pydicom reads it without a word, and what is missing would look as if it never was."""
    for raw in dataset._dict.values():
        if isinstance(raw, RawDataElement) and raw.length != UNDEFINED_LENGTH and raw.value_tell + raw.length > file_size:
            raise UnreadableImage(CUT_OFF)


def _inflated(dataset: FileDataset, file: BinaryIO) -> BinaryIO:
    """Return the data set as pydicom inflated it, so that positions hold."""
    file.seek(132 + 12 + int(dataset.file_meta.FileMetaInformationGroupLength))
    return BytesIO(zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read()))


def _checked_syntax(source: FileDataset) -> str:
    try:
        sop_class = text_of(source, "SOPClassUID") or str(source.file_meta.get("MediaStorageSOPClassUID") or "")
    except DAMAGE as error:
        raise NotDicom("The file cannot be read as DICOM.") from error
    if sop_class == MEDIA_DIRECTORY or "DirectoryRecordSequence" in source:
        raise UnsupportedInput("The file is a DICOMDIR: an index of names and numbers, not an image. It is not needed in the output.")
    if not sop_class or "SOPClassUID" not in source:
        raise NotDicom("The file holds no DICOM object (no SOP Class UID).")
    for keyword in NAMED_BY:
        if not text_of(source, keyword).strip():
            raise InvalidInput(f"The object has no {keyword}.")
    if not is_uid(text_of(source, "SOPInstanceUID")) or not is_uid(text_of(source, "SOPClassUID")):
        raise InvalidInput("The SOPInstanceUID or the SOPClassUID is not a UID.")
    return _transfer_syntax(source)


def _transfer_syntax(source: FileDataset) -> str:
    stated = str(source.file_meta.get("TransferSyntaxUID") or "")
    if stated:
        if UID_dictionary.get(stated, ("", ""))[1] != "Transfer Syntax":
            raise UnsupportedInput("The transfer syntax is none of DICOM (PS3.6 Annex A), so nobody knows how the file is encoded.")
        return stated
    if any(getattr(element_of(source, tag), "length", 0) == UNDEFINED_LENGTH for tag in PIXEL_TAGS if tag in source):
        raise UnsupportedInput("The pixel data are compressed, and the file does not state how (no Transfer Syntax UID).")
    implicit, little = source.original_encoding
    if not little:
        return str(ExplicitVRBigEndian)
    return str(ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian)


def _pixel_spans(dataset: FileDataset, file: BinaryIO) -> dict[int, Span]:
    """Point at the pixel values that were not read; where their fragments do not chain, they are read after all."""
    spans: dict[int, Span] = {}
    little = dataset.original_encoding[1]
    for tag in PIXEL_TAGS:
        raw = element_of(dataset, tag) if tag in dataset else None
        if not isinstance(raw, RawDataElement) or raw.value is not None or not raw.length:
            continue
        size = raw.length if raw.length != UNDEFINED_LENGTH else _fragments_size(file, raw.value_tell, little=bool(little))
        if size is None:
            dataset._dict[Tag(tag)] = dataset.get_item(tag)
        else:
            spans[tag] = Span.of(file, raw.value_tell, size)
    return spans


def _fragments_size(file: BinaryIO, start: int, *, little: bool) -> int | None:
    """Return the size of encapsulated pixel data without the closing delimiter, None when it is no chain of items."""
    fragments = fragments_of(file, start, little=little)
    if fragments is None:
        return None
    return fragments[-1][0] + fragments[-1][1] - start if fragments else 0


def fragments_of(file: BinaryIO, start: int, *, little: bool) -> list[tuple[int, int]] | None:
    """Return offset and size of every item of encapsulated pixel data (PS3.5 section A.4), None when they are no chain."""
    unpack, at = struct.Struct("<HHL" if little else ">HHL").unpack, start
    found: list[tuple[int, int]] = []
    while True:
        file.seek(at)
        header = file.read(8)
        if len(header) < 8:
            return None
        group, element, length = unpack(header)
        if (group, element) == DELIMITER:
            return found
        if (group, element) != ITEM or length == UNDEFINED_LENGTH:
            return None
        found.append((at + 8, length))
        at += 8 + length


def with_pixels(source: Source) -> FileDataset:
    """Return the data set with its pixel values read, for those who have to decode them."""
    for tag, span in source.pixels.items():
        raw = element_of(source.dataset, tag)
        value = b"".join(span.blocks())
        if isinstance(raw, RawDataElement):
            source.dataset._dict[Tag(tag)] = raw._replace(value=value)
    return source.dataset


# --- out -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Written:
    """An output file: ``header`` is a complete Part 10 file without pixel data, for the gate; ``parts`` are what is written."""

    header: bytes
    parts: Parts


def write_parts(dataset: Dataset, *, syntax: str, pixels: Mapping[int, Parts]) -> Written:
    """Return the Part 10 file: empty preamble, our own meta, the data set in the given transfer syntax, pixel values by reference."""
    if syntax == DeflatedExplicitVRLittleEndian:
        whole = _deflated(dataset)
        return Written(whole, (whole,))
    tags = plain_tags(dataset)
    large = [tag for tag in tags if tag in PIXEL_TAGS]
    begin = head_of(dataset, syntax=syntax)
    if not large:
        whole = begin + encoded(dataset)
        return Written(whole, (whole,))
    head = begin + encoded(dataset, [tag for tag in tags if tag < PIXEL_TAGS[0]])
    tail = encoded(dataset, [tag for tag in tags if tag > PIXEL_TAGS[-1]])
    middle = [part for tag in large for part in _pixel_parts(dataset, tag, pixels.get(tag))]
    return Written(head + tail, (head, *middle, *([tail] if tail else [])))


def _deflated(dataset: Dataset) -> bytes:
    """Return the file with its data set as one compressed stream of an even length (PS3.5 section A.5)."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    body = packer.compress(encoded(dataset)) + packer.flush()
    return head_of(dataset, syntax=str(DeflatedExplicitVRLittleEndian)) + body + b"\0" * (len(body) % 2)


def _pixel_parts(dataset: Dataset, tag: int, parts: Parts | None) -> list[Part]:
    implicit, little = dataset.original_encoding
    element = element_of(dataset, tag)
    undefined = bool(getattr(element, "length", 0) == UNDEFINED_LENGTH or getattr(element, "is_undefined_length", False))
    values: Parts = parts if parts is not None else (bytes(element.value or b""),)
    size = size_of(values)
    vr = element.VR or vr_of(tag)
    if vr not in LONG_VRS:
        raise UnreadableImage("The pixel data have a value representation that pixel data cannot have.")
    order, padding = "<" if little else ">", b"\0" * (size % 2)
    length = UNDEFINED_LENGTH if undefined else size + len(padding)
    begin = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF) + (b"" if implicit else vr.encode() + b"\0\0")
    end = struct.pack(order + "HHL", *DELIMITER, 0) if undefined else padding
    return [begin + struct.pack(order + "L", length), *values, *([end] if end else [])]


def without_old_offsets(dataset: Dataset, pixels: Mapping[int, Parts]) -> dict[int, Parts]:
    """Drop what describes the old pixel bytes once there are new ones: extended offset tables (PS3.3 C.7.6.3.1.8), and the spans."""
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in dataset:
            delattr(dataset, keyword)
    return {tag: span for tag, span in pixels.items() if tag not in PIXEL_TAGS}
