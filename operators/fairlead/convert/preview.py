"""Draw a store as one PNG: orthogonal middle slices of a volume, or the channels of a picture mixed in their colours.

Everything comes from the store itself: aspect from the scales, grey values from the ``omero`` window. A scale bar says how
large things are, when a unit is stated.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import zarr
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fairlead.convert.plan import default_color
from fairlead.convert.validate import groups_below, read_ome
from fairlead.errors import InvalidInput
from fairlead.files import atomic_write
from fairlead.records import JsonObject

type Rgb = NDArray[np.uint8]

PANEL: Final = 420
"""Longest side of one panel, in pixels."""
GAP: Final = 12
CAPTION: Final = 26
THIN: Final = 0.1
BACKGROUND: Final = (16, 18, 22)
INK: Final = (235, 238, 242)
SYMBOLS: Final = {"millimeter": "mm", "micrometer": "µm", "nanometer": "nm", "centimeter": "cm", "meter": "m", "angstrom": "Å"}
MAX_SAMPLES: Final = 64_000_000
BAND_SAMPLES: Final = 16_000_000
"""A level with more samples than this is not read whole for a picture: a smaller one is, or every n-th row and column of it."""


@dataclass(frozen=True, slots=True)
class _View:
    """A level ready to draw: voxels (c, z, y, x), sample distances z, y, x, their unit, and how channels look."""

    voxels: NDArray[Any]
    scale: tuple[float, float, float]
    unit: str | None
    channels: Sequence[JsonObject]
    head_last: bool = False


def render_preview(store: Path, png: Path) -> None:
    """Write a PNG of the store's middle, first time point.

    Raises
    ------
    InvalidInput : the folder holds no OME-Zarr image.
    """
    view = _load(store)
    picture = _orthogonal(view) if _is_thick(view) else _single(view)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    with atomic_write(png) as handle:
        handle.write(buffer.getvalue())


def _is_thick(view: _View) -> bool:
    """Return whether reformatted planes would show something: a stack of a few slices is drawn by its middle one."""
    _, depth, height, width = view.voxels.shape
    z, y, x = view.scale
    return bool(depth > 1 and depth * z >= THIN * max(height * y, width * x))


def _load(store: Path) -> _View:
    try:
        store = _first_image(store)
        ome, _ = read_ome(store)
        image = ome["multiscales"][0]
        axes = image.get("axes") or image["coordinateSystems"][0]["axes"]
        number, array = _level(store, image)
        scale = _scale(image["datasets"][number])
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InvalidInput(f"{store.name} holds no OME-Zarr image.", remedy="Check it with `fairlead validate`.") from error
    names = [str(axis["name"]) for axis in axes]
    voxels = _czyx(array, names)
    thinned = {"y": array.shape[-2] / voxels.shape[-2], "x": array.shape[-1] / voxels.shape[-1]}
    steps = {name: step * thinned.get(name, 1.0) for name, step in zip(names, scale, strict=True)}
    units = {str(axis["name"]): axis.get("unit") for axis in axes}
    channels = (ome.get("omero") or {}).get("channels") or _default_channels(voxels)
    return _View(voxels, (steps.get("z", 1.0), steps["y"], steps["x"]), units["x"], channels, _head_last(store, axes))


def _first_image(store: Path) -> Path:
    """Return the image to draw: the store itself, or the first field of a plate."""
    ome, _ = read_ome(store)
    if "multiscales" in ome:
        return store
    below = groups_below(store, ome)
    return _first_image(store / below[0]) if below else store


def _head_last(store: Path, axes: list[JsonObject]) -> bool:
    """Return whether z runs toward the head: by orientation on the axis, else by the affine beside it."""
    for axis in axes:
        if axis["name"] == "z" and "orientation" in axis:
            return bool(axis["orientation"]["value"] == "inferior-to-superior")
    root = store / "zarr.json"
    attributes = json.loads(root.read_text(encoding="utf-8"))["attributes"] if root.is_file() else {}
    affine = attributes.get("dicom", {}).get("geometry", {}).get("affine_kji_to_lps_mm")
    if affine is None:
        return False
    step = [row[0] for row in affine[:3]]
    return bool(step[2] == max(step, key=abs))


def _level(store: Path, image: JsonObject) -> tuple[int, zarr.Array[Any]]:
    """Return the smallest level that still fills a panel, or the largest one that can be read."""
    opened = [zarr.open_array(str(store / dataset["path"]), mode="r") for dataset in image["datasets"]]
    fitting = [number for number, array in enumerate(opened) if max(array.shape[-2:]) >= PANEL]
    number = fitting[-1] if fitting else 0
    while number + 1 < len(opened) and opened[number].size > MAX_SAMPLES:
        number += 1
    return number, opened[number]


def _scale(dataset: JsonObject) -> list[float]:
    steps = dataset["coordinateTransformations"]
    flat = [inner for step in steps for inner in step.get("transformations", [step])]
    found: list[float] = next(step["scale"] for step in flat if step["type"] == "scale")
    return found


def _czyx(array: zarr.Array[Any], names: list[str]) -> NDArray[Any]:
    voxels = _thinned(array, names)
    left = [name for name in names if name != "t"]
    for place, name in enumerate("cz"):
        if name not in left:
            voxels = np.expand_dims(voxels, place)
            left.insert(place, name)
    return voxels


def _thinned(array: zarr.Array[Any], names: list[str]) -> NDArray[Any]:
    """Return the first time point; of a level that is too large every n-th row and column, read band by band."""
    sizes = dict(zip(names, array.shape, strict=True)) | {"t": 1}
    step = math.ceil(math.sqrt(max(math.prod(sizes.values()) / MAX_SAMPLES, 1)))
    lead = [0 if name == "t" else slice(None) for name in names[:-2]]
    if step == 1:
        return np.asarray(array[*lead])
    band = max(BAND_SAMPLES * sizes["y"] // math.prod(sizes.values()) // step, 1) * step
    bands = [np.asarray(array[*lead, start : start + band])[..., ::step, ::step] for start in range(0, sizes["y"], band)]
    return np.concatenate(bands, axis=-2)


def _default_channels(voxels: NDArray[Any]) -> list[JsonObject]:
    low, high = np.percentile(voxels, (0.5, 99.5))
    window, count = {"start": float(low), "end": float(high)}, voxels.shape[0]
    return [{"color": default_color(number, count), "window": window} for number in range(count)]


def _middle(voxels: NDArray[Any], axis: int) -> int:
    """Return the middle plane along an axis; when one value fills it, as in a segmentation, the plane whose values differ most."""
    planes = np.moveaxis(voxels, axis, 0)
    middle = len(planes) // 2
    if planes[middle].min() != planes[middle].max():
        return middle
    spread = [float(np.nan_to_num(plane.std(dtype=np.float64))) for plane in planes]
    return spread.index(max(spread)) if any(spread) else middle


def _orthogonal(view: _View) -> Image.Image:
    """Place the three middle planes: the acquired one large, the two reformatted ones stacked beside it, head up where known."""
    _, depth, height, width = view.voxels.shape
    z, y, x = view.scale
    extent = max(depth * z, height * y, width * x)
    up = -1 if view.head_last else 1
    planes = [
        (view.voxels[:, _middle(view.voxels, 1)], y, x),
        (view.voxels[:, ::up, _middle(view.voxels, 2)], z, x),
        (view.voxels[:, ::up, :, _middle(view.voxels, 3)], z, y),
    ]
    panels = [_panel(plane, view.channels, rows, columns, PANEL / extent) for plane, rows, columns in planes]
    main, *sides = panels
    beside = max(side.width for side in sides)
    height = max(main.height, sum(side.height for side in sides) + GAP)
    canvas = Image.new("RGB", (main.width + beside + GAP * 3, height + GAP * 2 + CAPTION), BACKGROUND)
    canvas.paste(main, (GAP, GAP))
    top = GAP + (height - sum(side.height for side in sides) - GAP) // 2
    for side in sides:
        canvas.paste(side, (main.width + 2 * GAP, top))
        top += side.height + GAP
    _bar(canvas, view.unit, PANEL / extent)
    return canvas


def _single(view: _View) -> Image.Image:
    _, _, height, width = view.voxels.shape
    _, y, x = view.scale
    per_unit = 2 * PANEL / max(height * y, width * x)
    panel = _panel(view.voxels[:, _middle(view.voxels, 1)], view.channels, y, x, per_unit)
    canvas = Image.new("RGB", (panel.width + 2 * GAP, panel.height + 2 * GAP + CAPTION), BACKGROUND)
    canvas.paste(panel, (GAP, GAP))
    _bar(canvas, view.unit, per_unit)
    return canvas


def _panel(plane: NDArray[Any], channels: Sequence[JsonObject], row_step: float, column_step: float, per_unit: float) -> Image.Image:
    mixed = Image.fromarray(_composite(plane, channels))
    size = (max(round(plane.shape[2] * column_step * per_unit), 1), max(round(plane.shape[1] * row_step * per_unit), 1))
    smooth = Image.Resampling.LANCZOS if size[0] < plane.shape[2] else Image.Resampling.BICUBIC
    return mixed.resize(size, smooth)


def _composite(plane: NDArray[Any], channels: Sequence[JsonObject]) -> Rgb:
    """Add the channels (c, y, x), each windowed to 0…1 and coloured."""
    total = np.zeros((*plane.shape[1:], 3), np.float32)
    for values, channel in zip(plane, channels, strict=False):
        window, color = channel["window"], str(channel.get("color", "FFFFFF"))
        span = float(window["end"]) - float(window["start"])
        grey = np.clip((np.nan_to_num(values.astype(np.float32)) - float(window["start"])) / (span or 1.0), 0, 1)
        grey = 1 - grey if channel.get("inverted") else grey
        total += grey[..., None] * np.asarray([int(color[place : place + 2], 16) for place in (0, 2, 4)], np.float32)
    return np.clip(total, 0, 255).astype(np.uint8)


def draw_channels(plane: NDArray[Any]) -> Image.Image:
    """Return the channels (c, y, x) mixed in the default colours, each windowed by its own values."""
    return Image.fromarray(_composite(plane, _default_channels(plane)))


def draw_middle(store: Path) -> Image.Image:
    """Return the middle plane of a store's first time point, without a scale bar; raise InvalidInput where there is no image."""
    view = _load(store)
    return Image.fromarray(_composite(view.voxels[:, _middle(view.voxels, 1)], view.channels))


