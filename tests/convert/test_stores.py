from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless

from convert.builders import a_series, a_slice, axial_positions, save, some_pixels
from fairlead.cli import run
from fairlead.convert import ConvertOptions, convert, render_preview, validate_store
from fairlead.convert.staging import remove_abandoned, staged
from fairlead.errors import InvalidInput, NotFound, StorageFull, UnsupportedInput
from fairlead.files import manifest_lines, manifest_sha256
from fairlead.progress import Silent


@pytest.fixture
def series(tmp_path):
    return save(tmp_path / "in", a_series(axial_positions(5)))


class FullDisk(Silent):
    """Fails like a disk without space in the middle of a store."""

    def step(self, count=1, size_bytes=0):
        if size_bytes:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_second_run_gives_the_same_manifest_and_touches_nothing(series, tmp_path):
    first = convert(series, tmp_path / "out")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*")}
    second = convert(series, tmp_path / "out")
    assert first.stores == second.stores
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*")} == before


def test_the_manifest_digest_covers_every_file_of_the_store(series, tmp_path):
    (store,) = convert(series, tmp_path / "out").stores
    path = tmp_path / "out" / store.path
    assert store.manifest_sha256 == manifest_sha256(manifest_lines(path))
    assert store.size_bytes == sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def test_changed_pixels_replace_the_store(series, tmp_path):
    first = convert(series, tmp_path / "out", options=ConvertOptions(described=True)).stores[0]
    save(tmp_path / "in", a_series(axial_positions(5), RescaleIntercept=-1000))
    second = convert(series, tmp_path / "out", options=ConvertOptions(described=True)).stores[0]
    assert first.path == second.path
    assert first.manifest_sha256 != second.manifest_sha256
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == [second.path]


def test_a_full_disk_is_said_and_leaves_nothing(series, tmp_path):
    with pytest.raises(StorageFull, match="no space left"):
        convert(series, tmp_path / "out", progress=FullDisk())
    assert list((tmp_path / "out").iterdir()) == []


def test_a_killed_conversion_leaves_nothing_visible_and_the_next_one_cleans_up(tmp_path):
    source = save(tmp_path / "in", a_series(axial_positions(40), Rows=256, Columns=256))
    for number, file in enumerate(sorted(source.iterdir())):
        data = file.read_bytes()
        file.write_bytes(
            data[: -12 * 16 * 2 - 4]
            + (256 * 256 * 2).to_bytes(4, "little")
            + some_pixels(number, rows=256, columns=256).astype("<u2").tobytes()
        )
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom fairlead.convert import convert\nfrom fairlead.progress import Silent\n"
        "class Slow(Silent):\n    def step(self, count=1, size_bytes=0):\n        print('writing', flush=True); time.sleep(60)\n"
        "convert(Path(sys.argv[1]), Path(sys.argv[2]), progress=Slow())\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(source), str(tmp_path / "out")], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"writing\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert [entry.name for entry in (tmp_path / "out").iterdir() if not entry.name.startswith(".")] == []
    assert len(list((tmp_path / "out").glob(".*.staging"))) == 1
    report = convert(source, tmp_path / "out")
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == [report.stores[0].path]


def test_a_staging_folder_in_use_is_left_alone(tmp_path):
    with staged(tmp_path / "a.ome.zarr") as folder:
        assert remove_abandoned(tmp_path) == 0
        assert folder.is_dir()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("odd/derived_truncated_in_pixels.dcm", "Pixels end early"),
        ("odd/derived_rows_mismatch.dcm", "Pixels end early"),
        ("odd/MR_truncated.dcm", "Pixels end early: 8130 of 8192 bytes"),
        ("odd/JPEG2000-embedded-sequence-delimiter.dcm", "claims 3811783737344 samples"),
        ("odd/derived_text_named.dcm", "Neither DICOM"),
        ("odd/derived_empty.dcm", "Neither DICOM"),
        ("odd/derived_missing_series_uid.dcm", "SeriesInstanceUID"),
        ("odd/derived_truncated_in_header.dcm", "UID"),
        ("mr_enhanced/emri_small.dcm", "functional groups are absent"),
        ("mr/siemens_mosaic/epi_pe_ap-00001.dcm", "mosaic"),
        ("rt/rtstruct.dcm", "RT Structure Set Storage"),
        ("sr/reportsi.dcm", "Basic Text SR Storage"),
        ("pr/gsps_phantom.dcm", "Presentation State"),
        ("rt/rtplan.dcm", "RT Plan Storage"),
        ("rt/rtstruct.dcm", "It stays DICOM"),
        ("dicomdir_fileset/DICOMDIR", "DICOMDIR"),
        ("charset/chrKoreanMulti.dcm", "no pixels"),
    ],
)
def test_what_cannot_be_converted_is_refused_with_its_reason(data, tmp_path, name, reason):
    report = convert(data / "dicom" / name, tmp_path)
    assert report.stores == ()
    assert reason in report.refused[0].reason
    assert list(tmp_path.iterdir()) == []


