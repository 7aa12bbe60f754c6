"""Encoded pixels that promise more than fits: refused by their headers, before any decoder takes memory for them."""

from __future__ import annotations

import bz2
import gzip
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

from convert.builders import a_slice, save, some_pixels
from convert.test_hostile import old_store, reasons
from fairlead.convert import convert

BOMB = bytes(64 * 1024**2)
"""What a chunk of 256 bytes decodes to."""

LONG = np.random.default_rng(0).bytes(300_000) + BOMB
"""Deflated streams of less than 250 kB are not looked at: they can hold no more than 256 MB."""


def zstd_without_size() -> bytes:
    """Return the bomb as one zstd frame that states no content size (RFC 8878 section 3.1.1.1)."""
    block = lambda last: ((128 * 1024) << 3 | 1 << 1 | last).to_bytes(3, "little") + b"\0"  # noqa: E731  # one repeated byte
    return b"\x28\xb5\x2f\xfd\x00\x38" + b"".join(block(number == 511) for number in range(512))


BOMBS: dict[str, tuple[dict[str, Any], bytes]] = {
    "blosc": (
        {"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 0, "blocksize": 0},
        imagecodecs.blosc_encode(BOMB, compressor="zstd", shuffle="noshuffle", typesize=1),
    ),
    "zstd": ({"id": "zstd", "level": 1}, imagecodecs.zstd_encode(BOMB)),
    "zstd without a size": ({"id": "zstd", "level": 1}, zstd_without_size()),
    "lz4": ({"id": "lz4", "acceleration": 1}, struct.pack("<I", len(BOMB)) + imagecodecs.lz4_encode(BOMB)),
    "bz2": ({"id": "bz2", "level": 1}, bz2.compress(BOMB)),
    "gzip": ({"id": "gzip", "level": 1}, gzip.compress(LONG)),
    "gzip of two members": ({"id": "gzip", "level": 1}, gzip.compress(b"a") + gzip.compress(LONG)),
    "zlib": ({"id": "zlib", "level": 1}, zlib.compress(LONG)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_chunk_that_decodes_to_more_than_its_array_has_is_refused(tmp_path: Path, name: str) -> None:
    compressor, data = BOMBS[name]
    store = old_store(tmp_path / "in/s.zarr", compressor=compressor)
    (store / "0/0.0.0").write_bytes(data)
    assert "decodes to more than the 256 bytes" in reasons(tmp_path / "in", tmp_path / "out")[0]


def test_an_encoding_that_nothing_bounds_is_refused_by_name(tmp_path: Path) -> None:
    store = old_store(tmp_path / "in/s.zarr", compressor={"id": "lzma", "format": 1, "check": -1, "preset": None, "filters": None})
    assert "'lzma'" in reasons(store.parent, tmp_path / "out")[0]


def a_store(folder: Path, **options: Any) -> Path:
    """Write a valid NGFF 0.5 image of one level."""
    values = np.arange(8 * 16 * 16, dtype=np.uint16).reshape(8, 16, 16)
    zarr.create_array(str(folder / "0"), data=values, chunks=(4, 16, 16), dimension_names=["z", "y", "x"], **options)
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]}]
    ome = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    (folder / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}))
    return folder


@pytest.mark.parametrize(
    "options",
    [
        {"compressors": BloscCodec(cname="lz4")},
        {"compressors": ZstdCodec(level=3, checksum=True)},
        {"compressors": GzipCodec(level=5)},
        {"compressors": ZstdCodec(), "shards": (8, 16, 16)},
        {"compressors": BloscCodec(), "shards": (8, 16, 16)},
        {"compressors": None, "shards": (8, 16, 16)},
    ],
    ids=["blosc", "zstd", "gzip", "zstd in shards", "blosc in shards", "plain in shards"],
)
def test_chunks_of_honest_stores_pass(tmp_path: Path, options: dict[str, Any]) -> None:
    report = convert(a_store(tmp_path / "in/a.ome.zarr", **options), tmp_path / "out")
    assert [store.shape for store in report.stores] == [(8, 16, 16)]


