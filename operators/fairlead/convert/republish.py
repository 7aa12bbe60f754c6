"""Copy what is valid NGFF 0.5 already: chunks byte for byte, metadata rebuilt from what NGFF and Zarr name.

No voxel is encoded again, so none can change. Metadata are not copied but built anew (:mod:`fairlead.convert.allowed`), and
only the chunks that an array's metadata imply are read: whatever else lies in the folder may name people, and stays behind.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import zarr
from zarr.core.buffer import default_buffer_prototype

from fairlead.convert.allowed import image_metadata, label_names, plate_metadata, well_metadata
from fairlead.convert.bounded import require_bounded
from fairlead.convert.ngff_read import read_image, require_fitting
from fairlead.convert.plan import AXIS_TYPES, CopyPlan
from fairlead.convert.sources import Source
from fairlead.convert.staging import write_root
from fairlead.convert.validate import LABELS, labels_of, read_group, validate_store
from fairlead.errors import UnreadableImage
from fairlead.files import sha256_file, write_text
from fairlead.records import JsonObject

ARRAY_KEYS: Final = frozenset({
    "zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding", "fill_value", "codecs", "attributes",
    "storage_transformers",
})  # fmt: skip
CODECS: Final = frozenset({"bytes", "transpose", "sharding_indexed", "blosc", "zstd", "gzip", "crc32c"})
"""Codecs whose configuration is numbers and enumerations; arrays with others are encoded again."""


@dataclass(frozen=True, slots=True)
class _Group:
    """One group: where it is and where it goes, its new attributes, and its levels in order by their old paths."""

    old: str
    new: str
    ome: JsonObject
    arrays: tuple[str, ...] = ()


def copied(source: Source, stem: str) -> CopyPlan | None:
    """Return the plan that copies a valid store, None when it has errors, absent chunks, or is no image or plate.

    Raises
    ------
    UnreadableImage : levels that contradict their scales.
    """
    if not (source.path / "zarr.json").is_file() or validate_store(source.path).findings:
        return None
    ome = read_group(source.path)
    if not {"multiscales", "plate"} & ome.keys():
        return None
    groups = _groups(source.path, ome)
    images = [group for group in groups if group.arrays and "image-label" not in group.ome]
    opened = [array for group in groups for array in _arrays(source.path, group)]
    if not images or not all(_is_plain(array) for array in opened):
        return None
    left_out: list[str] = []
    for group in groups:
        if group.arrays:
            image = read_image(read_group(source.path / group.old), "0.5")
            require_fitting(image, [array.shape for array in _arrays(source.path, group)])
            left_out += image.left_out
    for array in opened:
        require_bounded(array)
    arrays = _arrays(source.path, images[0])
    return CopyPlan(
        name=stem,
        source=source.name,
        kind="HCS" if "plate" in ome else "OME",
        root=source.path,
        axes=tuple(str(axis["name"]) for axis in images[0].ome["multiscales"][0]["axes"]),
        shape=tuple(arrays[0].shape),
        dtype=str(arrays[0].dtype),
        levels=len(arrays),
        labels=tuple(group.new.removeprefix(f"{LABELS}/") for group in groups if group.new.startswith(f"{LABELS}/")),
        instances=len(images),
        image_index=0 if len(images) == 1 else None,
        dropped=(*dict.fromkeys(left_out), *_dropped(source.path, groups)),
    )


def copy_store(plan: CopyPlan, folder: Path) -> None:
    """Copy the named groups into ``folder``, the root's ``zarr.json`` last; every chunk is decoded once.

    Raises
    ------
    UnreadableImage : a chunk that cannot be decoded, or that changed while it was copied.
    """
    for group in reversed(_groups(plan.root, read_group(plan.root))):
        for number, (old, array) in enumerate(zip(group.arrays, _arrays(plan.root, group), strict=True)):
            _copy_array(array, plan.root / group.old / old, folder / group.new / str(number))
        write_root(folder / group.new, {"ome": group.ome} if group.ome else {})


def _groups(root: Path, ome: JsonObject) -> list[_Group]:
    """Return the groups that a store's metadata name, parents first.

    Raises
    ------
    UnreadableImage : metadata that do not hold together.
    """
    try:
        return list(_plate(root, ome["plate"]) if "plate" in ome else _image(root, "", "", ome))
    except (KeyError, IndexError, TypeError, AttributeError, OSError, ValueError) as error:
        raise UnreadableImage("The store's metadata do not hold together.") from error


def _image(root: Path, old: str, new: str, ome: JsonObject) -> Iterator[_Group]:
    paths = tuple(str(item["path"]) for item in ome["multiscales"][0]["datasets"])
    yield _Group(old, new, image_metadata(ome), paths)
    listed = labels_of(root / old)
    if not listed:
        return
    names = label_names(listed)
    yield _Group(_joined(old, LABELS), _joined(new, LABELS), {"version": "0.5", "labels": names})
    for before, after in zip(listed, names, strict=True):
        place = _joined(old, LABELS, before)
        yield from _image(root, place, _joined(new, LABELS, after), {"image-label": {}} | read_group(root / place))


def _plate(root: Path, stated: JsonObject) -> Iterator[_Group]:
    plate, moved = plate_metadata(stated)
    yield _Group("", "", {"version": "0.5", "plate": plate | {"version": "0.5"}})
    for row in dict.fromkeys(new.split("/")[0] for new in moved.values()):
        yield _Group(next(old.split("/")[0] for old, new in moved.items() if new.split("/")[0] == row), row, {})
    for old, new in moved.items():
        well, fields = well_metadata(read_group(root / old)["well"])
        yield _Group(old, new, {"version": "0.5", "well": well})
        for number, field in enumerate(fields):
            place = _joined(old, field)
            yield from _image(root, place, _joined(new, str(number)), read_group(root / place))


def _joined(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def _arrays(root: Path, group: _Group) -> list[zarr.Array[Any]]:
    return [zarr.open_array(str(root / group.old / name), mode="r") for name in group.arrays]


def _is_plain(array: zarr.Array[Any]) -> bool:
    document = _document(array)
    names = set(_codec_names(document["codecs"]))
    return array.dtype.kind in "iuf" and array.metadata.zarr_format == 3 and names <= CODECS and array.ndim > 0


def _codec_names(codecs: list[JsonObject]) -> Iterator[str]:
    for codec in codecs:
        yield str(codec["name"])
        inner = codec.get("configuration", {})
        yield from _codec_names([*inner.get("codecs", []), *inner.get("index_codecs", [])])


def _document(array: zarr.Array[Any]) -> JsonObject:
    """Return an array's metadata as zarr understood them: keys and codec settings that it does not know are gone."""
    stated = json.loads(array.metadata.to_buffer_dict(default_buffer_prototype())["zarr.json"].to_bytes())
    names = stated.get("dimension_names") or [""]
    known = all(name in AXIS_TYPES for name in names)
    empty: JsonObject = {"attributes": {}, "storage_transformers": []}
    return {key: empty.get(key, value) for key, value in stated.items() if key in ARRAY_KEYS or (key == "dimension_names" and known)}


