import os
import shutil
from pathlib import Path

import pytest

from fairlead.database import utc_now
from fairlead.receive import FolderWatch, Ledger
from fairlead.records import ReceivedFile
from fairlead.settings import Settings
from receive.builders import ROUTE, a_slice, part10

OME = b'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"/>'


class Watched:
    """A watch with a hand-driven clock."""

    def __init__(self, settings: Settings, engine) -> None:
        self.seconds = 0.0
        self.ledger = Ledger(engine)
        self.watch = FolderWatch(settings, self.ledger, monotonic=lambda: self.seconds)
        self.root = settings.watch_folder

    def put(self, name: str, content: bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def scan(self, after_s: float = 0.0) -> int:
        self.seconds += after_s
        return self.watch.scan()

    def names(self) -> list[str]:
        return [file.name for file in self.ledger.claim_files(99, claimant="test")]


@pytest.fixture
def watched(tmp_path, engine):
    return Watched(Settings(home=tmp_path / "home", watch={"stable_after_s": 2.0, "project": "micro"}), engine)


def test_a_file_is_taken_when_it_has_not_changed_for_the_stable_time(watched):
    watched.put("plate/a.ome.xml", OME)
    assert watched.scan() == 0
    assert watched.scan(1.9) == 0
    assert watched.scan(0.1) == 1
    (file,) = watched.ledger.claim_files(9, claimant="test")
    assert (file.name, file.route.project, file.route.door, file.size_bytes) == ("plate/a.ome.xml", "micro", "watch", len(OME))
    assert watched.scan(10) == 0


def test_a_file_that_grows_waits_again(watched):
    watched.put("a.ome.xml", OME[:20])
    watched.scan()
    watched.put("a.ome.xml", OME)
    assert watched.scan(2) == 0
    assert watched.scan(2) == 1


def test_a_file_that_is_touched_but_holds_the_same_is_no_news(watched):
    path = watched.put("a.ome.xml", OME)
    watched.scan()
    watched.scan(2)
    os.utime(path, (1, 1))
    watched.scan()
    assert watched.scan(2) == 0
    assert watched.ledger.waiting() == 1


def test_a_changed_content_is_indexed_again_and_names_the_old_records(watched):
    watched.put("a.ome.xml", OME)
    watched.scan()
    watched.scan(2)
    (first,) = watched.ledger.claim_files(9, claimant="test")
    assert watched.ledger.file_indexed(first, ["r1", "r2"]) == ()
    watched.put("a.ome.xml", OME + b"<!-- new -->")
    watched.scan()
    assert watched.scan(2) == 1
    (second,) = watched.ledger.claim_files(9, claimant="test")
    assert second.sha256 != first.sha256
    assert watched.ledger.file_indexed(second, ["r2", "r3"]) == ("r1",)
    assert [file.sha256 for file in watched.ledger.indexed_files()] == [second.sha256]


def test_a_file_that_is_deleted_is_noticed_and_one_that_returns_is_work_again(watched):
    path = watched.put("a.ome.xml", OME)
    watched.scan()
    watched.scan(2)
    (file,) = watched.ledger.claim_files(9, claimant="test")
    watched.ledger.file_indexed(file, ["r1"])
    path.unlink()
    watched.scan()
    assert [(gone.name, ids) for gone, ids in watched.ledger.gone_files()] == [("a.ome.xml", ("r1",))]
    assert watched.ledger.file_indexed(file, []) == ("r1",)
    assert watched.ledger.gone_files() == ()
    watched.put("a.ome.xml", OME)
    watched.scan()
    assert watched.scan(2) == 1


def test_a_folder_that_is_not_there_deletes_nothing(watched):
    watched.put("a.ome.xml", OME)
    watched.scan()
    watched.scan(2)
    shutil.rmtree(watched.root)
    assert watched.scan() == 0
    assert watched.names() == ["a.ome.xml"]


def test_a_folder_that_is_empty_as_an_unmounted_share_is_deletes_nothing(watched, tmp_path):
    path = watched.put("a.ome.xml", OME)
    watched.scan()
    watched.scan(2)
    (file,) = watched.ledger.claim_files(9, claimant="test")
    watched.ledger.file_indexed(file, ["r1"])
    share = watched.root.rename(tmp_path / "share")
    watched.root.mkdir()
    watched.scan()
    assert watched.ledger.gone_files() == ()
    restarted = FolderWatch(Settings(home=tmp_path / "home"), watched.ledger, route=watched.watch.route)
    restarted.scan()
    assert watched.ledger.gone_files() == ()
    watched.root.rmdir()
    share.rename(watched.root)
    restarted.scan()
    assert watched.ledger.gone_files() == ()
    path.unlink()
    restarted.scan()
    assert [gone.name for gone, _ in watched.ledger.gone_files()] == ["a.ome.xml"]


def test_a_zarr_folder_is_one_thing(watched):
    watched.put("b.ome.zarr/.zattrs", b'{"multiscales": []}')
    watched.put("b.ome.zarr/.zgroup", b'{"zarr_format": 2}')
    watched.put("b.ome.zarr/0/0.0", b"chunk")
    watched.scan()
    watched.put("b.ome.zarr/0/0.1", b"chunk")
    assert watched.scan(2) == 0
    assert watched.scan(2) == 1
    assert watched.names() == ["b.ome.zarr"]


def test_other_files_are_refused_once_with_the_way_to_take(watched):
    watched.put("a.dcm", part10(a_slice()))
    watched.put("notes.txt", b"hello")
    watched.put(".hidden.ome.xml", OME)
    watched.put("copying.ome.xml.part", OME)
    for _ in range(4):
        assert watched.scan(2) == 0
    reasons = {refusal.source: refusal.reason for refusal in watched.ledger.quarantine()}
    assert set(reasons) == {"a.dcm", "notes.txt"}
    assert "fairlead ingest" in reasons["a.dcm"]
    assert watched.ledger.counter("refused_not-watched") == 1


def test_a_link_out_of_the_folder_is_not_followed(watched, tmp_path):
    (tmp_path / "secret.ome.xml").write_bytes(OME)
    (watched.root / "link.ome.xml").symlink_to(tmp_path / "secret.ome.xml")
    watched.scan()
    assert watched.scan(2) == 0


def test_a_restart_does_not_take_a_known_file_again(watched, tmp_path, engine):
    watched.put("a.ome.xml", OME)
    watched.scan()
    watched.scan(2)
    again = Watched(Settings(home=tmp_path / "home", watch={"stable_after_s": 2.0, "project": "micro"}), engine)
    again.scan()
    assert again.scan(2) == 0
    assert again.ledger.waiting() == 1


def test_a_quarantined_file_leaves_the_work_list_until_its_content_changes(watched):
    watched.put("a.ome.xml", OME)
    watched.scan()
    watched.scan(2)
    (file,) = watched.ledger.claim_files(9, claimant="test")
    assert watched.ledger.claim_files(9, claimant="other") == ()
    watched.ledger.file_quarantined(file, code="unreadable-image", reason="Broken.")
    assert (watched.ledger.waiting(), watched.ledger.quarantine()[0].source) == (0, "a.ome.xml")
    watched.put("a.ome.xml", OME + b" ")
    watched.scan()
    assert watched.scan(2) == 1


def test_two_watchers_that_see_a_file_at_the_same_moment_make_one_row(engine, monkeypatch):
    ledger = Ledger(engine)
    file = ReceivedFile(path="/w/a.ome.tif", name="a.ome.tif", sha256="a" * 64, size_bytes=1, route=ROUTE, seen_at=utc_now())
    assert ledger.record_file(file, fingerprint="x") == "added"
    plain, first = Ledger._file_row, []

    def not_yet(self, connection, file):
        first.append(file)
        return None if len(first) == 1 else plain(self, connection, file)  # the other's insert was not committed at the first look

    monkeypatch.setattr(Ledger, "_file_row", not_yet)
    assert ledger.record_file(file.model_copy(update={"sha256": "b" * 64}), fingerprint="y") == "changed"
    assert ledger.fingerprints(ROUTE) == {"/w/a.ome.tif": "y"}
