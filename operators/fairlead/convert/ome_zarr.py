"""Plan the stores of an OME-Zarr source: its levels are read and written again as they are, with checked metadata.

Arrays may be Zarr v2 or v3; NGFF 0.4 and 0.5 are understood. Only axes, scales, channels and voxels pass: attributes of
other programs, tables and METADATA.ome.xml (which may name people) stay behind.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import zarr
from numpy.typing import NDArray

from fairlead.convert.plan import AXIS_ORDER, AXIS_TYPES, Axis, Channel, ImagePlan
from fairlead.convert.sources import Source
from fairlead.convert.validate import missing_chunks, read_ome
from fairlead.convert.volumes import Policy
from fairlead.errors import UnreadableImage, UnsupportedInput
from fairlead.records import GeometryVerdict, JsonObject

READ: Final = frozenset({"0.4", "0.5"})
STATED: Final = GeometryVerdict(verdict="none", reason="OME-Zarr: sampling as the source states it.")


class ZarrVoxels:
    """Voxels of opened levels; their axes are already in NGFF order."""

    def __init__(self, arrays: list[zarr.Array[Any]]) -> None:
        self._arrays = arrays

    def read(self, level: int, lead: tuple[int, ...], start: int, stop: int) -> NDArray[Any]:
        """Return planes (or rows) ``start:stop`` of a level."""
        where: tuple[int | slice, ...] = (*lead, slice(start, stop))
        try:
            return np.ascontiguousarray(self._arrays[level][where])
        except (ValueError, KeyError, RuntimeError, OSError) as error:
            raise UnreadableImage(f"A chunk of level {level} cannot be decoded ({type(error).__name__}).") from error


def zarr_plans(source: Source, stem: str, policy: Policy) -> Iterator[ImagePlan]:
    """Yield the plan of a single-image OME-Zarr.

    Raises
    ------
    UnsupportedInput : plates, wells, collections, other versions, axes that 0.4 and 0.5 do not name.
    UnreadableImage : metadata or levels that do not hold together, or chunks that are absent (unless the policy is ``annotate``).
    """
    try:
        ome, version = read_ome(source.path)
    except (OSError, ValueError) as error:
        raise UnreadableImage("The folder is no OME-Zarr image: NGFF metadata are absent or broken.") from error
    for key, name in (("plate", "A plate (HCS)"), ("well", "A well (HCS)"), ("bioformats2raw.layout", "A bioformats2raw collection")):
        if key in ome:
            raise UnsupportedInput(f"{name} is not converted.", remedy="Give the folders of its images one by one.")
    if version not in READ:
        raise UnsupportedInput(f"OME-NGFF {_shown(version)} is not read.", remedy="Read are 0.4 and 0.5.")
    try:
        image = ome["multiscales"][0]
        names, units = _axes(image)
        arrays = [_open(source, str(dataset["path"])) for dataset in image["datasets"]]
        scale, shift = _transform(image, len(names))
    except (KeyError, IndexError, TypeError, AttributeError, StopIteration) as error:
        raise UnreadableImage("The NGFF metadata lack what an image needs (axes, datasets, scale).") from error
    yield _plan(source, stem, ome, arrays=arrays, axes=_axis_list(arrays[0], names, units, scale=scale, shift=shift), policy=policy)


def _plan(
    source: Source, stem: str, ome: JsonObject, *, arrays: list[zarr.Array[Any]], axes: tuple[Axis, ...], policy: Policy
) -> ImagePlan:
    absent = [missing_chunks(array) for array in arrays]
    if any(absent) and policy != "annotate":
        raise UnreadableImage(
            f"{sum(absent)} chunks are absent; whether they were empty or got lost cannot be told.",
            remedy="Convert with --geometry annotate to read them as the fill value, on record.",
        )
    dropped = [f"{sum(absent)} absent chunks read as the fill value"] if any(absent) else []
    dropped += ["labels are not carried over yet"] if (source.path / "labels").is_dir() else []
    lead = sum(not axis.is_space for axis in axes)
    count = next((axis.size for axis in axes if axis.name == "c"), 1)
    return ImagePlan(
        name=stem,
        source=source.name,
        kind="OME",
        axes=axes,
        dtype=arrays[0].dtype.newbyteorder("="),
        voxels=ZarrVoxels(arrays),
        geometry=STATED,
        channels=_channels(ome, count),
        levels=tuple(tuple(array.shape[lead:]) for array in arrays) if len(arrays) > 1 else (),
        dropped=tuple(dropped),
        greyscale=count == 1,
    )


def _open(source: Source, path: str) -> zarr.Array[Any]:
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise UnreadableImage("A level's path leads out of the store.")
    try:
        array = zarr.open_array(str(source.path / path), mode="r")
    except Exception as error:  # zarr raises a dozen kinds for absent and damaged arrays
        raise UnreadableImage(f"A level named in the metadata cannot be opened ({type(error).__name__}).") from error
    if array.dtype.kind not in "iuf":
        raise UnsupportedInput(
            f"Pixels of type {array.dtype} are not converted.", remedy="Converted are integers and floating point numbers."
        )
    return array


def _axes(image: JsonObject) -> tuple[list[str], list[str | None]]:
    axes = image["axes"]
    names = [str(axis["name"]) for axis in axes]
    types_fit = all(axis.get("type", AXIS_TYPES.get(name)) == AXIS_TYPES.get(name) for axis, name in zip(axes, names, strict=True))
    if not types_fit or names != sorted(names, key=lambda name: AXIS_ORDER.find(name)) or not {"y", "x"} <= set(names):
        raise UnsupportedInput("Axes other than t, c, z, y, x in this order are not converted.", remedy="Reorder the axes first.")
    units = [axis.get("unit") for axis in axes]
    return names, [unit if isinstance(unit, str) and re.fullmatch("[a-z]+", unit) else None for unit in units]


def _transform(image: JsonObject, count: int) -> tuple[list[float], list[float]]:
    """Return scale and translation of level 0, the multiscale's own transform included."""
    scale, shift = np.ones(count), np.zeros(count)
    for step in [*image["datasets"][0]["coordinateTransformations"], *image.get("coordinateTransformations", [])]:
        if step["type"] == "scale":
            scale, shift = scale * step["scale"], shift * step["scale"]
        elif step["type"] == "translation":
            shift = shift + step["translation"]
    if not all(math.isfinite(value) and value > 0 for value in scale):
        raise UnreadableImage("The scale of level 0 is no positive number.")
    return [float(value) for value in scale], [float(value) for value in shift]


