"""Shards as zarr-python reads them, and as a faulty disk returns them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zarr.codecs import BloscCodec

from fairlead.convert.shards import ShardLayout, write_shard
from fairlead.errors import CheckFailed


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
    chunk=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
    repeat=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    dtype=st.sampled_from(["uint8", "int16", "float32", "float64"]),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_zarr_reads_what_went_in_whatever_the_sizes(tmp_path_factory, shape, chunk, repeat, dtype):
    folder = tmp_path_factory.mktemp("shards")
    values = np.random.default_rng(sum(shape)).integers(0, 100, shape).astype(dtype)
    shard = tuple(size * times for size, times in zip(chunk, repeat, strict=True))
    blosc = BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle", typesize=values.dtype.itemsize)
    array = zarr.create_array(str(folder), shape=shape, dtype=dtype, chunks=chunk, shards=shard, compressors=blosc, fill_value=0)
    layout = ShardLayout(folder, shard, chunk)
    with ThreadPoolExecutor(2) as pool:
        for index in np.ndindex(*(-(-size // whole) for size, whole in zip(shape, shard, strict=True))):
            part = values[tuple(slice(i * whole, (i + 1) * whole) for i, whole in zip(index, shard, strict=True))]
            write_shard(layout, index, part, pool)
    assert np.array_equal(np.asarray(zarr.open_array(str(folder), mode="r")[:]), values)
    assert array.shape == shape


def test_a_disk_that_returns_other_bytes_is_noticed(tmp_path):
    layout = ShardLayout(tmp_path, (4, 4), (2, 2))
    layout.file((0, 0)).parent.mkdir(parents=True)
    layout.file((0, 0)).symlink_to("/dev/null")  # takes every byte and gives none back
    with ThreadPoolExecutor(1) as pool, pytest.raises(CheckFailed, match="read back"):
        write_shard(layout, (0, 0), np.ones((4, 4), np.uint8), pool)


def test_a_compressor_that_lies_is_noticed(tmp_path, monkeypatch):
    import numcodecs.blosc

    compress = numcodecs.blosc.compress
    monkeypatch.setattr(numcodecs.blosc, "compress", lambda chunk, *rest: compress(chunk + 1, *rest))
    with ThreadPoolExecutor(1) as pool, pytest.raises(CheckFailed, match="does not decode"):
        write_shard(ShardLayout(tmp_path, (4, 4), (2, 2)), (0, 0), np.ones((4, 4), np.uint8), pool)
    assert not list(tmp_path.rglob("c"))
