"""Folders and the command: the numbers add up, nothing half-written, every refusal named."""

from __future__ import annotations

import base64
import json
import os
from hashlib import sha256
from pathlib import Path

import pytest
from pydicom import dcmread

from deidentify.ct_builders import KEY, a_ct, as_file
from fairlead.cli import run
from fairlead.deidentify import Plan, Profile, deidentify_folder, pool
from fairlead.errors import InvalidInput, NotFound
from fairlead.files import relative_files
from needs import program

QUIET = Profile(name="quiet", title="t", dciodvfy="off")


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    place = tmp_path / "scans"
    (place / "deep").mkdir(parents=True)
    for number in range(3):
        (place / "deep" / f"{number}").write_bytes(as_file(a_ct(SOPInstanceUID=f"1.3.6.1.4.1.99999.5.{number}")))
    (place / "empty.dcm").write_bytes(b"")
    (place / "notes.txt").write_text("see the other folder")
    (place / "cut.dcm").write_bytes(as_file(a_ct())[:300])
    (place / "noise.dcm").write_bytes(bytes(range(256)) * 8)
    return place


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/fairlead"])
def test_an_output_folder_that_cannot_be_is_refused_with_a_remedy(scans: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInput, match="output folder") as caught:
        deidentify_folder(scans, tmp_path / place, profile=QUIET, key=KEY)
    assert "permissions" in caught.value.remedy


def test_a_pipe_as_the_source_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="regular file"):
        deidentify_folder(tmp_path / "pipe", tmp_path / "out", profile=QUIET, key=KEY)


def test_every_file_is_counted_once(scans: Path, tmp_path: Path) -> None:
    report = deidentify_folder(scans, tmp_path / "out", profile=QUIET, key=KEY)
    assert (report.files, report.written) == (7, 3)
    assert [entry.path for entry in report.quarantined] == ["cut.dcm", "empty.dcm", "noise.dcm", "notes.txt"]
    assert len(relative_files(tmp_path / "out")) == 3
    assert (report.dciodvfy_new_errors, report.dciodvfy_checked, report.residue) == (0, 0, ())


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ("StudyInstanceUID", "no StudyInstanceUID"),
        ("SeriesInstanceUID", "no SeriesInstanceUID"),
        ("SOPClassUID", "no SOP Class UID"),
    ],
)
def test_an_object_without_a_uid_has_no_place(tmp_path: Path, missing: str, reason: str) -> None:
    source = a_ct()
    content = as_file(source)
    del source[missing]
    from io import BytesIO

    from pydicom import dcmwrite

    buffer = BytesIO()
    source.file_meta.ImplementationClassUID = "1.2.3"
    dcmwrite(buffer, source)
    assert content
    (tmp_path / "a.dcm").write_bytes(buffer.getvalue())
    report = deidentify_folder(tmp_path / "a.dcm", tmp_path / "out", profile=QUIET, key=KEY)
    assert reason in report.quarantined[0].reason


def test_a_uid_that_is_none_is_refused(tmp_path: Path) -> None:
    content = as_file(a_ct()).replace(b"1.3.6.1.4.1.99999.1.3", b"1.3.6.1.4.1.99999.1/3")
    (tmp_path / "a.dcm").write_bytes(content)
    assert "not a UID" in deidentify_folder(tmp_path / "a.dcm", tmp_path / "out", profile=QUIET, key=KEY).quarantined[0].reason


def test_two_contents_under_one_uid_are_a_conflict_and_the_first_by_name_wins(tmp_path: Path) -> None:
    place = tmp_path / "in"
    place.mkdir()
    (place / "a").write_bytes(as_file(a_ct(KVP="120")))
    (place / "b").write_bytes(as_file(a_ct(KVP="140")))
    (place / "c").write_bytes(as_file(a_ct(KVP="120")))
    report = deidentify_folder(place, tmp_path / "out", profile=QUIET, key=KEY)
    assert (report.files, report.written) == (3, 2)
    assert [(entry.path, entry.reason.split(":")[0]) for entry in report.quarantined] == [("b", "conflict")]
    (only,) = relative_files(tmp_path / "out")
    assert dcmread(tmp_path / "out" / only).KVP == 120


