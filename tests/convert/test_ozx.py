from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
import zarr
from zarr.storage import ZipStore

from convert.builders import a_series, axial_positions, save
from fairlead.cli import run
from fairlead.convert import convert, validate_archive, write_ozx


@pytest.fixture
def store(tmp_path):
    source = save(tmp_path / "in", a_series(axial_positions(4)))
    return tmp_path / "out" / convert(source, tmp_path / "out").stores[0].path


def test_zarr_reads_the_same_voxels_out_of_the_one_file(store, tmp_path):
    write_ozx(store, tmp_path / "a.ozx")
    with ZipStore(tmp_path / "a.ozx", mode="r") as inside:
        group = zarr.open_group(inside, mode="r")
        assert group.attrs["ome"]["version"] == "0.5"
        assert np.array_equal(group["0"][:], zarr.open_array(str(store / "0"), mode="r")[:])


def test_order_comment_and_method_are_those_of_rfc_9(store, tmp_path):
    with zipfile.ZipFile(write_ozx(store, tmp_path / "a.ozx")) as archive:
        names = archive.namelist()
        described = [name for name in names if name.endswith("zarr.json")]
        assert names[0] == "zarr.json"
        assert names[: len(described)] == sorted(described, key=lambda name: (name.count("/"), name))
        assert json.loads(archive.comment) == {"ome": {"version": "0.5", "zipFile": {"centralDirectory": {"jsonFirst": True}}}}
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.testzip() is None


def test_the_same_store_gives_the_same_file(store, tmp_path):
    first, second = write_ozx(store, tmp_path / "a.ozx"), write_ozx(store, tmp_path / "b.ozx")
    assert first.read_bytes() == second.read_bytes()


def test_the_command_writes_one_file_beside_each_store(tmp_path):
    source = save(tmp_path / "in", a_series(axial_positions(3)))
    assert run(["convert", str(source), str(tmp_path / "out"), "--ozx"]) == 0
    (store,) = (tmp_path / "out").glob("*.ome.zarr")
    assert (tmp_path / "out" / store.name.replace(".ome.zarr", ".ozx")).is_file()


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["a", "a/b"], "a file and a folder"),
        (["a/b", "a"], "a file and a folder"),
        (["n" * 300], "no file can have"),
        (["/".join("d" * 3000)], "no file can have"),
        (["./zarr.json"], "no file can have"),
        (["\u00e9"], "cannot be read"),
    ],
)
def test_names_that_no_folder_can_hold_make_an_archive_invalid(tmp_path, names, told):
    with zipfile.ZipFile(tmp_path / "a.ozx", "w") as archive:
        for name in ["zarr.json", *names]:
            archive.writestr(name, "{}")
    broken = (tmp_path / "a.ozx").read_bytes().replace("\u00e9".encode(), b"\xff\xfe")  # no UTF-8, though its flag says so
    (tmp_path / "a.ozx").write_bytes(broken)
    result = validate_archive(tmp_path / "a.ozx")
    assert not result.valid
    assert any(told in finding.message for finding in result.findings)


def test_an_archive_of_a_version_that_is_not_read_is_told_from_a_damaged_one(tmp_path):
    file = tmp_path / "a.ozx"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("zarr.json", "{}")
    content = bytearray(file.read_bytes())
    for signature, place in ((b"PK\x03\x04", 4), (b"PK\x01\x02", 6)):  # version needed to extract, in both headers
        content[content.index(signature) + place] = 99
    file.write_bytes(content)
    assert [finding.message for finding in validate_archive(file).findings] == [
        "The archive is of a version of zip, or of a method, that is not read."
    ]
