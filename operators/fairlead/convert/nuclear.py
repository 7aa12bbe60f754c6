"""Frames of nuclear medicine images: told apart by vectors of indices, placed by their detector (PS3.3 C.8.4.8, C.8.4.11, C.8.4.15)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset

from fairlead.convert.frames import Frame, classic_frame
from fairlead.convert.lattice import PlanePose, unit
from fairlead.errors import UnreadableImage

VECTORS: Final[Mapping[str, str]] = {
    "EnergyWindowVector": "energy_window", "DetectorVector": "detector", "RotationVector": "rotation", "RRIntervalVector": "rr_interval",
    "PhaseVector": "phase", "TimeSliceVector": "time_slice", "TimeSlotVector": "time_slot", "AngularViewVector": "angular_view",
    "SliceVector": "slice",
}  # fmt: skip
"""What the FrameIncrementPointer may point to (PS3.3 C.8.4.8, table C.8-8), and what it counts; all from one."""
APART: Final = ("energy_window", "detector", "rotation", "rr_interval")
"""Frames that differ in one of these are different images."""
OVER_TIME: Final = ("time_slot", "time_slice", "angular_view")
RECONSTRUCTED: Final = frozenset({"RECON TOMO", "RECON GATED TOMO"})
DETECTORS: Final = "DetectorInformationSequence"
TAGS: Final = (
    *VECTORS, DETECTORS, "SpacingBetweenSlices", "PhaseInformationSequence", "GatedInformationSequence", "RotationInformationSequence",
    "ActualFrameDuration",
)  # fmt: skip
FARTHEST_MM: Final = 1e4


def nuclear_frames(dataset: Dataset, count: int) -> tuple[Frame, ...]:
    """Return the frames of a nuclear medicine image; only those of a reconstructed volume have a place in the patient.

    Raises
    ------
    UnreadableImage : vectors that do not fit the number of frames, or a volume without its place.
    """
    places = _places(dataset, count)
    first = replace(classic_frame(dataset), pose=None, apart=(), times=())
    kind = str((list(dataset.get("ImageType") or []) + [""] * 3)[2])
    step_s = None if kind in RECONSTRUCTED else _step_s(dataset)
    found: list[Frame] = []
    counted: dict[tuple[tuple[str, int], ...], int] = {}
    for number, place in enumerate(places):
        apart = tuple((name, place[name]) for name in APART if name in place)
        pose = _pose(dataset, place, number, first.spacing_mm) if kind in RECONSTRUCTED else None
        # The order of slices is no time: without a vector, repeats of a place are duplicates.
        times: tuple[tuple[str, float], ...] = tuple((name, float(place[name])) for name in OVER_TIME if name in place)
        if step_s is not None:
            counted[apart] = counted.get(apart, -1) + 1
            times = (("FrameTime", counted[apart] * step_s), *times)
        found.append(replace(first, index=number, number=0 if pose else number, pose=pose, apart=apart, times=times))
    return tuple(found)


def _places(dataset: Dataset, count: int) -> list[dict[str, int]]:
    vectors: dict[str, list[int]] = {}
    for keyword, name in VECTORS.items():
        if (value := dataset.get(keyword)) in (None, "", []):
            continue
        numbers = [int(part) for part in (value if hasattr(value, "__len__") else [value])]
        if len(numbers) != count:
            raise UnreadableImage(f"The image has {count} frames, but {keyword} {len(numbers)} entries.")
        vectors[name] = numbers
    return [{name: numbers[frame] for name, numbers in vectors.items()} for frame in range(count)]


def _pose(dataset: Dataset, place: Mapping[str, int], number: int, spacing: tuple[float, float] | None) -> PlanePose:
    """Return where a slice lies: along the normal from the first, in front of it when SpacingBetweenSlices is negative (C.8.4.15)."""
    detectors = dataset.get(DETECTORS) or [dataset]
    detector = detectors[min(max(place.get("detector", 1), 1), len(detectors)) - 1]
    stated = Dataset()
    for name in ("ImagePositionPatient", "ImageOrientationPatient"):
        if (value := detector.get(name) or dataset.get(name)) is not None:
            setattr(stated, name, value)
    stated.PixelSpacing = list(spacing) if spacing else None
    pose, step = classic_frame(stated).pose, _number(dataset.get("SpacingBetweenSlices"))
    if pose is None or not step or abs(step) > FARTHEST_MM:
        raise UnreadableImage("The reconstructed slices do not say where they lie (detector's position, spacing between slices).")
    shift = unit(np.cross(pose.along_row, pose.along_column)) * step * (place.get("slice", number + 1) - 1)
    x, y, z = (float(part + more) for part, more in zip(pose.position, shift, strict=True))
    return PlanePose((x, y, z), pose.orientation, pose.spacing_mm)


def _step_s(dataset: Dataset) -> float | None:
    """Return the seconds from frame to frame when one phase, or one gate, has them all (C.8.4.14, C.8.4.13)."""
    phases = dataset.get("PhaseInformationSequence") or []
    if len(phases) == 1:
        duration, pause = _number(phases[0].get("ActualFrameDuration")), _number(phases[0].get("PauseBetweenFrames")) or 0.0
        return (duration + pause) / 1000 if duration and duration > 0 else None
    gates = dataset.get("GatedInformationSequence") or []
    slots = (gates[0].get("DataInformationSequence") or []) if len(gates) == 1 else []
    duration = _number(slots[0].get("FrameTime")) if len(slots) == 1 else None
    return duration / 1000 if duration and duration > 0 else None


def _number(value: Any) -> float | None:
    try:
        number = float(value) if value is not None else math.nan
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
