"""From the ledger to the index on real files: nothing is lost, nothing is there twice, and one bad input stops nobody."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from fairlead.errors import NotFound, ServiceUnreachable
from fairlead.extract import FieldCatalogue, load_catalogue
from fairlead.index import All, Index, drain, drain_all, open_index, rebuild
from fairlead.progress import Silent
from fairlead.receive import Ledger, import_paths
from fairlead.records import Route
from fairlead.settings import Settings

ROUTE = Route(project="default", center="local")


@pytest.fixture(scope="module")
def catalogue() -> FieldCatalogue:
    return load_catalogue(Settings().fields_file)


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    return Ledger(engine)


@pytest.fixture
def index(settings: Settings, catalogue: FieldCatalogue) -> Index:
    return open_index(settings, catalogue)


@pytest.fixture
def folder(tmp_path: Path, data: Path) -> Path:
    """Return a folder with two DICOM series and two OME-TIFF files of the test data."""
    target = tmp_path / "input"
    target.mkdir()
    for found in [*sorted((data / "dicom" / "ct").rglob("*.dcm"))[:1], *sorted((data / "dicom" / "mr").rglob("*.dcm"))[:1]]:
        shutil.copy(found, target / found.name)
    for found in sorted((data / "ome" / "tiff").glob("*.ome.tif*"), key=lambda file: file.stat().st_size)[:2]:
        shutil.copy(found, target / found.name)
    return target


class Room:
    """Drains a folder with the real ledger and index, or with one that fails."""

    def __init__(self, settings: Settings, ledger: Ledger, index: Index, catalogue: FieldCatalogue) -> None:
        self.settings, self.ledger, self.index, self.catalogue = settings, ledger, index, catalogue

    def take(self, folder: Path) -> None:
        import_paths(self.settings, self.ledger, [folder], route=ROUTE, progress=Silent())
        self.ledger.settle(settle_after_s=0, quiet_after_s=60)

    def drain(self, *, claimant: str = "test", **other: Any) -> Any:
        given = {"ledger": self.ledger, "index": self.index} | other
        return drain_all(self.settings, catalogue=self.catalogue, claimant=claimant, **given)

    def ids(self) -> tuple[str, ...]:
        return self.index.members(All()).ids


@pytest.fixture
def room(settings: Settings, ledger: Ledger, index: Index, catalogue: FieldCatalogue) -> Room:
    return Room(settings, ledger, index, catalogue)


def test_everything_that_waits_is_indexed_once(room: Room, folder: Path) -> None:
    room.take(folder)
    assert room.ledger.waiting() == 4
    report = room.drain()
    assert (report.unchanged, report.quarantined) == (0, ())
    assert sorted(report.records) == list(room.ids())
    assert len(room.ids()) == report.indexed >= 4
    assert room.ledger.waiting() == 0
    assert room.drain() == type(report)()


@pytest.mark.parametrize(("kind", "waiting"), [("series", 2), ("files", 2)])
def test_a_kind_is_drained_alone_when_asked_for(room: Room, folder: Path, kind: Any, waiting: int) -> None:
    room.take(folder)
    room.drain(kind=kind)
    assert room.ledger.waiting() == waiting
    kinds = {room.index.get(record_id).core.kind for record_id in room.ids()}
    assert kinds == {"dicom-series" if kind == "series" else "ome-image"}


def test_a_batch_takes_no_more_than_its_limit(room: Room, folder: Path) -> None:
    room.take(folder)
    report = drain(room.settings, ledger=room.ledger, index=room.index, catalogue=room.catalogue, claimant="a", limit=1, kind="series")
    assert (report.indexed, room.ledger.waiting()) == (1, 3)


def test_bad_input_is_quarantined_with_its_reason_and_stops_nobody(room: Room, folder: Path, data: Path) -> None:
    for bad in sorted((data / "ome" / "xml-malformed").iterdir())[:3]:
        shutil.copy(bad, folder / bad.name)
    room.take(folder)
    report = room.drain()
    assert report.indexed >= 4
    assert room.ledger.waiting() == 0
    named = {refusal.source for refusal in room.ledger.quarantine()}
    assert {refusal.source for refusal in report.quarantined} <= named
    assert all(refusal.reason for refusal in report.quarantined)


def test_an_archived_file_that_is_gone_quarantines_its_series_only(room: Room, folder: Path) -> None:
    room.take(folder)
    sorted(room.settings.archive_folder.rglob("*.dcm"))[0].unlink()
    report = room.drain(kind="series")
    assert (report.indexed, len(report.quarantined)) == (1, 1)
    assert report.quarantined[0].source.startswith("series 1")


def test_an_archive_that_is_gone_is_an_outage_and_loses_nothing(room: Room, folder: Path) -> None:
    room.take(folder)
    room.settings.archive_folder.rename(room.settings.archive_folder.with_name("elsewhere"))
    with pytest.raises(ServiceUnreachable, match="archive folder is not there"):
        room.drain(kind="series")
    assert room.ledger.waiting() == 4


def test_a_reader_that_breaks_quarantines_the_input_without_its_words(room: Room, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("Doe^Jane")

    monkeypatch.setattr("fairlead.index.draining.read_series", broken)
    room.take(folder)
    report = room.drain(kind="series")
    assert [refusal.code for refusal in report.quarantined] == ["internal", "internal"]
    assert "Doe" not in str(report)


def test_a_file_whose_content_changed_leaves_no_older_record(room: Room, folder: Path, data: Path) -> None:
    room.take(folder)
    room.drain()
    before = set(room.ids())
    file = sorted(folder.glob("*.tif*"))[0]
    other = sorted((data / "ome" / "tiff").glob("*.ome.tif*"), key=lambda found: found.stat().st_size)[2]
    shutil.copy(other, file)
    room.take(folder)
    report = room.drain()
    assert report.indexed >= 1
    paths = [room.index.get(record_id).core.source.paths for record_id in room.ids()]
    generations = {
        room.index.get(record_id).core.generation for record_id in room.ids() if (str(file),) == room.index.get(record_id).core.source.paths
    }
    assert len(generations) == 1
    assert (str(file),) in paths
    assert before - set(room.ids())


def test_a_changed_file_that_cannot_be_read_any_more_leaves_the_index(room: Room, folder: Path, data: Path) -> None:
    room.take(folder)
    room.drain()
    file = sorted(folder.glob("*.tif*"))[0]
    shutil.copy(data / "ome" / "tiff-malformed" / "truncated.ome.tif", file)
    room.take(folder)
    room.drain()
    assert not any(str(file) in room.index.get(record_id).core.source.paths for record_id in room.ids())


def test_records_of_a_file_that_disappeared_are_removed(room: Room, folder: Path) -> None:
    room.take(folder)
    room.drain()
    file = sorted(folder.glob("*.tif*"))[0]
    file.unlink()
    room.ledger.file_gone(str(file), ROUTE)
    room.drain()
    assert not any(str(file) in room.index.get(record_id).core.source.paths for record_id in room.ids())
    assert room.ledger.gone_files() == ()


# --- crashes ---------------------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process dies here."""