def _bar(canvas: Image.Image, unit: str | None, per_unit: float) -> None:
    """Draw a scale bar of a round length, about a fifth of a panel; nothing when no unit is stated."""
    if unit is None or unit not in SYMBOLS:
        return
    length = round_length(PANEL / 4 / per_unit)
    pixels = round(length * per_unit)
    draw = ImageDraw.Draw(canvas)
    bottom = canvas.height - GAP - 4
    draw.rectangle((GAP, bottom - 3, GAP + pixels, bottom), fill=INK)
    font = ImageFont.load_default(14)
    left, top, label = GAP + pixels + 8, bottom - 12, f"{length:g} {SYMBOLS[unit]}"
    draw.text((left, top), label.replace("µ", "u"), fill=INK, font=font)
    if "µ" in label:  # the built-in font has no micro sign: a u with a stem is one
        stem = left + font.getlength(label.split("µ")[0]) + 1
        draw.line((stem, top + 9, stem, top + 18), fill=INK)


def round_length(length: float) -> float:
    """Return the largest of 1, 2, 5 × 10ⁿ that is not above ``length``.

    >>> round_length(73), round_length(0.3)
    (50.0, 0.2)
    """
    power = math.floor(math.log10(length))
    base = 10.0**power
    return float(f"{max(step for step in (1, 2, 5) if step * base <= length * (1 + 1e-9)) * base:.12g}")
