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


def kind_of(path: Path) -> InputKind:
    """Return the kind of a file or folder; OTHER may still be a DICOM data set without preamble.

    Raises
    ------
    OSError : the path cannot be read.
    """
    if path.is_dir():
        return InputKind.ZARR if any((path / name).is_file() for name in ZARR_FILES) else InputKind.FOLDER
    with path.open("rb") as handle:
        head = handle.read(HEAD_BYTES)
    if head[128:132] == b"DICM":
        return InputKind.DICOM
    if head[:4] in TIFF_MAGIC:
        return InputKind.TIFF
    return InputKind.XML if head.lstrip().startswith(XML_STARTS) else InputKind.OTHER
