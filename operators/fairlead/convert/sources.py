"""Find what can be converted below the given paths, in a reproducible order, and give every store a safe name."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from fairlead.convert.headers import is_dicom
from fairlead.convert.scene import is_scene
from fairlead.errors import FairleadError, NotFound, UnsupportedInput
from fairlead.files import manifest_lines, manifest_sha256, sha256_file

ZARR_MARKS: Final = ("zarr.json", ".zgroup", ".zattrs", ".zarray")
NAME_DIGITS: Final = 16
COMPANION: Final = ".companion.ome"
TIFF_STARTS: Final = frozenset({b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"})
STEM_SUFFIXES: Final = re.compile(r"(\.companion)?(\.ome)?(\.(tiff?|btf|tf[28]|zarr|xml|ome))?$", re.IGNORECASE)


class SourceKind(StrEnum):
    """What a path is, judged by its content."""

    DICOM = "dicom"
    TIFF = "tiff"
    COMPANION = "companion"
    OME_XML = "ome-xml"
    ZARR = "zarr"
    UNREADABLE = "unreadable"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Source:
    """One file, or one Zarr folder. ``name`` is relative to the path the user gave."""

    path: Path
    name: str
    kind: SourceKind


def find_sources(paths: Sequence[Path]) -> Iterator[Source]:
    """Yield every source below ``paths``, sorted; hidden files are passed over, and symbolic links below a folder are not followed.

    Raises
    ------
    NotFound : a path that does not exist.
    """
    for path in paths:
        if not path.exists():
            raise NotFound(f"There is no file or folder {path}.", remedy="Correct the path.")
        root = path if path.is_dir() else path.parent
        for found in _walk(path):
            name = found.relative_to(root).as_posix()
            linked = found != path and found.is_symlink()
            yield Source(found, shown(name if name != "." else found.name), SourceKind.UNREADABLE if linked else kind_of(found))


def shown(name: str) -> str:
    """Return a name as text: bytes that are no UTF-8 are written in hexadecimal, so that reports can hold it."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def without_own(
    found: Iterable[Source], given: Sequence[Path], out: Path, refuse: Callable[[str, FairleadError], None]
) -> tuple[list[Source], list[Source]]:
    """Return the sources but for stores and archives that lie in the output folder, and these: they would grow with each run."""
    here, kept = out.resolve(), []
    own: list[Source] = []
    for source in found:
        if (source.kind is SourceKind.ZARR or source.path.suffix == ".ozx") and source.path.resolve().parent == here:
            if source.path in given:
                refuse(source.name, UnsupportedInput("It lies in the output folder.", remedy="Choose another output folder."))
            else:
                own.append(source)
            continue
        kept.append(source)
    return kept, own


def kind_of(path: Path) -> SourceKind:
    """Return what ``path`` is by its first bytes; names decide only between kinds of XML. Only regular files are opened."""
    try:
        return _kind_of(path) if _is_regular(path) else SourceKind.UNREADABLE
    except OSError:
        return SourceKind.UNREADABLE


def _is_regular(path: str | Path) -> bool:
    """Return whether opening the file, or any file of the folder, leads nowhere else: no pipe, socket, device or symbolic link.

    A link inside a store could point to any file of this machine, whose bytes would become voxels.
    """
    if not os.path.isdir(path):
        return os.path.isfile(path)
    with os.scandir(path) as entries:
        return all(not entry.is_symlink() and (entry.is_file() or (entry.is_dir() and _is_regular(entry.path))) for entry in entries)


def _kind_of(path: Path) -> SourceKind:
    if path.is_dir():
        return SourceKind.ZARR
    if path.name.lower().endswith(COMPANION):
        return SourceKind.COMPANION
    with path.open("rb") as handle:
        start = handle.read(4)
    if is_dicom(path):  # before TIFF: a DICOM preamble may hold a TIFF header (PS3.10 section 7.1)
        return SourceKind.DICOM
    if start in TIFF_STARTS:
        return SourceKind.TIFF
    return SourceKind.OME_XML if path.name.lower().endswith((".ome.xml", ".ome")) else SourceKind.OTHER


def safe_stem(name: str) -> str:
    """Return a file name's stem as a store name: letters, digits, dot, dash and underscore, at most 80, never hidden.

    >>> safe_stem("a/../Plate 1 (B).ome.tif")
    'Plate_1_B'
    """
    stem = STEM_SUFFIXES.sub("", name.rsplit("/", 1)[-1])
    clean = re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._-")
    return clean[:80] or "image"


def content_stem(files: Sequence[Path]) -> str:
    """Return a store name from what the files hold, whatever they are called: people name files after patients.

    Raises
    ------
    OSError : a file cannot be read.
    """
    lines = sorted(digest_of(file) for file in set(files))
    return f"ome-{hashlib.sha256(''.join(lines).encode()).hexdigest()[:NAME_DIGITS]}"


def digest_of(file: Path) -> str:
    """Return the sha256 of a file, or of the manifest of a folder."""
    return manifest_sha256(manifest_lines(file)) if file.is_dir() else sha256_file(file)


def _walk(path: Path) -> Iterator[Path]:
    if not path.is_dir() or _is_zarr(path):
        yield path
        return
    for folder, below, names in os.walk(path):
        here = Path(folder)
        stores = [name for name in below if _is_zarr(here / name)]
        below[:] = sorted(name for name in below if name not in stores and not name.startswith("."))
        mark = {"zarr.json"} if "zarr.json" in names and is_scene(here) else set()
        links = [name for name in below if (here / name).is_symlink()]
        candidates = sorted([*stores, *links, *(name for name in names if not name.startswith(".") and name not in mark)])
        yield from (here / name for name in candidates)


def _is_zarr(folder: Path) -> bool:
    if folder.name.endswith(".staging") or is_scene(folder):  # the images of a scene are converted one by one
        return False
    if any((folder / mark).is_file() for mark in ZARR_MARKS):
        return True
    return folder.name.lower().endswith(".zarr") and not any(_is_zarr(below) for below in _folders(folder))


def _folders(folder: Path) -> list[Path]:
    try:
        return [below for below in folder.iterdir() if below.is_dir() and not below.is_symlink()]
    except OSError:  # such a folder is a store that cannot be read, and named as that
        return []
