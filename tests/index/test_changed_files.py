"""A file whose new content is refused, by whichever door: its old records leave the index, and come back with a good content."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from fairlead.extract import FieldCatalogue, load_catalogue
from fairlead.index import All, Index, drain_all, open_index
from fairlead.progress import Silent
from fairlead.receive import FolderWatch, Ledger, import_paths
from fairlead.records import Route
from fairlead.settings import Settings

type Look = Callable[[], None]


def rubbish(file: Path, data: Path) -> None:
    file.write_bytes(b"no image at all")


def a_plain_tiff(file: Path, data: Path) -> None:
    file.write_bytes(b"II*\x00\x08\x00\x00\x00\x00\x00")


def malformed(file: Path, data: Path) -> None:
    shutil.copy(data / "ome/xml-malformed/missing_sizez.ome.xml", file)


def dicom(file: Path, data: Path) -> None:
    shutil.copy(data / "dicom/ct/CT_small.dcm", file)


def an_archive(file: Path, data: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "nothing")


@pytest.fixture(scope="module")
def catalogue() -> FieldCatalogue:
    return load_catalogue(Settings().fields_file)


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    return Ledger(engine)


@pytest.fixture
def index(settings: Settings, catalogue: FieldCatalogue) -> Index:
    return open_index(settings, catalogue)


@pytest.fixture(params=["ingest", "watch"])
def look(request: pytest.FixtureRequest, settings: Settings, ledger: Ledger, index: Index, catalogue: FieldCatalogue) -> Look:
    """Return what looks at the watched folder and drains: the import, or the watcher."""
    route = Route(project=settings.watch.project, center=settings.watch.center, door="watch")
    now = [0.0]
    watch = FolderWatch(settings, ledger, monotonic=lambda: now[0])

    def once() -> None:
        if request.param == "ingest":
            import_paths(settings, ledger, [settings.watch_folder], route=route, progress=Silent())
        else:
            for _ in range(3):
                watch.scan()
                now[0] += settings.watch.stable_after_s + 1
        drain_all(settings, ledger=ledger, index=index, catalogue=catalogue, claimant="test", kind="files")

    return once


@pytest.mark.parametrize("spoil", [rubbish, a_plain_tiff, malformed, dicom, an_archive])
def test_records_of_a_content_that_is_no_more_leave_the_index(
    settings: Settings, index: Index, look: Look, data: Path, spoil: Callable[[Path, Path], None]
) -> None:
    good, file = data / "ome/xml/2016-06/single-image.ome.xml", settings.watch_folder / "a.ome.xml"
    settings.watch_folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(good, file)
    look()
    before = index.members(All()).ids
    assert len(before) == 1
    spoil(file, data)
    look()
    assert index.members(All()).ids == ()
    shutil.copy(good, file)
    look()
    assert index.members(All()).ids == before
