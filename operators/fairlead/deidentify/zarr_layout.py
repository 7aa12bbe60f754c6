"""Which folder is an OME-Zarr store, and which of the files below it belong to it: its metadata and the chunks of its arrays.

What does not belong to a store is no part of it: it is a file of its own, processed and counted like any other.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from fairlead.deidentify.listing import Listing, in_bytes
from fairlead.deidentify.zarr_arrays import ZarrArray, checked_array
from fairlead.errors import UnreadableImage, UnsupportedInput
from fairlead.files import sha256_file

METADATA: Final = frozenset({"zarr.json", ".zgroup", ".zattrs", ".zarray"})
OME_XML: Final = PurePosixPath("OME/METADATA.ome.xml")
TABLES: Final = "tables"
TABLES_STAY: Final = f"{UnsupportedInput.code}: the tables of a store are not de-identified and stay behind"
LAYOUT_KEYS: Final = frozenset({"multiscales", "plate", "well", "omero", "labels", "bioformats2raw.layout", "image-label"})
LARGEST_METADATA: Final = 16 * 1024 * 1024
BEGIN_BYTES: Final = 132
ROOT: Final = PurePosixPath()


@dataclass(frozen=True, slots=True)
class Layout:
    """A store: its JSON documents, its arrays by folder, its chunks, and what lies below it without belonging to it."""

    documents: Mapping[PurePosixPath, Mapping[str, Any]]
    arrays: Mapping[PurePosixPath, ZarrArray]
    chunks: tuple[PurePosixPath, ...]
    xml: bool
    foreign: tuple[PurePosixPath, ...]
    tables: tuple[PurePosixPath, ...]

    @property
    def members(self) -> list[PurePosixPath]:
        """The names of all files of the store, sorted."""
        return sorted([*self.documents, *self.chunks, *([OME_XML] if self.xml else [])], key=in_bytes)

    def digest(self, folder: Path) -> str:
        """Return the digest of the names and the bytes of all members."""
        lines = (f"{sha256_file(folder / name)}  {name}" for name in self.members)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def is_store(folder: Path) -> bool:
    """Return whether a folder is an OME-Zarr store by the metadata of its root group (NGFF section "Images"), or calls itself one.

    A folder called ``*.zarr`` with broken metadata is one piece of work, too, and is refused as such.
    """
    version_3, group, attributes = (_document(folder / name) for name in ("zarr.json", ".zgroup", ".zattrs"))
    if version_3 is not None and version_3.get("zarr_format") == 3 and version_3.get("node_type") == "group":
        ome = (version_3.get("attributes") or {}).get("ome")
        if isinstance(ome, Mapping) and ome:
            return True
    if group is not None and group.get("zarr_format") == 2 and attributes is not None and LAYOUT_KEYS.intersection(attributes):
        return True
    return folder.name.casefold().endswith(".zarr") and any((folder / name).is_file() for name in METADATA)


def _document(file: Path) -> dict[str, Any] | None:
    try:
        if file.is_symlink() or not file.is_file() or file.stat().st_size > LARGEST_METADATA:
            return None
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def stores_among(folder: Path, files: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    """Return the outermost stores among the parents of metadata files."""
    found: list[PurePosixPath] = []
    candidates = {file.parent for file in files if file.name in METADATA}
    for candidate in sorted(candidates, key=lambda name: (len(name.parts), name)):
        if not any(candidate.is_relative_to(store) for store in found) and is_store(folder / candidate):
            found.append(candidate)
    return found


def layout_of(folder: Path, listing: Listing) -> Layout:
    """Return which files below a store belong to it.

    Raises
    ------
    UnreadableImage : metadata that cannot be read. UnsupportedInput : an array that is not one of numbers, or links.
    """
    if listing.refused:
        raise UnsupportedInput("The store holds symbolic links, or folders that cannot be read, so that parts of it would be missing.")
    tables = _tables(listing.files)
    files = [file for file in listing.files if not any(file.is_relative_to(table) for table in tables)]
    documents = {file: _required(folder / file) for file in files if file.name in METADATA}
    arrays = {file.parent: checked_array(content) for file, content in documents.items() if _is_array(file, content)}
    chunks: list[PurePosixPath] = []
    foreign: list[PurePosixPath] = []
    for file in (file for file in files if file not in documents and file != OME_XML):
        array = next((place for place in file.parents if place in arrays), None)
        belongs = array is not None and arrays[array].is_chunk(file.relative_to(array).as_posix())
        (chunks if belongs else foreign).append(file)
    return Layout(documents, arrays, tuple(chunks), OME_XML in files, tuple(foreign), tables)


def _tables(files: list[PurePosixPath]) -> tuple[PurePosixPath, ...]:
    groups = {file.parent for file in files if file.name in ("zarr.json", ".zgroup") and file.parent.name == TABLES}
    return tuple(sorted(group for group in groups if not any(other in groups for other in group.parents)))


def _required(file: Path) -> dict[str, Any]:
    content = _document(file)
    if content is None or (file.name != ".zattrs" and content.get("zarr_format") != (3 if file.name == "zarr.json" else 2)):
        raise UnreadableImage("The metadata of the OME-Zarr cannot be read.")
    return content


def _is_array(file: PurePosixPath, content: Mapping[str, Any]) -> bool:
    return file.name == ".zarray" or (file.name == "zarr.json" and content.get("node_type") == "array")


def require_chunks(folder: Path, layout: Layout) -> None:
    """Refuse a store in which a file is called like a chunk and is something else: a DICOM file, a document, text.

    Raises
    ------
    UnsupportedInput : a chunk has not the size or the first bytes that its array's codecs give it.
    """
    for file in layout.chunks:
        array = next(layout.arrays[place] for place in file.parents if place in layout.arrays)
        with (folder / file).open("rb") as handle:
            if not array.looks_right(handle.read(BEGIN_BYTES), os.fstat(handle.fileno()).st_size):
                raise UnsupportedInput("A file of the store has the name of a chunk, and is none by its size or its first bytes.")
