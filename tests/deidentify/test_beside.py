"""The report and the lookup table never take the place of data, and never travel with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deidentify.ct_builders import KEY, a_ct, as_file
from fairlead.deidentify import Plan, Profile, deidentify_folder
from fairlead.errors import Conflict, InvalidInput, NotFound

QUIET = Profile(name="quiet", title="t", dciodvfy="off")


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for name in ("a.dcm", "b.dcm"):
        (tmp_path / "in" / name).write_bytes(as_file(a_ct()))
    return tmp_path / "in" / "a.dcm"


def run(source: Path, plan: Plan) -> None:
    top = source.parent if source.is_dir() else source.parents[1]
    deidentify_folder(source, top / "out", profile=QUIET, key=KEY, plan=plan)


def test_a_report_replaces_no_file_that_is_no_report(scan: Path) -> None:
    before = (scan.parent / "b.dcm").read_bytes()
    with pytest.raises(Conflict, match="is no report"):
        run(scan, Plan(page=scan.parent / "b.dcm"))
    assert (scan.parent / "b.dcm").read_bytes() == before
    assert not (scan.parents[1] / "out").exists()


def test_a_report_replaces_the_report_of_an_earlier_run(scan: Path) -> None:
    page = scan.parents[1] / "report.html"
    run(scan, Plan(page=page))
    page.write_bytes(page.read_bytes() + b"<!-- old -->")
    run(scan, Plan(page=page))
    assert b"<!-- old -->" not in page.read_bytes()


def test_report_and_lookup_table_are_two_files(scan: Path) -> None:
    with pytest.raises(InvalidInput, match="same name"):
        run(scan, Plan(page=scan.parents[1] / "x", lookup=scan.parents[1] / "in" / ".." / "x"))


@pytest.mark.parametrize("folder", ["in", "out"])
@pytest.mark.parametrize("what", ["page", "lookup"])
def test_neither_lies_in_the_input_or_the_output(scan: Path, folder: str, what: str) -> None:
    with pytest.raises(InvalidInput, match="input or the output"):
        run(scan.parent, Plan(**{what: scan.parents[1] / folder / "file"}))  # type: ignore[arg-type]


@pytest.mark.parametrize("what", ["page", "lookup"])
def test_no_folder_is_made_for_them(scan: Path, what: str) -> None:
    with pytest.raises(NotFound, match="no folder for the"):
        run(scan.parent, Plan(**{what: scan.parents[1] / "absent" / "file"}))  # type: ignore[arg-type]
    assert sorted(path.name for path in scan.parents[1].iterdir()) == ["in"]


def test_only_its_owner_reads_the_lookup_table(scan: Path) -> None:
    run(scan, Plan(lookup=scan.parents[1] / "lookup"))
    assert (scan.parents[1] / "lookup").stat().st_mode & 0o777 == 0o600
