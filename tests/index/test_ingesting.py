"""`fairlead ingest` and `fairlead index` on real files, as a user runs them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from fairlead.cli import run


@pytest.fixture
def fairlead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """Return a function that runs one command with ``--json`` and returns exit status and document."""
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))

    def command(*arguments: str | Path) -> tuple[int, Any]:
        status = run([*map(str, arguments), "--json"])
        out = capsys.readouterr().out
        return status, json.loads(out) if out else None

    return command


def test_real_files_are_indexed_once_and_found_unchanged_the_second_time(fairlead, data: Path) -> None:  # type: ignore[no-untyped-def]
    sources = data / "dicom" / "dicomdir_fileset", data / "ome" / "tiff"
    status, first = fairlead("ingest", *sources)
    assert status == 0
    assert first["indexed"] > 8
    assert (first["unchanged"], first["quarantined"]) == (0, [])
    status, second = fairlead("ingest", *sources)
    assert (status, second["indexed"], second["unchanged"]) == (0, 0, first["indexed"])
    status, found = fairlead("index", "status")
    assert (found["backend"], found["records"]) == ("embedded", first["indexed"])
    status, rebuilt = fairlead("index", "rebuild")
    assert (status, rebuilt["records"], rebuilt["generation"], rebuilt["quarantined"]) == (0, first["indexed"], found["generation"], [])


def test_bad_input_is_named_at_every_run_and_the_rest_is_taken(fairlead, data: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "input"
    shutil.copytree(data / "ome" / "xml-malformed", folder)
    shutil.copy(data / "dicom" / "odd" / "derived_missing_study_uid.dcm", folder / "bad.dcm")
    shutil.copy(sorted((data / "dicom" / "ct").rglob("*.dcm"))[0], folder / "good.dcm")
    runs = [fairlead("ingest", folder) for _ in range(2)]
    assert [status for status, _ in runs] == [0, 0]
    named = [{bad["path"] for bad in report["quarantined"]} for _, report in runs]
    assert named[0] == named[1] >= {"bad.dcm", "truncated.ome.xml"}
    assert all(bad["reason"] for _, report in runs for bad in report["quarantined"])
    assert [(report["indexed"] > 0, report["unchanged"] > 0) for _, report in runs] == [(True, False), (False, True)]


def test_nothing_but_bad_input_is_exit_status_1(fairlead, data: Path) -> None:  # type: ignore[no-untyped-def]
    status, report = fairlead("ingest", data / "ome" / "xml-malformed" / "truncated.ome.xml")
    assert (status, report["indexed"]) == (1, 0)
    assert report["quarantined"][0]["code"] == "unreadable-image"


def test_project_and_centre_are_part_of_the_record(fairlead, data: Path) -> None:  # type: ignore[no-untyped-def]
    file = sorted((data / "dicom" / "ct").rglob("*.dcm"))[0]
    for center in ("north", "south"):
        assert fairlead("ingest", file, "--project", "lung", "--center", center)[1]["indexed"] == 1
    assert fairlead("index", "status")[1]["records"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ingest", "nowhere"], "There is no file or folder"),
        (["ingest", ".", "--project", "../evil"], "A project or centre name is not usable"),
        (["index", "load-idc", "x.parquet"], "Parquet tables need pyarrow"),
    ],
)
def test_a_refusal_says_what_to_do(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as where the extra is not installed
    assert run(arguments) == 1
    assert message in capsys.readouterr().err


def test_without_json_people_read_a_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    assert run(["ingest", str(data / "ome" / "tiff" / "1x1.ome.tif"), str(data / "dicom" / "odd" / "derived_empty.dcm")]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("1 indexed, 0 unchanged, 1 not taken")
    assert "not taken: derived_empty.dcm: The file is empty." in told.err
    assert run(["index", "status"]) == 0
    assert run(["index", "rebuild"]) == 0
    assert capsys.readouterr().out.count("embedded: 1 records, generation ") == 2


def test_an_opensearch_that_is_not_there_is_an_unreachable_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FAIRLEAD_INDEX__BACKEND", "opensearch")
    monkeypatch.setenv("FAIRLEAD_INDEX__URL", "http://127.0.0.1:9")
    assert run(["index", "status"]) == 3
    assert "OpenSearch does not answer." in capsys.readouterr().err
