"""A store as one file for download: the zip form of OME-Zarr (``.ozx``, RFC-9, under review)."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path, PurePosixPath
from typing import Final

from fairlead.files import atomic_write, relative_files, storage_errors

SUFFIX: Final = ".ozx"
ROOT: Final = "zarr.json"
EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip file can state: the same store gives the same bytes."""


def write_ozx(store: Path, target: Path) -> Path:
    """Write a finished store as a zip file without compression, metadata first; return ``target``.

    Order and comment are those of RFC-9: the root's ``zarr.json``, then the others level by level, then chunks.

    Raises
    ------
    StorageFull : the disk is full; nothing is left behind.
    """
    version = json.loads((store / ROOT).read_text(encoding="utf-8"))["attributes"]["ome"]["version"]
    comment = {"ome": {"version": version, "zipFile": {"centralDirectory": {"jsonFirst": True}}}}
    names = sorted((PurePosixPath(name.as_posix()) for name in relative_files(store)), key=_order)
    with storage_errors(target.name), atomic_write(target) as handle, zipfile.ZipFile(handle, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = json.dumps(comment, separators=(",", ":")).encode()
        for name in names:
            entry = zipfile.ZipInfo(str(name), EPOCH)
            entry.file_size = (store / name).stat().st_size
            with archive.open(entry, "w") as inside, (store / name).open("rb") as chunk:
                while block := chunk.read(1024 * 1024):
                    inside.write(block)
    return target


def _order(name: PurePosixPath) -> tuple[bool, int, str]:
    described = name.name == ROOT
    return not described, len(name.parts) if described else 0, str(name)
