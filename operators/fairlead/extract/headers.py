"""Reading one DICOM header: everything before the pixels, with bounded memory and typed errors.

A header that pydicom cannot parse is an :class:`UnreadableImage`; a value that cannot be decoded is no value. Messages never
repeat what the header says.
"""

from __future__ import annotations

import logging
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from fairlead.errors import InvalidUid, NotDicom, UnreadableImage
from fairlead.records import is_uid

PARSE_ERRORS: Final = (
    BytesLengthException,
    InvalidDicomError,
    EOFError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    NotImplementedError,  # pydicom decodes no VR that PS3.5 section 6.2 does not have
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What pydicom raises on damaged bytes, by experience; each becomes a typed error or "no value"."""

DEFER_BYTES: Final = 64 * 1024 * 1024
INFLATED_LIMIT_BYTES: Final = 1024**3
META_BYTES: Final = 4096
PIXEL_TAGS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
UNDEFINED_LENGTH: Final = 0xFFFFFFFF
DECIMAL_VRS: Final = frozenset({"DS", "IS"})
DIRECTORY_CLASS: Final = "1.2.840.10008.1.3.10"


@dataclass(frozen=True, slots=True)
class Header:
    """A parsed header. ``pixels_cut`` says that the file ends before its pixel data does.

    ``pixel_bytes`` is the stated length of native pixel data, None for encapsulated or absent ones.
    ``changed`` are the tags with other bytes than in the header before it in a stream, None when it was read as a whole.
    """

    dataset: Dataset
    transfer_syntax_uid: str
    size_bytes: int
    pixels_cut: bool
    changed: frozenset[int] | None = None
    pixel_bytes: int | None = None

    def uid(self, keyword: str) -> str:
        """Return a UID attribute, or "" when it is absent or no UID (PS3.5 section 9.1)."""
        element = decoded(self.dataset, keyword)
        text = str(element.value).strip() if element is not None and element.value is not None else ""
        return text if is_uid(text) else ""

    @property
    def is_directory(self) -> bool:
        """Whether this is a DICOMDIR (PS3.10 section 8.6)."""
        meta = getattr(self.dataset, "file_meta", None)
        stated = decoded(meta, "MediaStorageSOPClassUID") if meta is not None else None
        return (str(stated.value) if stated is not None else "") == DIRECTORY_CLASS or "DirectoryRecordSequence" in self.dataset


@dataclass(slots=True)
class Told:
    """How many errors a library logged while it was silenced; tifffile logs damage that it can read past."""

    errors: int = 0


class _WhileQuiet(logging.Filter):
    """Drops what a library logs in a thread that reads headers: pydicom and tifffile quote values, which may be a patient's."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line may pass."""
        told: Told | None = getattr(_quiet, "told", None)
        if told is None:
            return True
        told.errors += record.levelno >= logging.ERROR
        return False


class _InQuietThread(type):
    """Makes a category of every warning, but only in a thread that reads headers."""

    def __subclasscheck__(cls, category: type) -> bool:
        return getattr(_quiet, "told", None) is not None


class _AnyWarning(Warning, metaclass=_InQuietThread):
    """Category of a filter that stays for good: nothing is changed and restored, so threads cannot undo each other's silence."""


_quiet = threading.local()
for _name in ("pydicom", "tifffile"):
    logging.getLogger(_name).addFilter(_WhileQuiet())


@contextmanager
def quiet_readers() -> Iterator[Told]:
    """Silence warnings and log lines of pydicom and tifffile, which quote header values, in this thread; set once around a series."""
    if not warnings.filters or warnings.filters[0][2] is not _AnyWarning:
        warnings.simplefilter("ignore", category=_AnyWarning)
    before: Told | None = getattr(_quiet, "told", None)
    _quiet.told = Told()
    try:
        yield _quiet.told
    finally:
        _quiet.told = before


def read_header(file: Path, *, tags: list[str] | None = None) -> Header:
    """Return the header of a DICOM file, read up to the pixels; with ``tags`` only those attributes.

    Raises
    ------
    NotDicom : no Part 10 file and no data set with a SOP Class UID and SOP Instance UID either.
    UnreadableImage : the header is damaged, or a deflated data set inflates beyond 1 GiB.
    """
    try:
        with file.open("rb") as handle:
            return _read(handle, size_bytes=file.stat().st_size, tags=tags)
    except PARSE_ERRORS as error:
        raise UnreadableImage("The DICOM header is damaged and cannot be parsed.") from error


def _read(handle: BinaryIO, *, size_bytes: int, tags: list[str] | None) -> Header:
    _check_inflation(handle)
    handle.seek(0)
    try:
        dataset: Dataset = dcmread(handle, stop_before_pixels=True, defer_size=DEFER_BYTES, specific_tags=tags)
    except InvalidDicomError:
        dataset = _forced(handle, tags)
    meta = getattr(dataset, "file_meta", None)
    syntax = str(meta.get("TransferSyntaxUID", "")).strip() if meta is not None else ""
    stated, cut = _pixels(handle, dataset, size_bytes)
    return Header(dataset, syntax if is_uid(syntax) else "", size_bytes, cut, pixel_bytes=stated)


def _forced(handle: BinaryIO, tags: list[str] | None) -> Dataset:
    handle.seek(0)
    try:
        dataset = dcmread(handle, stop_before_pixels=True, defer_size=DEFER_BYTES, specific_tags=tags, force=True)
    except PARSE_ERRORS as error:
        raise NotDicom("The bytes are neither a DICOM Part 10 file nor a data set.") from error
    if any(decoded(dataset, keyword) is None for keyword in ("SOPClassUID", "SOPInstanceUID")):
        raise NotDicom("The bytes are neither a DICOM Part 10 file nor a data set with a SOP Class UID and a SOP Instance UID.")
    return dataset


def _check_inflation(handle: BinaryIO) -> None:
    """Refuse a deflated data set that would fill the memory; pydicom inflates it in one piece (PS3.5 section A.5)."""
    handle.seek(0)
    head = handle.read(META_BYTES)
    if head[128:132] != b"DICM" or DeflatedExplicitVRLittleEndian.encode() not in head:
        return
    meta = read_file_meta_info(handle.name)
    handle.seek(144 + int(meta.get("FileMetaInformationGroupLength", 0)))
    inflater, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while not inflater.eof and (block := inflater.unconsumed_tail or handle.read(65536)):
        total += len(inflater.decompress(block, 1024 * 1024))
        if total > INFLATED_LIMIT_BYTES:
            raise UnreadableImage("The deflated data set grows beyond 1 GiB.", remedy="Send it in another transfer syntax.")


def _pixels(handle: BinaryIO, dataset: Dataset, size_bytes: int) -> tuple[int | None, bool]:
    """Return what the element says at which pydicom stopped; the handle stands before it."""
    at = handle.tell()
    implicit, little = dataset.original_encoding
    return native_pixels(handle.read(12), at=at, size_bytes=size_bytes, implicit=bool(implicit), little=little is not False)


def native_pixels(head: bytes, *, at: int, size_bytes: int, implicit: bool, little: bool = True) -> tuple[int | None, bool]:
    """Return (stated length, whether the file ends before) of a native PixelData element, of which ``head`` is the beginning."""
    order = "<" if little else ">"
    if len(head) < 12:
        return None, False
    group, element = struct.unpack(order + "HH", head[:4])
    length = struct.unpack(order + "L", head[4:8] if implicit else head[8:12])[0]
    if (group << 16 | element) not in PIXEL_TAGS or length == UNDEFINED_LENGTH:
        return None, False
    return length, at + (8 if implicit else 12) + length > size_bytes


def decoded(dataset: Dataset, tag: str | int | BaseTag) -> DataElement | None:
    """Return a decoded element, or None when it is absent, empty or cannot be decoded (``badVR``, deferred bulk)."""
    try:
        element: DataElement = dataset[tag]
    except PARSE_ERRORS:
        return None
    return None if element.value is None or element.value == "" else element


def decimals(dataset: Dataset, tag: int) -> list[float] | None:
    """Return the numbers of an undecoded decimal or integer string (PS3.5 VR DS, IS) without pydicom's objects; None for others."""
    try:
        element: Any = dataset.get_item(tag, keep_deferred=True)
    except PARSE_ERRORS:
        return None
    if not isinstance(element, RawDataElement) or element.VR not in DECIMAL_VRS or not element.value:
        return None
    try:
        return [float(text) for text in element.value.rstrip(b"\x00 ").split(b"\\")]
    except ValueError:
        return None


def raw_bytes(dataset: Dataset, tag: int) -> bytes | None:
    """Return the undecoded bytes of a top-level element; None when it is absent, a sequence, or decoded already."""
    try:
        element: Any = dataset.get_item(tag)
    except PARSE_ERRORS:
        return None
    return element.value if isinstance(element, RawDataElement) and isinstance(element.value, bytes) else None


def values_of(element: DataElement | None) -> list[Any]:
    """Return an element's values as a list: several of a multi-valued one, the items of a sequence."""
    if element is None:
        return []
    value = element.value
    return list(value) if element.VM > 1 or element.VR == "SQ" or isinstance(value, list) else [value]


def require_uids(header: Header) -> tuple[str, str, str]:
    """Return the (study, series, SOP instance) UIDs.

    Raises
    ------
    InvalidUid : one of the three is absent or no UID; the message names which.
    """
    keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    study, series, instance = (header.uid(keyword) for keyword in keywords)
    missing = [keyword for keyword, uid in zip(keywords, (study, series, instance), strict=True) if not uid]
    if missing:
        raise InvalidUid(f"The header has no valid {', '.join(missing)}.")
    return study, series, instance
