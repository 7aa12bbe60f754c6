"""Nothing that somebody made is lost to a conversion: what lies in the output folder stays, unless it is our own intact store."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from convert.builders import a_series, axial_positions, save
from fairlead.cli import run
from fairlead.convert import ConvertOptions, convert, staging, validate_store
from fairlead.progress import Silent
from fairlead.records import ConvertReport

described = partial(convert, options=ConvertOptions(described=True))


@pytest.fixture
def series(tmp_path: Path) -> Path:
    return save(tmp_path / "in", a_series(axial_positions(4)))


def other_options(source: Path, out: Path, **options: Any) -> ConvertReport:
    return convert(source, out, options=ConvertOptions(described=True, **options))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_users_folder_of_a_stores_name_stays(series: Path, tmp_path: Path) -> None:
    name = described(series, tmp_path / "first").stores[0].path
    for number, content in enumerate(("thesis.txt", "zarr.json")):
        mine = tmp_path / f"out{number}" / name / content
        mine.parent.mkdir(parents=True)
        mine.write_text("years of work")
        report = described(series, tmp_path / f"out{number}")
        assert report.stores == ()
        assert [(refusal.code, name in refusal.reason, "move it away" in refusal.reason) for refusal in report.refused] == [
            ("conflict", True, True)
        ]
        assert bytes_of(tmp_path / f"out{number}") == {f"{name}/{content}": b"years of work"}


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_file_or_link_of_a_stores_name_is_named_and_stays(series: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "out" / described(series, tmp_path / "first").stores[0].path
    target.parent.mkdir()
    target.write_text("mine") if kind == "file" else target.symlink_to(tmp_path / "first")
    (refusal,) = described(series, tmp_path / "out").refused
    assert (refusal.code, "is no folder" in refusal.reason) == ("conflict", True)
    assert target.is_symlink() or target.read_text() == "mine"


@pytest.mark.parametrize("work", ["labels/mine/zarr.json", "zarr.json", "0/notes.txt"])
def test_work_inside_a_store_is_not_wiped_by_another_run(series: Path, tmp_path: Path, work: str) -> None:
    store = tmp_path / "out" / described(series, tmp_path / "out").stores[0].path
    (store / work).parent.mkdir(parents=True, exist_ok=True)
    (store / work).write_text("my work")
    before = bytes_of(store)
    for report in (described(series, tmp_path / "out"), other_options(series, tmp_path / "out", ngff="0.6")):
        assert [refusal.code for refusal in report.refused] == ["conflict"]
        assert "was changed since it was made" in report.refused[0].reason
        assert report.notes == ()  # nobody is told to remove it
    assert bytes_of(store) == before


def test_a_store_that_lost_a_file_is_made_again(series: Path, tmp_path: Path) -> None:
    (first,) = described(series, tmp_path / "out").stores
    (tmp_path / "out" / first.path / "0/zarr.json").unlink()
    assert described(series, tmp_path / "out").stores == (first,)
    assert validate_store(tmp_path / "out" / first.path).valid


def test_another_version_replaces_our_store_and_the_report_says_so(series: Path, tmp_path: Path) -> None:
    (first,) = described(series, tmp_path / "out").stores
    second = other_options(series, tmp_path / "out", ngff="0.6")
    assert [(note.path, note.code) for note in second.notes] == [(first.path, "replaced")]
    assert described(series, tmp_path / "new").notes == ()
    assert other_options(series, tmp_path / "out", ngff="0.6").notes == ()


def test_a_conflict_is_not_remembered_by_a_resumed_run(series: Path, tmp_path: Path) -> None:
    (first,) = described(series, tmp_path / "other").stores
    (tmp_path / "out" / first.path).mkdir(parents=True)
    (tmp_path / "out" / first.path / "mine").write_text("work")
    assert other_options(series, tmp_path / "out", resume=True).stores == ()
    shutil.rmtree(tmp_path / "out" / first.path)
    assert other_options(series, tmp_path / "out", resume=True).stores == (first,)


class Meanwhile(Silent):
    """Lets another run finish while this one writes."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.work: Callable[[], object] | None = work

    def step(self, count: int = 1, size_bytes: int = 0) -> None:
        """Do the work once, in the middle of a store."""
        if size_bytes and self.work is not None:
            work, self.work = self.work, None
            work()


