"""Neutral names in every group of a store: people name files, plates and label images after patients.

What we wrote ourselves from de-identified DICOM gets new names; what repeats an OME file is an allow-list: keys that NGFF names,
paths that the store has, enumerations and numbers. Words stay only when de-identification knows them to be harmless.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from fairlead.files import relative_files, write_text
from fairlead.records import JsonObject

type Clean = Callable[[str], str]

KEYS: Final = frozenset({
    "version", "multiscales", "omero", "labels", "image-label", "plate", "well", "bioformats2raw.layout", "series", "name", "axes",
    "datasets", "path", "coordinateTransformations", "coordinateSystems", "input", "output", "transformations", "transformation",
    "affine", "rotation", "scale", "translation", "type", "unit", "orientation", "value", "channels", "label", "color", "window", "start",
    "end", "min", "max", "active", "coefficient", "family", "inverted", "rdefs", "defaultT", "defaultZ", "model", "colors", "label-value",
    "rgba", "source", "image", "rows", "columns", "wells", "rowIndex", "columnIndex", "images", "acquisition", "acquisitions", "id",
    "field_count", "maximumfieldcount", "starttime", "endtime", "dimension_names", "discrete", "longName", "mapAxis", "projection",
})  # fmt: skip
TIMES: Final = frozenset({"starttime", "endtime"})
PATHS: Final = frozenset({"path", "image"})
WORDS: Final = frozenset({
    "space", "time", "channel", "scale", "translation", "identity", "affine", "rotation", "sequence", "linear", "greyscale", "color",
    "anatomical", "gaussian", "mean", "nearest", "local mean", "majority", "levels of the source", "intrinsic", "patient", "physical",
})  # fmt: skip
AXES: Final = re.compile(r"[tczyx]|[a-z]{1,2}[0-9]?")
PLAIN: Final = re.compile(r"[0-9.]{1,8}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8}")
UNITS: Final = re.compile(r"[a-z]{0,5}(?:meter|second)|angstrom|foot|inch|mile|parsec|yard|minute|hour|day|degree|radian")
PLACE: Final = re.compile(r"[A-Za-z0-9]{1,3}(?:/[A-Za-z0-9]{1,3})*|(?:labels/)?label-[0-9]+|(?:\.\./)*|0")
CHUNK: Final = re.compile(r"(?:.*/)?(?:zarr\.json|c|(?:c/)?[0-9]+(?:[./][0-9]+)*)")


def name_neutrally(store: Path, name: str, *, clean: Clean, foreign: bool) -> None:
    """Give every group of the store neutral names; ``foreign`` stores keep only what NGFF names, and only chunks besides.

    Raises
    ------
    OSError, ValueError : the store cannot be read; the caller refuses it.
    """
    if foreign:
        _without_strangers(store)
        _rename_labels(store)
    for relative in [path for path in relative_files(store) if path.name == "zarr.json"]:
        document = json.loads((store / relative).read_text(encoding="utf-8"))
        before = json.dumps(document)
        if document.get("node_type") != "group":
            document |= {"attributes": {}} if foreign and document.get("attributes") else {}
        else:
            document.pop("consolidated_metadata", None)
            document["attributes"] = _attributes(document.get("attributes", {}), name, clean=clean, foreign=foreign)
        if json.dumps(document) != before:
            write_text(store / relative, json.dumps(document, indent=2) + "\n")


def label_names(store: Path) -> tuple[str, ...]:
    """Return the names of the store's label images, as they are now."""
    group = store / "labels" / "zarr.json"
    if not group.is_file():
        return ()
    ome = json.loads(group.read_text(encoding="utf-8")).get("attributes", {}).get("ome", {})
    return tuple(str(name) for name in ome.get("labels", []))


def _attributes(attributes: JsonObject, name: str, *, clean: Clean, foreign: bool) -> JsonObject:
    ome = attributes.get("ome", {})
    if foreign:
        ome = _allowed(ome, "", clean)
        attributes = {"ome": ome} if ome else {}
    for scale in ome.get("multiscales", []):
        scale["name"] = name
    plate = ome.get("plate", {})
    for thing in (ome.get("omero", {}), plate):
        if "name" in thing:
            thing["name"] = name
    for number, acquisition in enumerate(plate.get("acquisitions", []), start=1):
        if "name" in acquisition:
            acquisition["name"] = f"Acquisition {number}"
    for number, channel in enumerate(ome.get("omero", {}).get("channels", []), start=1):
        if "label" in channel:
            channel["label"] = clean(str(channel["label"])) or f"Channel {number}"
    return attributes


def _allowed(value: Any, key: str, clean: Clean) -> Any:
    if isinstance(value, dict):
        return {name: _allowed(inner, name, clean) for name, inner in value.items() if name in KEYS and name not in TIMES}
    if isinstance(value, list):
        return [_allowed(inner, key, clean) for inner in value]
    return _word(value, key, clean) if isinstance(value, str) else value


def _word(value: str, key: str, clean: Clean) -> str:
    if value in WORDS or PLAIN.fullmatch(value) or UNITS.fullmatch(value) or AXES.fullmatch(value):
        return value
    if key in (*PATHS, "labels", "name", "series") and PLACE.fullmatch(value):
        return value
    return clean(value)


def _without_strangers(store: Path) -> None:
    for path in relative_files(store):
        if not CHUNK.fullmatch(path.as_posix()):
            (store / path).unlink()


def _rename_labels(store: Path) -> None:
    """Call label images ``label-1`` and so on, in the order of their names."""
    for group in sorted(path.parent for path in store.rglob("labels/zarr.json")):
        document = json.loads((group / "zarr.json").read_text(encoding="utf-8"))
        ome = document.get("attributes", {}).get("ome", {})
        names = [str(item) for item in ome.get("labels", []) if "/" not in str(item) and (group / str(item)).is_dir()]
        moved = {old: f"label-{number}" for number, old in enumerate(sorted(names), start=1)}
        for number, old in enumerate(moved):
            (group / old).rename(group / f".moving-{number}")
        for number, new in enumerate(moved.values()):
            (group / f".moving-{number}").rename(group / new)
        ome["labels"] = list(moved.values())
        write_text(group / "zarr.json", json.dumps(document, indent=2) + "\n")
