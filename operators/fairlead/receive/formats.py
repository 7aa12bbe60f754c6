"""What a file or folder is, from its first bytes and not from its name alone; everything else is refused with a reason."""

from __future__ import annotations

import json
import re
import stat
import struct
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Final

from fairlead.errors import InvalidInput, UnsupportedInput
from fairlead.receive.part10 import MEDIA_DIRECTORY, PREAMBLE_BYTES, PREFIX, read_layout

SUPPORTED: Final = "Supported are DICOM files, zip files of them, OME-TIFF, OME-XML with companions, and OME-Zarr folders."
HEAD_BYTES: Final = 4096
DESCRIPTION_BYTES: Final = 64 * 1024
TIFF_MAGIC: Final = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": "<", b"MM\0+": ">"}
IMAGE_DESCRIPTION: Final = 270
OME_ROOT: Final = re.compile(rb"<(?:[\w.-]+:)?OME[\s>]")
BINARY_ONLY: Final = re.compile(rb"<(?:[\w.-]+:)?BinaryOnly[\s>]")
OME_TIFF_NAMES: Final = (".ome.tif", ".ome.tiff", ".ome.tf2", ".ome.tf8", ".ome.btf")
OME_XML_NAMES: Final = (".companion.ome", ".ome.xml", ".ome")
ZARR_FILES: Final = ("zarr.json", ".zattrs", ".zgroup")
OME_KEYS: Final = frozenset({"multiscales", "plate", "bioformats2raw.layout", "well", "image-label"})
ATTRIBUTES_LIMIT_BYTES: Final = 16 * 1024 * 1024


class Kind(StrEnum):
    """What can come through the folder doors."""

    DICOM = "dicom"
    DICOMDIR = "dicomdir"
    ZIP = "zip"
    OME_TIFF = "ome-tiff"
    OME_TIFF_MEMBER = "ome-tiff-member"
    """A TIFF that only holds pixels of a set; its companion file describes it and is the thing that is indexed."""
    OME_XML = "ome-xml"
    OME_ZARR = "ome-zarr"


OME_KINDS: Final = frozenset({Kind.OME_TIFF, Kind.OME_XML, Kind.OME_ZARR})


class NotRecognised(UnsupportedInput):
    """A file or folder of a kind that Fairlead does not take."""

    code = "not-recognised"
    default_remedy = SUPPORTED


def recognise(path: Path) -> Kind:
    """Return the kind of a regular file or a Zarr folder.

    Raises
    ------
    NotRecognised, NotDicom : it is none of them; the message says what it seems to be.
    """
    if path.is_dir():
        return _recognise_zarr(path)
    with path.open("rb") as file:
        return recognise_file(file, name=path.name, size=path.stat().st_size)


def recognise_file(file: BinaryIO, *, name: str, size: int) -> Kind:
    """Return the kind of an open file; reads its head, and of a TIFF its first description."""
    head = file.read(HEAD_BYTES)
    if head[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] == PREFIX:
        return _dicom(file, size)
    if head[:4] in TIFF_MAGIC:
        return _tiff(file, name)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return Kind.ZIP
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<") and (OME_ROOT.search(head) or name.lower().endswith(OME_XML_NAMES)):
        return Kind.OME_XML
    if text.startswith(b"<"):
        raise NotRecognised("An XML or HTML document that is not OME-XML.")
    return _dicom(file, size)


def _dicom(file: BinaryIO, size: int) -> Kind:
    return Kind.DICOMDIR if read_layout(file, size=size).sop_class_uid == MEDIA_DIRECTORY else Kind.DICOM


def _tiff(file: BinaryIO, name: str) -> Kind:
    try:
        description = tiff_description(file)
    except (struct.error, ValueError):
        description = b""
    if BINARY_ONLY.search(description):
        return Kind.OME_TIFF_MEMBER
    if OME_ROOT.search(description) or name.lower().endswith(OME_TIFF_NAMES):
        return Kind.OME_TIFF
    raise NotRecognised("A TIFF file without OME-XML in its first description.")


def tiff_description(file: BinaryIO) -> bytes:
    """Return the first bytes of ImageDescription of the first IFD, empty when there is none (TIFF 6.0 section 2; BigTIFF)."""
    file.seek(0)
    start = file.read(16)
    order = TIFF_MAGIC[start[:4]]
    big = start[2:4] in (b"+\0", b"\0+")
    first = struct.unpack_from(order + ("Q" if big else "L"), start, 8 if big else 4)[0]
    count_format, entry_format = (order + "Q", order + "HHQ8s") if big else (order + "H", order + "HHL4s")
    file.seek(first)
    (count,) = struct.unpack(count_format, file.read(struct.calcsize(count_format)))
    for _ in range(min(count, 4096)):
        tag, _, length, value = struct.unpack(entry_format, file.read(struct.calcsize(entry_format)))
        if tag == IMAGE_DESCRIPTION:
            if length <= len(value):
                return bytes(value[:length])
            file.seek(struct.unpack(order + ("Q" if big else "L"), value)[0])
            return file.read(min(length, DESCRIPTION_BYTES))
    return b""


def is_zarr(folder: Path) -> bool:
    """Return whether a folder is the root of a Zarr hierarchy, which is taken as one thing and never walked into."""
    return folder.name.lower().endswith(".zarr") or any((folder / name).is_file() for name in ZARR_FILES)


def _recognise_zarr(folder: Path) -> Kind:
    attributes = zarr_attributes(folder)
    inner = attributes.get("ome")
    if OME_KEYS & set(attributes) or (isinstance(inner, dict) and (OME_KEYS | {"series"}) & set(inner)):
        return Kind.OME_ZARR
    if (folder / "METADATA.ome.xml").is_file() or (folder / "OME" / "METADATA.ome.xml").is_file():
        return Kind.OME_ZARR
    raise NotRecognised("A Zarr hierarchy without OME metadata (multiscales, plate or bioformats2raw.layout).")


def zarr_attributes(folder: Path) -> dict[str, Any]:
    """Return the attributes of a Zarr group, version 3 or 2; empty when it has none.

    Raises
    ------
    InvalidInput : the metadata file is not a JSON object.
    """
    for name in ("zarr.json", ".zattrs"):
        file = folder / name
        if stat.S_ISREG(file.lstat().st_mode) if file.exists() else False:
            document = _json(file)
            found = document.get("attributes", {}) if name == "zarr.json" else document
            return found if isinstance(found, dict) else {}
    return {}


def _json(file: Path) -> dict[str, Any]:
    if file.stat().st_size > ATTRIBUTES_LIMIT_BYTES:
        raise InvalidInput(f"The {file.name} of the store is larger than 16 MiB.")
    try:
        document = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The {file.name} of the store is not JSON.") from error
    if not isinstance(document, dict):
        raise InvalidInput(f"The {file.name} of the store is not a JSON object.")
    return document