def _axis_list(
    array: zarr.Array[Any], names: list[str], units: list[str | None], *, scale: list[float], shift: list[float]
) -> tuple[Axis, ...]:
    if len(names) != array.ndim:
        raise UnreadableImage(f"The metadata name {len(names)} axes, the array has {array.ndim}.")
    rows = zip(names, array.shape, scale, units, shift, strict=True)
    return tuple(Axis(name, int(size), step, unit, origin) for name, size, step, unit, origin in rows)


def _channels(ome: JsonObject, count: int) -> tuple[Channel, ...]:
    stated = (ome.get("omero") or {}).get("channels") or []
    return tuple(_channel(stated[number] if number < len(stated) else {}) for number in range(count))


def _channel(entry: Any) -> Channel:
    entry = entry if isinstance(entry, dict) else {}
    label, color, window = entry.get("label"), str(entry.get("color", "")), entry.get("window") or {}
    ends = window.get("start"), window.get("end")
    known = all(isinstance(end, (int, float)) and math.isfinite(end) for end in ends)
    return Channel(
        label=str(label)[:200] if label else None,
        color=color.upper() if re.fullmatch(r"[0-9A-Fa-f]{6}", color) else "FFFFFF",
        window=(float(ends[0]), float(ends[1])) if known else None,  # type: ignore[arg-type]  # numbers, checked above
        inverted=entry.get("inverted") is True,
    )


def _shown(version: str) -> str:
    return version if re.fullmatch(r"[0-9a-z.-]{1,12}", version) else "of an unstated version"
