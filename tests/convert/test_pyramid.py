from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fairlead.convert.pyramid import halve, level_shapes

SHAPES = hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9)
ARRAYS = st.sampled_from([np.uint8, np.int8, np.uint16, np.int16, np.int32]).flatmap(lambda dtype: hnp.arrays(dtype, SHAPES))


def plain_mean(samples):
    """Return the mean by the definition: pad odd axes with their last sample, average blocks, round half up."""
    padded = np.pad(samples.astype(float), [(0, size % 2 if size > 1 else 0) for size in samples.shape], mode="edge")
    for axis in range(samples.ndim):
        if padded.shape[axis] > 1:
            padded = (np.take(padded, range(0, padded.shape[axis], 2), axis) + np.take(padded, range(1, padded.shape[axis], 2), axis)) / 2
    return np.floor(padded + 0.5).astype(samples.dtype)


@given(ARRAYS)
@settings(max_examples=200)
def test_halving_is_the_mean_of_neighbours_with_a_clamped_edge(samples):
    found = halve(samples)
    assert found.dtype == samples.dtype
    assert np.array_equal(found, plain_mean(samples))


@given(hnp.arrays(np.uint16, st.tuples(st.sampled_from([2, 4, 8, 16]), st.integers(1, 7), st.integers(1, 7))), st.sampled_from([2, 4]))
def test_halving_slab_by_slab_equals_halving_the_whole(samples, slab):
    pieces = [halve(samples[start : start + slab]) for start in range(0, samples.shape[0], slab)]
    assert np.array_equal(np.concatenate(pieces), halve(samples))


def test_halving_keeps_floating_point():
    assert halve(np.asarray([[1.0, 2.0], [3.0, 5.0]], np.float32)).tolist() == [[2.75]]


def test_extreme_integers_do_not_overflow():
    assert halve(np.full((2, 2, 2), 65535, np.uint16)).tolist() == [[[65535]]]
    assert halve(np.full((2, 2, 2), -32768, np.int16)).tolist() == [[[-32768]]]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32])
@pytest.mark.parametrize("shape", [(2, 2), (2, 2, 2), (3, 3, 3)])
def test_values_at_the_edge_of_what_sums_in_their_own_type_hold_keep_their_mean(dtype, shape):
    limits, axes = np.iinfo(dtype), len(shape)
    highest = (limits.max - 2 ** (axes - 1)) // 2**axes
    for value in (highest, highest + 1, limits.min // 2**axes, max(limits.min, limits.min // 2**axes - 1)):
        assert set(halve(np.full(shape, value, dtype)).ravel().tolist()) == {value}


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((300, 512, 512), [(300, 512, 512), (150, 256, 256), (75, 128, 128), (38, 64, 64)]),
        ((1, 300, 10), [(1, 300, 10), (1, 150, 5)]),
        ((64, 64, 64), [(64, 64, 64)]),
        ((2000, 1000), [(2000, 1000), (1000, 500), (500, 250), (250, 125)]),
    ],
)
def test_levels_halve_until_a_chunk_holds_everything(shape, expected):
    assert level_shapes(shape) == expected
