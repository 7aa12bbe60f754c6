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


def test_only_what_this_call_brought_is_counted_and_decides_the_status(fairlead, data: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from fairlead.database import close_engines, open_database
    from fairlead.progress import Silent
    from fairlead.receive import Ledger, import_paths
    from fairlead.records import Route
    from fairlead.settings import Settings

    settings = Settings(home=tmp_path / "home")
    waiting = [data / "ome" / "tiff" / "1x1.ome.tif", data / "ome" / "xml-malformed" / "truncated.ome.xml"]
    route = Route(project="default", center="local")
    import_paths(settings, Ledger(open_database(settings)), waiting, route=route, progress=Silent())  # others' work, not drained yet
    close_engines()
    empty = tmp_path / "empty.dcm"
    empty.write_bytes(b"")
    status, report = fairlead("ingest", empty)
    assert (status, report["indexed"], report["unchanged"]) == (1, 0, 0)
    assert [bad["path"] for bad in report["quarantined"]] == ["empty.dcm"]
    assert fairlead("index", "status")[1]["records"] == 1  # drained all the same


def test_a_changed_file_counts_as_indexed_and_its_twin_as_unchanged(fairlead, data: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "in"
    folder.mkdir()
    sources = sorted((data / "dicom" / "ct").rglob("*.dcm"))[:2]
    shutil.copy(sources[0], folder)
    assert fairlead("ingest", folder)[1]["indexed"] == 1
    shutil.copy(sources[1], folder)
    second = fairlead("ingest", folder)[1]
    assert (second["indexed"], second["quarantined"]) == (1, [])
    third = fairlead("ingest", folder)[1]
    assert (third["indexed"], third["unchanged"]) == (0, second["indexed"] + second["unchanged"])


def test_an_empty_folder_is_told_and_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    (tmp_path / "nothing").mkdir()
    assert run(["ingest", str(tmp_path / "nothing")]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("0 indexed, 0 unchanged, 0 not taken")
    assert "no files there" in told.err


def test_the_index_is_for_its_owner_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    assert run(["index", "status"]) == 0
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*.sqlite")} == {"index.sqlite": 0o600}
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
