"""What a run meets besides good files: killed processes, bombs, links, closed folders, names of people."""

from __future__ import annotations

import json
import logging
import os
import struct
import zlib
from pathlib import Path

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from deidentify.ct_builders import KEY, a_ct, as_file
from deidentify.fragile import fragile
from fairlead import progress
from fairlead.deidentify import Plan, Profile, deidentify_folder, inflating, pool
from fairlead.deidentify.jobs import Job
from fairlead.deidentify.shown import shown_name

QUIET = Profile(name="quiet", title="t", dciodvfy="off")


def test_a_killed_process_costs_one_file_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "TRIAL", 1)
    monkeypatch.setattr(pool, "WORTH_S", 0.0)
    names = ["first", "a", "unlucky", "b", "deadly", "c", "d", "e", "f", "g", "h", "i", "j"]
    jobs = [Job(name, tmp_path / name) for name in names]
    outcomes = list(pool.in_order(fragile, jobs, workers=2))
    assert [outcome.name for outcome in outcomes] == [name if name != "deadly" else "" for name in names]
    assert "was killed, twice" in outcomes[names.index("deadly")].reason
    assert not outcomes[names.index("deadly")].lasting, "with more memory it may end differently"


def test_few_files_start_no_process(tmp_path: Path) -> None:
    jobs = [Job("deadly", tmp_path / "x") for _ in range(40)]  # only another process would die
    assert all(outcome.name == "deadly" for outcome in pool.in_order(fragile, jobs, workers=2))


def test_a_deflated_file_that_would_fill_the_memory_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = a_ct()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    content = as_file(dataset)
    begin = 132 + 12 + struct.unpack("<L", content[140:144])[0]
    body = zlib.decompress(content[begin:], -zlib.MAX_WBITS) + struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OW", 0, 8 << 20) + bytes(8 << 20)
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.dcm").write_bytes(content)
    (tmp_path / "in" / "b.dcm").write_bytes(content[:begin] + deflater.compress(body) + deflater.flush())
    monkeypatch.setattr(inflating, "MOST_INFLATED_BYTES", 4 << 20)
    report = deidentify_folder(tmp_path / "in", tmp_path / "out", profile=QUIET, key=KEY)
    assert [(entry.path, entry.reason) for entry in report.quarantined] == [
        ("b.dcm", "unsupported: The deflated data set holds more than 4 MB.")
    ]
    assert report.written == 1


def test_links_and_pipes_are_named_and_not_followed(tmp_path: Path) -> None:
    scans, elsewhere = tmp_path / "scans", tmp_path / "elsewhere"
    scans.mkdir()
    elsewhere.mkdir()
    (elsewhere / "x").write_bytes(as_file(a_ct()))
    (scans / "a.dcm").symlink_to(elsewhere / "x")
    (scans / "b").symlink_to(elsewhere)
    (scans / "broken").symlink_to(tmp_path / "absent")
    os.mkfifo(scans / "c")
    report = deidentify_folder(scans, tmp_path / "out", profile=QUIET, key=KEY)
    assert [(entry.path, entry.reason.split(",")[0]) for entry in report.quarantined] == [
        ("a.dcm", "unsupported: a symbolic link"),
        ("b", "unsupported: a symbolic link"),
        ("broken", "unsupported: a symbolic link"),
        ("c", "unsupported: neither a regular file nor a folder (a pipe"),
    ]
    assert report.files == 4


def test_a_folder_that_cannot_be_read_is_named_and_the_others_are_done(tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    (scans / "z").write_bytes(as_file(a_ct()))
    here = os.getcwd()
    try:
        os.chdir(scans)
        for _ in range(22):  # longer than any path may be: nobody can list the last folders by name, whatever their rights
            os.mkdir("a" * 200)
            os.chdir("a" * 200)
    finally:
        os.chdir(here)
    report = deidentify_folder(scans, tmp_path / "out", profile=QUIET, key=KEY)
    assert report.written == 1
    assert [entry.reason for entry in report.quarantined] == ["unreadable-image: the folder cannot be read"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("series2/im0004.dcm", "series2/im0004.dcm"),
        ("Mustermann_Erika_19640812.dcm", "#7 *.dcm"),
        ("Mustermann/CT/1.dcm", "#7 */CT/1.dcm"),
        ("1964-08-12.dcm", "#7 *.dcm"),
        ("12/08/64/im1", "#7 */*/*/*"),
        ("MRN4711X", "#7 *"),
        ("1.2.840.113619.2.55.3.604688119", "#7 *"),
        ("Müller.ome.zarr/readme.txt", "#7 *.ome.zarr/readme.txt"),
        ("li.dcm", "#7 *.dcm"),
    ],
)
def test_a_path_in_a_report_names_nobody(name: str, shown: str) -> None:
    assert shown_name(name, 7) == shown


def test_the_number_in_a_report_leads_to_the_file(tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    (scans / "Zoe").mkdir(parents=True)
    for name in ("b.dcm", "Zoe/Mustermann.dcm", "Erika.dcm", "ä.dcm"):
        (scans / name).write_text(name)
    report = deidentify_folder(scans, tmp_path / "out", profile=QUIET, key=KEY, plan=Plan(page=tmp_path / "r.html"))
    assert [entry.path for entry in report.quarantined] == ["#1 *.dcm", "#2 */*.dcm", "b.dcm", "#4 *.dcm"]
    listed = sorted((path.relative_to(scans).as_posix() for path in scans.rglob("*") if not path.is_dir()), key=os.fsencode)
    assert listed == ["Erika.dcm", "Zoe/Mustermann.dcm", "b.dcm", "ä.dcm"]
    everything = json.dumps(report.model_dump(mode="json")) + (tmp_path / "r.html").read_text()
    assert not {"Erika", "Mustermann", "Zoe"} & set(everything.replace("*", " ").replace(".", " ").split())


def test_a_modality_that_is_none_is_not_repeated(tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    pixels = {"Rows": 1, "Columns": 2, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "SamplesPerPixel": 1, "PixelRepresentation": 0}
    pixels |= {"PhotometricInterpretation": "MONOCHROME2", "PixelData": b"ab"}
    for number, modality in enumerate(("MUELLER", "OT")):
        (scans / f"{number}.dcm").write_bytes(as_file(a_ct(Modality=modality, SOPInstanceUID=f"1.2.3.{number}", **pixels)))
    report = deidentify_folder(scans, tmp_path / "out", profile=QUIET, key=KEY, plan=Plan(page=tmp_path / "r.html"))
    assert len(report.quarantined) == 2
    assert "MUELLER" not in str(report) + (tmp_path / "r.html").read_text()
    assert "images OT may show text" in str(report)


def test_progress_says_how_much_time_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(progress, "LOG_EVERY_S", 0.0)
    for number in range(3):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{number}.dcm").write_bytes(as_file(a_ct(SOPInstanceUID=f"1.2.3.{number}")))
    with caplog.at_level(logging.INFO, logger="fairlead.progress"):
        deidentify_folder(tmp_path / "in", tmp_path / "out", profile=QUIET, key=KEY, progress=progress.Logged())
    lines = [record.getMessage() for record in caplog.records if record.name == "fairlead.progress"]
    assert [line.split(" (")[0].split(",")[0] for line in lines] == [f"de-identify: {done} of 3" for done in (1, 2, 3, 3)]
    assert ["left" in line for line in lines] == [True, True, False, False]
