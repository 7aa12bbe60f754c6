"""Where slices lie in the patient: order, spacing, regularity and the affine, from positions and orientations only.

All coordinates are DICOM patient coordinates (LPS, mm, centre of the first pixel; PS3.3 C.7.6.2.1.1). Neither
SliceThickness, SliceLocation, SpacingBetweenSlices nor GantryDetectorTilt takes part: they are unreliable, and the
last is "not intended for mathematical computations".
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fairlead.records import GeometryVerdict

type Vectors = NDArray[np.float64]

AFFINE_TOLERANCE_MM: Final = 1e-4
"""Largest distance of an ImagePositionPatient from where the affine puts it, beyond what its recorded decimals leave open."""
PRINTED_DIGITS: Final = 6
"""Numbers are printed with this many digits at least (C's ``%g``): with fewer, digits that are zero were not printed."""
POSITION_TOLERANCE: Final = 0.01
"""How uneven gaps may be, as a share of the slice step, to be told as missing slices or as slices beside an even lattice."""
ROUNDED_SHARE: Final = 0.02
"""How coarsely positions may be recorded, as a share of the slice step, and still tell whether slices are even."""
POSITION_TOLERANCE_MM: Final = 1e-3
"""Positions are decimal strings: closer than this is equal."""
FAR: Final = 1.5
"""Two planes alone that lie further apart than so many of the smallest steps are no run."""
SHEAR_TOLERANCE: Final = 2e-3
"""Sideways part of the slice step, as a share of it, from which a stack counts as sheared (0.1 degrees)."""
ALIGNED_COSINE: Final = 0.999
"""Directions with at least this cosine to a patient axis count as aligned with it (RFC-4: "roughly aligned")."""
DIRECTION_NAMES: Final = (
    ("right-to-left", "left-to-right"),
    ("anterior-to-posterior", "posterior-to-anterior"),
    ("inferior-to-superior", "superior-to-inferior"),
)
"""RFC-4 words for increasing and decreasing L, P and S."""


@dataclass(frozen=True, slots=True)
class PlanePose:
    """One plane in the patient. ``orientation`` is ImageOrientationPatient, ``spacing_mm`` is (between rows, between columns)."""

    position: tuple[float, float, float]
    orientation: tuple[float, float, float, float, float, float]
    spacing_mm: tuple[float, float]

    @property
    def along_row(self) -> Vectors:
        """Unit direction of increasing column index."""
        return unit(np.asarray(self.orientation[:3], float))

    @property
    def along_column(self) -> Vectors:
        """Unit direction of increasing row index."""
        return unit(np.asarray(self.orientation[3:], float))

    @property
    def normal(self) -> Vectors:
        """Unit normal of the plane: row × column, turned toward the head when the plane is axial (PS3.3 C.7.6.2.1.1)."""
        normal = unit(np.cross(self.along_row, self.along_column))
        axial = int(np.argmax(np.abs(normal))) == 2
        return -normal if axial and normal[2] < 0 else normal


@dataclass(frozen=True, slots=True)
class Stack:
    """Planes of one orientation in slice order. ``order`` indexes the planes as given; ``missing`` counts on the full lattice."""

    order: tuple[int, ...]
    verdict: GeometryVerdict

    @property
    def is_lattice(self) -> bool:
        """Whether one affine places every voxel."""
        return self.verdict.verdict in {"regular", "sheared", "single"}


def unit(vector: Vectors) -> Vectors:
    """Return ``vector`` scaled to length one; a zero vector stays zero."""
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector


def slice_order(poses: list[PlanePose]) -> list[int]:
    """Return the indices of ``poses`` in order of increasing distance along the normal of the first pose."""
    normal = poses[0].normal
    return sorted(range(len(poses)), key=lambda index: (float(np.dot(poses[index].position, normal)), index))


def stack_planes(poses: list[PlanePose]) -> Stack:
    """Order parallel planes and say whether they form a lattice; see :class:`GeometryVerdict` for the answers.

    The step is a vector, ``(last - first) / (n - 1)``, so that a tilted gantry keeps its shear exactly.
    """
    order = tuple(slice_order(poses))
    first = poses[order[0]]
    positions = np.asarray([poses[index].position for index in order], float)
    if len(order) == 1:
        return Stack(order, _verdict("single", "One plane; there is no slice spacing.", first, first.normal))
    gaps = np.diff(positions @ first.normal)
    duplicates = tuple(int(index) + 1 for index in np.flatnonzero(gaps <= POSITION_TOLERANCE_MM))
    if duplicates:
        return Stack(order, _irregular(f"{len(duplicates)} slices lie where another one lies", duplicates=duplicates))
    step = (positions[-1] - positions[0]) / (len(order) - 1)
    deviation = deviation_mm(positions, positions[0], step)
    if reaches(positions, positions[0], step):
        return Stack(order, _lattice(first, step, _even(positions, deviation)))
    if deviation <= POSITION_TOLERANCE * float(np.linalg.norm(step)):
        return Stack(order, _irregular(off_lattice(deviation)))
    return Stack(order, _uneven(gaps))


def affine_of(first: PlanePose, step: Vectors) -> tuple[tuple[float, float, float, float], ...]:
    """Return the 4 × 4 matrix that maps ``(k, j, i, 1)`` to LPS mm: columns are the slice, row and column steps and the origin."""
    matrix = np.eye(4)
    matrix[:3, 0] = step
    matrix[:3, 1] = first.along_column * first.spacing_mm[0]
    matrix[:3, 2] = first.along_row * first.spacing_mm[1]
    matrix[:3, 3] = first.position
    rows = [(float(row[0]), float(row[1]), float(row[2]), float(row[3])) for row in matrix]
    return tuple(rows)


def regular_runs(poses: list[PlanePose]) -> list[list[int]]:
    """Split planes into maximal runs that are lattices: doubles into layers first, then each layer at uneven gaps.

    Greedy from the lowest slice; a run takes the next plane as long as the step stays the same. Two planes always lie at an even step:
    they are a run when it is close to the smallest one between planes of the layer, else nothing tells that they belong together.
    """
    runs: list[list[int]] = []
    for layer in _layers(poses):
        nearest = min((_apart(poses, pair) for pair in itertools.pairwise(layer)), default=0.0)
        run: list[int] = []
        for index in layer:
            while run and not stack_planes([poses[member] for member in [*run, index]]).is_lattice:
                taken = 1 if _is_chance(poses, run, nearest) else len(run)
                runs.append(run[:taken])
                run = run[taken:]
            run.append(index)
        runs += [[index] for index in run] if _is_chance(poses, run, nearest) else [run]
    return runs


def _apart(poses: list[PlanePose], pair: Sequence[int]) -> float:
    return float(np.linalg.norm(np.subtract(poses[pair[1]].position, poses[pair[0]].position)))


def _is_chance(poses: list[PlanePose], run: list[int], nearest: float) -> bool:
    return len(run) == 2 and _apart(poses, run) > FAR * nearest


def axis_directions(affine: tuple[tuple[float, ...], ...]) -> tuple[tuple[int, int], ...] | None:
    """Return for z, y, x the patient axis (0 L, 1 P, 2 S) and sign each runs along, or None when one is not aligned."""
    matrix = np.asarray(affine, float)[:3, :3]
    found: list[tuple[int, int]] = []
    for column in range(3):
        direction = unit(matrix[:, column])
        axis = int(np.argmax(np.abs(direction)))
        if abs(direction[axis]) < ALIGNED_COSINE:
            return None
        found.append((axis, 1 if direction[axis] > 0 else -1))
    return tuple(found)


def direction_name(axis: int, sign: int) -> str:
    """Return the RFC-4 word for running along patient ``axis`` with ``sign``.

    >>> direction_name(2, 1), direction_name(0, -1)
    ('inferior-to-superior', 'left-to-right')
    """
    return DIRECTION_NAMES[axis][0 if sign > 0 else 1]


def _layers(poses: list[PlanePose]) -> list[list[int]]:
    normal = poses[0].normal
    layers: list[list[int]] = []
    last = -np.inf
    depth = 0
    for index in slice_order(poses):
        place = float(np.dot(poses[index].position, normal))
        depth = depth + 1 if place - last <= POSITION_TOLERANCE_MM else 0
        if depth == len(layers):
            layers.append([])
        layers[depth].append(index)
        last = place
    return layers


def deviation_mm(positions: Vectors, origin: Vectors, step: Vectors) -> float:
    """Return how far positions, shape (n, 3) in slice order, lie from ``origin + k * step`` at most, in mm."""
    fitted = origin + np.arange(len(positions))[:, None] * step
    return float(np.linalg.norm(positions - fitted, axis=1).max())


def reaches(positions: Vectors, origin: Vectors, step: Vectors) -> bool:
    """Return whether the affine reaches positions, shape (n, 3) in slice order, as well as their recorded decimals can tell.

    A decimal string (PS3.5 6.2) is rounded: half a unit of its last place here, half a unit in the ends that made the step. More than
    this unit plus :data:`AFFINE_TOLERANCE_MM`, or :data:`ROUNDED_SHARE` of the step, is a slice beside the lattice, not rounding.
    """
    if (deviation := deviation_mm(positions, origin, step)) <= AFFINE_TOLERANCE_MM:
        return True
    if deviation > ROUNDED_SHARE * float(np.linalg.norm(step)):
        return False
    apart = np.abs(positions - origin - np.arange(len(positions))[:, None] * step)
    beyond = np.maximum(apart - recorded_unit_mm(np.vstack([origin, positions])), 0)
    return float(np.linalg.norm(beyond, axis=1).max()) <= AFFINE_TOLERANCE_MM


def recorded_unit_mm(positions: Vectors) -> Vectors:
    """Return per axis the last decimal place of positions; 0 when it is finer than :data:`AFFINE_TOLERANCE_MM`, or they are all equal.

    Programs print a fixed number of decimals, or of significant digits; then the largest number has the fewest decimals. Many compute
    with 32 bits, which leave steps of 0.00012 mm beyond one metre.

    >>> recorded_unit_mm(np.asarray([[-250.0, 9.87654, 0.123456], [-250.0, -123.457, 0.5], [-249.333, 0.0, 1.0]])).tolist()
    [0.001, 0.001, 0.0]
    """
    units = []
    for column in positions.T:
        numbers = [Decimal(repr(float(value))).normalize() for value in column]
        digits = max(PRINTED_DIGITS, *(len(number.as_tuple().digits) for number in numbers))
        finest = min(number.adjusted() + 1 - len(number.as_tuple().digits) for number in numbers)
        coarsest = max(number.adjusted() for number in numbers) + 1 - digits
        of_32_bits = float(np.spacing(np.float32(np.abs(column).max())))
        unit_mm = max(10.0 ** min(max(finest, coarsest), 0), of_32_bits)
        units.append(unit_mm if np.ptp(column) and unit_mm >= AFFINE_TOLERANCE_MM else 0.0)
    return np.asarray(units)


def off_lattice(deviation: float) -> str:
    """Return the words for slices that nearly form a lattice; refused or annotated, never moved to it."""
    beside = (
        f"Slices lie up to {deviation:.2g} mm beside an even lattice, and an affine has to reach each within {AFFINE_TOLERANCE_MM:g} mm"
    )
    return f"{beside} or, where positions have few decimals, the last of them"


def _verdict(kind: str, reason: str, first: PlanePose, step: Vectors) -> GeometryVerdict:
    row_mm, column_mm = first.spacing_mm
    spacing = (row_mm, column_mm) if kind == "single" else (float(np.linalg.norm(step)), row_mm, column_mm)
    return GeometryVerdict.model_validate({"verdict": kind, "reason": reason, "affine": affine_of(first, step), "spacing_mm": spacing})


def _even(positions: Vectors, deviation: float) -> str:
    """Return how even the spacing is known to be."""
    if deviation <= AFFINE_TOLERANCE_MM:
        return "even spacing"
    return f"even spacing, as far as positions rounded to {recorded_unit_mm(positions).max():g} mm tell"


def _lattice(first: PlanePose, step: Vectors, even: str) -> GeometryVerdict:
    along = float(np.dot(step, first.normal)) * first.normal
    share = float(np.linalg.norm(step - along) / np.linalg.norm(step))
    if share > SHEAR_TOLERANCE:
        degrees = np.degrees(np.arcsin(min(share, 1.0)))
        reason = f"Parallel slices at {even}, {degrees:.2f} degrees off the normal; the affine keeps it."
        return _verdict("sheared", reason, first, step)
    return _verdict("regular", f"Parallel slices at {even}.", first, step)


def _irregular(reason: str, *, missing: tuple[int, ...] = (), duplicates: tuple[int, ...] = ()) -> GeometryVerdict:
    return GeometryVerdict(verdict="irregular", reason=f"{reason}.", missing=missing, duplicates=duplicates)


def _uneven(gaps: Vectors) -> GeometryVerdict:
    """Tell missing slices (every gap a whole multiple of the smallest) from truly uneven spacing."""
    base = float(np.median(gaps[gaps < 1.5 * gaps.min()]))
    steps = np.rint(gaps / base).astype(int)
    if steps.max() > 1 and np.all(np.abs(gaps - steps * base) <= POSITION_TOLERANCE * base * steps):
        places = np.concatenate(([0], np.cumsum(steps)))
        absent = tuple(sorted(set(range(int(places[-1]) + 1)) - {int(place) for place in places}))
        if len(absent) < len(gaps):
            return _irregular(f"{len(absent)} of {int(places[-1]) + 1} slices are missing at a spacing of {base:.4g} mm", missing=absent)
    low, high = float(gaps.min()), float(gaps.max())
    if high - low <= POSITION_TOLERANCE * high:
        return _irregular("Slices drift sideways unevenly")
    return _irregular(f"Slice spacing varies from {low:.4g} to {high:.4g} mm")
