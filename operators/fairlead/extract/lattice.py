"""The lattice of a series, measured from ImagePositionPatient and ImageOrientationPatient, never from SliceThickness.

Source: DICOM PS3.3 C.7.6.2.1.1 (position and orientation); PS3.3 C.7.6.2.1 says that SliceThickness is nominal. Everything here is
a function of values.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from fairlead.extract.frames import Frame, Vector

type Verdict = Literal["regular", "sheared", "irregular", "single", "none"]

POSITION_TOLERANCE_MM: Final = 0.01
"""Positions along the normal that are closer are the same plane; headers round to 1e-3 or coarser."""
SPACING_TOLERANCE: Final = 0.01
"""Relative deviation of a gap from the lattice that still counts as even (highdicom uses the same 1 %)."""
SHEAR_TOLERANCE: Final = 0.002
"""Sideways drift per millimetre of progress beyond which the stack is sheared: 0.1 degrees of gantry tilt."""
DIRECTION_DECIMALS: Final = 3
"""Direction cosines are compared at 0.001: below it is noise of the header's decimal strings."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """What the positions of a series say. ``volumes`` counts frames per position that something tells apart (time, echo, b-value …)."""

    verdict: Verdict
    slices: int | None = None
    spacing_mm: float | None = None
    missing: int | None = None
    duplicates: int | None = None
    times: int | None = None
    volumes: int = 1
    orientations: int = 0

    @property
    def regular(self) -> bool | None:
        """Whether the stack is even and complete; None when there is no stack."""
        return None if self.verdict in ("none", "single") else self.verdict in ("regular", "sheared")


NO_LATTICE: Final = Lattice("none")


def lattice_of(frames: Sequence[Frame], *, stated_times: int | None = None) -> Lattice:
    """Return the lattice of all frames of a series; ``stated_times`` is NumberOfTemporalPositions.

    A stack with gaps of whole steps is irregular, with its step as spacing and the gaps counted; a stack without a common step has
    no spacing. Several orientations (a localizer among axial slices) are irregular and have neither.

    >>> head = [Frame((0.0, 0.0, z), (1, 0, 0, 0, 1, 0), None, None, None) for z in (0.0, 2.5, 5.0, 10.0)]
    >>> found = lattice_of(head)
    >>> found.verdict, found.slices, found.spacing_mm, found.missing
    ('irregular', 4, 2.5, 1)
    """
    if not frames:
        return NO_LATTICE
    orientations = {_direction(orientation) for orientation in {frame.orientation for frame in frames}}
    if len(orientations) > 1:
        places = {(_direction(frame.orientation), tuple(np.round(frame.position, 2))) for frame in frames}
        return Lattice("irregular", slices=len(places), duplicates=len(frames) - len(places), orientations=len(orientations))
    orientation = np.asarray(frames[0].orientation, dtype=np.float64)
    normal = np.cross(orientation[:3], orientation[3:])
    length = float(np.linalg.norm(normal))
    if length < 0.5:  # row and column are parallel: no plane at all
        return NO_LATTICE
    positions = np.asarray([frame.position for frame in frames], dtype=np.float64)
    return _stack(frames, positions, normal / length, stated_times)


def _direction(orientation: Vector) -> Vector:
    return tuple(round(float(cosine), DIRECTION_DECIMALS) + 0.0 for cosine in orientation)


def _stack(frames: Sequence[Frame], positions: NDArray[np.float64], normal: NDArray[np.float64], stated_times: int | None) -> Lattice:
    order = np.argsort(positions @ normal, kind="stable")
    depths = (positions @ normal)[order]
    starts = np.concatenate(([True], np.diff(depths) > POSITION_TOLERANCE_MM))
    slot_of = np.empty(len(frames), dtype=np.int64)
    slot_of[order] = np.cumsum(starts) - 1
    repeats = _repeats(frames, slot_of, stated_times)
    planes = positions[order][starts]
    if len(planes) == 1:
        return Lattice("single", 1, duplicates=repeats.duplicates, times=repeats.times, volumes=repeats.volumes, orientations=1)
    spacing, missing, even = _gaps(np.diff(depths[starts]))
    verdict: Verdict = "irregular" if not even else "sheared" if _is_sheared(planes, normal) else "regular"
    return Lattice(verdict, len(planes), spacing, missing, repeats.duplicates, repeats.times, repeats.volumes, orientations=1)


def _gaps(gaps: NDArray[np.float64]) -> tuple[float | None, int, bool]:
    """Return (step, missing slices, even and complete) of the gaps between neighbouring planes."""
    step = float(np.median(gaps[gaps <= float(gaps.min()) * (1 + 2 * SPACING_TOLERANCE)]))
    counts = np.rint(gaps / step)
    fits = bool(np.all(np.abs(gaps - counts * step) <= SPACING_TOLERANCE * step * np.maximum(counts, 1)))
    single_steps = int(np.count_nonzero(counts == 1))
    if not fits or single_steps * 2 < len(gaps):
        return None, 0, False
    missing = int(counts.sum()) - len(gaps)
    whole = float(gaps.sum() / counts.sum())  # over the whole stack: the mean is more exact than any one gap
    return round(whole, 6), missing, missing == 0


def _is_sheared(planes: NDArray[np.float64], normal: NDArray[np.float64]) -> bool:
    run = planes[-1] - planes[0]
    along = float(run @ normal)
    return bool(np.linalg.norm(run - along * normal) > SHEAR_TOLERANCE * abs(along) + POSITION_TOLERANCE_MM)


@dataclass(frozen=True, slots=True)
class _Repeats:
    duplicates: int
    times: int | None
    volumes: int


def _repeats(frames: Sequence[Frame], slot_of: NDArray[np.int64], stated_times: int | None) -> _Repeats:
    """Tell frames at one place apart: by time, by kind, by instance number when every place has as many; the rest are duplicates."""
    groups: dict[tuple[int, Hashable, Hashable], list[int | None]] = defaultdict(list)
    times: dict[int, set[Hashable]] = defaultdict(set)
    per_slot: Counter[int] = Counter()
    for frame, slot in zip(frames, slot_of.tolist(), strict=True):
        groups[slot, frame.time, frame.kind].append(frame.number)
        times[slot].add(frame.time)
        per_slot[slot] += 1
    sizes = {len(numbers) for numbers in groups.values()}
    distinct = all(None not in numbers and len(set(numbers)) == len(numbers) for numbers in groups.values())
    unexplained = 0 if sizes == {1} or (len(sizes) == 1 and distinct) else sum(len(numbers) - 1 for numbers in groups.values())
    volumes = max(per_slot.values()) if not unexplained else 1
    steps = max(len(found) for found in times.values())
    if steps == 1 and stated_times is not None and stated_times > 1 and volumes == stated_times:
        steps = stated_times
    return _Repeats(unexplained, steps, volumes)
