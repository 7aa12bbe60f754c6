"""NGFF metadata of one image: axes, datasets with their transforms, the ``omero`` window (NGFF 0.5, section "multiscales")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from fairlead.convert.plan import AXIS_TYPES, Axis, Channel, ImagePlan
from fairlead.convert.pyramid import level_offset
from fairlead.convert.writer import ValueRange
from fairlead.records import JsonObject

OME: Final = "OME"
INTRINSIC: Final = "intrinsic"
PATIENT: Final = "patient"
DOWNSAMPLING: Final = {"type": "local mean", "metadata": {"method": "mean over 2 samples per space axis, edge clamped, half up"}}
MAJORITY: Final = {"type": "majority", "metadata": {"method": "most frequent label of 2 samples per space axis, the highest of equals"}}
REUSED: Final = {"type": "levels of the source", "metadata": {"method": "not computed: the source's own levels"}}
OWN_LEVELS: Final = (DOWNSAMPLING, MAJORITY, REUSED)
LPS: Final = (("x", "right-to-left"), ("y", "anterior-to-posterior"), ("z", "inferior-to-superior"))


def ome_attributes(plan: ImagePlan, shapes: Sequence[tuple[int, ...]], ranges: Sequence[ValueRange], ngff: str) -> JsonObject:
    """Return the value of ``attributes.ome`` for the root group in the wanted NGFF version."""
    image = _multiscale_06(plan, shapes) if ngff == "0.6" else _multiscale_05(plan, shapes)
    image |= REUSED if plan.levels else MAJORITY if plan.image_label is not None else DOWNSAMPLING
    shown = {"omero": _omero(plan, ranges)} if plan.image_label is None else {"image-label": plan.image_label}
    return {"version": ngff, "multiscales": [image], **shown}


def labels_attributes(names: Sequence[str], ngff: str) -> JsonObject:
    """Return the value of ``attributes.ome`` for the ``labels`` group."""
    return {"version": ngff, "labels": list(names)}


def _multiscale_05(plan: ImagePlan, shapes: Sequence[tuple[int, ...]]) -> JsonObject:
    datasets = [
        {"path": str(number), "coordinateTransformations": _level_transforms(plan, number, shape)} for number, shape in enumerate(shapes)
    ]
    return _named(plan) | {"axes": [_axis(axis) for axis in plan.axes], "datasets": datasets}


def _multiscale_06(plan: ImagePlan, shapes: Sequence[tuple[int, ...]]) -> JsonObject:
    """Return the multiscale with coordinate systems (RFC-5): levels map to the intrinsic system, an affine to the patient."""
    plain = [{key: value for key, value in _axis(axis).items() if key != "orientation"} for axis in plan.axes]
    systems: list[JsonObject] = [{"name": INTRINSIC, "axes": plain}]
    image: JsonObject = _named(plan) | {"coordinateSystems": systems, "datasets": []}
    for number, shape in enumerate(shapes):
        steps = _level_transforms(plan, number, shape, origin=plan.geometry.affine is None)  # else the affine has it
        image["datasets"].append({"path": str(number), "coordinateTransformations": [_sequence(steps, str(number))]})
    if plan.geometry.affine is not None and len(plan.space) == 3:
        systems.append({"name": PATIENT, "axes": _patient_axes(plan)})
        image["coordinateTransformations"] = [_patient_transform(plan)]
    return image


def _named(plan: ImagePlan) -> JsonObject:
    """Return the image's name where it is the hash of an identifier; a file's name may be a person's."""
    return {} if plan.kind == OME else {"name": plan.name}


def _sequence(steps: list[JsonObject], path: str) -> JsonObject:
    ends = {"input": {"path": path}, "output": {"name": INTRINSIC}}
    return steps[0] | ends if len(steps) == 1 else {"type": "sequence", "transformations": steps} | ends


def _patient_axes(plan: ImagePlan) -> list[JsonObject]:
    lead = [_axis(axis) for axis in plan.axes if not axis.is_space]
    return lead + [
        {"name": name, "type": "space", "unit": "millimeter", "orientation": {"type": "anatomical", "value": value}} for name, value in LPS
    ]


