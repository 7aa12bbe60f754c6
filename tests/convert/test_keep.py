"""NGFF that is old in its metadata only: chunks of Zarr v2 become chunks of Zarr v3 byte for byte, or are encoded again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from ome_zarr_models import open_ome_zarr

from convert.test_zarr import level
from fairlead.convert import convert

AXES = [{"name": "y", "type": "space", "unit": "micrometer"}, {"name": "x", "type": "space", "unit": "micrometer"}]


def old_store(folder: Path, dtype: str = "<u2", compressor: Any = None, **options: Any) -> Path:
    """Return a store of NGFF 0.4 with two levels."""
    folder.mkdir()
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    steps = [{"path": str(n), "coordinateTransformations": [{"type": "scale", "scale": [2.0**n, 2.0**n]}]} for n in (0, 1)]
    (folder / ".zattrs").write_text(json.dumps({"multiscales": [{"version": "0.4", "axes": AXES, "datasets": steps}]}))
    for number, side in enumerate((20, 10)):
        values = np.random.default_rng(number).integers(0, 200, (side, side)).astype(dtype)
        array = zarr.create_array(
            str(folder / str(number)), shape=values.shape, dtype=dtype, chunks=(8, 8), zarr_format=2, compressors=compressor, **options
        )
        array[:] = values
    return folder


def chunks(array: Path) -> dict[tuple[str, ...], bytes]:
    """Return the chunks of an array in v2 or v3 by their place."""
    files = [path for path in array.rglob("*") if path.is_file() and not path.name.startswith((".z", "zarr"))]
    return {tuple(path.relative_to(array).as_posix().removeprefix("c/").replace(".", "/").split("/")): path.read_bytes() for path in files}


@pytest.mark.parametrize("name", ["cardio_left_v0.4", "fiji_3d_testing_xyc_3d_dataset_v4", "fiji_4d_testing_xyzc_4d_dataset_v4"])
def test_chunks_of_real_old_stores_are_kept_byte_for_byte(data, tmp_path, name):
    source = data / "ome/zarr" / f"{name}.ome.zarr"
    (store,) = convert(source, tmp_path).stores
    groups = ["", *(f"labels/{label}" for label in store.labels)]
    for group in groups:
        for number in range(store.levels):
            assert chunks(tmp_path / store.path / group / str(number)) == chunks(source / group / str(number))
            assert np.array_equal(level(tmp_path / store.path / group, number), level(source / group, number))
    assert store.valid.json_schema
    assert open_ome_zarr(zarr.open_group(str(tmp_path / store.path), mode="r")).ome_zarr_version == "0.5"


@pytest.mark.parametrize(
    ("dtype", "compressor", "options"),
    [
        ("<f4", None, {}),
        (">i2", numcodecs.Blosc("zstd", 3, numcodecs.Blosc.BITSHUFFLE), {}),
        ("<u2", numcodecs.GZip(4), {"chunk_key_encoding": {"name": "v2", "separator": "/"}}),
        ("|u1", numcodecs.Zstd(2), {"chunk_key_encoding": {"name": "v2", "separator": "."}}),
    ],
    ids=["plain float", "big endian blosc", "gzip", "zstd, dots"],
)
def test_every_compressor_that_v3_knows_is_kept(tmp_path, dtype, compressor, options):
    source = old_store(tmp_path / "a.ome.zarr", dtype, compressor, **options)
    (store,) = convert(source, tmp_path / "out").stores
    for number in (0, 1):
        assert chunks(tmp_path / "out" / store.path / str(number)) == chunks(source / str(number))
        assert np.array_equal(level(tmp_path / "out" / store.path, number), level(source, number))


@pytest.mark.parametrize(
    "changes", [{"compressor": numcodecs.Zlib(1)}, {"order": "F"}, {"filters": [numcodecs.Delta("<u2")]}], ids=["zlib", "order", "filter"]
)
def test_what_v3_cannot_read_as_it_is_is_encoded_again(tmp_path, changes):
    source = old_store(tmp_path / "a.ome.zarr", **changes)
    (store,) = convert(source, tmp_path / "out").stores
    assert chunks(tmp_path / "out" / store.path / "0") != chunks(source / "0")
    assert np.array_equal(level(tmp_path / "out" / store.path), level(source))


def test_a_damaged_chunk_is_refused(tmp_path):
    source = old_store(tmp_path / "a.ome.zarr", compressor=numcodecs.Zstd(1))
    victim = next(path for path in (source / "1").rglob("*") if path.is_file() and not path.name.startswith("."))
    victim.write_bytes(victim.read_bytes()[:-7])
    report = convert(source, tmp_path / "out")
    assert report.stores == ()
    assert "cannot be decoded" in report.refused[0].reason
    assert list((tmp_path / "out").iterdir()) == []
