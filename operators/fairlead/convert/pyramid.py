"""Resolution levels: how many, how large, where their samples lie, and the 2 × mean that makes them.

A level halves every space axis longer than one sample; odd sizes round up, the last sample being averaged with itself
(edge clamp). A sample of level ``k`` covers ``2**k`` samples of level 0, so its centre is shifted by ``(2**k - 1) / 2``.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

type Samples = NDArray[Any]

SMALLEST_3D: Final = 64
"""Volumes get levels until every space axis is at most one chunk."""
SMALLEST_2D: Final = 256
"""Planes get levels until both axes are at most a thumbnail."""
MAX_LEVELS: Final = 12
CACHED_BYTES: Final = 1024**2
"""Planes are halved in portions of this size: sums of a whole slab would leave the processor's cache and cost a page fault each."""
WIDER: Final = {
    "i1": np.int16,
    "u1": np.uint16,
    "i2": np.int32,
    "u2": np.uint32,
    "i4": np.int64,
    "u4": np.uint64,
    "i8": np.int64,
    "u8": np.uint64,
}


def level_shapes(space: tuple[int, ...], count: int | None = None) -> list[tuple[int, ...]]:
    """Return the space shape of every level, largest first; ``count`` levels when it is given.

    >>> level_shapes((30, 130, 100))
    [(30, 130, 100), (15, 65, 50), (8, 33, 25)]
    """
    volume = len(space) == 3 and space[0] > 1
    smallest = SMALLEST_3D if volume else SMALLEST_2D
    shapes = [space]
    while len(shapes) < (count or MAX_LEVELS) and (count or max(shapes[-1]) > smallest):
        shapes.append(tuple(-(-size // 2) for size in shapes[-1]))
    return shapes


def level_offset(factor: float) -> float:
    """Return how far the first sample of a level lies from the first sample of level 0, in level-0 samples.

    >>> level_offset(1), level_offset(2), level_offset(8)
    (0.0, 0.5, 3.5)
    """
    return (factor - 1) / 2


def halve(samples: Samples, *, keep: int | None = None) -> Samples:
    """Return the mean over 2 × 2 (× 2) neighbours, same dtype; integers round half up; axis ``keep`` is left as it is.

    >>> halve(np.array([[1, 3, 9]], dtype=np.uint8)).tolist()
    [[2, 9]]
    """
    plane_bytes = samples.nbytes // max(samples.shape[0], 1)
    step = max(2, CACHED_BYTES // max(plane_bytes, 1) // 2 * 2)
    if keep == 0 or samples.shape[0] <= step:
        return _halved(samples, keep)
    result = np.empty([-(-size // 2) if axis != keep else size for axis, size in enumerate(samples.shape)], samples.dtype)
    for start in range(0, samples.shape[0], step):
        result[start // 2 : (start + step) // 2] = _halved(samples[start : start + step], keep)
    return result


def _halved(samples: Samples, keep: int | None) -> Samples:
    dtype = samples.dtype
    axes = [axis for axis in range(samples.ndim) if samples.shape[axis] > 1 and axis != keep]
    count = len(axes)
    if count == 0:
        return samples
    total: Samples = samples
    wide = _sum_type(samples, count)
    for axis in axes:
        total = _pair_sums(total, axis, wide)
    if dtype.kind == "f":
        total *= dtype.type(0.5**count)
        return total
    total += 1 << (count - 1)
    total >>= count
    return total.astype(dtype, copy=False)


def halve_labels(samples: Samples) -> Samples:
    """Return the most frequent of 2 × 2 (× 2) neighbours; of equally frequent ones the highest, so that thin structures stay.

    >>> halve_labels(np.array([[0, 7, 3], [0, 7, 3]], dtype=np.uint8)).tolist()
    [[7, 3]]
    """
    if not samples.any():
        return np.zeros([-(-size // 2) for size in samples.shape], samples.dtype)
    parts = [samples]
    for axis in range(samples.ndim):
        parts = [half for part in parts for half in _halves(part, axis)]
    rivals = np.sort(np.stack(parts), axis=0)[::-1]
    votes = np.stack([np.sum(rivals == rival, axis=0, dtype=np.uint8) for rival in rivals])
    winners: Samples = np.take_along_axis(rivals, votes.argmax(axis=0)[None], axis=0)[0]
    return winners


def _halves(samples: Samples, axis: int) -> tuple[Samples, Samples]:
    """Return even and odd samples along an axis, the last one doubled when there is an odd number of them."""
    size = samples.shape[axis]
    odd = np.minimum(np.arange(1, size + 1, 2), size - 1)
    return samples.take(np.arange(0, size, 2), axis), samples.take(odd, axis)


def _sum_type(samples: Samples, count: int) -> Any:
    """Return a type that holds the sum of ``2**count`` samples and the half that rounds it.

    That is the samples' own where their values are small, as those of CT are: half the bytes to add, and half the time.
    """
    dtype = samples.dtype
    if dtype.kind == "f":
        return dtype
    limits = np.iinfo(dtype)
    rounding = 1 << (count - 1)
    if samples.min() >= limits.min >> count and samples.max() <= (limits.max - rounding) >> count:
        return dtype
    return WIDER[dtype.str[1:]]


def _pair_sums(samples: Samples, axis: int, dtype: Any) -> Samples:
    even = [slice(None)] * samples.ndim
    odd = list(even)
    even[axis], odd[axis] = slice(0, None, 2), slice(1, None, 2)
    low, high = samples[tuple(even)], samples[tuple(odd)]
    whole = high.shape[axis]
    if low.shape[axis] == whole:
        sums: Samples = np.add(low, high, dtype=dtype)
        return sums
    result = np.empty(low.shape, dtype)
    inner = [slice(None)] * samples.ndim
    inner[axis] = slice(0, whole)
    np.add(low[tuple(inner)], high, out=result[tuple(inner)], dtype=dtype)
    inner[axis] = slice(whole, None)
    np.multiply(low[tuple(inner)], 2, out=result[tuple(inner)], dtype=dtype)
    return result
