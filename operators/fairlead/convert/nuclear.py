"""Frames of nuclear medicine images: told apart by vectors of indices, placed by their detector (PS3.3 C.8.4.8, C.8.4.11, C.8.4.15)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
OVER_TIME: Final = ("phase", "time_slot", "time_slice", "angular_view")
"""What frames of one image are ordered by, and told apart by in volumes."""
RECONSTRUCTED: Final = frozenset({"RECON TOMO", "RECON GATED TOMO"})
DETECTORS: Final = "DetectorInformationSequence"
TAGS: Final = (
    *VECTORS, DETECTORS, "SpacingBetweenSlices", "PhaseInformationSequence", "GatedInformationSequence",
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
    if kind in RECONSTRUCTED or any("slice" in place for place in places):  # some programs write other words in ImageType
        _require_slices(places)
        return tuple(_slice(dataset, first, place, number) for number, place in enumerate(places))
    return tuple(_projections(dataset, first, places))


def _require_slices(places: Sequence[Mapping[str, int]]) -> None:
    """Refuse frames that nothing stacks: the place in the header is that of the first frame, which has to be the first slice.

    Raises
    ------
    UnreadableImage : the slices are not counted from one, or not counted although something else is.
    """
    if any("slice" not in place and len(place) > 0 for place in places) and any(place != places[0] for place in places):
        raise UnreadableImage("SliceVector is absent, and the frames are told apart by something else.")
    if places[0].get("slice", 1) != 1 or min(place.get("slice", 1) for place in places) < 1:
        raise UnreadableImage("SliceVector does not count from one, so that nothing says whose place the header states.")


def _slice(dataset: Dataset, first: Frame, place: Mapping[str, int], number: int) -> Frame:
    """Return a reconstructed slice. The order of slices is no time: without a vector, repeats of a place are duplicates."""
    pose = _pose(dataset, place, number, first.spacing_mm)
    times = tuple((name, float(place[name])) for name in OVER_TIME if name in place)
    return replace(first, index=number, number=0, pose=pose, apart=_apart(place, APART), times=times)


def _projections(dataset: Dataset, first: Frame, places: Sequence[Mapping[str, int]]) -> Iterator[Frame]:
    """Yield frames without a place, in the order of their vectors; angular views are no time, and apart by what is."""
    views = any("angular_view" in place for place in places)
    names = (*APART, *OVER_TIME[:-1]) if views else APART
    step_s = None if views else _step_s(dataset)
    counted: Counter[tuple[tuple[str, int], ...]] = Counter()
    for number in sorted(range(len(places)), key=lambda number: [places[number].get(name, 0) for name in OVER_TIME]):
        place, apart = places[number], _apart(places[number], names)
        times = tuple((name, float(place[name])) for name in OVER_TIME if name in place and name not in names)
        if step_s is not None:
            times = (("FrameTime", counted[apart] * step_s), *times)
            counted[apart] += 1
        yield replace(first, index=number, number=number, apart=apart, times=times)


def _apart(place: Mapping[str, int], names: Sequence[str]) -> tuple[tuple[str, int], ...]:
    return tuple((name, place[name]) for name in names if name in place)


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
    if not 0 < place.get("detector", 1) <= len(detectors):
        raise UnreadableImage("DetectorVector names a detector that the image does not describe.")
    detector = detectors[place.get("detector", 1) - 1]
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
