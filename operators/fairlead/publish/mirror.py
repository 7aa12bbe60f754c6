"""Copies a published dataset to object storage in an order that never shows half of it.

Object stores have no rename. Everything is written once below the dataset's own prefix: chunks first, then the group
metadata of each store, then the crate, the manifest and the record. Who follows the record finds everything.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from fairlead.errors import CheckFailed
from fairlead.files import relative_files
from fairlead.progress import Progress, tracked
from fairlead.records import Record
from fairlead.storage import ObjectStore

MANIFEST: Final = "manifest-sha256.txt"
GROUP_METADATA: Final = "zarr.json"


class MirrorReport(Record):
    """What a mirror came to: ``seen = copied + unchanged``."""

    prefix: str
    seen: int
    copied: int
    unchanged: int


def mirror_order(path: Path) -> tuple[int, int, str]:
    """Return the rank of a file of a dataset folder: the deeper metadata first, what leads to the rest last.

    >>> names = ["record.ttl", "images/x.ome.zarr/zarr.json", "images/x.ome.zarr/0/c/0", "manifest-sha256.txt"]
    >>> [path.as_posix() for path in sorted(map(Path, names), key=mirror_order)][:2]
    ['images/x.ome.zarr/0/c/0', 'images/x.ome.zarr/zarr.json']
    """
    if path.name == MANIFEST or path.name.startswith("record."):
        rank = 3
    elif len(path.parts) == 1:
        rank = 2
    else:
        rank = 1 if path.name == GROUP_METADATA else 0
    return rank, -len(path.parts), path.as_posix()


def mirror_folder(folder: Path, store: ObjectStore, *, prefix: str, progress: Progress) -> MirrorReport:
    """Copy a dataset folder below ``prefix``, then read every file of the manifest back and compare its sha256.

    Raises
    ------
    Conflict : other bytes lie under a key; nothing of the dataset is changed.
    CheckFailed : a file reads back differently.
    """
    files = sorted(relative_files(folder), key=mirror_order)
    copied = sum(store.put(f"{prefix}/{path.as_posix()}", folder / path) for path in tracked(files, "mirror", progress, total=len(files)))
    for line in tracked((folder / MANIFEST).read_text().splitlines(), "verify", progress):
        digest, name = line.split("  ", 1)
        if hashlib.sha256(store.get(f"{prefix}/{name}")).hexdigest() != digest:
            raise CheckFailed(f"{name} reads back differently from the object store.", remedy="Remove it there and repeat.")
    return MirrorReport(prefix=prefix, seen=len(files), copied=copied, unchanged=len(files) - copied)