def test_several_processes_give_the_same_files_and_report(scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "TRIAL", 1)
    monkeypatch.setattr(pool, "WORTH_S", 0.0)
    one = deidentify_folder(scans, tmp_path / "one", profile=QUIET, key=KEY)
    two = deidentify_folder(scans, tmp_path / "two", profile=QUIET, key=KEY, plan=Plan(workers=2))
    assert one.model_dump(exclude={"seconds"}) == two.model_dump(exclude={"seconds"})
    contents = [{name: (tmp_path / out / name).read_bytes() for name in relative_files(tmp_path / out)} for out in ("one", "two")]
    assert contents[0] == contents[1]


def test_input_and_output_inside_each_other_are_refused(scans: Path) -> None:
    for out in (scans, scans / "out", scans.parent):
        with pytest.raises(InvalidInput, match="inside each other"):
            deidentify_folder(scans, out, profile=QUIET, key=KEY)


def test_a_source_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        deidentify_folder([tmp_path / "absent"], tmp_path / "out", profile=QUIET, key=KEY)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_command_prints_the_keys_of_the_contract(scans: Path, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "key"
    key.write_bytes(base64.b64encode(sha256(KEY).digest()))
    assert run(["deidentify", str(scans), str(tmp_path / "out"), "--project-key-file", str(key), "--json"]) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert {"files", "written", "quarantined", "residue", "dciodvfy_new_errors", "profile_codes", "seconds"} <= set(report)
    assert (report["files"], report["written"], report["residue"]) == (7, 3, [])
    assert report["profile_codes"] == ["113100"]
    assert "quarantined cut.dcm: " in captured.err
    assert not home.exists()


def test_the_command_says_when_nobody_compared_the_files(
    scans: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(["deidentify", str(scans), str(tmp_path / "out")]) == 0
    captured = capsys.readouterr()
    assert "dciodvfy is not installed" in captured.err
    assert "dciodvfy compared 0, new errors 0" in captured.out
    assert (home / "secrets" / "default.key").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent", "out"], "There is no input"),
        (["scans", "out", "--project-key-file", "absent"], "There is no key file"),
        (["scans", "out", "--profile", "absent"], "There is no de-identification profile"),
        (["scans", "scans/out"], "inside each other"),
    ],
)
def test_the_command_refuses_with_what_is_so(
    scans: Path, tmp_path: Path, home: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [str(tmp_path / word) if word in ("absent", "scans", "out", "scans/out") else word for word in arguments]
    assert run(["deidentify", *line]) == 1
    assert message in capsys.readouterr().err


def test_copies_of_one_object_are_counted_as_one_output(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.dcm", "b.dcm"):
        (tmp_path / "in" / name).write_bytes(as_file(a_ct()))
    assert run(["deidentify", str(tmp_path / "in"), str(tmp_path / "out")]) == 0
    assert "2 files: 2 written as 1 objects (the others are copies), 0 quarantined" in capsys.readouterr().out
    assert len(relative_files(tmp_path / "out")) == 1


def test_the_command_says_what_tesseract_looked_at(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program("tesseract")
    (tmp_path / "a.dcm").write_bytes(as_file(a_ct()))
    assert run(["deidentify", str(tmp_path / "a.dcm"), str(tmp_path / "out"), "--ocr"]) == 0
    assert "tesseract looked at 0 of 1 written" in capsys.readouterr().err


def test_the_command_fails_when_nothing_could_be_written(tmp_path: Path, home: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(as_file(a_ct(BurnedInAnnotation="YES")))
    assert run(["deidentify", str(tmp_path / "a.dcm"), str(tmp_path / "out")]) == 1
    assert not (tmp_path / "out").exists()
