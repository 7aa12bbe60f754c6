"""What lies below a folder: regular files, and everything that cannot be processed and has to be named for that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from fairlead.errors import UnreadableImage, UnsupportedInput

LINK: Final = f"{UnsupportedInput.code}: a symbolic link, which is not followed: what it leads to may lie anywhere"
SPECIAL: Final = f"{UnsupportedInput.code}: neither a regular file nor a folder (a pipe, a socket or a device)"
CLOSED: Final = f"{UnreadableImage.code}: the folder cannot be read"


@dataclass(slots=True)
class Listing:
    """Regular files, sorted by their bytes as ``LC_ALL=C sort`` does, and reasons for what is none, by name."""

    files: list[PurePosixPath] = field(default_factory=list)
    refused: dict[PurePosixPath, str] = field(default_factory=dict)
    closed: set[PurePosixPath] = field(default_factory=set)
    """Folders among the refused."""

    @property
    def numbers(self) -> dict[PurePosixPath, int]:
        """Every name that is no folder with its place in the list, from 1: the line of ``find -not -type d | LC_ALL=C sort``."""
        names = sorted([*self.files, *(name for name in self.refused if name not in self.closed)], key=in_bytes)
        return {name: number for number, name in enumerate(names, start=1)}


def in_bytes(name: PurePosixPath) -> bytes:
    """Return what names are sorted by."""
    return os.fsencode(name.as_posix())


def listing_of(folder: Path) -> Listing:
    """Return everything below a folder; links are not followed, and a folder that cannot be read is named."""
    found = Listing()

    def refuse(error: OSError) -> None:
        """Note a folder that cannot be opened."""
        name = PurePosixPath(os.path.relpath(error.filename, folder))
        found.refused[name] = CLOSED
        found.closed.add(name)

    for root, folders, names in os.walk(folder, onerror=refuse):
        below = PurePosixPath(os.path.relpath(root, folder))
        for name, reason in _entries(Path(root), folders, names):
            if reason:
                found.refused[below / name] = reason
            else:
                found.files.append(below / name)
    found.files.sort(key=in_bytes)
    return found


def _entries(root: Path, folders: list[str], names: list[str]) -> Iterator[tuple[str, str]]:
    yield from ((name, LINK) for name in folders if os.path.islink(root / name))
    for name in names:
        path = root / name
        try:
            yield name, LINK if path.is_symlink() else "" if path.is_file() else SPECIAL
        except OSError:
            yield name, ""  # it is listed but may not be looked at: reading it says why