def test_a_chunk_inside_a_shard_is_looked_at_too(tmp_path: Path) -> None:
    store = a_store(tmp_path / "in/a.ome.zarr", compressors=ZstdCodec(), shards=(8, 16, 16))
    shard = store / "0/c/0/0/0"
    bomb = imagecodecs.zstd_encode(BOMB)
    shard.write_bytes(bomb + struct.pack("<4Q", 0, len(bomb), 0, len(bomb)) + bytes(4))
    assert "decodes to more than the 2048 bytes" in reasons(store.parent, tmp_path / "out")[0]
    shard.write_bytes(bomb + struct.pack("<4Q", 0, 2**40, 0, 8) + bytes(4))
    assert "index of a shard leads out" in reasons(store.parent, tmp_path / "out")[0]


def a_large_jpeg_header(data: bytes) -> bytes:
    """Return a JPEG or JPEG-LS whose frame header claims 65,000 × 65,000 samples."""
    at = next(place for marker in (b"\xff\xc0", b"\xff\xf7") if (place := data.find(marker)) > 0)
    return data[: at + 5] + struct.pack(">HH", 65000, 65000) + data[at + 9 :]


def a_large_codestream(data: bytes) -> bytes:
    """Return a JPEG 2000 codestream whose SIZ claims 65,000 × 65,000 samples."""
    at = data.find(b"\xff\x4f\xff\x51")
    return data[: at + 8] + struct.pack(">II", 65000, 65000) + data[at + 16 :]


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless], ids=["JPEG 2000", "JPEG-LS"])
def test_a_dicom_frame_that_claims_a_larger_picture_is_refused(tmp_path: Path, syntax: Any) -> None:
    pixels = some_pixels(0).astype(np.uint16)
    encoded = imagecodecs.jpeg2k_encode(pixels, reversible=True) if syntax == JPEG2000Lossless else imagecodecs.jpegls_encode(pixels)
    larger = a_large_codestream(encoded) if syntax == JPEG2000Lossless else a_large_jpeg_header(encoded)
    dataset: Dataset = a_slice(0, (0, 0, 0), pixels)
    dataset.PixelData = encapsulate([larger])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    assert "claims 4225000000 samples" in reasons(save(tmp_path / "in", [dataset]), tmp_path / "out")[0]


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000"])
def test_a_tile_of_a_tiff_that_claims_a_larger_picture_is_refused(tmp_path: Path, compression: str) -> None:
    file = tmp_path / "in/a.ome.tif"
    file.parent.mkdir()
    tifffile.imwrite(file, np.zeros((64, 64), np.uint8), tile=(64, 64), compression=compression, metadata={"axes": "YX"})
    with tifffile.TiffFile(file) as tiff:
        (offset,), (count,) = tiff.pages[0].dataoffsets, tiff.pages[0].databytecounts
    data = file.read_bytes()
    larger = (a_large_jpeg_header if compression == "jpeg" else a_large_codestream)(data[offset : offset + count])
    file.write_bytes(data[:offset] + larger + data[offset + count :])
    assert "claims 4225000000 samples" in reasons(file.parent, tmp_path / "out")[0]


def test_deflated_tiles_of_a_tiff_stop_at_the_size_of_a_tile(tmp_path: Path) -> None:
    file = tmp_path / "in/a.ome.tif"
    file.parent.mkdir()
    tifffile.imwrite(
        file, np.random.default_rng(0).integers(0, 255, (512, 512), np.uint8), tile=(512, 512), compression="zlib", metadata={"axes": "YX"}
    )
    with tifffile.TiffFile(file) as tiff:
        (offset,), (count,) = tiff.pages[0].dataoffsets, tiff.pages[0].databytecounts
    bomb = zlib.compress(BOMB * 2)
    data = file.read_bytes()
    assert len(bomb) < count
    file.write_bytes(data[:offset] + bomb + data[offset + len(bomb) :])
    report = convert(file.parent, tmp_path / "out")
    assert report.refused or report.stores[0].shape == (512, 512)
