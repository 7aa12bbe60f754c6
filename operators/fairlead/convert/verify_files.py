"""Recompute what a described store says of itself: the sha256 of its files, and of the voxels of every plane.

A stranger who has only the store can so tell that it holds what was decoded from each DICOM instance. Sources: RFC 8493 section 2.1.3
(the form of the manifest); the columns of ``dicom/planes.csv``.
"""

from __future__ import annotations

import csv
import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
import zarr

from fairlead.convert.bounded import require_bounded
from fairlead.convert.documents import MAX_BYTES
from fairlead.convert.staging import MANIFEST
from fairlead.convert.validate import ValidationFinding
from fairlead.errors import FairleadError, UnreadableImage
from fairlead.files import relative_files, sha256_file

PLANES: Final = "dicom/planes.csv"
VOXELS: Final = "planes"
FILES: Final = "manifest"
CHUNKS: Final = "chunks"
METADATA: Final = ("zarr.json", ".zarray")
MAX_PLANES: Final = 2_000_000
MOST_BYTES: Final = 1024**3
"""What a band of chunks may decode to."""
SHOWN: Final = 20

type Planes = dict[tuple[int, int], str]


def verify_files(store: Path) -> tuple[ValidationFinding, ...]:
    """Return where a store differs from its manifest and its table of planes; of one without them, chunks that cannot be what they say."""
    described = (store / MANIFEST).is_file()
    found = [*_files(store), *_planes(store)] if described else list(_chunks(store))
    more = len(found) - SHOWN
    rest = [ValidationFinding("error", "", f"{more} more differences.", FILES)] if more > 0 else []
    return (*found[:SHOWN], *rest)


def _files(store: Path) -> Iterator[ValidationFinding]:
    manifest = store / MANIFEST
    if not manifest.is_file() or manifest.is_symlink():
        return
    try:
        listed = _listed(_text(manifest))
    except (OSError, ValueError):
        yield ValidationFinding("error", MANIFEST, "The manifest cannot be read.", FILES)
        return
    there = {path.as_posix() for path in relative_files(store)} - {MANIFEST}
    for name in sorted(listed.keys() - there):
        yield ValidationFinding("error", name, "The manifest names a file that is not there.", FILES)
    for name in sorted(there - listed.keys()):
        yield ValidationFinding("error", name, "The manifest does not name this file.", FILES)
    for name in sorted(there & listed.keys()):
        if sha256_file(store / name) != listed[name]:
            yield ValidationFinding("error", name, "The file has another sha256 than the manifest says.", FILES)


def _chunks(store: Path) -> Iterator[ValidationFinding]:
    """Yield arrays with a chunk or shard whose header says what cannot be; nothing is decoded, and absent chunks are no error in Zarr."""
    for file in sorted(path for name in METADATA for path in store.rglob(name)):
        at = file.parent.relative_to(store).as_posix()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                node = zarr.open(str(file.parent), mode="r")
                if isinstance(node, zarr.Array):
                    require_bounded(node)
        except UnreadableImage as error:
            yield ValidationFinding("error", at, str(error), CHUNKS)
        except Exception as error:  # zarr raises a dozen kinds for what it does not know; tables beside an image may be such
            yield ValidationFinding("warning", at, f"What lies here cannot be judged ({type(error).__name__}).", CHUNKS)


def _listed(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        digest, _, name = line.partition("  ")
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or not name:
            raise ValueError("a path outside the store")
        found[name] = digest
    return found


def _planes(store: Path) -> Iterator[ValidationFinding]:
    table = store / PLANES
    if not table.is_file() or table.is_symlink():
        return
    try:
        wanted = _stated(_text(table))
        found = dict(_computed(zarr.open_array(str(store / "0"), mode="r"))) if wanted else {}
    except FairleadError as error:
        yield ValidationFinding("error", PLANES, str(error), VOXELS)
        return
    except Exception as error:  # zarr raises a dozen kinds for damaged arrays, and chunks fail in their decoders
        yield ValidationFinding("error", PLANES, f"The planes cannot be compared ({type(error).__name__}).", VOXELS)
        return
    wrong = [place for place, digest in wanted.items() if found.get(place) != digest]
    for time, plane in wrong:
        yield ValidationFinding("error", PLANES, f"Plane {plane} of time {time} has other voxels than its sha256 says.", VOXELS)
    if set(found) - set(wanted) and wanted:
        yield ValidationFinding("error", PLANES, f"{len(set(found) - set(wanted))} planes have no sha256.", VOXELS)


def _stated(text: str) -> Planes:
    rows = csv.DictReader(text.splitlines())
    return {(int(row["time"]), int(row["slice"])): row["sha256"] for row in rows if row["sha256"]}


def _computed(array: zarr.Array[Any]) -> Iterator[tuple[tuple[int, int], str]]:
    """Yield time, plane and sha256 of every plane of an array with axes of t, c, z, y, x."""
    require_bounded(array)
    names = list(getattr(array.metadata, "dimension_names", None) or ())
    sizes = dict(zip(names, array.shape, strict=True))
    steps = dict(zip(names, array.chunks, strict=True))
    planes = sizes.get("z", 1)
    if planes * sizes.get("t", 1) > MAX_PLANES:
        raise ValueError("too many planes")
    for time in range(sizes.get("t", 1)):
        for start in range(0, planes, steps.get("z", 1)):
            stop = min(start + steps.get("z", 1), planes)
            yield from zip(((time, place) for place in range(start, stop)), _digests(array, names, time, slice(start, stop)), strict=True)


def _digests(array: zarr.Array[Any], names: list[str], time: int, depths: slice) -> Iterator[str]:
    """Yield the sha256 of planes that share chunks, read band by band: of colour one channel after the other."""
    sizes = dict(zip(names, array.shape, strict=True))
    band = array.chunks[names.index("y")]
    if (depths.stop - depths.start) * band * sizes["x"] * array.dtype.itemsize > MOST_BYTES:
        raise ValueError("too large")
    found = [hashlib.sha256() for _ in range(depths.start, depths.stop)]
    for channel in range(sizes.get("c", 1)):
        for top in range(0, sizes["y"], band):
            index: dict[str, int | slice] = {"t": time, "c": channel, "z": depths, "y": slice(top, top + band)}
            block = np.asarray(array[tuple(index.get(name, slice(None)) for name in names)])
            for digest, rows in zip(found, block if "z" in sizes else block[np.newaxis], strict=True):
                digest.update(np.ascontiguousarray(rows, rows.dtype.newbyteorder("<")))
    yield from (digest.hexdigest() for digest in found)


def _text(file: Path) -> str:
    with file.open("rb") as handle:
        data = handle.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError("too large")
    return data.decode("utf-8")
