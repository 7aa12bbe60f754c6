"""Write the arrays of a store: slab by slab, every level at once, read back while the slab is still at hand.

One slab of level 0 and at most one slab per further level are in memory. A slab is one row of shards, so each shard is
encoded and written whole, once. While slab *n* is encoded, slab *n + 1* is read (one reader, one writer thread).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

from fairlead.convert.plan import ImagePlan
from fairlead.convert.pyramid import halve, halve_labels, level_shapes
from fairlead.convert.shards import BLOCK_BYTES, ShardLayout, write_shard
from fairlead.convert.staging import Digests
from fairlead.errors import UnsupportedInput
from fairlead.progress import Progress

CHUNK_3D: Final = 64
CHUNK_2D: Final = 512
SLAB_2D: Final = 1024
SAMPLES: Final = 3
ENCODING_THREADS: Final = 2
WINDOW_PERCENTILES: Final = (1.0, 99.5)
PLANE_BYTES: Final = 1024**3
SLAB_BYTES: Final = 96 * 1024**2
"""A slab never holds more than this, as long as it keeps at least two planes or rows."""


@dataclass(slots=True)
class Levels:
    """The open arrays of one store and what was learned while writing them."""

    arrays: list[zarr.Array[Any]]
    slab: int
    layouts: list[ShardLayout]
    pool: ThreadPoolExecutor
    digests: Digests = field(default_factory=dict)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ValueRange:
    """Values of one channel: extremes, and where most of them lie."""

    low: float
    high: float
    start: float
    end: float


@dataclass(slots=True)
class _Level:
    """A level being filled: planes that wait for a whole slab, and how many are written."""

    waiting: list[NDArray[Any]] = field(default_factory=list)
    held: int = 0
    written: int = 0


def chunk_shape(space: tuple[int, ...]) -> tuple[int, ...]:
    """Return the chunk of the space axes: about 64³ for volumes, 512² for planes, never larger than the array."""
    if len(space) == 3 and space[0] > 1:
        return tuple(min(CHUNK_3D, size) for size in space)
    return tuple(min(size, CHUNK_2D if size > 1 else 1) for size in space)


def slab_length(plan: ImagePlan) -> int:
    """Return how many planes (or rows of a 2-D image) one slab of level 0 has: a power of two, within :data:`SLAB_BYTES`.

    Raises
    ------
    UnsupportedInput : one plane alone has more than :data:`PLANE_BYTES`.
    """
    sizes = {axis.name: axis.size for axis in plan.axes}
    length = CHUNK_3D if plan.slab_axes[0] == "z" else SLAB_2D
    row_bytes = math.prod(sizes[name] for name in plan.slab_axes[1:]) * plan.dtype.itemsize
    if row_bytes > PLANE_BYTES:
        raise UnsupportedInput(f"A plane of {row_bytes / 1e9:.1f} GB is not converted.", remedy="Planes of a volume may have up to 1 GB.")
    while length > 2 and length * row_bytes > SLAB_BYTES:
        length //= 2
    return length


def write_levels(plan: ImagePlan, folder: Path, progress: Progress) -> Levels:
    """Write and verify every level of ``plan`` as the arrays ``folder/0``, ``folder/1`` and so on.

    Raises
    ------
    CheckFailed : a slab read back from the disk differs from what was decoded.
    """
    shapes = list(plan.levels) or _computed_shapes(plan)
    slab = slab_length(plan)
    arrays = [_create(plan, folder / str(number), shape, slab) for number, shape in enumerate(shapes)]
    layouts = [ShardLayout(folder / str(number), array.shards or (), array.chunks) for number, array in enumerate(arrays)]
    with ThreadPoolExecutor(ENCODING_THREADS, thread_name_prefix="compress") as pool, _one_writer() as writer:
        levels = Levels(arrays, slab, layouts, pool)
        levels.low, levels.high = ([np.inf] * _channel_count(plan), [-np.inf] * _channel_count(plan))
        for lead in itertools.product(*(range(size) for size in plan.lead)):
            state = [_Level() for _ in shapes]
            for planes in _slabs(plan, 0, lead, slab):
                progress.step(0, planes.nbytes)
                _note_range(plan, levels, lead, planes)
                writer.submit(_feed, plan, levels, state, 0, lead, planes)
            for number in range(1, len(plan.levels)):
                for planes in _slabs(plan, number, lead, slab):
                    writer.submit(_feed, plan, levels, state, number, lead, planes)
    return levels


def note_ranges(plan: ImagePlan, levels: Levels) -> None:
    """Read every voxel of every level once, and note the extremes of level 0."""
    levels.low, levels.high = ([np.inf] * _channel_count(plan), [-np.inf] * _channel_count(plan))
    for number in range(max(len(plan.levels), 1)):
        for lead in itertools.product(*(range(size) for size in plan.lead)):
            for planes in _slabs(plan, number, lead, slab_length(plan)):
                if number == 0:
                    _note_range(plan, levels, lead, planes)


def _computed_shapes(plan: ImagePlan) -> list[tuple[int, ...]]:
    if plan.bands and len(plan.space) == 3:  # focal planes stay, only rows and columns are halved
        return [(plan.space[0], *shape) for shape in level_shapes(plan.space[1:], plan.level_count)]
    return level_shapes(plan.space, plan.level_count)


def value_ranges(plan: ImagePlan, levels: Levels) -> list[ValueRange]:
    """Return per channel the lowest and highest value of level 0, and a display window from percentiles of the smallest level."""
    names = [axis.name for axis in plan.axes]
    found = []
    for channel in range(len(levels.low)):
        index = {"t": 0, "c": channel}
        where: tuple[int | slice, ...] = tuple(index.get(name, slice(None)) for name in names)
        values = np.asarray(levels.arrays[-1][where])
        finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        window = np.percentile(finite, WINDOW_PERCENTILES) if finite.size else (0.0, 1.0)
        low, high = float(window[0]), float(window[1])
        found.append(ValueRange(levels.low[channel], levels.high[channel], low, high if high > low else low + 1.0))
    return found


class _Writer:
    """A thread that runs one job at a time, and makes the giver wait when another job is still waiting."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._running: Future[None] | None = None

    def submit(self, work: Any, *arguments: Any) -> None:
        """Start work in the background as soon as the work before it is done."""
        self.wait()
        self._running = self._pool.submit(work, *arguments)

    def wait(self) -> None:
        """Wait for the running work; raise what it raised."""
        if self._running is not None:
            running, self._running = self._running, None
            running.result()