def test_a_slice_with_damaged_pixels_refuses_the_volume_and_keeps_nothing(series, tmp_path):
    victim = sorted(series.iterdir())[2]
    victim.write_bytes(victim.read_bytes()[:-10])
    report = convert(series, tmp_path / "out")
    assert "Pixels end early" in report.refused[0].reason
    assert list((tmp_path / "out").iterdir()) == []


def test_of_two_files_with_one_uid_the_readable_one_is_taken(data, tmp_path):
    paths = [data / "dicom/odd/JPEG2000-embedded-sequence-delimiter.dcm", data / "dicom/transfer_syntax/JPEG2000.dcm"]
    report = convert(paths, tmp_path)
    assert [store.shape for store in report.stores] == [(1024, 256)]
    assert [refusal.code for refusal in report.refused] == ["conflict"]


def test_an_equal_copy_is_passed_over_in_silence(series, tmp_path):
    first = sorted(series.iterdir())[0]
    (series / "copy.dcm").write_bytes(first.read_bytes())
    report = convert(series, tmp_path / "out")
    assert report.refused == ()
    assert report.stores[0].shape == (5, 12, 16)


def test_a_decoder_that_fails_tells_the_user_no_traceback(tmp_path):
    dataset = a_slice(0, (0, 0, 0), some_pixels(0))
    dataset.PixelData = encapsulate([imagecodecs.jpegls_encode(some_pixels(0).astype(np.uint16))[:120]])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    file = save(tmp_path / "in", [dataset])
    command = [sys.executable, "-m", "fairlead.cli", "convert", str(file), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert "Pixels cannot be decoded" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_input_is_named(tmp_path):
    with pytest.raises(NotFound, match="no file or folder"):
        convert(tmp_path / "nowhere", tmp_path / "out")


def test_unknown_versions_and_policies_are_refused(series, tmp_path):
    with pytest.raises(UnsupportedInput, match="is not written"):
        convert(series, tmp_path, options=ConvertOptions(ngff="0.3"))
    with pytest.raises(UnsupportedInput, match="policy"):
        convert(series, tmp_path, options=ConvertOptions(geometry="guess"))


def test_the_command_prints_the_contract(series, tmp_path, capsys):
    assert run(["convert", str(series), str(tmp_path / "out"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {"stores", "refused", "seconds", "peak_rss_mb"} <= document.keys()
    (store,) = document["stores"]
    assert {
        "path",
        "source",
        "kind",
        "shape",
        "dtype",
        "axes",
        "geometry",
        "levels",
        "bytes",
        "manifest_sha256",
        "verified_voxels",
    } <= store.keys()
    assert store["valid"] == {"ome-zarr-models": True, "schema": True}
    assert {"verdict", "reason", "affine", "spacing_mm", "missing", "duplicates"} <= store["geometry"].keys()


def test_the_command_tells_refusals_and_fails_only_when_nothing_was_converted(series, tmp_path, capsys):
    (series / "note.txt").write_text("not an image")
    assert run(["convert", str(series), str(tmp_path / "out")]) == 0
    told = capsys.readouterr()
    assert "refused note.txt" in told.err
    assert "1 stores, 1 refused" in told.out
    assert run(["convert", str(series / "note.txt"), str(tmp_path / "out"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["refused"][0]["source"] == "note.txt"


def test_a_resumed_run_repeats_nothing_that_is_intact_and_everything_that_changed(series, tmp_path):
    out = tmp_path / "out"
    (first,) = convert(series, out, options=ConvertOptions(resume=True, described=True)).stores
    root = out / first.path / "zarr.json"
    written = root.stat().st_ino
    assert convert(series, out, options=ConvertOptions(resume=True, described=True)).stores == (first,)
    assert root.stat().st_ino == written
    (out / first.path / "0/zarr.json").unlink()
    assert convert(series, out, options=ConvertOptions(resume=True, described=True)).stores == (first,)
    assert (out / first.path / "0/zarr.json").is_file()
    save(tmp_path / "in", a_series(axial_positions(5), RescaleIntercept=-1000))
    (changed,) = convert(series, out, options=ConvertOptions(resume=True, described=True)).stores
    assert changed.manifest_sha256 != first.manifest_sha256


def test_validate_accepts_our_store_and_names_what_is_wrong_with_others(series, data, tmp_path, capsys):
    store = tmp_path / "out" / convert(series, tmp_path / "out").stores[0].path
    assert run(["validate", str(store), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"valid": True, "profile": "OME-NGFF 0.5", "results": []}
    assert run(["validate", str(data / "ome/zarr-malformed/dangling_level_v04.ome.zarr")]) == 1
    assert "NOT valid" in capsys.readouterr().out


def test_validate_says_what_is_not_there(capsys):
    assert run(["validate", "nowhere"]) == 1
    assert "There is no file or folder nowhere" in capsys.readouterr().err


def broken(document, change):
    ome = document["attributes"]["ome"]
    image = ome["multiscales"][0]
    match change:
        case "axes out of order":
            image["axes"].reverse()
        case "no scale":
            image["datasets"][0]["coordinateTransformations"] = []
        case "negative scale":
            image["datasets"][0]["coordinateTransformations"][0]["scale"][0] = -1
        case "a level outside":
            image["datasets"][0]["path"] = "../other"
        case "an unknown orientation":
            image["axes"][0]["orientation"]["value"] = "up"
    return document


@pytest.mark.parametrize("change", ["axes out of order", "no scale", "negative scale", "a level outside", "an unknown orientation"])
def test_damaged_metadata_are_found(series, tmp_path, change):
    store = tmp_path / "out" / convert(series, tmp_path / "out").stores[0].path
    document = broken(json.loads((store / "zarr.json").read_text()), change)
    (store / "zarr.json").write_text(json.dumps(document))
    assert not validate_store(store).valid


def test_an_absent_shard_is_a_warning(series, tmp_path):
    store = tmp_path / "out" / convert(series, tmp_path / "out").stores[0].path
    (store / "0/c/0/0/0").unlink()
    result = validate_store(store)
    assert result.valid
    assert "absent and read as the fill value" in result.findings[0].message


def test_a_folder_that_is_no_store_is_not_valid(tmp_path):
    result = validate_store(tmp_path)
    assert not result.valid
    assert "No OME-Zarr image" in result.findings[0].message


def test_a_preview_shows_the_volume_in_true_proportion(data, tmp_path):
    (store,) = convert(data / "dicom/ct/philips_phantom_axial_1mm", tmp_path).stores
    render_preview(tmp_path / store.path, tmp_path / "p.png")
    with Image.open(tmp_path / "p.png") as image:
        pixels = np.asarray(image.convert("L"))
    assert pixels.shape[1] > pixels.shape[0]
    assert (pixels > 200).mean() > 0.01
    assert (pixels < 30).mean() > 0.3


@pytest.mark.parametrize(
    "file", ["ome/tiff/cardio_left_pyramid.ome.tif", "ome/tiff/he_left_pyramid.ome.tif", "dicom/us/us_ybr_multiframe_jpeg.dcm"]
)
def test_previews_of_colour_have_colour(data, tmp_path, file):
    (store,) = convert(data / file, tmp_path).stores
    render_preview(tmp_path / store.path, tmp_path / "p.png")
    with Image.open(tmp_path / "p.png") as image:
        pixels = np.asarray(image).astype(int)
    assert np.ptp(pixels[:400], axis=2).max() > 50 or "us_" in file


@pytest.mark.parametrize("name", ["1x1.ome.tif", "series_tzcyx.ome.tif"])
def test_previews_of_small_and_five_dimensional_images_are_drawn(data, tmp_path, name):
    (store,) = convert(data / "ome/tiff" / name, tmp_path).stores
    render_preview(tmp_path / store.path, tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 100


def test_a_preview_of_no_store_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="holds no OME-Zarr image"):
        render_preview(tmp_path, tmp_path / "p.png")


def test_ngff_06_stores_can_be_drawn(series, tmp_path):
    (store,) = convert(series, tmp_path / "out", options=ConvertOptions(ngff="0.6")).stores
    render_preview(tmp_path / "out" / store.path, tmp_path / "p.png")
    assert (tmp_path / "p.png").is_file()


def test_progress_is_told_per_series_with_bytes(series, tmp_path):
    class Heard(Silent):
        steps, size = 0, 0

        def step(self, count=1, size_bytes=0):
            self.steps += count
            self.size += size_bytes

    heard = Heard()
    convert(series, tmp_path / "out", progress=heard)
    assert (heard.steps, heard.size) == (1, 5 * 12 * 16 * 2)


def test_nothing_in_gives_nothing_out(tmp_path):
    report = convert([], tmp_path)
    assert (report.stores, report.refused) == ((), ())


def test_out_may_be_a_deep_new_folder(series, tmp_path):
    assert convert(series, tmp_path / "a" / "b").stores[0].path
    assert Path(tmp_path / "a" / "b").is_dir()


def drawn(store, png):
    render_preview(store, png)
    return np.asarray(Image.open(png).convert("RGB")).astype(int)


def test_channels_without_colours_are_told_apart_and_an_empty_middle_is_passed_over(data, tmp_path):
    (store,) = convert(data / "ome/zarr/viv_bioformats.zarr/data.zarr", tmp_path).stores
    ome = json.loads((tmp_path / store.path / "zarr.json").read_text())["attributes"]["ome"]
    assert [channel["color"] for channel in ome["omero"]["channels"]] == ["0000FF", "00FF00", "FF0000"]
    (alone,) = convert(data / "dicom/seg/highdicom_seg_ct_binary_overlap.dcm", tmp_path).stores
    assert drawn(tmp_path / alone.path, tmp_path / "a.png").max() == 255
