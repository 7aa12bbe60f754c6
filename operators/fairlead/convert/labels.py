"""Plan segmentations as NGFF labels: on the lattice of the image they were drawn on, or on their own when it is not there.

Segments that nowhere overlap share one label image; an overlapping one opens the next. A label's value is the segment's
number, and 0 is background (NGFF 0.5, "labels"). Fractions that are more than yes or no are values, not labels: they
become an image with one channel per segment.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fairlead.convert.facts import fit_facts, lost_facts
from fairlead.convert.grids import Grid, Placed
from fairlead.convert.plan import Axis, Channel, ImagePlan
from fairlead.convert.segmentation import Segment, Segmentation, SegmentPixels
from fairlead.convert.volumes import hashed
from fairlead.errors import UnreadableImage
from fairlead.records import JsonObject, is_uid

UNSEGMENTED: Final = 0
OPAQUE: Final = 255
FRACTIONS: Final = ("PROBABILITY", "OCCUPANCY")


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A segmentation on a grid: its frames by slice, and the layers of segments that do not overlap."""

    source: Segmentation
    pixels: SegmentPixels
    grid: Grid
    layers: tuple[frozenset[int], ...]
    fractional: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        """Smallest unsigned type that holds every segment number."""
        return np.dtype(np.uint8 if max(segment.number for segment in self.source.segments) < 256 else np.uint16)


class LabelVoxels:
    """Label values of one layer, drawn frame by frame."""

    def __init__(self, drawn: _Drawn, layer: int) -> None:
        self._drawn = drawn
        self._wanted = drawn.layers[layer]

    def read(self, level: int, lead: tuple[int, ...], start: int, stop: int) -> NDArray[Any]:
        """Return slices (or rows of a plane) ``start:stop``."""
        grid = self._drawn.grid
        values = np.zeros((stop - start, *grid.space[-1:]) if grid.banded else (stop - start, *grid.space[1:]), self._drawn.dtype)
        for placed, part, rows in _parts(grid, values, start, stop, lead[-1] if grid.banded else None):
            if placed.frame.segment is None:
                np.copyto(part, _numbers(self._drawn, placed)[rows])
            elif placed.frame.segment in self._wanted:
                part[self._drawn.pixels.frame(placed.frame.index)[rows] != 0] = placed.frame.segment
        return values


class CountVoxels:
    """How many segments cover each voxel: the picture of a segmentation whose image is not there."""

    def __init__(self, layers: Sequence[LabelVoxels]) -> None:
        self._layers = layers

    def read(self, level: int, lead: tuple[int, ...], start: int, stop: int) -> NDArray[Any]:
        """Return slices (or rows of a plane) ``start:stop``."""
        covered = [layer.read(level, lead, start, stop) != UNSEGMENTED for layer in self._layers]
        return np.sum(covered, axis=0, dtype=np.uint8)


class FractionVoxels:
    """Fractions of one segment per channel: stored value / MaximumFractionalValue (PS3.3 C.8.20.2.3)."""

    def __init__(self, drawn: _Drawn) -> None:
        self._drawn = drawn

    def read(self, level: int, lead: tuple[int, ...], start: int, stop: int) -> NDArray[Any]:
        """Return slices (or rows of a plane) ``start:stop`` of the segment that ``lead`` counts."""
        wanted = self._drawn.source.segments[lead[-1]].number
        values = np.zeros((stop - start, *self._drawn.grid.space[1:]), np.float32)
        for placed, part, rows in _parts(self._drawn.grid, values, start, stop):
            if placed.frame.segment == wanted:
                part[...] = self._drawn.pixels.frame(placed.frame.index)[rows] / np.float32(self._drawn.source.maximum)
        return values


def label_plans(source: Segmentation, grid: Grid) -> tuple[ImagePlan, ...]:
    """Return the label images of a segmentation on its image's grid; none when it holds fractions between 0 and 1.

    Raises
    ------
    UnreadableImage : frames that cannot be decoded, or show one segment twice at one place.
    """
    drawn = _draw(source, grid)
    return () if drawn.fractional else _label_plans(drawn)


