"""A killed run goes on where it was: finished files are recognised by content, and nothing else counts."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deidentify.ct_builders import KEY, a_ct, as_file
from fairlead.deidentify import Person, Plan, Profile, deidentify_folder, read_lookup
from fairlead.deidentify.journal import Entry, Journal
from fairlead.deidentify.lookup import LookupTable
from fairlead.errors import InvalidInput
from fairlead.files import relative_files
from fairlead.records import DeidentifyReport

QUIET = Profile(name="quiet", title="t", dciodvfy="off")
FILES = 6


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    place = tmp_path / "scans"
    place.mkdir()
    for number in range(FILES - 1):
        (place / f"{number}.dcm").write_bytes(as_file(a_ct(SOPInstanceUID=f"1.3.6.1.4.1.99999.5.{number}")))
    (place / "notes.txt").write_text("no image")
    return place


def run(scans: Path, *, profile: Profile = QUIET, key: bytes = KEY, chunk: tuple[int, int] = (0, 1)) -> DeidentifyReport:
    plan = Plan(journal=scans.parent / "journal", chunk=chunk)
    return deidentify_folder(scans, scans.parent / "safe", profile=profile, key=key, plan=plan)


KILLED = """
import os, signal, sys
from pathlib import Path
from fairlead.deidentify import Plan, Profile, deidentify_folder
from fairlead.progress import Silent

class Fatal(Silent):
    steps = 0
    def step(self, count=1, size_bytes=0):
        self.steps += 1
        if self.steps == 3:
            os.kill(os.getpid(), signal.SIGKILL)

folder = Path(sys.argv[1])
deidentify_folder(folder / "scans", folder / "safe", profile=Profile(name="quiet", title="t", dciodvfy="off"), key=bytes(range(32)),
                  progress=Fatal(), plan=Plan(journal=folder / "journal"))
"""


def test_a_killed_run_goes_on_and_repeats_nothing(scans: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(scans.parent)], check=False)
    assert done.returncode == -signal.SIGKILL
    safe = scans.parent / "safe"
    half = list(safe.rglob(".*.part"))
    for part in half:
        assert b"Mustermann" not in part.read_bytes()
        os.utime(part, (0, 0))
    before = {name: (safe / name).stat().st_mtime_ns for name in relative_files(safe) if name.suffix != ".part"}
    assert len(before) >= 3
    report = run(scans)
    assert (report.files, report.written, len(report.quarantined)) == (FILES, FILES - 1, 1)
    assert 3 <= report.already <= FILES
    assert {name: (safe / name).stat().st_mtime_ns for name in before} == before
    assert [part for part in half if part.exists()] == []


def test_a_second_run_says_the_same_and_does_no_file_again(scans: Path) -> None:
    first, again = run(scans), run(scans)
    assert again.already == FILES
    ignored = {"seconds", "already"}
    assert first.model_dump(exclude=ignored) == again.model_dump(exclude=ignored)


def test_an_output_that_is_gone_or_damaged_is_made_again(scans: Path) -> None:
    run(scans)
    safe = scans.parent / "safe"
    lost, damaged, *_ = [safe / name for name in relative_files(safe)]
    good = lost.read_bytes()
    lost.unlink()
    damaged.write_bytes(b"bits have rotted")
    report = run(scans)
    assert report.already == FILES - 2
    assert lost.read_bytes() == good
    assert [entry.reason.split(":")[0] for entry in report.quarantined if entry.path != "notes.txt"] == ["conflict"]


@pytest.mark.parametrize("change", [{"key": bytes(32)}, {"profile": QUIET.model_copy(update={"name": "other"})}], ids=["key", "profile"])
def test_another_key_or_profile_finds_nothing_finished(scans: Path, change: dict[str, object]) -> None:
    run(scans)
    if "profile" in change:
        change["profile"] = Profile(name="other", title="t", dciodvfy="off", oldest_age=80)
    assert run(scans, **change).already == 0  # type: ignore[arg-type]


def test_a_source_that_changed_is_done_again(scans: Path) -> None:
    run(scans)
    (scans / "0.dcm").write_bytes(as_file(a_ct(SOPInstanceUID="1.3.6.1.4.1.99999.5.77")))
    report = run(scans)
    assert (report.already, report.written) == (FILES - 1, FILES - 1)


def test_what_another_run_may_end_differently_is_not_remembered(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (scans / "same-uid.dcm").write_bytes(as_file(a_ct(SOPInstanceUID="1.3.6.1.4.1.99999.5.0", KVP="99")))
    checker = scans.parent / "bin" / "dciodvfy"
    checker.parent.mkdir()
    checker.write_text("#!/no/such/interpreter\n")
    checker.chmod(0o755)
    monkeypatch.setenv("PATH", str(checker.parent))
    every = Profile(name="every", title="t")
    assert "cannot be run" in run(scans, profile=every).quarantined[0].reason
    checker.write_text("#!/bin/sh\nexit 0\n")
    report = run(scans, profile=every)
    assert (report.already, report.written) == (1, FILES - 1), "the text file only"
    assert [entry.path for entry in report.quarantined] == ["notes.txt", "same-uid.dcm"]
    assert run(scans, profile=every).already == FILES, "all but the conflict, which ends when the other object is gone"


def test_an_entry_that_was_cut_off_does_not_count(scans: Path) -> None:
    run(scans)
    for file in (scans.parent / "journal").rglob("*.json"):
        file.write_bytes(file.read_bytes()[:20])
    assert run(scans).already == 0


def test_the_journal_does_not_say_which_files_were_done(scans: Path) -> None:
    run(scans)
    journal = scans.parent / "journal"
    written = " ".join(str(path) for path in relative_files(journal)) + "".join(path.read_text() for path in journal.rglob("*.json"))
    for source in scans.iterdir():
        assert hashlib.sha256(source.read_bytes()).hexdigest()[2:] not in written
    assert "notes" not in written
    assert "1.3.6.1.4.1" not in written


def test_the_journal_may_not_lie_among_the_safe_files(scans: Path) -> None:
    safe = scans.parent / "safe"
    with pytest.raises(InvalidInput, match="journal lies in the output"):
        deidentify_folder(scans, safe, profile=QUIET, key=KEY, plan=Plan(journal=safe / "journal"))


def test_chunks_cover_every_file_once(scans: Path) -> None:
    reports = [run(scans, chunk=(number, 4)) for number in range(4)]
    assert sum(report.files for report in reports) == FILES
    assert sum(report.written for report in reports) == FILES - 1
    assert run(scans).already == FILES


def test_a_file_that_arrives_between_two_shares_moves_no_other_file(scans: Path) -> None:
    run(scans, chunk=(0, 2))
    (scans / "00.dcm").write_bytes(as_file(a_ct(SOPInstanceUID="1.3.6.1.4.1.99999.5.1000")))
    run(scans, chunk=(1, 2))
    safe = {name.name for name in relative_files(scans.parent / "safe")}
    everything = deidentify_folder(scans, scans.parent / "all", profile=QUIET, key=KEY)
    assert everything.written == FILES
    assert len(safe) >= FILES - 1, "all that were there from the start"


def test_an_entry_is_found_by_those_who_have_the_key_only(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    mine, theirs = (Journal.open(tmp_path / "j", key=key, profile_sha256="0", compared=False) for key in (KEY, bytes(32)))
    mine.keep(mine.work_id(tmp_path / "a"), Entry(reason="not-dicom: no"))
    assert mine.find(mine.work_id(tmp_path / "a"), tmp_path) == Entry(reason="not-dicom: no")
    assert theirs.find(theirs.work_id(tmp_path / "a"), tmp_path) is None


# --- lookup table --------------------------------------------------------------------------------------------------------


def test_the_lookup_table_leads_back_with_the_key_and_is_unreadable_without(scans: Path) -> None:
    (scans / "other.dcm").write_bytes(
        as_file(a_ct(PatientID="MRN-0815", IssuerOfPatientID="North", SOPInstanceUID="1.3.6.1.4.1.99999.5.99"))
    )
    file = scans.parent / "lookup"
    for number in range(2):
        deidentify_folder(scans, scans.parent / f"safe{number}", profile=QUIET, key=KEY, plan=Plan(lookup=file))
    rows = read_lookup(file, KEY)
    assert sorted(rows.values()) == [("MRN-0815", "North"), ("MRN-4711-X", "")]
    assert all(name.startswith("P") for name in rows)
    assert b"MRN" not in file.read_bytes()
    with pytest.raises(InvalidInput, match="cannot be opened"):
        read_lookup(file, bytes(32))


@pytest.mark.parametrize("content", ["", "AAAA", "no base64 at all!"])
def test_a_damaged_lookup_table_is_refused_before_anything_is_written(scans: Path, content: str) -> None:
    file = scans.parent / "lookup"
    file.write_text(content)
    with pytest.raises(InvalidInput, match="cannot be opened"):
        deidentify_folder(scans, scans.parent / "safe", profile=QUIET, key=KEY, plan=Plan(lookup=file))
    assert not (scans.parent / "safe").exists()


INTERRUPTED = """
import sys
from pathlib import Path
from fairlead.deidentify import Plan, Profile, deidentify_folder
from fairlead.progress import Silent

