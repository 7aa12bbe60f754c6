"""Copy what is valid NGFF 0.5 already: chunks byte for byte, metadata byte for byte unless they hold more than NGFF names.

Nothing is encoded again, so nothing can change. Attributes of other programs and groups that the metadata do not name
(tables, OME-XML) stay behind, since they may name people.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import zarr

from fairlead.convert.plan import CopyPlan
from fairlead.convert.sources import Source
from fairlead.convert.validate import LABELS, groups_below, read_group, validate_store
from fairlead.errors import UnreadableImage
from fairlead.files import sha256_file
from fairlead.records import JsonObject

NAMED: Final = frozenset({"version", "multiscales", "omero", "labels", "image-label", "plate", "well"})
SLAB_BYTES: Final = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class _Group:
    """One group of the source: where it is, its attributes, and the arrays it names."""

    path: str
    attributes: JsonObject
    arrays: tuple[str, ...]


def copied(source: Source, stem: str) -> CopyPlan | None:
    """Return the plan that copies a valid store, None when it has errors, absent chunks, or is no image or plate."""
    result = validate_store(source.path)
    if result.findings:
        return None
    groups = list(_groups(source.path, ""))
    first = next((group for group in groups if group.arrays), None)
    if first is None or not (source.path / "zarr.json").is_file():
        return None
    arrays = [zarr.open_array(str(source.path / first.path / name), mode="r") for name in first.arrays]
    image = read_group(source.path / first.path)["multiscales"][0]
    if any(array.dtype.kind not in "iuf" for array in arrays):
        return None
    images = sum(bool(group.arrays) and "image-label" not in group.attributes.get("ome", {}) for group in groups)
    return CopyPlan(
        name=stem,
        source=source.name,
        kind="HCS" if "plate" in read_group(source.path) else "OME",
        root=source.path,
        axes=tuple(str(axis["name"]) for axis in image["axes"]),
        shape=tuple(arrays[0].shape),
        dtype=str(arrays[0].dtype),
        levels=len(arrays),
        labels=tuple(group.path.removeprefix(f"{LABELS}/") for group in groups if group.path.startswith(f"{LABELS}/")),
        instances=images,
        image_index=0 if images == 1 else None,
        dropped=_dropped(groups),
    )


def copy_store(plan: CopyPlan, folder: Path) -> None:
    """Copy the named groups into ``folder``, the root's ``zarr.json`` last; every chunk is decoded once.

    Raises
    ------
    UnreadableImage : a chunk that cannot be decoded, or that changed while it was copied.
    """
    groups = list(_groups(plan.root, ""))
    for group in reversed(groups):
        for array in group.arrays:
            _copy_array(plan.root / group.path / array, folder / group.path / array)
        _copy_metadata(plan.root / group.path, folder / group.path, group)


def _groups(root: Path, path: str) -> Iterator[_Group]:
    """Yield the group and every group its metadata name, parents first."""
    attributes = json.loads((root / path / "zarr.json").read_text(encoding="utf-8")).get("attributes", {})
    ome = attributes.get("ome", {})
    arrays = tuple(str(item["path"]) for scale in ome.get("multiscales", [])[:1] for item in scale["datasets"])
    yield _Group(path, attributes, arrays)
    below = groups_below(root / path, ome)
    parents = {f"{path}/{name}".strip("/").rpartition("/")[0] for name in below} - {path}
    for parent in sorted(parents):
        if (root / parent / "zarr.json").is_file():
            yield _Group(parent, json.loads((root / parent / "zarr.json").read_text(encoding="utf-8")).get("attributes", {}), ())
    for name in below:
        yield from _groups(root, f"{path}/{name}".strip("/"))


def _dropped(groups: list[_Group]) -> tuple[str, ...]:
    extra = sum(bool(set(group.attributes) - {"ome"} or set(group.attributes.get("ome", {})) - NAMED) for group in groups)
    return (f"attributes of other programs in {extra} groups",) if extra else ()


def _copy_metadata(source: Path, target: Path, group: _Group) -> None:
    target.mkdir(parents=True, exist_ok=True)
    ome = {key: value for key, value in group.attributes.get("ome", {}).items() if key in NAMED}
    kept = {"ome": ome} if ome else {}
    document = json.loads((source / "zarr.json").read_text(encoding="utf-8"))
    if kept == group.attributes and "consolidated_metadata" not in document:
        shutil.copyfile(source / "zarr.json", target / "zarr.json")
        return
    rewritten = {"zarr_format": 3, "node_type": "group", "attributes": kept}
    (target / "zarr.json").write_text(json.dumps(rewritten, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def _copy_array(source: Path, target: Path) -> None:
    for file in sorted(path for path in source.rglob("*") if path.is_file() and not path.is_symlink()):
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
        if sha256_file(file) != sha256_file(place):
            raise UnreadableImage("A chunk changed while it was copied.", remedy="Convert again when nobody writes to the source.")
    _decode(zarr.open_array(str(target), mode="r"))


def _decode(array: zarr.Array[Any]) -> None:
    """Read an array once, a block of chunks at a time."""
    rows = max(array.chunks[0], 1) if array.ndim else 1
    try:
        for start in range(0, array.shape[0], rows):
            array[start : start + rows]
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        raise UnreadableImage(f"A chunk cannot be decoded ({type(error).__name__}).") from error
