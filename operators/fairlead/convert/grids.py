"""Grids for segmentations: the frames of one on the lattice of an image, or on the smallest lattice that holds them all."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from fairlead.convert.lattice import PlanePose, slice_order, stack_planes, unit
from fairlead.convert.plan import Axis, ImagePlan
from fairlead.convert.segmentation import Segmentation, SegmentFrame
from fairlead.errors import UnreadableImage, UnsupportedInput
from fairlead.records import GeometryVerdict

ON_THE_LATTICE: Final = 0.02
"""Largest distance of a frame from a voxel of the lattice, in voxels (positions are rounded decimal strings)."""
SAME_DIRECTION: Final = 1e-3
SMALLEST_VOXEL_MM3: Final = 1e-15
MAX_SLICES: Final = 100_000
MILLIMETER: Final = "millimeter"
NO_PATIENT: Final = GeometryVerdict(verdict="none", reason="Pixels of a slide; no place in a patient.")


@dataclass(frozen=True, slots=True)
class Placed:
    """A frame whose first pixel lies at ``row`` and ``column`` of its slice."""

    frame: SegmentFrame
    row: int
    column: int


@dataclass(frozen=True, slots=True)
class Grid:
    """Space axes that labels are drawn on, and the frames by slice. ``level_count`` None: as many as the size asks for."""

    axes: tuple[Axis, ...]
    geometry: GeometryVerdict
    frames: Mapping[int, tuple[Placed, ...]]
    frame_rows: int
    frame_columns: int
    level_count: int | None = None

    @property
    def space(self) -> tuple[int, ...]:
        """Sizes of the space axes."""
        return tuple(axis.size for axis in self.axes)


def grid_of_image(source: Segmentation, image: ImagePlan, frame_of_reference: str) -> Grid | None:
    """Return the image's own grid when every frame lies on its voxels, else None.

    A frame may be smaller than a slice: it then lies at a whole number of rows and columns.
    """
    if not source.header.frame_of_reference_uid or source.header.frame_of_reference_uid != frame_of_reference:
        return None
    axes = tuple(axis for axis in image.axes if axis.is_space)
    sizes = (1,) * (3 - len(axes)) + tuple(axis.size for axis in axes)
    found: dict[int, list[Placed]] = {}
    for frame in source.frames:
        place = _slide_place(source, frame, sizes) if source.matrix else _patient_place(source, frame, image.geometry)
        if place is None or not _inside(source, place, sizes):
            return None
        found.setdefault(place[0], []).append(Placed(frame, place[1], place[2]))
    count = len(image.levels) or None
    return Grid(axes, image.geometry, _frozen(found), source.rows, source.columns, count)


def own_grid(source: Segmentation) -> Grid:
    """Return the smallest lattice that holds the segmentation's frames; slices between them that nobody drew are empty.

    Raises
    ------
    UnreadableImage : frames without a place.
    UnsupportedInput : frames that do not share a lattice.
    """
    if source.matrix is not None:
        return _matrix_grid(source, source.matrix)
    poses = [frame.pose for frame in source.frames if frame.pose is not None]
    if not poses or len(poses) != len(source.frames):
        raise UnreadableImage("Frames of the segmentation do not say where they lie.")
    if not all(_parallel(poses[0], pose) for pose in poses):
        raise UnsupportedInput("Frames of the segmentation lie on several lattices.", remedy="Export one segmentation per image.")
    geometry, count = _own_lattice(source, poses)
    found: dict[int, list[Placed]] = {}
    for frame in source.frames:
        place = _patient_place(source, frame, geometry)
        if place is None or not 0 <= place[0] < count or place[1:] != (0, 0):
            raise UnsupportedInput("Frames of the segmentation lie on no common lattice.", remedy="Give the image it was drawn on too.")
        found.setdefault(place[0], []).append(Placed(frame, 0, 0))
    spacing = geometry.spacing_mm or (1.0, 1.0, 1.0)
    sizes = (source.rows, source.columns) if count == 1 else (count, source.rows, source.columns)
    axes = tuple(
        Axis(name, size, step, MILLIMETER) for name, size, step in zip("zyx"[-len(sizes) :], sizes, spacing[-len(sizes) :], strict=True)
    )
    return Grid(axes, geometry, _frozen(found), source.rows, source.columns)


def _own_lattice(source: Segmentation, poses: list[PlanePose]) -> tuple[GeometryVerdict, int]:
    """Return the lattice through the frames' positions: even as they are, or with empty slices at SpacingBetweenSlices."""
    distinct: list[PlanePose] = []
    for index in slice_order(poses):
        if not distinct or np.linalg.norm(np.subtract(poses[index].position, distinct[-1].position)) > 1e-3:
            distinct.append(poses[index])
    first, step = distinct[0], np.subtract(distinct[-1].position, distinct[0].position)
    gaps = np.asarray([np.linalg.norm(np.subtract(b.position, a.position)) for a, b in itertools.pairwise(distinct)])
    if not gaps.size:
        return stack_planes(distinct).verdict, 1
    base = float(gaps.min())
    if source.spacing_between_mm and np.allclose(np.rint(gaps / source.spacing_between_mm), gaps / source.spacing_between_mm, atol=0.05):
        base = source.spacing_between_mm
    count = round(float(np.linalg.norm(step)) / base) + 1
    if count > MAX_SLICES:
        raise UnsupportedInput(f"The segmentation's frames span {count} slices.", remedy="Check its positions.")
    between = [_moved(first, np.asarray(first.position) + step * number / (count - 1)) for number in range(count)]
    return stack_planes(between).verdict, count


