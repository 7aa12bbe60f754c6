from __future__ import annotations

import json
from pathlib import Path

import pytest

from extract.builders import an_instance, write, write_series
from fairlead.cli import run


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))


def test_records_are_printed_one_a_line_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_series(tmp_path / "in", [an_instance(1), an_instance(2)])
    assert run(["extract", str(tmp_path / "in"), "--project", "lung", "--center", "north"]) == 0
    out, err = capsys.readouterr()
    (record,) = [json.loads(line) for line in out.splitlines()]
    assert (record["core"]["project"], record["core"]["center"], record["core"]["instances"]) == ("lung", "north", 2)
    assert record["core"]["source"]["place"] == "file"
    assert err == ""


def test_an_unreadable_file_is_reported_and_the_rest_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(an_instance(), tmp_path / "in" / "a.dcm")
    (tmp_path / "in" / "b.dcm").write_bytes(b"no image")
    assert run(["extract", str(tmp_path / "in")]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1
    assert "b.dcm: [not-dicom] The file is neither DICOM nor an OME file." in err


def test_the_same_file_twice_is_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(an_instance(), tmp_path / "in" / "a.dcm")
    write(an_instance(), tmp_path / "in" / "b.dcm")
    assert run(["extract", str(tmp_path / "in")]) == 0
    assert "[duplicate]" in capsys.readouterr().err


def test_a_bad_project_name_is_refused_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(an_instance(), tmp_path / "a.dcm")
    assert run(["extract", str(tmp_path / "a.dcm"), "--project", "../x"]) == 2
    assert "--project" in capsys.readouterr().err


def test_nothing_of_a_header_is_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    write(an_instance(Modality="Quibbleworth", PatientAge="Zelda"), tmp_path / "a.dcm")
    caplog.clear()  # what pydicom said while the file was made
    capsys.readouterr()
    run(["extract", str(tmp_path / "a.dcm")])
    said = capsys.readouterr().err + caplog.text
    assert not any(text in said for text in ("Quibbleworth", "Zelda", "PID-774411"))


def test_the_settings_choose_the_catalogue(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_INDEX__FIELDS", str(tmp_path / "gone.yaml"))
    assert run(["extract", str(tmp_path)]) == 1
    assert "[invalid-configuration]" in capsys.readouterr().err
