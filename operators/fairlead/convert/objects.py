"""Stores in object storage: the same bytes under the same names, in an order in which no reader takes a part for a store.

Object stores have no rename. Chunks go first, then the metadata of arrays and inner groups, and the root's ``zarr.json`` last,
after everything before it was read back: without it there is no Zarr group (Zarr v3 core, "Storage").
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from fairlead.convert.beside import CRATE, day_of, redate
from fairlead.convert.staging import MANIFEST
from fairlead.errors import CheckFailed, Conflict, NotFound
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


def dated_as_there(folder: Path, stores: Iterable[StoreReport], objects: ObjectStore) -> tuple[StoreReport, ...]:
    """Give described stores the day of their crates in object storage, so that a later run finds its own bytes; return new reports."""
    return tuple(_dated(folder, store, objects) for store in stores)


def _dated(folder: Path, store: StoreReport, objects: ObjectStore) -> StoreReport:
    if not (folder / store.path / CRATE).is_file():
        return store
    try:
        day = day_of(json.loads(objects.get(f"{store.path}/{CRATE}")))
    except (NotFound, ValueError, RecursionError):  # what lies there is no crate: the upload will say that other bytes do
        return store
    return store if day is None else store.model_copy(update={"manifest_sha256": redate(folder / store.path, day)})


def _put(folder: Path, store: str, objects: ObjectStore, progress: Progress) -> int:
    *inner, root = sorted(relative_files(folder / store), key=_rank)
    _require_same_or_none(folder, store, objects)
    new = 0
    for name in tracked(inner, "upload", progress, total=len(inner)):
        file, key = folder / store / name, f"{store}/{name.as_posix()}"
        if objects.put(key, file):  # one that was there was compared by put
            new += 1
            if hashlib.sha256(objects.get(key)).hexdigest() != sha256_file(file):
                raise CheckFailed("An object reads back other bytes than were written.", remedy="Remove it there and convert again.")
    return new + objects.put(f"{store}/{root.as_posix()}", folder / store / root)


def _require_same_or_none(folder: Path, store: str, objects: ObjectStore) -> None:
    """Refuse a store of which another one is there before anything is written: its new files would lie among the old ones.

    Raises
    ------
    Conflict : the root or the manifest that is there has other bytes.
    """
    for name in (METADATA, MANIFEST):
        file = folder / store / name
        try:
            there = objects.get(f"{store}/{name}")
        except NotFound:
            continue
        if not file.is_file() or there != file.read_bytes():
            raise Conflict(f"Another {store} is stored there already.", remedy="Objects are written once; choose another prefix.")


def _rank(name: Path) -> tuple[bool, int, bool, str]:
    """Return the place of a file: what leads to others comes after them, and the manifest after the crate that has the day.

    >>> [str(name) for name in sorted(map(Path, ["zarr.json", "0/zarr.json", "0/c/0", "labels/a/zarr.json"]), key=_rank)]
    ['0/c/0', 'labels/a/zarr.json', '0/zarr.json', 'zarr.json']
    """
    return name.name == METADATA, -len(name.parts), name.name == MANIFEST, name.as_posix()