@contextmanager
def _one_writer() -> Iterator[_Writer]:
    with ThreadPoolExecutor(1, thread_name_prefix="encode") as pool:
        writer = _Writer(pool)
        yield writer
        writer.wait()


def _slabs(plan: ImagePlan, level: int, lead: tuple[int, ...], slab: int) -> Iterator[NDArray[Any]]:
    space = plan.levels[level] if plan.levels else plan.space
    length = space[-2] if plan.slab_axes[0] == "y" else space[0]
    for start in range(0, length, slab):
        planes = plan.voxels.read(level, lead, start, min(start + slab, length))
        yield np.asarray(planes, plan.dtype)  # native byte order: sources may be big endian


def _channel_count(plan: ImagePlan) -> int:
    return next((axis.size for axis in plan.axes if axis.name == "c"), 1)


def _note_range(plan: ImagePlan, levels: Levels, lead: tuple[int, ...], planes: NDArray[Any]) -> None:
    if "c" in plan.slab_axes:
        for channel in range(planes.shape[1]):
            _widen(levels, channel, planes[:, channel])
        return
    names = [axis.name for axis in plan.lead_axes]
    _widen(levels, lead[names.index("c")] if "c" in names else 0, planes)


def _widen(levels: Levels, channel: int, planes: NDArray[Any]) -> None:
    low, high = float(planes.min()), float(planes.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        finite = planes[np.isfinite(planes)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (np.inf, -np.inf)
    levels.low[channel] = min(levels.low[channel], low)
    levels.high[channel] = max(levels.high[channel], high)


def _feed(plan: ImagePlan, levels: Levels, state: list[_Level], number: int, lead: tuple[int, ...], planes: NDArray[Any]) -> None:
    """Add planes to a level; write whole slabs, and hand their mean (of labels: the majority) to the next level."""
    level, array = state[number], levels.arrays[number]
    level.waiting.append(planes)
    level.held += planes.shape[0]
    total = array.shape[[axis.name for axis in plan.axes].index(plan.slab_axes[0])]
    while level.held and (level.held >= levels.slab or level.written + level.held == total):
        ready = _take(level, min(levels.slab, level.held))
        _write_slab(plan, levels, number, lead=lead, start=level.written, planes=ready)
        level.written += ready.shape[0]
        if not plan.levels and number + 1 < len(levels.arrays):
            _feed(plan, levels, state, number + 1, lead, _smaller(plan, ready))


def _smaller(plan: ImagePlan, planes: NDArray[Any]) -> NDArray[Any]:
    if plan.image_label is not None:
        return halve_labels(planes)
    return halve(planes, keep=1 if "c" in plan.slab_axes else None)


def _take(level: _Level, count: int) -> NDArray[Any]:
    planes = level.waiting[0] if len(level.waiting) == 1 else np.concatenate(level.waiting)
    level.waiting = [planes[count:]] if planes.shape[0] > count else []
    level.held -= count
    return planes[:count]


def _write_slab(plan: ImagePlan, levels: Levels, number: int, *, lead: tuple[int, ...], start: int, planes: NDArray[Any]) -> None:
    """Write one slab of a level: it is exactly one shard, or two where a level's slabs are smaller than its chunks."""
    layout = levels.layouts[number]
    index = dict(zip((axis.name for axis in plan.lead_axes), lead, strict=True))
    along = plan.slab_axes[0]
    names = [axis.name for axis in plan.axes]
    index[along] = start // layout.shard[names.index(along)]
    if plan.slab_axes == "ycx":
        planes = planes.transpose(1, 0, 2)
    block = planes.reshape([1 if name not in plan.slab_axes else size for name, size in zip(names, _sizes(plan, planes), strict=True)])
    place = [index.get(name, 0) for name in names]
    levels.digests[layout.file(place)] = write_shard(layout, place, block, levels.pool)


def _sizes(plan: ImagePlan, planes: NDArray[Any]) -> list[int]:
    """Return the sizes of the block in axis order, with ones for the axes that are read one index at a time."""
    names = [axis.name for axis in plan.axes]
    ordered = [name for name in names if name in plan.slab_axes]
    found = dict(zip(ordered, planes.shape, strict=True))
    return [found.get(name, 1) for name in names]


def _create(plan: ImagePlan, folder: Path, space: tuple[int, ...], slab: int) -> zarr.Array[Any]:
    shape = dict(zip((axis.name for axis in plan.axes), plan.level_shape(space), strict=True))
    chunk = dict.fromkeys(shape, 1) | dict(zip("zyx"[-len(space) :], chunk_shape(space), strict=True))
    if plan.bands:
        chunk |= {name: 1 for name in "z" if name in shape} | {name: min(CHUNK_2D, shape[name]) for name in "yx"}
        chunk |= {"c": SAMPLES} if shape.get("c") == SAMPLES else {}
    along = plan.slab_axes[0]
    chunk[along] = min(chunk[along], slab)
    shard = {name: chunk[name] if axis_is_lead else -(-shape[name] // chunk[name]) * chunk[name] for name, axis_is_lead in _leads(plan)}
    shard[along] = min(-(-slab // chunk[along]) * chunk[along], -(-shape[along] // chunk[along]) * chunk[along])
    return zarr.create_array(
        store=str(folder),
        shape=tuple(shape.values()),
        dtype=plan.dtype,
        chunks=tuple(chunk.values()),
        shards=tuple(shard[name] for name in shape),
        compressors=BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle", typesize=plan.dtype.itemsize, blocksize=BLOCK_BYTES),
        dimension_names=list(shape),
        fill_value=0,
        config={"write_empty_chunks": True},
    )


def _leads(plan: ImagePlan) -> list[tuple[str, bool]]:
    return [(axis.name, axis.name not in plan.slab_axes) for axis in plan.axes]
