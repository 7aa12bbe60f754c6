"""Frames of dose grids and parametric maps: multi-frame objects that place and scale their values in their own ways."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from pydicom.dataset import Dataset

from fairlead.convert.frames import Frame, classic_frame, enhanced_frames
from fairlead.convert.lattice import PlanePose, unit
from fairlead.errors import UnreadableImage

SAME_PLACE_MM: Final = 1e-3


def dose_frames(dataset: Dataset, count: int) -> tuple[Frame, ...]:
    """Return the planes of an RT dose: GridFrameOffsetVector along the normal, DoseGridScaling as slope (PS3.3 C.8.8.3).

    Raises
    ------
    UnreadableImage : no place, no scaling, or offsets that do not fit the number of frames.
    """
    first = classic_frame(dataset)
    scaling = dataset.get("DoseGridScaling")
    if first.pose is None or scaling is None or not float(scaling) > 0:
        raise UnreadableImage("The dose grid does not say where it lies or what its values mean.")
    offsets = np.asarray([float(part) for part in _many(dataset.get("GridFrameOffsetVector"))] or [0.0])
    if len(offsets) != count:
        raise UnreadableImage(f"The dose grid has {count} planes, but {len(offsets)} offsets.")
    steps = _steps(first.pose, offsets)
    return tuple(
        replace(first, index=number, number=number, pose=_moved(first.pose, step), slope=float(scaling), intercept=0.0)
        for number, step in enumerate(steps)
    )


def map_frames(dataset: Dataset, count: int) -> tuple[Frame, ...]:
    """Return the frames of a parametric map, scaled by its real world value mapping where it has one (PS3.3 C.7.6.16.2.11)."""
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
    frames = enhanced_frames(dataset, count)
    return tuple(_mapped(frame, item, shared) for frame, item in zip(frames, groups, strict=True))


def _mapped(frame: Frame, item: Dataset, shared: Dataset) -> Frame:
    mapping = (item.get("RealWorldValueMappingSequence") or shared.get("RealWorldValueMappingSequence") or [Dataset()])[0]
    slope, intercept = mapping.get("RealWorldValueSlope"), mapping.get("RealWorldValueIntercept")
    if slope is None or intercept is None:
        return frame
    return replace(frame, slope=float(slope), intercept=float(intercept))


def _steps(pose: PlanePose, offsets: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the shift of every plane: relative offsets start at zero, absolute ones are patient z of an axial grid."""
    normal = unit(np.cross(pose.along_row, pose.along_column))
    if offsets[0] == 0:
        return np.outer(offsets, normal)
    if abs(normal[2]) > 1 - 1e-6 and abs(offsets[0] - pose.position[2]) < SAME_PLACE_MM:
        return np.outer(offsets - offsets[0], np.asarray([0.0, 0.0, 1.0]))
    raise UnreadableImage("The offsets of the dose grid are neither relative nor patient z.")


def _moved(pose: PlanePose, step: np.ndarray[tuple[int], np.dtype[np.float64]]) -> PlanePose:
    x, y, z = (float(part + shift) for part, shift in zip(pose.position, step, strict=True))
    return PlanePose((x, y, z), pose.orientation, pose.spacing_mm)


def _many(value: object) -> list[float]:
    if value is None or value == "":
        return []
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else [value]  # type: ignore[list-item]
