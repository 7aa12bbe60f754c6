"""A mirrored dataset: everything arrives, in an order that shows nothing half, and is read back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.cli import run
from fairlead.errors import CheckFailed, Conflict
from fairlead.files import manifest_lines, write_text
from fairlead.progress import Silent
from fairlead.publish import mirror_folder
from fairlead.storage import LocalObjects


class Recording:
    """A store that remembers the order of its keys, and may damage what it is given."""

    def __init__(self, root: Path, *, damaged: str = "") -> None:
        self._inner, self._damaged, self.order = LocalObjects(root), damaged, list[str]()

    def put(self, key: str, source: Path) -> bool:
        self.order.append(key)
        return self._inner.put(key, source)

    def get(self, key: str) -> bytes:
        return b"damaged" if self._damaged and key.endswith(self._damaged) else self._inner.get(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        return self._inner.keys(prefix)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "ds-1"
    for name in ("images/x.ome.zarr/0/c/0/0", "images/x.ome.zarr/0/zarr.json", "images/x.ome.zarr/zarr.json", "members.csv", "record.ttl"):
        write_text(folder / name, name)
    write_text(folder / "manifest-sha256.txt", "\n".join(manifest_lines(folder)) + "\n")
    return folder


def test_what_leads_to_the_rest_comes_last(dataset: Path, tmp_path: Path) -> None:
    store = Recording(tmp_path / "bucket")
    report = mirror_folder(dataset, store, prefix="ds-1/v1", progress=Silent())
    assert [key.removeprefix("ds-1/v1/") for key in store.order] == [
        "images/x.ome.zarr/0/c/0/0",
        "images/x.ome.zarr/0/zarr.json",
        "images/x.ome.zarr/zarr.json",
        "members.csv",
        "manifest-sha256.txt",
        "record.ttl",
    ]
    assert (report.seen, report.copied, report.unchanged) == (6, 6, 0)


def test_a_second_mirror_copies_nothing(dataset: Path, tmp_path: Path) -> None:
    store = LocalObjects(tmp_path / "bucket")
    mirror_folder(dataset, store, prefix="v1", progress=Silent())
    report = mirror_folder(dataset, store, prefix="v1", progress=Silent())
    assert (report.copied, report.unchanged) == (0, 6)


def test_other_bytes_at_the_place_stop_the_mirror_before_its_record(dataset: Path, tmp_path: Path) -> None:
    write_text(tmp_path / "bucket" / "v1" / "members.csv", "of somebody else")
    store = LocalObjects(tmp_path / "bucket")
    with pytest.raises(Conflict, match=r"Other bytes are stored under v1/members\.csv"):
        mirror_folder(dataset, store, prefix="v1", progress=Silent())
    assert "v1/record.ttl" not in list(store.keys())


def test_damage_on_the_way_is_noticed(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match="reads back differently"):
        mirror_folder(dataset, Recording(tmp_path / "bucket", damaged="0/c/0/0"), prefix="v1", progress=Silent())


def test_the_command_refuses_an_unknown_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    assert run(["mirror", "ds-0", (tmp_path / "bucket").as_uri()]) == 1
    assert "error [not-found]" in capsys.readouterr().err
    assert not (tmp_path / "bucket").exists()
