"""What a path is, by its first bytes, never by its name alone."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Final

TIFF_MAGIC: Final = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
ZARR_FILES: Final = ("zarr.json", ".zgroup", ".zattrs", ".zarray")
HEAD_BYTES: Final = 512
XML_STARTS: Final = (b"<", b"\xef\xbb\xbf<", b"\xff\xfe<", b"\xfe\xff\x00<")


class InputKind(StrEnum):
    """Kinds of input that a reader exists for, and the rest."""

    DICOM = "dicom"
    TIFF = "tiff"
    XML = "xml"
    ZARR = "zarr"
    FOLDER = "folder"
    OTHER = "other"


def store_of(folder: Path) -> Path:
    """Return the OME-Zarr store of a folder: itself, or ``data.zarr`` where early bioformats2raw put its OME-XML beside that."""
    inner = folder / "data.zarr"
    return inner if (folder / "METADATA.ome.xml").is_file() and inner.is_dir() else folder


def require_regular(path: Path) -> None:
    """Raise for what is there and is no regular file, before anything opens it.

    Raises
    ------
    OSError : it is a pipe, a socket or a device.
    """
    if path.exists() and not path.is_file():
        raise OSError("not a regular file")


def kind_of(path: Path) -> InputKind:
    """Return the kind of a file or folder; OTHER may still be a DICOM data set without preamble.

    Raises
    ------
    OSError : the path cannot be read, or is a pipe, a socket or a device: opening one would wait for somebody.
    """
    if path.is_dir():
        is_store = any((path / name).is_file() for name in ZARR_FILES) or store_of(path) != path
        return InputKind.ZARR if is_store else InputKind.FOLDER
    require_regular(path)
    with path.open("rb") as handle:
        head = handle.read(HEAD_BYTES)
    if head[128:132] == b"DICM":
        return InputKind.DICOM
    if head[:4] in TIFF_MAGIC:
        return InputKind.TIFF
    return InputKind.XML if head.lstrip().startswith(XML_STARTS) else InputKind.OTHER