def segmentation_plan(source: Segmentation, grid: Grid, reason: str) -> ImagePlan:
    """Return the plan of a store for the segmentation alone: fractions as channels, or counts with labels; ``reason`` says why.

    Raises
    ------
    UnreadableImage : frames that cannot be decoded, or show one segment twice at one place.
    """
    drawn = _draw(source, grid)
    header = source.header
    base = ImagePlan(
        name=hashed("segmentation", header.sop_instance_uid),
        source=f"urn:oid:{header.series_uid}",
        kind="SEG",
        axes=grid.axes,
        dtype=np.dtype(np.uint8),
        voxels=CountVoxels([LabelVoxels(drawn, number) for number in range(len(drawn.layers))]),
        geometry=grid.geometry,
        attributes={"dicom": _attributes(source, grid, reason)},
        dropped=lost_facts(header.facts),
        bands=grid.banded and not drawn.fractional,
    )
    if not drawn.fractional:
        window = (0.0, float(len(drawn.layers)))
        return replace(base, channels=(Channel("segments per voxel", window=window),), labels=_label_plans(drawn))
    channels = tuple(
        Channel(segment.label or None, "".join(f"{part:02X}" for part in segment.rgb or (255, 255, 255)), (0.0, 1.0))
        for segment in source.segments
    )
    axes = (Axis("c", len(channels)), *grid.axes)
    return replace(base, axes=axes, dtype=np.dtype(np.float32), voxels=FractionVoxels(drawn), channels=channels)


def _label_plans(drawn: _Drawn) -> tuple[ImagePlan, ...]:
    stem = hashed("segmentation", drawn.source.header.sop_instance_uid)
    names = [stem] if len(drawn.layers) == 1 else [f"{stem}-{number}" for number in range(1, len(drawn.layers) + 1)]
    return tuple(
        ImagePlan(
            name=name,
            source=f"urn:oid:{drawn.source.header.series_uid}",
            kind="SEG",
            axes=drawn.grid.axes,
            dtype=drawn.dtype,
            voxels=LabelVoxels(drawn, number),
            geometry=drawn.grid.geometry,
            channels=(),
            level_count=drawn.grid.level_count,
            bands=drawn.grid.banded,
            image_label=image_label([segment for segment in drawn.source.segments if segment.number in drawn.layers[number]]),
        )
        for number, name in enumerate(names)
    )


def image_label(segments: Sequence[Segment]) -> JsonObject:
    """Return ``image-label``: one property row per segment, also for those without a voxel.

    The recommended colours are there when all segments have one: ``ome-zarr-models`` refuses colours of some.
    """
    rows = [{"label-value": segment.number, "label": segment.label, **segment.properties} for segment in segments]
    colors = [{"label-value": segment.number, "rgba": [*segment.rgb, OPAQUE]} for segment in segments if segment.rgb is not None]
    found: JsonObject = {"properties": rows, "source": {"image": "../../"}}
    return found | ({"colors": colors} if len(colors) == len(rows) else {})


def _attributes(source: Segmentation, grid: Grid, reason: str) -> JsonObject:
    header = source.header
    ids = {"study": header.study_uid, "series": header.series_uid, "frame_of_reference": header.frame_of_reference_uid}
    segmentation: JsonObject = {"type": source.kind, "image": reason, "segments": [segment.number for segment in source.segments]}
    if source.kind == "fractional":
        kind = source.fractional_type if source.fractional_type in FRACTIONS else None
        segmentation |= {"fraction": kind, "stored_maximum": source.maximum}
        segmentation["properties"] = [
            {"channel": number, "label": segment.label, **segment.properties} for number, segment in enumerate(source.segments)
        ]
    geometry: JsonObject = {"verdict": grid.geometry.verdict, "reason": grid.geometry.reason}
    if grid.geometry.affine is not None:
        geometry["affine_kji_to_lps_mm"] = [list(row) for row in grid.geometry.affine]
    return {
        "version": "1",
        "sop_class": header.sop_class_uid,
        "identifiers": {name: f"urn:oid:{uid}" for name, uid in ids.items() if is_uid(uid)},
        "facts": fit_facts(header.facts),
        "geometry": geometry,
        "segmentation": segmentation,
    }


