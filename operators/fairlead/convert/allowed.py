"""NGFF metadata rebuilt from an allow-list, key by key at every depth: what it does not name is not in the result.

Kept are axes, datasets, transforms, windows, colours and numbers. A word stays when it is one of an enumeration of NGFF 0.5 or
passes the word rule; names of plates, images and acquisitions never do, and paths become numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final

from fairlead.convert.multiscale import OWN_LEVELS
from fairlead.convert.plan import AXIS_TYPES
from fairlead.convert.schema import ORIENTATIONS
from fairlead.convert.words import coded, known_words
from fairlead.errors import UnreadableImage
from fairlead.records import JsonObject
from fairlead.terms import CHANNEL_TERMS

PREFIXES: Final = (
    "", "atto", "centi", "deca", "deci", "exa", "femto", "giga", "hecto", "kilo", "mega", "micro", "milli", "nano", "peta", "pico",
    "tera", "yocto", "yotta", "zepto", "zetta",
)  # fmt: skip
UNITS: Final = frozenset(
    [f"{prefix}{unit}" for prefix in PREFIXES for unit in ("meter", "second")]
    + ["angstrom", "foot", "inch", "mile", "parsec", "yard", "day", "hour", "minute"]
)
"""Units of space and time that NGFF 0.5 lists under "axes"."""
TYPES: Final = frozenset({"gaussian", "mean", "nearest", "linear", "local mean", "majority", "mode", "laplacian"})
FAMILIES: Final = frozenset({"linear", "polynomial", "exponential", "logarithmic"})
MODELS: Final = frozenset({"greyscale", "color"})
COLOR: Final = re.compile(r"[0-9A-Fa-f]{6}")
POSITION: Final = re.compile(r"[A-Za-z]{1,2}|[0-9]{1,4}")
CODED: Final = ("category", "type", "anatomic_region")
ALGORITHMS: Final = frozenset({"AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"})
SAFE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9 _-]*")


def image_metadata(ome: JsonObject) -> JsonObject:
    """Return the first multiscale of a valid NGFF 0.5 image with its ``omero`` or ``image-label``; levels are called 0, 1, 2 ...

    Raises
    ------
    UnreadableImage : transforms that hold something else than numbers.
    """
    stated = ome["multiscales"][0]
    image: JsonObject = {"axes": [_axis(axis) for axis in stated["axes"]]}
    image["datasets"] = [
        {"path": str(number), "coordinateTransformations": _steps(item["coordinateTransformations"])}
        for number, item in enumerate(stated["datasets"])
    ]
    if steps := stated.get("coordinateTransformations"):
        image["coordinateTransformations"] = _steps(steps)
    image |= _levels_type(stated)
    found: JsonObject = {"version": "0.5", "multiscales": [image]}
    if isinstance(omero := ome.get("omero"), dict):
        found["omero"] = _omero(omero)
    if "image-label" in ome:
        found["image-label"] = label_metadata(ome["image-label"])
    return found


def label_metadata(stated: Any) -> JsonObject:
    """Return ``image-label``: colours, and of the properties the values with words and codes that are known."""
    stated = stated if isinstance(stated, dict) else {}
    found: JsonObject = {"source": {"image": "../../"}}
    colors = [_only(item, {"label-value": _whole, "rgba": _rgba}) for item in _dicts(stated.get("colors"))]
    rows = [_property(item) for item in _dicts(stated.get("properties"))]
    for key, values, needed in (("colors", colors, {"label-value", "rgba"}), ("properties", rows, {"label-value"})):
        if kept := [item for item in values if needed <= item.keys()]:
            found[key] = kept
    marked = [{item["label-value"] for item in found[key]} for key in ("colors", "properties") if key in found]
    if len(marked) == 2 and marked[0] != marked[1]:
        del found["colors"]  # ome-zarr-models refuses colours of other values than the properties have
    return found


def label_names(names: Sequence[str]) -> list[str]:
    """Return a name per label image: its own when every word of it is known, else ``label-1`` and so on, by its place.

    >>> label_names(["nuclei", "Miller", "label-7"])
    ['nuclei', 'label-2', 'label-3']
    """
    found: list[str] = []
    for number, name in enumerate(names, start=1):
        known = SAFE_NAME.fullmatch(name) and " " not in name and known_words(name, CHANNEL_TERMS)
        found.append(name if known and name not in found else f"label-{number}")
    return found


def plate_metadata(plate: JsonObject) -> tuple[JsonObject, dict[str, str]]:
    """Return ``plate`` without names and times, and the new path of each well by its old one.

    Rows and columns keep names such as ``B`` or ``12``; when one of them is longer, all are numbered.

    Raises
    ------
    KeyError, TypeError, ValueError, IndexError : the metadata do not hold together.
    """
    places = {key: _positions([str(entry["name"]) for entry in plate[key]]) for key in ("rows", "columns")}
    wells: list[JsonObject] = []
    moved: dict[str, str] = {}
    for well in plate["wells"]:
        row, column = _index(well["rowIndex"]), _index(well["columnIndex"])
        moved[str(well["path"])] = f"{places['rows'][row]}/{places['columns'][column]}"
        wells.append({"path": moved[str(well["path"])], "rowIndex": row, "columnIndex": column})
    if len(set(moved.values())) != len(wells):
        raise ValueError("two wells at one place")
    found: JsonObject = {key: [{"name": name} for name in names] for key, names in places.items()} | {"wells": wells}
    found |= _only(plate, {"field_count": _whole})
    runs = [_only(run, {"id": _whole, "maximumfieldcount": _whole}) for run in _dicts(plate.get("acquisitions"))]
    if known := [run for run in runs if "id" in run]:  # without its id, which wells cite, an acquisition says nothing
        found["acquisitions"] = known
    return found, moved


def well_metadata(well: JsonObject) -> tuple[JsonObject, list[str]]:
    """Return ``well`` with its fields called 0, 1, 2 ..., and their old paths in this order."""
    images = well["images"]
    found = [{"path": str(number)} | _only(item, {"acquisition": _whole}) for number, item in enumerate(images)]
    return {"images": found}, [str(item["path"]) for item in images]


def channel_label(label: Any, number: int) -> str | None:
    """Return a channel's label when every word of it is known, ``channel N`` when not, None when there is none."""
    return (known_words(label, CHANNEL_TERMS) or f"channel {number + 1}") if label else None


