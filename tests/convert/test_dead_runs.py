"""One bad input, name or address never ends a run without words: it is named, and the others go on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from convert.builders import a_series, axial_positions, save
from fairlead.cli import run
from fairlead.convert import ConvertOptions, convert
from fairlead.records import SourceRefusal

COMPANION = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="P" DimensionOrder="XYZCT" Type="uint8" '
    'SizeX="8" SizeY="8" SizeZ="1" SizeC="1" SizeT="1"><TiffData><UUID FileName="self.companion.ome">urn:uuid:1</UUID>'
    "</TiffData></Pixels></Image></OME>"
)


def test_a_name_that_is_no_utf8_stops_nothing(tmp_path: Path, capsys: Any) -> None:
    folder = save(tmp_path / "in", a_series(axial_positions(2)))
    strange = Path(os.fsdecode(os.fsencode(folder) + b"/bad\xff.ome.tif"))
    tifffile.imwrite(folder / "a.ome.tif", np.zeros((8, 8), np.uint8), metadata={"axes": "YX"})
    (folder / "a.ome.tif").rename(strange)
    Path(os.fsdecode(os.fsencode(folder) + b"/no\xfe.txt")).write_text("text")
    assert run(["convert", str(folder), str(tmp_path / "out"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["stores"]) == 2
    assert "bad\\xff.ome.tif" in [store["source"] for store in report["stores"]]
    assert [refusal["source"] for refusal in report["refused"]] == ["no\\xfe.txt"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["convert", "", "out"],
        ["convert", "in", ""],
        ["validate", " "],
        *(["convert", "in", "out", "--max-expansion", n] for n in ("inf", "nan", "0")),
    ],
)
def test_empty_arguments_and_numbers_that_are_none_are_wrong_usage(arguments: list[str], capsys: Any) -> None:
    assert run(arguments) == 2
    assert "Invalid value" in capsys.readouterr().err


@pytest.mark.parametrize(("source", "out", "said"), [("in", "s3://", "names no bucket"), ("s3://bucket/in", "out", "folders only")])
def test_addresses_that_lead_nowhere_are_told(tmp_path: Path, capsys: Any, source: str, out: str, said: str) -> None:
    save(tmp_path / "in", a_series(axial_positions(2)))
    where = [str(tmp_path / part) if "://" not in part else part for part in (source, out)]
    assert run(["convert", *where]) == 1
    told = capsys.readouterr().err
    assert said in told
    assert "internal" not in told


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_stdout_is_told_as_such(tmp_path: Path) -> None:
    source = save(tmp_path / "in", a_series(axial_positions(2)))
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "fairlead.cli", "convert", str(source), str(tmp_path / "out"), "--json"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert "[storage-full]" in done.stderr
    assert "Exception ignored" not in done.stderr


def test_an_image_without_a_row_says_so(tmp_path: Path) -> None:
    datasets = a_series(axial_positions(1), Rows=0)
    (refusal,) = convert(save(tmp_path / "in", datasets), tmp_path / "out").refused
    assert "0 rows and 16 columns" in refusal.reason


def test_validate_says_why_a_validator_does_not_accept_a_store(data: Path, capsys: Any) -> None:
    assert run(["validate", str(data / "ome/zarr-malformed/no_axes_v04.ome.zarr"), "--json"]) == 1
    results = json.loads(capsys.readouterr().out)["results"]
    assert any("multiscales.0.axes; Field required" in item["message"] for item in results)
    assert not any("RuntimeError" in item["message"] or "input_value" in item["message"] for item in results)


def test_refusals_name_the_file_that_they_are_about(tmp_path: Path, capsys: Any) -> None:
    folder = save(tmp_path / "in/ct", a_series(axial_positions(5)))
    victim = sorted(folder.iterdir())[2]
    victim.write_bytes(victim.read_bytes()[:-10])
    assert run(["convert", str(tmp_path / "in"), str(tmp_path / "out"), "--json"]) == 1
    shown = capsys.readouterr()
    (refusal,) = json.loads(shown.out)["refused"]
    assert refusal["files"] == [f"ct/{victim.name}"]
    assert f"(ct/{victim.name})" in shown.err
    assert victim.name not in refusal["reason"]
    convert(tmp_path / "in", tmp_path / "out", options=ConvertOptions(resume=True))
    assert not [note for note in (tmp_path / "out/.finished").iterdir() if victim.name in note.read_text()]


def test_of_two_files_with_one_uid_the_refusal_names_the_other(tmp_path: Path) -> None:
    folder = save(tmp_path / "in", a_series(axial_positions(2)))
    first = sorted(folder.iterdir())[0]
    data = bytearray(first.read_bytes())
    data[-1] ^= 1
    (folder / "zzz.dcm").write_bytes(data)
    (refusal,) = convert(folder, tmp_path / "out").refused
    assert isinstance(refusal, SourceRefusal)
    assert (refusal.source, refusal.files) == ("zzz.dcm", (first.name,))


def test_links_and_companions_that_name_themselves_are_named(tmp_path: Path) -> None:
    folder = save(tmp_path / "in", a_series(axial_positions(2)))
    (folder / "link.dcm").symlink_to(sorted(folder.iterdir())[0])
    (folder / "elsewhere").symlink_to(tmp_path)
    (folder / "self.companion.ome").write_text(COMPANION)
    report = convert(folder, tmp_path / "out")
    assert len(report.stores) == 1
    assert sorted(refusal.source for refusal in report.refused) == ["elsewhere", "link.dcm", "self.companion.ome"]


def test_what_ome_xml_states_and_nobody_can_use_is_said(tmp_path: Path) -> None:
    description = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" '
        'DimensionOrder="XYCZT" Type="uint8" SizeX="8" SizeY="8" SizeC="1" SizeZ="1" SizeT="1" PhysicalSizeX="-1" PhysicalSizeY="2" '
        'PhysicalSizeYUnit="furlong"><TiffData/></Pixels></Image></OME>'
    )
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((8, 8), np.uint16), description=description, metadata=None)
    (store,) = convert(tmp_path / "a.ome.tif", tmp_path / "out").stores
    said = "; ".join(store.dropped)
    assert "PhysicalSizeX, which is no positive number" in said
    assert "PhysicalSizeYUnit" in said
    assert "the pixels are uint16" in said


def test_our_own_store_as_a_source_says_what_it_loses(tmp_path: Path) -> None:
    first = convert(save(tmp_path / "in", a_series(axial_positions(2))), tmp_path / "out").stores[0]
    for version in ("0.5", "0.6"):
        (store,) = convert(tmp_path / "out" / first.path, tmp_path / version, options=ConvertOptions(ngff=version)).stores
        assert "convert the DICOM again" in "; ".join(store.dropped)


def test_an_archive_is_validated_like_a_store(tmp_path: Path, capsys: Any) -> None:
    source = save(tmp_path / "in", a_series(axial_positions(3)))
    assert run(["convert", str(source), str(tmp_path / "out"), "--ozx"]) == 0
    (archive,) = (tmp_path / "out").glob("*.ozx")
    capsys.readouterr()
    assert run(["validate", str(archive), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"valid": True, "profile": "OME-NGFF 0.5, RFC-9", "results": []}
    data = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as inside:
        chunk = next(entry for entry in inside.infolist() if "/c/" in entry.filename)
    data[chunk.header_offset + 200] ^= 1
    (tmp_path / "bad.ozx").write_bytes(data)
    (tmp_path / "text.ozx").write_text("text")
    with zipfile.ZipFile(tmp_path / "out.ozx", "w") as hostile:
        hostile.writestr("zarr.json", "{}")
        hostile.writestr("../escaped", "x")
    for name, said in (("bad", "cannot be read"), ("text", "cannot be read"), ("out", "leads out of the archive")):
        assert run(["validate", str(tmp_path / f"{name}.ozx")]) == 1
        assert said in capsys.readouterr().out
    assert not (tmp_path / "escaped").exists()


def test_a_store_that_lost_its_voxels_is_not_valid(tmp_path: Path, capsys: Any) -> None:
    source = save(tmp_path / "in", a_series(axial_positions(3)))
    assert run(["convert", str(source), str(tmp_path / "out")]) == 0
    (store,) = (tmp_path / "out").glob("*.ome.zarr")
    shutil.rmtree(store / "0/c")
    assert run(["validate", str(store)]) == 1
    assert "names a file that is not there" in capsys.readouterr().out


def test_validate_says_what_it_was_given(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "empty").mkdir()
    source = save(tmp_path / "in", a_series(axial_positions(2)))
    convert(source, tmp_path / "out")
    (store,) = (tmp_path / "out").glob("*.ome.zarr")
    given = (
        (tmp_path / "empty", "no store and no RO-Crate"),
        (tmp_path / "out", "1 stores and is none"),
        (next(source.iterdir()), "DICOM file"),
    )
    for path, said in given:
        assert run(["validate", str(path)]) == 1
        assert said in capsys.readouterr().err
    assert run(["validate", str(store), "--profile", "fdp"]) == 2
