"""Areas inside contours, slice by slice: a voxel belongs to an area when its centre does, by the even-odd rule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

type Points = NDArray[np.float64]
"""Corners (n, 2) of a closed polygon: row and column, whole numbers at the centres of voxels."""


def area(contours: Sequence[Points], rows: int, columns: int) -> NDArray[np.bool_]:
    """Return which voxels of a slice lie inside an odd number of contours, so that a contour in another one is a hole.

    Every edge flips all voxels to the right of where it crosses a row. Edges count their upper end and not their lower one, and
    a voxel centre on an edge lies to its right: areas that share an edge share no voxel.

    >>> area([np.array([[-0.5, 0.5], [-0.5, 2.5], [1.5, 2.5], [1.5, 0.5]])], 2, 4).astype(int).tolist()
    [[0, 1, 1, 0], [0, 1, 1, 0]]
    """
    flips = np.zeros((rows, columns + 1), np.int32)
    for contour in contours:
        crossed, places = _crossings(contour, rows)
        np.add.at(flips, (crossed, np.clip(np.ceil(places), 0, columns).astype(int)), 1)
    inside: NDArray[np.bool_] = np.cumsum(flips, axis=1)[:, :columns] % 2 == 1
    return inside


def _crossings(contour: Points, rows: int) -> tuple[NDArray[np.int64], Points]:
    """Return the rows that the edges cross, and in which (fractional) column they do."""
    start, end = contour, np.roll(contour, -1, axis=0)
    top, bottom = np.minimum(start[:, 0], end[:, 0]), np.maximum(start[:, 0], end[:, 0])
    first = np.clip(np.ceil(top), 0, rows).astype(np.int64)
    count = np.maximum(np.clip(np.ceil(bottom), 0, rows).astype(np.int64) - first, 0)
    edge = np.repeat(np.arange(len(contour)), count)
    crossed = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    share = (crossed - start[edge, 0]) / (end[edge, 0] - start[edge, 0])
    return crossed, start[edge, 1] + share * (end[edge, 1] - start[edge, 1])