def _patient_transform(plan: ImagePlan) -> JsonObject:
    """Return the affine from intrinsic coordinates (index × scale) to LPS mm; axes before space pass unchanged."""
    lead = sum(not axis.is_space for axis in plan.axes)
    matrix = np.eye(lead + 3, lead + 4)
    voxel_to_lps = np.asarray(plan.geometry.affine, float)
    scales = np.asarray([axis.scale for axis in plan.axes if axis.is_space])
    matrix[lead:, lead : lead + 3] = voxel_to_lps[:3, :3] / scales
    matrix[lead:, -1] = voxel_to_lps[:3, 3]
    ends = {"input": {"name": INTRINSIC}, "output": {"name": PATIENT}}
    return {"type": "affine", "affine": matrix.tolist(), "name": "index-lattice-to-LPS"} | ends


def _axis(axis: Axis) -> JsonObject:
    entry: JsonObject = {"name": axis.name, "type": AXIS_TYPES[axis.name]}
    if axis.unit is not None:
        entry["unit"] = axis.unit
    if axis.orientation is not None:
        entry["orientation"] = {"type": "anatomical", "value": axis.orientation}
    return entry


def _level_transforms(plan: ImagePlan, number: int, shape: tuple[int, ...], *, origin: bool = True) -> list[JsonObject]:
    """Return scale and translation of a level; the shift by half a sample per halving keeps all levels registered."""
    factors = _level_factors(plan, number, shape)
    scale = [axis.scale * factor for axis, factor in zip(plan.axes, factors, strict=True)]
    shift = [(axis.origin if origin else 0.0) + axis.scale * level_offset(factor) for axis, factor in zip(plan.axes, factors, strict=True)]
    if plan.level_shifts and origin:
        shift[len(shift) - len(shape) :] = plan.level_shifts[number]
    steps: list[JsonObject] = [{"type": "scale", "scale": scale}]
    return [*steps, {"type": "translation", "translation": shift}] if any(shift) else steps


def _level_factors(plan: ImagePlan, number: int, shape: tuple[int, ...]) -> list[float]:
    """Return how many level-0 samples one sample of the level covers: powers of two for our own, what the source says of its levels."""
    others = [1.0] * (len(plan.axes) - len(shape))
    if plan.level_steps:
        return others + [step / full for step, full in zip(plan.level_steps[number], plan.level_steps[0], strict=True)]
    pairs = list(zip(plan.space, shape, strict=True))
    if plan.levels:
        return others + [full / size for full, size in pairs]
    return others + [float(2 ** _halvings(full, size)) for full, size in pairs]


def _halvings(full: int, size: int) -> int:
    steps = 0
    while full > size:
        full, steps = -(-full // 2), steps + 1
    return steps


def _omero(plan: ImagePlan, ranges: Sequence[ValueRange]) -> JsonObject:
    channels = [_channel(channel, values) for channel, values in zip(plan.channels, ranges, strict=True)]
    planes = {axis.name: axis.size // 2 for axis in plan.axes if axis.name == "z"}
    return _named(plan) | {
        "channels": channels,
        "rdefs": {"defaultT": 0, "defaultZ": planes.get("z", 0), "model": "greyscale" if plan.greyscale else "color"},
    }


def _channel(channel: Channel, values: ValueRange) -> JsonObject:
    low, high = (values.low, values.high) if values.low <= values.high else (0.0, 1.0)
    start, end = channel.window or (values.start, values.end)
    entry: JsonObject = {"active": True, "coefficient": 1, "color": channel.color, "family": "linear", "inverted": channel.inverted}
    entry["window"] = {"min": _plain(min(low, start)), "max": _plain(max(high, end)), "start": _plain(start), "end": _plain(end)}
    return entry | ({"label": channel.label} if channel.label else {})


def _plain(number: Any) -> float | int:
    value = float(number)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
