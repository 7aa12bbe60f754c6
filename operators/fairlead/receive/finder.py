"""What lies below a path: files and Zarr folders in sorted order, never through a link out of it, never a pipe or device."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fairlead.errors import NotFound
from fairlead.files import manifest_lines, manifest_sha256, relative_files, sha256_file
from fairlead.receive.formats import is_zarr

CLUTTER: Final = (".part", ".tmp", ".partial", ".crdownload", "~", ".ds_store", "thumbs.db")


@dataclass(frozen=True, slots=True)
class Found:
    """One thing below the root: ``name`` is relative to the root; ``refusal`` says why it must not be opened."""

    path: Path
    name: str
    refusal: str = ""


def find(root: Path) -> Iterator[Found]:
    """Yield everything below ``root``, or the file itself; a Zarr hierarchy is one thing.

    Raises
    ------
    NotFound : there is no such path.
    """
    try:
        start = root.resolve(strict=True)
    except OSError as error:
        raise NotFound(f"There is no file or folder {root}.", remedy="Check the path.") from error
    if not start.is_dir():
        yield _found(start, start.parent)
    elif is_zarr(start):
        yield Found(start, start.name)
    else:
        yield from _walk(start)


def _walk(start: Path) -> Iterator[Found]:
    for folder, folders, names in os.walk(start, followlinks=False):
        here = Path(folder)
        folders.sort()
        for name in sorted(folders):
            path = here / name
            if path.is_symlink():
                yield _found(path, start)
            elif is_zarr(path):
                folders.remove(name)
                yield Found(path, path.relative_to(start).as_posix())
        for name in sorted(names):
            yield _found(here / name, start)


def _found(path: Path, start: Path) -> Found:
    name = path.relative_to(start).as_posix()
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        target = path.resolve()
        if not target.is_relative_to(start):
            return Found(path, name, "A symbolic link out of the given path; it is not followed.")
        return Found(path, name, "A symbolic link; what it points to is taken under its own name.")
    if not stat.S_ISREG(mode):
        return Found(path, name, "Not a regular file.")
    return Found(path, name)


def is_clutter(name: str) -> bool:
    """Return whether a name is hidden, or that of a copy under way."""
    last = name.rsplit("/", 1)[-1].lower()
    return last.startswith(".") or last.endswith(CLUTTER)


def fingerprint(path: Path) -> tuple[str, int]:
    """Return (digest, size in bytes) over name, size and modification time of a file or of every file of a folder."""
    members = [path / name for name in relative_files(path)] if path.is_dir() else [path]
    digest, size = hashlib.sha256(), 0
    for member in members:
        status = member.stat()
        digest.update(f"{member.relative_to(path)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="surrogateescape"))
        size += status.st_size
    return digest.hexdigest(), size


def content_sha256(path: Path) -> str:
    """Return the sha256 of a file, or for a folder that of its sorted (relative name, sha256) list."""
    return manifest_sha256(manifest_lines(path)) if path.is_dir() else sha256_file(path)
