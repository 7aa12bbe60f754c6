"""Stores in object storage: the same bytes under the same names, in an order in which no reader takes a part for a store.

Object stores have no rename. Chunks go first, then the metadata of arrays and inner groups, and the root's ``zarr.json`` last,
after everything before it was read back: without it there is no Zarr group (Zarr v3 core, "Storage").
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from fairlead.errors import CheckFailed
from fairlead.files import relative_files, sha256_file
from fairlead.progress import Progress, Silent, tracked
from fairlead.records import StoreReport
from fairlead.storage import ObjectStore

METADATA: Final = "zarr.json"


def put_stores(folder: Path, stores: Iterable[StoreReport], objects: ObjectStore, *, progress: Progress | None = None) -> int:
    """Copy finished stores below ``folder`` to object storage; return how many objects were not there already.

    Raises
    ------
    Conflict : other bytes lie under a name; the store that was there stays whole.
    CheckFailed : an object reads back other bytes; its store has no root yet.
    """
    return sum(_put(folder, store.path, objects, progress or Silent()) for store in stores)


def _put(folder: Path, store: str, objects: ObjectStore, progress: Progress) -> int:
    *inner, root = sorted(relative_files(folder / store), key=_rank)
    new = 0
    for name in tracked(inner, "upload", progress, total=len(inner)):
        file, key = folder / store / name, f"{store}/{name.as_posix()}"
        if objects.put(key, file):  # one that was there was compared by put
            new += 1
            if hashlib.sha256(objects.get(key)).hexdigest() != sha256_file(file):
                raise CheckFailed("An object reads back other bytes than were written.", remedy="Remove it there and convert again.")
    return new + objects.put(f"{store}/{root.as_posix()}", folder / store / root)


def _rank(name: Path) -> tuple[bool, int, str]:
    """Return the place of a file: what leads to others comes after them.

    >>> [str(name) for name in sorted(map(Path, ["zarr.json", "0/zarr.json", "0/c/0", "labels/a/zarr.json"]), key=_rank)]
    ['0/c/0', 'labels/a/zarr.json', '0/zarr.json', 'zarr.json']
    """
    return name.name == METADATA, -len(name.parts), name.as_posix()
