"""Understand the metadata of an OME-Zarr image of any released version: 0.1 to 0.3 (axes implied or named), 0.4, 0.5 and 0.6.

Only axes, scales, translations and channels are taken. Transforms that NGFF 0.5 cannot hold are named, never guessed at.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from fairlead.convert.allowed import channel_label, known_unit
from fairlead.convert.plan import AXIS_ORDER, AXIS_TYPES, Channel, default_color
from fairlead.errors import UnreadableImage, UnsupportedInput
from fairlead.records import JsonObject

READ: Final = ("0.1", "0.2", "0.3", "0.4", "0.5", "0.6")
MAX_LEVELS: Final = 64
"""Halving the largest array that a file system could hold would need fewer."""
IMPLIED: Final = frozenset({"0.1", "0.2"})
"""Versions whose images always have the axes t, c, z, y, x, and no scales."""
ROUNDED: Final = 0.02
"""How far the size of a level may be from what its scale says, as a share; and one sample more."""
PLAIN: Final = frozenset({"scale", "translation", "identity", "sequence"})


@dataclass(frozen=True, slots=True)
class NgffImage:
    """One multiscale image: axis names and units, the paths of its levels, and scale and translation of each."""

    names: tuple[str, ...]
    units: tuple[str | None, ...]
    paths: tuple[str, ...]
    scales: tuple[tuple[float, ...], ...]
    shifts: tuple[tuple[float, ...], ...]
    left_out: tuple[str, ...] = ()


def read_image(ome: JsonObject, version: str) -> NgffImage:
    """Return the first multiscale of a group's NGFF metadata.

    Raises
    ------
    UnsupportedInput : another version, or axes and transforms that are not converted.
    UnreadableImage : metadata that lack what an image needs.
    """
    family = known_version(version)
    try:
        image = ome["multiscales"][0]
        names, units = _axes(image, family)
        found = [_transform(dataset, image, family, len(names)) for dataset in image["datasets"]]
        paths = tuple(str(dataset["path"]) for dataset in image["datasets"])
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise UnreadableImage("The NGFF metadata lack what an image needs (axes, datasets, scale).") from error
    if not paths:
        raise UnreadableImage("The NGFF metadata name no level.")
    if len(paths) > MAX_LEVELS or len(set(paths)) < len(paths):
        raise UnreadableImage(f"The NGFF metadata name {len(paths)} levels: more than halving leads to, or one twice.")
    if not all(math.isfinite(value) and value > 0 for scale, _ in found for value in scale):
        raise UnreadableImage("The scale of a level is no positive number.")
    if not all(math.isfinite(value) for _, shift in found for value in shift):
        raise UnreadableImage("The translation of a level is no finite number.")
    left_out = ["transforms to other coordinate systems"] if _has_other_transforms(image) else []
    if (more := len(ome["multiscales"]) - 1) > 0:
        left_out.append(f"{more} further multiscales of the same group")
    return NgffImage(names, units, paths, tuple(scale for scale, _ in found), tuple(shift for _, shift in found), tuple(left_out))


def require_fitting(image: NgffImage, shapes: Sequence[tuple[int, ...]]) -> None:
    """Refuse levels whose size contradicts the scale that they state.

    Raises
    ------
    UnreadableImage : a level whose samples do not cover what the first one covers.
    """
    for scale, shape in zip(image.scales, shapes, strict=True):
        for place, name in enumerate(image.names):
            wanted = shapes[0][place] * image.scales[0][place] / scale[place]
            if name in "zyx" and image.scales != (scale,) * len(shapes) and abs(shape[place] - wanted) > 1 + ROUNDED * wanted:
                raise UnreadableImage(f"A level has {shape[place]} samples along {name}, but a scale for {wanted:.6g}.")


def require_same_axes(image: NgffImage, array: Any) -> None:
    """Refuse an array of Zarr v3 whose ``dimension_names`` put an axis at another place (NGFF 0.5, "multiscales": they must match).

    Raises
    ------
    UnreadableImage : they do; absent names, and words that are no axis, contradict nothing.
    """
    stated = getattr(array.metadata, "dimension_names", None) or ()
    for name, dimension in zip(image.names, stated, strict=False):
        found = str(dimension or "").lower()
        if found != name and found in AXIS_TYPES:
            raise UnreadableImage(f"The metadata call an axis {name} that the array itself calls {found}.")


def known_version(version: str) -> str:
    """Return the released version that a version string belongs to ("0.4-dev-x" counts as 0.4).

    Raises
    ------
    UnsupportedInput : any other.
    """
    family = re.match(r"0\.[0-9](?=$|[.-])", version)
    if family is None or family.group() not in READ:
        shown = version if re.fullmatch(r"[0-9a-z.-]{1,12}", version) else "of an unstated version"
        raise UnsupportedInput(f"OME-NGFF {shown} is not read.", remedy=f"Read are {READ[0]} to {READ[-1]}.")
    return family.group()


def channels_of(ome: JsonObject, count: int) -> tuple[Channel, ...]:
    """Return how the channels are shown, as ``omero`` says."""
    stated = (ome.get("omero") or {}).get("channels") or []
    return tuple(_channel(stated[number] if number < len(stated) else {}, number, count) for number in range(count))


def _axes(image: JsonObject, family: str) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
    if family in IMPLIED:
        return tuple(AXIS_ORDER), (None,) * len(AXIS_ORDER)
    axes = image["coordinateSystems"][0]["axes"] if family == "0.6" else image["axes"]
    words = str if family == "0.3" else dict  # since 0.4 an axis is an object
    if not isinstance(axes, list) or not all(isinstance(axis, words) for axis in axes):
        raise TypeError("axes of another kind")
    named = [{"name": axis} if isinstance(axis, str) else axis for axis in axes]
    names = [str(axis["name"]) for axis in named]
    types_fit = all(axis.get("type", AXIS_TYPES.get(name)) == AXIS_TYPES.get(name) for axis, name in zip(named, names, strict=True))
    if not types_fit or names != sorted(names, key=lambda name: AXIS_ORDER.find(name)) or not {"y", "x"} <= set(names):
        raise UnsupportedInput("Axes other than t, c, z, y, x in this order are not converted.", remedy="Reorder the axes first.")
    units = [axis.get("unit") for axis in named]
    return tuple(names), tuple(known_unit(unit) for unit in units)


def _transform(dataset: JsonObject, image: JsonObject, family: str, count: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return scale and translation of a level; 0.4 and 0.5 apply the multiscale's own transform after the level's."""
    scale, shift = np.ones(count), np.zeros(count)
    if family in {"0.4", "0.5", "0.6"}:
        steps = _flat(dataset["coordinateTransformations"])
        if not steps or any(step["type"] not in PLAIN for step in steps):
            raise UnsupportedInput("A level has a transform that is not converted.", remedy="Converted are scale and translation.")
        after = _flat(image.get("coordinateTransformations") or []) if family != "0.6" else []
        for step in [*steps, *(step for step in after if "output" not in step)]:
            if step["type"] == "scale":
                scale, shift = scale * np.asarray(step["scale"], float), shift * np.asarray(step["scale"], float)
            elif step["type"] == "translation":
                shift = shift + np.asarray(step["translation"], float)
    if scale.shape != (count,) or shift.shape != (count,):
        raise ValueError("a transform of another length")
    return tuple(float(value) for value in scale), tuple(float(value) for value in shift)


def _flat(steps: Sequence[JsonObject]) -> list[JsonObject]:
    return [inner for step in steps for inner in (_flat(step["transformations"]) if step["type"] == "sequence" else [step])]


def _has_other_transforms(image: JsonObject) -> bool:
    return any(step.get("type") != "identity" and "output" in step for step in image.get("coordinateTransformations") or [])


def _channel(entry: Any, number: int, count: int) -> Channel:
    entry = entry if isinstance(entry, dict) else {}
    label, color, window = entry.get("label"), str(entry.get("color", "")), entry.get("window") or {}
    ends = (window.get("start"), window.get("end")) if isinstance(window, dict) else (None, None)
    known = all(isinstance(end, (int, float)) and math.isfinite(end) for end in ends)
    return Channel(
        label=channel_label(label, number),
        color=color.upper() if re.fullmatch(r"[0-9A-Fa-f]{6}", color) else default_color(number, count),
        window=(float(ends[0]), float(ends[1])) if known else None,  # type: ignore[arg-type]  # numbers, checked above
        inverted=entry.get("inverted") is True,
    )
