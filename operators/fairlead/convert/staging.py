"""Stores appear whole or not at all: a hidden, locked folder beside the target, one rename at the end.

The root ``zarr.json`` is the last file written, so even the hidden folder is no store for a reader before it is complete.
A folder that a killed process left behind is removed by the next conversion that finds its lock free.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from fairlead.files import manifest_lines, storage_errors, sync_folder, write_text
from fairlead.records import JsonObject

type Digests = dict[Path, str]
"""The sha256 of files, by path, taken while they were written and read back."""

SUFFIX: Final = ".staging"
MANIFEST: Final = "manifest-sha256.txt"
AT_FDCWD: Final = -100
RENAME_EXCHANGE: Final = 2
"""linux/fcntl.h and linux/fs.h."""


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Yield an empty hidden sibling of ``target``; it is gone after the block unless :func:`replace_folder` moved it.

    Raises
    ------
    StorageFull : the disk is full; what was written is removed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(target.parent)
    with storage_errors(target.name):
        folder, lock = _locked_folder(target)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _locked_folder(target: Path) -> tuple[Path, int]:
    """Make a staging folder and hold its lock; a cleaner that came between the two steps makes us try again."""
    while True:
        folder = target.parent / f".{target.name}.{secrets.token_hex(6)}{SUFFIX}"
        folder.mkdir()
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder, lock
        os.close(lock)


def remove_abandoned(parent: Path) -> int:
    """Remove the staging folders of dead processes below ``parent``; return how many there were."""
    removed = 0
    for folder in parent.glob(f".*{SUFFIX}"):
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue  # its owner has just finished
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
        except BlockingIOError:
            continue  # somebody is working in it
        finally:
            os.close(lock)
    return removed


def write_root(folder: Path, attributes: JsonObject) -> None:
    """Write the root group's ``zarr.json`` (Zarr v3 core, "Group metadata"), canonical and atomic."""
    document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    write_text(folder / "zarr.json", json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def store_manifest(folder: Path, digests: Digests | None = None) -> list[str]:
    """Return the manifest lines of a store: every file but the manifest that may lie in it."""
    return manifest_lines(folder, skip=frozenset({MANIFEST}), known=digests)


def replace_folder(folder: Path, target: Path) -> None:
    """Move ``folder`` to ``target``; what is there changes places with it where the system can, so that the name is never free.

    Elsewhere it is moved aside first, also while other processes do the same.
    """
    if target.is_dir() and _exchanged(folder, target):
        return
    while True:
        try:
            folder.rename(target)
            return
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
        old = target.parent / f".{target.name}.{secrets.token_hex(6)}{SUFFIX}"
        with suppress(FileNotFoundError):  # another process was faster
            target.rename(old)
            shutil.rmtree(old, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    """Let two folders change places (Linux, renameat2 with RENAME_EXCHANGE); return False where system or file system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    return rename is not None and rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0


def flush(folder: Path, files: list[Path]) -> None:
    """Bring files and the folders they lie in to the disk, so that a rename after it publishes whole files."""
    for file in files:
        descriptor = os.open(folder / file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    for below in sorted({parent for file in files for parent in file.parents}):
        sync_folder(folder / below)