def test_of_two_runs_with_other_options_at_once_the_second_stops_and_equal_ones_agree(series: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    late = convert(series, out, options=ConvertOptions(described=True), progress=Meanwhile(lambda: other_options(series, out, ngff="0.6")))
    assert (late.stores, [refusal.code for refusal in late.refused]) == ((), ["conflict"])
    assert "at the same time" in late.refused[0].reason
    (store,) = out.glob("*.ome.zarr")
    assert validate_store(store).profile == "OME-NGFF 0.6"
    both = convert(
        series, tmp_path / "both", options=ConvertOptions(described=True), progress=Meanwhile(lambda: described(series, tmp_path / "both"))
    )
    assert (len(both.stores), both.refused, both.notes) == (1, (), ())


def test_a_store_changes_places_with_its_successor_in_one_step_or_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for way in (True, False):
        if not way:
            monkeypatch.setattr(staging, "_exchanged", lambda one, other: False)
        old, new = tmp_path / f"old{way}", tmp_path / f"new{way}"
        for folder in (old, new):
            folder.mkdir()
            (folder / "name").write_text(folder.name)
        staging.replace_folder(new, old)
        assert (old / "name").read_text() == new.name
        assert new.exists() is way or sys.platform != "linux"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_labels_of_an_earlier_run_stay_beside_an_unchanged_image(data: Path, tmp_path: Path) -> None:
    image, segmentation, out = data / "dicom/ct/dcmqi_ct3slice", data / "dicom/seg/dcmqi_liver.dcm", tmp_path / "out"
    (both,) = described([image, segmentation], out).stores
    before = bytes_of(out)
    alone = described(image, out)
    assert [(note.path, note.code) for note in alone.notes] == [(both.path, "labels-kept")]
    assert (alone.stores[0].labels, alone.stores[0].manifest_sha256) == (both.labels, both.manifest_sha256)
    assert alone.stores[0].size_bytes == both.size_bytes
    for changed in ({"ngff": "0.6"}, {"license": "CC-BY-4.0"}):
        (refusal,) = other_options(image, out, **changed).refused
        assert (refusal.code, "holds 1 label images of an earlier run" in refusal.reason) == ("conflict", True)
    assert bytes_of(out) == before
    assert [note.code for note in other_options([image, segmentation], out, ngff="0.6").notes] == ["replaced"]


def test_labels_join_an_image_that_was_there_alone(data: Path, tmp_path: Path) -> None:
    image, segmentation = data / "dicom/ct/dcmqi_ct3slice", data / "dicom/seg/dcmqi_liver.dcm"
    described([image, segmentation.parent / segmentation.name], tmp_path / "at once")
    described(image, tmp_path / "out")
    described([image, segmentation], tmp_path / "out")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "at once")


def test_a_scene_follows_its_stores_into_another_version(tmp_path: Path) -> None:
    for number in (1, 2):
        datasets = a_series(axial_positions(3))
        for dataset in datasets:
            dataset.SeriesInstanceUID = f"1.2.3.{number}"
            dataset.SOPInstanceUID = f"1.2.3.{number}.{dataset.InstanceNumber}"
        save(tmp_path / "in" / str(number), datasets)
    out = tmp_path / "out"
    convert(tmp_path / "in", out, options=ConvertOptions(ngff="0.6", scene=True, described=True))
    assert (out / "zarr.json").is_file()
    convert(tmp_path / "in" / "1", out, options=ConvertOptions(ngff="0.5", scene=True, described=True))
    assert not (out / "zarr.json").exists()


def test_stores_of_earlier_options_are_named(tmp_path: Path) -> None:
    source = save(tmp_path / "in", a_series([*axial_positions(4), *axial_positions(3, origin=(-100, -80, 100))]))
    split = other_options(source, tmp_path / "out", geometry="split")
    assert (len(split.stores), split.notes) == (2, ())
    strict = described(source, tmp_path / "out")
    assert len(strict.refused) == 1
    assert [(note.path, note.code) for note in strict.notes] == [(store.path, "left-over") for store in sorted(split.stores, key=str)]


def test_a_segmentation_that_became_labels_is_named(data: Path, tmp_path: Path) -> None:
    image, segmentation = data / "dicom/ct/dcmqi_ct3slice", data / "dicom/seg/dcmqi_liver.dcm"
    (alone,) = described(segmentation, tmp_path).stores
    both = described([image, segmentation], tmp_path)
    assert [(note.path, note.code) for note in both.notes] == [(alone.path, "left-over")]


def test_files_of_one_name_do_not_replace_each_other(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        tifffile.imwrite(tmp_path / str(number) / "a.ome.tif", np.full((8, 8), number, np.uint8), metadata={"axes": "YX"})
    first, second = (other_options(tmp_path / name, tmp_path / "out", keep_names=True) for name in "12")
    assert [store.path for store in first.stores] == ["a.ome.zarr"]
    assert [refusal.code for refusal in second.refused] == ["conflict"]
    assert other_options(tmp_path / "1", tmp_path / "out", keep_names=True).stores == first.stores


def test_a_foreign_archive_of_a_stores_name_stays_and_our_own_is_renewed(series: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "out"
    name = described(series, tmp_path / "first").stores[0].path.replace(".ome.zarr", ".ozx")
    out.mkdir()
    (out / name).write_text("mine")
    assert run(["convert", str(series), str(out), "--ozx", "--json"]) == 0
    shown = capsys.readouterr()
    assert [refusal["code"] for refusal in json.loads(shown.out)["refused"]] == ["conflict"]
    assert name in shown.err
    assert (out / name).read_text() == "mine"
    (out / name).unlink()
    for version in ("0.5", "0.6", "0.6"):
        assert run(["convert", str(series), str(out), "--ozx", "--ngff", version]) == 0
        with zipfile.ZipFile(out / name) as archive:
            assert json.loads(archive.comment)["ome"]["version"] == version


def test_the_stores_of_the_output_folder_are_no_sources(series: Path, tmp_path: Path) -> None:
    for _ in range(3):
        report = described(series, series)
        assert (len(report.stores), report.refused) == (1, ())
        assert [path.name for path in series.glob("*.zarr")] == [report.stores[0].path]
    for file in series.glob("*.dcm"):
        file.unlink()
    assert [(note.path, note.code) for note in described(series, series).notes] == [(report.stores[0].path, "own")]
    (refusal,) = described(series / report.stores[0].path, series).refused
    assert "lies in the output folder" in refusal.reason
