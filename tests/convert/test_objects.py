"""Stores in a bucket: the same bytes, the root last, nothing that looks like a store when it was interrupted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import obstore
import pytest
import zarr

from convert.builders import a_series, axial_positions, save
from fairlead.cli import run
from fairlead.convert import convert, put_stores
from fairlead.errors import CheckFailed, Conflict
from fairlead.files import relative_files
from fairlead.storage import BucketObjects, LocalObjects


class Bucket(BucketObjects):
    """A bucket in memory that keeps the order of keys, and may fail or lie at one of them."""

    def __init__(self, *, fails_at: int = 10**9, lies: str = "") -> None:
        self.memory = obstore.store.MemoryStore()
        super().__init__(self.memory)
        self.order: list[str] = []
        self._fails_at, self._lies = fails_at, lies

    def put(self, key: str, source: Path) -> bool:
        if len(self.order) >= self._fails_at:
            raise ConnectionError("cut")
        self.order.append(key)
        return super().put(key, source)

    def get(self, key: str) -> bytes:
        return b"" if self._lies and key.endswith(self._lies) else super().get(key)


@pytest.fixture
def made(tmp_path):
    save(tmp_path / "in", a_series(axial_positions()))
    return tmp_path / "out", convert(tmp_path / "in", tmp_path / "out").stores


def test_a_bucket_gets_the_same_bytes_and_the_root_last(made):
    out, stores = made
    bucket = Bucket()
    count = len(relative_files(out / stores[0].path))
    assert put_stores(out, stores, bucket) == count
    assert put_stores(out, stores, bucket) == 0
    assert bucket.order[count - 1] == f"{stores[0].path}/zarr.json"
    assert {key: bucket.get(key) for key in list(bucket.keys())} == {
        f"{stores[0].path}/{name.as_posix()}": (out / stores[0].path / name).read_bytes() for name in relative_files(out / stores[0].path)
    }
    remote = zarr.open_group(zarr.storage.ObjectStore(bucket.memory, read_only=True), path=stores[0].path, mode="r")
    assert np.array_equal(remote["0"][:], zarr.open_array(str(out / stores[0].path / "0"))[:])


def test_an_upload_that_is_cut_anywhere_leaves_no_store_and_can_be_repeated(made):
    out, stores = made
    for place in range(len(relative_files(out / stores[0].path))):
        bucket = Bucket(fails_at=place)
        with pytest.raises(ConnectionError):
            put_stores(out, stores, bucket)
        assert f"{stores[0].path}/zarr.json" not in list(bucket.keys())


def test_bytes_that_read_back_differently_stop_before_the_root(made):
    out, stores = made
    bucket = Bucket(lies="0/zarr.json")
    with pytest.raises(CheckFailed):
        put_stores(out, stores, bucket)
    assert f"{stores[0].path}/zarr.json" not in list(bucket.keys())


def test_another_store_of_the_same_name_is_never_mixed_with_a_new_one(made):
    out, stores = made
    bucket = Bucket()
    put_stores(out, stores, bucket)
    before = {key: bucket.get(key) for key in list(bucket.keys())}
    for file in (out / stores[0].path).rglob("zarr.json"):
        file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(Conflict):
        put_stores(out, stores, bucket)
    assert {key: bucket.get(key) for key in list(bucket.keys())} == before


def test_a_store_that_is_another_one_gets_no_new_file(made, tmp_path):
    """Chunks and labels go first: without a look at the root they would stay among the files of the store that is there."""
    out, stores = made
    bucket = LocalObjects(tmp_path / "bucket")
    put_stores(out, stores, bucket)
    before = list(bucket.keys())
    (out / stores[0].path / "0/extra").write_text("new")
    root = out / stores[0].path / "zarr.json"
    root.write_bytes(root.read_bytes() + b" ")
    with pytest.raises(Conflict):
        put_stores(out, stores, bucket)
    assert list(bucket.keys()) == before


def test_one_taken_name_at_an_address_does_not_stop_the_others(tmp_path, capsys):
    save(tmp_path / "in", a_series(axial_positions(3)))
    address = (tmp_path / "objects").as_uri()
    assert run(["convert", str(tmp_path / "in"), address]) == 0
    other = a_series(axial_positions(3), SeriesInstanceUID="1.2.840.99.7", StudyInstanceUID="1.2.840.99.8")
    for number, dataset in enumerate(other):
        dataset.SOPInstanceUID = f"1.2.840.99.9.{number}"
    save(tmp_path / "in/other", other)
    capsys.readouterr()
    assert run(["convert", str(tmp_path / "in"), address, "--license", "CC0-1.0", "--ozx", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [len(report["stores"]), [refusal["code"] for refusal in report["refused"]]] == [1, ["conflict"]]
    assert len(list((tmp_path / "objects").glob("*.ome.zarr"))) == 2
    assert len(list((tmp_path / "objects").glob("*.ozx"))) == 1


def test_the_command_writes_to_an_address(tmp_path):
    save(tmp_path / "in", a_series(axial_positions(3)))
    address = (tmp_path / "objects").as_uri()
    assert run(["convert", str(tmp_path / "in"), address, "--ozx"]) == 0
    assert run(["convert", str(tmp_path / "in"), "ftp://somewhere/else"]) != 0
    assert len(list((tmp_path / "objects").glob("*.ome.zarr/zarr.json"))) == 1
    assert len(list((tmp_path / "objects").glob("*.ozx"))) == 1
    (local,) = convert(tmp_path / "in", tmp_path / "out").stores
    assert (tmp_path / "objects" / local.path / "0/zarr.json").read_bytes() == (tmp_path / "out" / local.path / "0/zarr.json").read_bytes()