def known_unit(unit: Any) -> str | None:
    """Return a unit of NGFF 0.5, section "axes", else None."""
    return unit if isinstance(unit, str) and unit in UNITS else None


def _axis(axis: JsonObject) -> JsonObject:
    name = str(axis["name"])
    if name not in AXIS_TYPES:
        raise UnreadableImage("The NGFF metadata name other axes than t, c, z, y, x.")
    found: JsonObject = {"name": name, "type": AXIS_TYPES[name]}
    if unit := known_unit(axis.get("unit")):
        found["unit"] = unit
    orientation = axis.get("orientation")
    if isinstance(orientation, dict) and orientation.get("value") in ORIENTATIONS:
        found["orientation"] = {"type": "anatomical", "value": orientation["value"]}
    return found


def _steps(steps: list[JsonObject]) -> list[JsonObject]:
    found: list[JsonObject] = []
    for step in steps:
        kind = step.get("type")
        values = step.get(kind) if kind in ("scale", "translation") else None
        if not isinstance(values, list) or not all(_number(value) is not None for value in values):
            raise UnreadableImage("A transform is neither a scale nor a translation of numbers.")
        found.append({"type": kind, str(kind): values})
    return found


def _levels_type(stated: JsonObject) -> JsonObject:
    """Return how the levels were made: one of our own descriptions, or a known word."""
    for own in OWN_LEVELS:
        if all(stated.get(key) == value for key, value in own.items()):
            return dict(own)
    return {"type": stated["type"]} if stated.get("type") in TYPES else {}


def _omero(omero: JsonObject) -> JsonObject:
    found: JsonObject = {"channels": [_channel(item, number) for number, item in enumerate(_dicts(omero.get("channels")))]}
    rdefs = _only(omero.get("rdefs"), {"defaultT": _whole, "defaultZ": _whole, "model": _one_of(MODELS)})
    return found | ({"rdefs": rdefs} if rdefs else {})


def _channel(item: JsonObject, number: int) -> JsonObject:
    rules = {"active": _flag, "inverted": _flag, "coefficient": _number, "family": _one_of(FAMILIES), "color": _color}
    found = _only(item, rules)
    if window := _only(item.get("window"), dict.fromkeys(("min", "max", "start", "end"), _number)):
        found["window"] = window
    label = channel_label(item.get("label"), number)
    return found | ({"label": label} if label else {})


def _property(item: JsonObject) -> JsonObject:
    found = _only(item, {"label-value": _whole, "algorithm_type": _one_of(ALGORITHMS)})
    if label := item.get("label"):
        found["label"] = known_words(label) or f"segment {found.get('label-value', 0)}"
    for key in CODED:
        stated = item.get(key)
        if isinstance(stated, dict) and (code := coded(stated.get("code"), stated.get("scheme"), stated.get("meaning"))):
            found[key] = code
    return found


def _positions(names: list[str]) -> list[str]:
    if all(POSITION.fullmatch(name) for name in names) and len(set(names)) == len(names):
        return names
    return [str(number) for number in range(1, len(names) + 1)]


def _index(value: Any) -> int:
    found = _whole(value)
    if found is None or found < 0:
        raise ValueError("no index")
    return found


def _only(stated: Any, rules: dict[str, Any]) -> JsonObject:
    """Return the keys that the rules name, where a rule gives a value."""
    stated = stated if isinstance(stated, dict) else {}
    return {key: value for key, rule in rules.items() if (value := rule(stated.get(key))) is not None}


def _dicts(value: Any) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | int | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _color(value: Any) -> str | None:
    return value.upper() if isinstance(value, str) and COLOR.fullmatch(value) else None


def _rgba(value: Any) -> list[int] | None:
    good = isinstance(value, list) and len(value) == 4 and all(_whole(part) is not None and 0 <= part <= 255 for part in value)
    return value if good else None


def _one_of(words: frozenset[str]) -> Any:
    return lambda value: value if isinstance(value, str) and value in words else None