def _keys(array: zarr.Array[Any]) -> Iterator[str]:
    """Yield the chunk keys that shape, chunk grid and key encoding imply (Zarr v3 core, "Chunk key encoding"); shards are chunks here."""
    outer = array.shards or array.chunks
    for place in itertools.product(*(range(-(-size // step)) for size, step in zip(array.shape, outer, strict=True))):
        yield str(array.metadata.encode_chunk_key(place))


def _copy_array(array: zarr.Array[Any], source: Path, target: Path) -> None:
    write_text(target / "zarr.json", json.dumps(_document(array), indent=2))
    for key in _keys(array):
        place = target / key
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / key, place)
        if sha256_file(source / key) != sha256_file(place):
            raise UnreadableImage("A chunk changed while it was copied.", remedy="Convert again when nobody writes to the source.")
    _decode(zarr.open_array(str(target), mode="r"))


def _dropped(root: Path, groups: list[_Group]) -> tuple[str, ...]:
    """Count what stays behind: files that nothing names, and attributes that are not allowed."""
    used = {_joined(group.old, "zarr.json") for group in groups}
    extra = sum(_differs(root / group.old, {"ome": group.ome} if group.ome else {}) for group in groups)
    for group in groups:
        for name, array in zip(group.arrays, _arrays(root, group), strict=True):
            used |= {_joined(group.old, name, key) for key in ("zarr.json", *_keys(array))}
            extra += _differs(root / group.old / name, {})
    files = {(Path(at) / name).relative_to(root).as_posix() for at, _, names in os.walk(root) for name in names}
    strange = len(files - used)
    return tuple(
        text
        for count, text in (
            (extra, f"names, free text or attributes of other programs in {extra} groups and arrays"),
            (strange, f"{strange} files that the metadata do not name"),
        )
        if count
    )


def _differs(folder: Path, attributes: JsonObject) -> bool:
    file = folder / "zarr.json"
    return file.is_file() and json.loads(file.read_text(encoding="utf-8")).get("attributes", {}) != attributes


def _decode(array: zarr.Array[Any]) -> None:
    """Read an array once, a block of chunks at a time."""
    rows = max(array.chunks[0], 1) if array.ndim else 1
    try:
        for start in range(0, array.shape[0], rows):
            array[start : start + rows]
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        raise UnreadableImage(f"A chunk cannot be decoded ({type(error).__name__}).") from error