class Failing:
    """A ledger or index whose ``n``-th call of a method kills the process, before or after it did its work."""

    def __init__(self, real: Any, method: str, *, call: int, done: bool) -> None:
        self._real, self._method, self._left, self._done = real, method, call, done

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if name != self._method:
            return found

        def dying(*given: Any, **named: Any) -> Any:
            self._left -= 1
            if self._left:
                return found(*given, **named)
            if self._done:
                found(*given, **named)
            raise Crash

        return dying


STEPS = [
    ("ledger", "claim_series"),
    ("ledger", "claim_files"),
    ("ledger", "gone_files"),
    ("index", "put"),
    ("index", "remove"),
    ("index", "members"),
    ("ledger", "series_indexed"),
    ("ledger", "file_indexed"),
]


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize(("who", "method"), STEPS, ids=[method for _, method in STEPS])
def test_a_crash_at_any_step_is_healed_by_draining_again(
    room: Room, folder: Path, data: Path, who: str, method: str, call: int, done: bool
) -> None:
    room.take(folder)
    room.drain()
    file = sorted(folder.glob("*.tif*"))[0]
    shutil.copy(sorted((data / "ome" / "tiff").glob("*.ome.tif*"), key=lambda found: found.stat().st_size)[2], file)
    for found in sorted((data / "dicom" / "pt").rglob("*.dcm"))[:1]:
        shutil.copy(found, folder / found.name)
    room.take(folder)
    real = {"ledger": room.ledger, "index": room.index}
    try:
        room.drain(**{who: Failing(real[who], method, call=call, done=done)})
    except Crash:
        later = Ledger(room.ledger.engine, clock=lambda: room.ledger.clock().replace(year=room.ledger.clock().year + 1))
        room.drain(ledger=later, claimant="the next process")
    assert room.ledger.waiting() == 0
    records = [room.index.get(record_id) for record_id in room.ids()]
    by_source = {
        record.core.source.paths: {other.core.generation for other in records if other.core.source.paths == record.core.source.paths}
        for record in records
    }
    assert all(len(generations) == 1 for generations in by_source.values())
    assert sum(record.core.kind == "dicom-series" for record in records) == 3
    generation = room.index.generation()
    rebuild(room.settings, ledger=room.ledger, index=room.index, catalogue=room.catalogue)
    assert room.index.generation() == generation


# --- rebuild ---------------------------------------------------------------------------------------------------------


def test_a_rebuilt_index_has_the_same_generation_also_from_nothing(room: Room, folder: Path) -> None:
    room.take(folder)
    room.drain()
    generation, ids = room.index.generation(), room.ids()
    report = rebuild(room.settings, ledger=room.ledger, index=room.index, catalogue=room.catalogue)
    assert (report.indexed, report.unchanged, room.index.generation()) == (0, len(ids), generation)
    room.index.clear()
    report = rebuild(room.settings, ledger=room.ledger, index=room.index, catalogue=room.catalogue)
    assert (report.indexed, room.index.generation(), room.ids()) == (len(ids), generation, ids)


def test_a_rebuild_drops_what_ledger_and_archive_do_not_hold(room: Room, folder: Path) -> None:
    from index.builders import a_series

    room.take(folder)
    room.drain()
    generation = room.index.generation()
    room.index.put([a_series("77")])
    rebuild(room.settings, ledger=room.ledger, index=room.index, catalogue=room.catalogue)
    assert room.index.generation() == generation
    with pytest.raises(NotFound, match="no such record"):
        room.index.get("local:default:1.2.77")


def test_a_rebuild_reports_what_cannot_be_read_now_and_leaves_the_ledger_alone(room: Room, folder: Path) -> None:
    room.take(folder)
    room.drain()
    counts = room.ledger.counts()
    sorted(room.settings.archive_folder.rglob("*.dcm"))[0].unlink()
    report = rebuild(room.settings, ledger=room.ledger, index=room.index, catalogue=room.catalogue)
    assert len(report.quarantined) == 1
    assert room.ledger.counts() == counts