def _moved(pose: PlanePose, position: np.ndarray[tuple[int], np.dtype[np.float64]]) -> PlanePose:
    """Return the same plane moved to another position."""
    x, y, z = (float(part) for part in position)
    return PlanePose((x, y, z), pose.orientation, pose.spacing_mm)


def _matrix_grid(source: Segmentation, matrix: tuple[int, int]) -> Grid:
    found: dict[int, list[Placed]] = {}
    for frame in source.frames:
        place = _slide_place(source, frame, (1, *matrix))
        if place is None or not _inside(source, place, (1, *matrix)):
            raise UnreadableImage("A frame of the segmentation lies outside its total pixel matrix.")
        found.setdefault(0, []).append(Placed(frame, place[1], place[2]))
    axes = tuple(Axis(name, size) for name, size in zip("yx", matrix, strict=True))
    return Grid(axes, NO_PATIENT, _frozen(found), source.rows, source.columns)


def _slide_place(source: Segmentation, frame: SegmentFrame, sizes: tuple[int, ...]) -> tuple[int, int, int] | None:
    tile = frame.tile
    if tile is None or sizes != (1, *(source.matrix or ())) or tile.row % source.rows or tile.column % source.columns:
        return None
    return 0, tile.row, tile.column


def _patient_place(source: Segmentation, frame: SegmentFrame, geometry: GeometryVerdict) -> tuple[int, int, int] | None:
    if geometry.affine is None or frame.pose is None:
        return None
    matrix = np.asarray(geometry.affine, float)
    row_step, column_step = matrix[:3, 1], matrix[:3, 2]
    steps = (float(np.linalg.norm(row_step)), float(np.linalg.norm(column_step)))
    same = (
        np.allclose(unit(column_step), frame.pose.along_row, rtol=0, atol=SAME_DIRECTION)
        and np.allclose(unit(row_step), frame.pose.along_column, rtol=0, atol=SAME_DIRECTION)
        and np.allclose(steps, frame.pose.spacing_mm, rtol=1e-4, atol=0)
    )
    if not abs(float(np.linalg.det(matrix[:3, :3]))) > SMALLEST_VOXEL_MM3:
        return None
    index = np.linalg.solve(matrix, [*frame.pose.position, 1.0])[:3]
    whole = np.rint(index)
    if not same or not np.abs(index - whole).max() <= ON_THE_LATTICE:  # also when it is no number
        return None
    return int(whole[0]), int(whole[1]), int(whole[2])


def _inside(source: Segmentation, place: tuple[int, int, int], sizes: tuple[int, ...]) -> bool:
    depth, row, column = place
    edge_rows, edge_columns = (1, 1) if source.matrix else (source.rows, source.columns)  # edge tiles of a slide are padded
    return 0 <= depth < sizes[0] and 0 <= row <= sizes[1] - edge_rows and 0 <= column <= sizes[2] - edge_columns


def _parallel(one: PlanePose, two: PlanePose) -> bool:
    close = np.allclose(one.orientation, two.orientation, rtol=0, atol=SAME_DIRECTION)
    return bool(close and np.allclose(one.spacing_mm, two.spacing_mm, rtol=1e-4, atol=0))


def _frozen(found: dict[int, list[Placed]]) -> dict[int, tuple[Placed, ...]]:
    return {depth: tuple(frames) for depth, frames in sorted(found.items())}
