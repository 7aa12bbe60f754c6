"""What two drains, a late slice, a returning file or an equal file must never do to the index."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from sqlalchemy import Engine

from fairlead.extract import FieldCatalogue, load_catalogue
from fairlead.index import All, Index, drain_all, draining, open_index, rebuild
from fairlead.progress import Silent
from fairlead.receive import FolderWatch, Ledger, import_paths
from fairlead.records import Route
from fairlead.settings import Settings

ROUTE = Route(project="default", center="local")


class House:
    """A ledger, an index and a watched folder with a clock that tests turn."""

    def __init__(self, settings: Settings, engine: Engine, catalogue: FieldCatalogue) -> None:
        self.settings, self.catalogue = settings, catalogue
        self.ledger = Ledger(engine)
        self.index: Index = open_index(settings, catalogue)
        self.seconds = 0.0
        self.watch = FolderWatch(settings, self.ledger, monotonic=lambda: self.seconds)

    def drain(self, index: Any = None) -> Any:
        return drain_all(self.settings, ledger=self.ledger, index=index or self.index, catalogue=self.catalogue, claimant="test")

    def scan(self) -> None:
        for _ in range(3):
            self.watch.scan()
            self.seconds += 100

    def send(self, files: list[Path], folder: Path) -> None:
        folder.mkdir()
        for file in files:
            shutil.copy(file, folder / file.name)
        import_paths(self.settings, self.ledger, [folder], route=ROUTE, progress=Silent())
        self.ledger.settle(settle_after_s=0, quiet_after_s=0)

    def instances(self) -> list[int]:
        found = [self.index.get(record_id) for record_id in self.index.members(All()).ids]
        return [record.core.instances for record in found if record is not None]


@pytest.fixture
def house(settings: Settings, engine: Engine) -> House:
    return House(settings, engine, load_catalogue(settings.fields_file))


@pytest.fixture
def slices(data: Path) -> list[Path]:
    return sorted((data / "dicom" / "ct" / "philips_phantom_axial_1mm").iterdir())[:5]


def after_the_first(extract_all: Callable[..., Any], action: Callable[[], object]) -> Callable[..., Any]:
    """Return ``extract_all`` with ``action`` happening once, while a drain holds what it has just read."""
    done: list[bool] = []

    def slow(*args: Any, **kwargs: Any) -> Any:
        found = extract_all(*args, **kwargs)
        if not done:
            done.append(True)
            action()
        return found

    return slow


@pytest.mark.parametrize("way", ["drain", "rebuild"])
def test_a_slow_reader_never_puts_an_old_generation_over_a_new_one(
    house: House, slices: list[Path], tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.send(slices[:2], tmp_path / "first")
    if way == "rebuild":
        house.drain()

    def late_slices_are_indexed() -> None:
        house.send(slices, tmp_path / "late")
        house.drain()

    monkeypatch.setattr(draining, "extract_all", after_the_first(draining.extract_all, late_slices_are_indexed))
    if way == "drain":
        house.drain()
    else:
        rebuild(house.settings, ledger=house.ledger, index=house.index, catalogue=house.catalogue)
    house.drain()
    assert house.instances() == [5]
    assert house.ledger.waiting() == 0


class Between:
    """An index with something happening between the removal of records and the ledger's note of it."""

    def __init__(self, index: Index, action: Callable[[], object]) -> None:
        self._index, self._action = index, action

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def remove(self, ids: Any) -> int:
        removed = self._index.remove(ids)
        if list(ids):
            self._action()
        return removed


def test_a_file_that_returns_while_its_records_are_removed_is_indexed_again(house: House, tmp_path: Path) -> None:
    kept, watched = tmp_path / "kept.tif", house.settings.watch_folder / "a.ome.tif"
    tifffile.imwrite(kept, np.zeros((8, 8), np.uint8), ome=True)
    watched.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(kept, watched)
    house.scan()
    house.drain()
    watched.unlink()
    house.scan()

    def it_returns() -> None:
        shutil.copy(kept, watched)
        house.scan()

    house.drain(Between(house.index, it_returns))
    house.scan()
    house.drain()
    assert len(house.instances()) == 1
    assert house.ledger.waiting() == 0


def test_deleting_one_of_two_equal_files_keeps_the_other_and_its_address(house: House) -> None:
    folder = house.settings.watch_folder
    folder.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(folder / "a.ome.tif", np.zeros((8, 8), np.uint8), ome=True)
    shutil.copy(folder / "a.ome.tif", folder / "b.ome.tif")
    house.scan()
    house.drain()
    assert len(house.instances()) == 1  # the content is the identity
    (folder / "b.ome.tif").unlink()
    house.scan()
    house.drain()
    (record,) = (house.index.get(record_id) for record_id in house.index.members(All()).ids)
    assert record is not None
    assert record.core.source.paths == (str(folder / "a.ome.tif"),)
    (folder / "a.ome.tif").unlink()
    house.scan()
    house.drain()
    assert house.instances() == []
