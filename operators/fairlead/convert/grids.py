"""Grids for segmentations: the frames of one on the lattice of an image, or on the smallest lattice that holds them all."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from fairlead.convert.lattice import PlanePose, slice_order, stack_planes, unit
from fairlead.convert.plan import Axis, ImagePlan
from fairlead.convert.segmentation import Segmentation, SegmentFrame
from fairlead.errors import UnreadableImage, UnsupportedInput
from fairlead.records import GeometryVerdict, JsonObject

ON_THE_LATTICE: Final = 0.02
"""Largest distance of a frame from a voxel of the lattice, in voxels (positions are rounded decimal strings)."""
BESIDE_MM: Final = 0.1
"""Nor further than this: a share of slices that lie far apart would be another slice."""
SAME_DIRECTION: Final = 1e-3
SAME_SPACING: Final = 0.01
SAME_PIXELS: Final = 2
"""How many pixels apart two statements of where one matrix begins may lie."""
EVEN: Final = 0.01
SLIDE: Final = "SM"
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
    """Space axes that labels are drawn on, and the frames by slice. ``level_count`` None: as many as the size asks for.

    ``banded``: the focal planes of a slide, which are too large to be read whole.
    """

    axes: tuple[Axis, ...]
    geometry: GeometryVerdict
    frames: Mapping[int, tuple[Placed, ...]]
    frame_rows: int
    frame_columns: int
    level_count: int | None = None
    banded: bool = False

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
    if source.matrix is not None:
        return _grid_of_slide(source, image, source.matrix)
    axes = tuple(axis for axis in image.axes if axis.is_space)
    sizes = (1,) * (3 - len(axes)) + tuple(axis.size for axis in axes)
    found: dict[int, list[Placed]] = {}
    for frame in source.frames:
        place = _patient_place(source, frame, image.geometry)
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


def _grid_of_slide(source: Segmentation, image: ImagePlan, matrix: tuple[int, int]) -> Grid | None:
    """Return the grid of the level that a segmentation of a slide was drawn on, with the slide's focal planes; None when none fits."""
    level = next((number for number, shape in enumerate(image.levels or (image.space,)) if shape[-2:] == matrix), None)
    if level is None or image.kind != SLIDE:
        return None
    axes = _axes_of_level(image, level, matrix)
    if (
        source.pixel_mm
        and axes[-1].unit
        and not np.allclose(source.pixel_mm, [axis.scale for axis in axes[-2:]], rtol=SAME_SPACING, atol=0)
    ):
        return None
    if not _same_place(source, image.attributes, max(axes[-1].scale, axes[-2].scale)):
        return None
    depths = _depths(image.attributes)
    if (found := _placed_on_slide(source, depths, matrix)) is None:
        return None
    return Grid(axes, image.geometry, found, source.rows, source.columns, len(image.levels) or None, banded=len(axes) == 3)


def _axes_of_level(image: ImagePlan, level: int, matrix: tuple[int, int]) -> tuple[Axis, ...]:
    """Return the space axes of one level; its first sample lies half the difference of the sample distances further in."""
    axes = [axis for axis in image.axes if axis.is_space]
    if level == 0:
        return tuple(axes)
    steps = image.level_steps[level]
    return (
        *axes[:-2],
        *(
            replace(axis, size=size, scale=step, origin=axis.origin + (step - axis.scale) / 2)
            for axis, size, step in zip(axes[-2:], matrix, steps[-2:], strict=True)
        ),
    )


def _same_place(source: Segmentation, attributes: JsonObject, pixel_mm: float) -> bool:
    """Return whether matrices begin at one place on the glass and run alike, as far as both say so.

    Programs take the first pixel's corner, its centre, or the pixel before it for the beginning: tiles say where frames lie.
    """
    slide = attributes.get("dicom", {}).get("slide", {})
    stated = zip(
        source.on_slide, (slide.get("origin_mm", ()), slide.get("orientation", ())), (SAME_PIXELS * pixel_mm, SAME_DIRECTION), strict=True
    )
    return all(not one or not two or (len(one) == len(two) and np.allclose(one, two, rtol=0, atol=near)) for one, two, near in stated)


def _depths(attributes: JsonObject) -> tuple[float, ...]:
    """Return where the focal planes of a slide lie, nothing when it has one."""
    return tuple(attributes.get("dicom", {}).get("slide", {}).get("focal_planes_mm", ()))


def _placed_on_slide(source: Segmentation, depths: tuple[float, ...], matrix: tuple[int, int]) -> dict[int, tuple[Placed, ...]] | None:
    """Return the frames by focal plane, None when one lies outside the matrix or between focal planes."""
    stated = sorted({frame.tile.depth_mm for frame in source.frames if frame.tile is not None})
    if not depths and len(stated) > 1:
        return None
    nearest = float(np.diff(depths).min()) * ON_THE_LATTICE if len(depths) > 1 else 0.0
    planes = {depth: next((n for n, plane in enumerate(depths) if abs(plane - depth) <= nearest), None) for depth in stated}
    found: dict[int, list[Placed]] = {}
    for frame in source.frames:
        plane = 0 if not depths or frame.tile is None else planes[frame.tile.depth_mm]
        place = _slide_place(source, frame)
        if plane is None or place is None or not _inside(source, (0, *place), (1, *matrix)):
            return None
        found.setdefault(plane, []).append(Placed(frame, *place))
    return _frozen(found)


def _matrix_grid(source: Segmentation, matrix: tuple[int, int]) -> Grid:
    depths = tuple(sorted({frame.tile.depth_mm for frame in source.frames if frame.tile is not None}))
    found = _placed_on_slide(source, depths if len(depths) > 1 else (), matrix)
    if found is None:
        raise UnreadableImage("A frame of the segmentation lies outside its total pixel matrix.")
    pixel, unit = (source.pixel_mm, MILLIMETER) if source.pixel_mm else ((1.0, 1.0), None)
    axes = [Axis(name, size, step, unit) for name, size, step in zip("yx", matrix, pixel, strict=True)]
    if len(depths) > 1:
        gaps = np.diff(depths)
        even = float(gaps.mean()) if gaps.max() - gaps.min() <= EVEN * gaps.max() else None
        axes = [Axis("z", len(depths), even or 1.0, MILLIMETER if even else None), *axes]
    return Grid(tuple(axes), NO_PATIENT, found, source.rows, source.columns, banded=len(axes) == 3)


def _slide_place(source: Segmentation, frame: SegmentFrame) -> tuple[int, int] | None:
    tile = frame.tile
    if tile is None or tile.row % source.rows or tile.column % source.columns:
        return None
    return tile.row, tile.column


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
    beside_mm = np.abs(index - whole) * np.linalg.norm(matrix[:3, :3], axis=0)
    if not same or not (np.abs(index - whole).max() <= ON_THE_LATTICE and beside_mm.max() <= BESIDE_MM):  # also when it is no number
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
