"""``--compact``: JPEG tiles of slides become chunks without a change, readable by others, and nothing else is touched."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import zarr
from imagecodecs.zarr import Jpeg
from pydicom.encaps import generate_frames
from zarr.codecs import TransposeCodec

from convert.builders import save
from convert.test_slides import a_slide, pixels, tiles_of
from fairlead.cli import run
from fairlead.convert import ConvertOptions, convert, render_preview, validate_store

SLIDE = "dicom/sm/camelyon_jpeg"


def test_every_tile_of_a_real_slide_is_a_chunk_byte_for_byte(data, tmp_path):
    (store,) = convert(data / SLIDE, tmp_path, options=ConvertOptions(compact=True)).stores
    for number, file in enumerate(sorted((data / SLIDE).iterdir())):
        header = pydicom.dcmread(file)
        frames = list(generate_frames(header.PixelData, number_of_frames=header.NumberOfFrames))
        across = -(-header.TotalPixelMatrixColumns // header.Columns)
        for place, frame in enumerate(frames):
            chunk = tmp_path / store.path / f"{number}/c/0/{place // across}/{place % across}"
            assert chunk.read_bytes() == frame
    source = sum(file.stat().st_size for file in (data / SLIDE).iterdir())
    assert store.size_bytes < 1.1 * source


def test_voxels_and_metadata_are_those_of_the_full_store(data, tmp_path):
    (small,) = convert(data / SLIDE, tmp_path / "small", options=ConvertOptions(compact=True)).stores
    (full,) = convert(data / SLIDE, tmp_path / "full").stores
    assert (small.shape, small.levels, small.axes, small.verified_voxels) == (full.shape, full.levels, full.axes, True)
    for level in range(full.levels):
        one, two = (zarr.open_array(str(tmp_path / kind / full.path / str(level)), mode="r")[:] for kind in ("small", "full"))
        assert np.array_equal(np.asarray(one), np.asarray(two))
    images = [json.loads((tmp_path / kind / full.path / "zarr.json").read_text()) for kind in ("small", "full")]
    assert images[0] == images[1]
    assert validate_store(tmp_path / "small" / small.path).findings == ()
    render_preview(tmp_path / "small" / small.path, tmp_path / "small.png")
    render_preview(tmp_path / "full" / full.path, tmp_path / "full.png")
    assert (tmp_path / "small.png").read_bytes() == (tmp_path / "full.png").read_bytes()


def test_the_codec_is_the_one_of_imagecodecs(data, tmp_path):
    (store,) = convert(data / SLIDE, tmp_path, options=ConvertOptions(compact=True)).stores
    codecs = json.loads((tmp_path / store.path / "0/zarr.json").read_text())["codecs"]
    assert [TransposeCodec.from_dict(codecs[0]), Jpeg.from_dict(codecs[1])] == [
        TransposeCodec(order=(1, 2, 0)),
        Jpeg(colorspace_data="RGB", colorspace_jpeg="YCBCR"),
    ]


def test_slides_without_jpeg_are_written_as_ever(tmp_path):
    source = save(tmp_path / "in", [a_slide(tiles_of(pixels(40, 36)), (40, 36))])
    (compact,) = convert(source, tmp_path / "compact", options=ConvertOptions(compact=True)).stores
    (plain,) = convert(source, tmp_path / "plain").stores
    assert compact.manifest_sha256 == plain.manifest_sha256


def test_a_damaged_tile_refuses_the_compact_slide_too(data, tmp_path):
    (tmp_path / "in").mkdir()
    for file in (data / SLIDE).iterdir():
        (tmp_path / "in" / file.name).write_bytes(file.read_bytes())
    victim = tmp_path / "in/level1.dcm"
    content = bytearray(victim.read_bytes())
    start = content.index(b"\xff\xd8", content.index(b"\xe0\x7f\x10\x00"))
    content[start : start + 400] = bytes(400)
    victim.write_bytes(bytes(content))
    report = convert(tmp_path / "in", tmp_path / "out", options=ConvertOptions(compact=True))
    assert report.stores == ()
    assert "cannot be decoded" in report.refused[0].reason
    assert list((tmp_path / "out").iterdir()) == []


def test_the_command_takes_the_flag(data, tmp_path: Path, capsys):
    assert run(["convert", str(data / SLIDE), str(tmp_path), "--compact", "--json"]) == 0
    (store,) = json.loads(capsys.readouterr().out)["stores"]
    assert store["valid"] == {"ome-zarr-models": True, "schema": True}