class Fatal(Silent):
    steps = 0
    def step(self, count=1, size_bytes=0):
        self.steps += 1
        if self.steps == 2:
            import os, signal
            os.kill(os.getpid(), signal.SIGKILL)

folder = Path(sys.argv[1])
deidentify_folder(folder / "scans", folder / "safe", profile=Profile(name="quiet", title="t", dciodvfy="off"), key=bytes(range(32)),
                  progress=Fatal(), plan=Plan(journal=folder / "journal", lookup=folder / "lookup"))
"""


def test_after_a_killed_run_the_lookup_table_knows_everybody(scans: Path) -> None:
    for number in range(FILES - 1):
        patient = a_ct(SOPInstanceUID=f"1.3.6.1.4.1.99999.5.{number}", PatientID=f"MRN-000{number}")
        (scans / f"{number}.dcm").write_bytes(as_file(patient))
    assert subprocess.run([sys.executable, "-c", INTERRUPTED, str(scans.parent)], check=False).returncode == -signal.SIGKILL
    plan = Plan(journal=scans.parent / "journal", lookup=scans.parent / "lookup")
    report = deidentify_folder(scans, scans.parent / "safe", profile=QUIET, key=KEY, plan=plan)
    assert report.already >= 2
    assert sorted(patient for patient, _ in read_lookup(scans.parent / "lookup", KEY).values()) == [
        f"MRN-000{number}" for number in range(FILES - 1)
    ]


def test_two_runs_at_once_lose_no_row_of_the_lookup_table(tmp_path: Path) -> None:
    tables = [LookupTable(tmp_path / "lookup", KEY) for _ in range(2)]
    for number, table in enumerate(tables):
        table.add(Person(key="k", pseudonym=f"P{number}", days=1, patient_id=f"MRN-{number}"))
    for table in tables:
        table.save()
    assert read_lookup(tmp_path / "lookup", KEY) == {"P0": ("MRN-0", ""), "P1": ("MRN-1", "")}
