"""A store as one file for download: the zip form of OME-Zarr (``.ozx``, RFC-9, under review)."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path, PurePosixPath
from typing import Final

from fairlead.convert.replacing import ELSEWHERE
from fairlead.convert.staging import MANIFEST
from fairlead.errors import Conflict
from fairlead.files import atomic_write, manifest_lines, relative_files, storage_errors

SUFFIX: Final = ".ozx"
ROOT: Final = "zarr.json"
EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip file can state: the same store gives the same bytes."""


def write_ozx(store: Path, target: Path) -> Path:
    """Write a finished store as a zip file without compression, metadata first; return ``target``.

    Order and comment are those of RFC-9: the root's ``zarr.json``, then the others level by level, then chunks.

    Raises
    ------
    Conflict : what lies there is no archive of ours; it stays.
    StorageFull : the disk is full; nothing is left behind.
    """
    if os.path.lexists(target) and _is_there(target, manifest_lines(store)):
        return target
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


def _is_there(target: Path, lines: list[str]) -> bool:
    """Return whether an archive holds exactly these files; raise Conflict when it is none that this program made of a described store."""
    digests: dict[str, str] = {}
    stated: list[str] = []
    try:
        if target.is_symlink() or not zipfile.is_zipfile(target):
            raise zipfile.BadZipFile
        with zipfile.ZipFile(target) as archive:
            for entry in archive.infolist():
                if entry.compress_type != zipfile.ZIP_STORED:
                    raise zipfile.BadZipFile
                digests[entry.filename] = _sha256(archive, entry)
            found = sorted(f"{digest}  {name}" for name, digest in digests.items())
            if found == sorted(lines):
                return True
            stated = archive.read(MANIFEST).decode().splitlines()
    except (OSError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile):
        found = ["no archive of ours"]
    if sorted(line for line in found if not line.endswith(f"  {MANIFEST}")) != sorted(stated):
        raise Conflict(f"{target.name} is there already and is no archive of a store of ours.", remedy=ELSEWHERE)
    return False


def _sha256(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    digest = hashlib.sha256()
    with archive.open(entry) as inside:
        while block := inside.read(1024 * 1024):
            digest.update(block)
    return digest.hexdigest()


def _order(name: PurePosixPath) -> tuple[bool, int, str]:
    described = name.name == ROOT
    return not described, len(name.parts) if described else 0, str(name)