def _draw(source: Segmentation, grid: Grid) -> _Drawn:
    """Decode every frame once: which segments overlap, and whether fractions are more than yes or no."""
    pixels = SegmentPixels(source)
    clashes: set[tuple[int, int]] = set()
    fractional = False
    for (_, row, column), frames in _places(grid).items():
        masks: dict[int | None, NDArray[np.bool_]] = {}
        for placed in frames:
            if placed.frame.segment in masks:
                raise UnreadableImage(f"Two frames show one segment at one place (row {row}, column {column}).")
            values = pixels.frame(placed.frame.index)
            masks[placed.frame.segment] = values != 0
            fractional = fractional or (source.kind == "fractional" and bool(np.any((values != 0) & (values != source.maximum))))
        clashes |= {(a, b) for a, b in itertools.combinations(sorted(n for n in masks if n is not None), 2) if np.any(masks[a] & masks[b])}
    drawn = _Drawn(source, pixels, grid, layers([segment.number for segment in source.segments], clashes), fractional)
    if source.kind == "labelmap":
        known = {segment.number for segment in source.segments} | {UNSEGMENTED}
        found = {int(value) for places in grid.frames.values() for placed in places for value in np.unique(_numbers(drawn, placed))}
        if found - known:
            raise UnreadableImage(f"The label map holds {len(found - known)} values that it does not describe.")
    return drawn


def layers(numbers: Sequence[int], clashes: set[tuple[int, int]]) -> tuple[frozenset[int], ...]:
    """Put every segment into the first layer that holds none it overlaps with.

    >>> layers([1, 2, 3], {(1, 2)}) == (frozenset({1, 3}), frozenset({2}))
    True
    """
    layers: list[set[int]] = []
    for number in sorted(numbers):
        home = next((layer for layer in layers if not any((other, number) in clashes for other in layer)), None)
        if home is None:
            layers.append({number})
        else:
            home.add(number)
    return tuple(frozenset(layer) for layer in layers)


def _places(grid: Grid) -> Mapping[tuple[int, int, int], list[Placed]]:
    found: dict[tuple[int, int, int], list[Placed]] = defaultdict(list)
    for depth, frames in grid.frames.items():
        for placed in frames:
            found[depth, placed.row, placed.column].append(placed)
    return found


def _numbers(drawn: _Drawn, placed: Placed) -> NDArray[Any]:
    """Return a label map's frame as segment numbers, with the padding value as background."""
    values = drawn.pixels.frame(placed.frame.index)
    padding = drawn.source.padding
    return values if padding in {None, UNSEGMENTED} else np.where(values == padding, values.dtype.type(UNSEGMENTED), values)


def _parts(grid: Grid, values: NDArray[Any], start: int, stop: int, plane: int | None = None) -> Any:
    """Yield each frame with the part of ``values`` it covers, and which of its own rows and columns these are.

    From ``start`` to ``stop`` are rows of a plane, the only one or that with the number ``plane``, or else slices.
    """
    flat = len(grid.space) == 2 or plane is not None
    for depth in (plane or 0,) if flat else range(start, stop):
        area, first = (values, start) if flat else (values[depth - start], 0)
        for placed in grid.frames.get(depth, ()):
            top, bottom = max(placed.row, first), min(placed.row + grid.frame_rows, first + area.shape[0])
            right = min(placed.column + grid.frame_columns, area.shape[1])
            if top < bottom and placed.column < right:
                own = (slice(top - placed.row, bottom - placed.row), slice(0, right - placed.column))
                yield placed, area[top - first : bottom - first, placed.column : right], own
