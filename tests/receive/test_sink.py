import errno
import hashlib
import itertools
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pydicom
import pytest

from fairlead.errors import InvalidUid, NotDicom, StorageFull, UnreadableImage
from fairlead.receive import Announced, InstanceSink, Ledger, Stored
from fairlead.receive.series_ledger import RelationConflict
from fairlead.receive.sink import AnnouncedOtherwise, TooLarge, dataset_sha256
from fairlead.receive.tables import audits
from fairlead.settings import Settings
from receive.builders import CT, EXPLICIT, IMPLICIT, ROUTE, STUDY, a_slice, announced, encoded


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home", node={"low_water_bytes": 0, "max_instance_bytes": 100_000})


@pytest.fixture
def ledger(engine):
    return Ledger(engine)


@pytest.fixture
def sink(settings, ledger):
    return InstanceSink(settings, ledger)


def store(sink, image, *, route=ROUTE, syntax=EXPLICIT):
    data = encoded(image, syntax)
    return sink.store([data[:50], data[50:]], route=route, announced=announced(image, syntax))


def objects(sink) -> list:
    return sorted(path for path in sink.archive.root.joinpath("objects").rglob("*.dcm"))


def parts(sink) -> list:
    return list(sink.archive.incoming.iterdir())


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_an_object_is_archived_with_exactly_the_bytes_that_came(sink, syntax):
    outcome = store(sink, a_slice(), syntax=syntax)
    (path,) = objects(sink)
    assert outcome.stored is Stored.ADDED
    assert path == sink.archive.root / outcome.instance.path
    assert path.read_bytes().endswith(encoded(a_slice(), syntax))
    assert outcome.instance.sha256 == hashlib.sha256(encoded(a_slice(), syntax)).hexdigest() == dataset_sha256(path)
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax
    assert parts(sink) == []


def test_no_text_of_the_peer_is_in_a_path_and_the_route_is_beside_the_series(sink):
    outcome = store(sink, a_slice())
    assert STUDY not in outcome.instance.path
    sidecar = (sink.archive.root / outcome.instance.path).parent / "route.json"
    assert json.loads(sidecar.read_text())["calling_ae"] == "SCANNER"
    assert b"SCANNER" not in (sink.archive.root / outcome.instance.path).read_bytes()


def test_identical_bytes_again_write_nothing_and_are_counted(sink, ledger):
    first = store(sink, a_slice())
    before = (sink.archive.root / first.instance.path).stat()
    assert store(sink, a_slice()).stored is Stored.UNCHANGED
    after = (sink.archive.root / first.instance.path).stat()
    assert (before.st_ino, before.st_mtime_ns, len(objects(sink))) == (after.st_ino, after.st_mtime_ns, 1)
    assert ledger.counter("instances_unchanged") == 1


def test_the_same_data_set_from_a_file_and_from_the_network_is_one_object(sink):
    store(sink, a_slice())
    from_file = Announced(EXPLICIT, file_meta=bytes(128) + b"DICM")
    assert sink.store([encoded(a_slice())], route=ROUTE, announced=from_file).stored is Stored.UNCHANGED


def test_other_bytes_under_the_same_uid_become_a_new_version_that_is_audited(sink, ledger):
    first = store(sink, a_slice())
    second = store(sink, a_slice(pixels=b"\2\3" * 8))
    assert second.stored is Stored.NEW_VERSION
    assert len(objects(sink)) == 2
    ledger.settle(settle_after_s=0, quiet_after_s=0.000001)
    (series,) = ledger.claim_series(9, claimant="test")
    assert [instance.sha256 for instance in series.instances] == [second.instance.sha256]
    with ledger.engine.begin() as connection:
        (row,) = connection.execute(audits.select()).all()
    assert (row.event, row.detail["before"], row.detail["after"]) == ("instance-version", [first.instance.sha256], second.instance.sha256)


def test_a_truncated_copy_is_kept_as_a_version_and_does_not_replace_the_whole_one(sink, ledger):
    whole = store(sink, a_slice())
    cut = encoded(a_slice())[:-6]
    copy = sink.store([cut], route=ROUTE, announced=announced(a_slice()))
    assert copy.stored is Stored.NEW_VERSION
    ledger.settle(settle_after_s=0, quiet_after_s=0.000001)
    (series,) = ledger.claim_series(9, claimant="test")
    assert [instance.sha256 for instance in series.instances] == [whole.instance.sha256]


def test_a_whole_copy_replaces_a_truncated_one(sink, ledger):
    sink.store([encoded(a_slice())[:-6]], route=ROUTE, announced=announced(a_slice()))
    whole = store(sink, a_slice())
    ledger.settle(settle_after_s=0, quiet_after_s=0.000001)
    (series,) = ledger.claim_series(9, claimant="test")
    assert [instance.sha256 for instance in series.instances] == [whole.instance.sha256]


def test_the_same_uid_in_another_project_is_another_object(sink):
    store(sink, a_slice())
    assert store(sink, a_slice(), route=ROUTE.model_copy(update={"project": "heart"})).stored is Stored.ADDED
    assert len(objects(sink)) == 2


def changed(**values):
    image = a_slice()
    for keyword, value in values.items():
        setattr(image, keyword, value)
    return image


@pytest.mark.parametrize(
    "contradiction",
    [changed(SeriesInstanceUID="1.2.3"), changed(StudyInstanceUID="1.2.3", SOPInstanceUID="1.2.4")],
    ids=["instance under another series", "series under another study"],
)
def test_a_contradiction_is_quarantined_with_its_bytes_and_leaves_the_archive_as_it_was(sink, ledger, contradiction):
    kept = store(sink, a_slice())
    with pytest.raises(RelationConflict, match="is known under another"):
        store(sink, contradiction)
    assert objects(sink) == [sink.archive.root / kept.instance.path]
    (refusal,) = ledger.quarantine()
    (bytes_kept,) = sink.archive.quarantine.iterdir()
    assert refusal.code == "relation-conflict"
    assert bytes_kept.read_bytes().endswith(encoded(contradiction))


def without_series():
    image = a_slice()
    del image.SeriesInstanceUID
    return encoded(image)


@pytest.mark.parametrize(
    ("data", "told", "error"),
    [
        (encoded(a_slice()), Announced(EXPLICIT, CT, "1.2.3"), AnnouncedOtherwise),
        (encoded(a_slice()), Announced(EXPLICIT, CT, "../evil"), AnnouncedOtherwise),
        (encoded(a_slice()), Announced(EXPLICIT, "1.2.840.10008.5.1.4.1.1.4", f"{STUDY}.1.1"), AnnouncedOtherwise),
        (without_series(), Announced(EXPLICIT, CT, f"{STUDY}.1.1"), InvalidUid),
        (encoded(a_slice())[:30], Announced(EXPLICIT, CT, f"{STUDY}.1.1"), UnreadableImage),
        (b"", Announced(EXPLICIT, CT, f"{STUDY}.1.1"), NotDicom),
    ],
)
def test_what_is_refused_keeps_its_bytes_and_reason_and_no_object_appears(sink, ledger, data, told, error):
    with pytest.raises(error):
        sink.store([data], route=ROUTE, announced=told)
    assert objects(sink) == []
    assert parts(sink) == []
    (refusal,) = ledger.quarantine()
    (bytes_kept,) = sink.archive.quarantine.iterdir()
    assert refusal.code == error.code
    assert bytes_kept.read_bytes().endswith(data)
    assert "Doe" not in refusal.reason + refusal.source


def test_a_refusal_that_repeats_is_one_row_and_one_file(sink, ledger):
    for _ in range(3):
        with pytest.raises(InvalidUid):
            sink.store([without_series()], route=ROUTE, announced=Announced(EXPLICIT, CT, f"{STUDY}.1.1"))
    assert len(ledger.quarantine()) == len(list(sink.archive.quarantine.iterdir())) == 1
    assert ledger.counter("refused_invalid-uid") == 3


def failing(error: BaseException) -> Iterator[bytes]:
    yield encoded(a_slice())[:60]
    raise error


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (OSError(errno.ENOSPC, "no space"), StorageFull),
        (OSError(errno.EDQUOT, "quota"), StorageFull),
        (OSError(errno.EIO, "disk"), OSError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_write_that_breaks_off_leaves_nothing(sink, ledger, raised, seen):
    with pytest.raises(seen):
        sink.store(failing(raised), route=ROUTE, announced=announced(a_slice()))
    assert objects(sink) == parts(sink) == []
    assert ledger.quarantine() == ()
    assert store(sink, a_slice()).stored is Stored.ADDED


def test_an_object_over_the_limit_is_refused_while_it_arrives(sink):
    arrived = []

    def endless():
        while True:
            arrived.append(1)
            yield bytes(10_000)

    with pytest.raises(TooLarge, match="larger than 100000 bytes"):
        sink.store(endless(), route=ROUTE, announced=announced(a_slice()))
    assert len(arrived) == 11
    assert parts(sink) == []


def test_below_the_low_water_mark_nothing_is_begun(tmp_path, ledger):
    sink = InstanceSink(Settings(home=tmp_path / "full", node={"low_water_bytes": 2**62}), ledger)
    with pytest.raises(StorageFull, match="low-water"):
        store(sink, a_slice())
    assert parts(sink) == []


def test_an_object_that_was_linked_before_a_crash_is_adopted_by_the_resend(sink, engine, monkeypatch):
    class Crash(Exception):
        pass

    def crash(_arrival):
        raise Crash

    monkeypatch.setattr(sink._rows, "submit", crash)
    with pytest.raises(Crash):
        store(sink, a_slice())
    monkeypatch.undo()
    (orphan,) = objects(sink)
    inode = orphan.stat().st_ino
    assert store(sink, a_slice()).stored is Stored.ADDED
    assert [path.stat().st_ino for path in objects(sink)] == [inode]


def test_a_different_object_beside_an_orphan_becomes_its_own_file(sink, monkeypatch):
    monkeypatch.setattr(sink._rows, "submit", lambda _arrival: Stored.ADDED)
    store(sink, a_slice())
    monkeypatch.undo()
    assert store(sink, a_slice(pixels=b"\7\7" * 8)).stored is Stored.ADDED
    assert len(objects(sink)) == 2


@pytest.mark.parametrize(
    ("file_meta", "order"),
    [(None, ["link", "sync", "sync", "row"]), (bytes(128) + b"DICM", ["sync", "link", "sync", "row"])],
    ids=["a part that states its hash", "a part with a foreign header"],
)
def test_bytes_and_name_are_synced_before_the_row_and_bytes_that_cannot_tell_whether_they_are_whole_before_the_name(
    sink, monkeypatch, file_meta, order
):
    steps = []
    fsync, link, submit = os.fsync, os.link, sink._rows.submit
    monkeypatch.setattr(os, "fsync", lambda fd: (steps.append("sync"), fsync(fd))[1])
    monkeypatch.setattr(os, "link", lambda a, b: (steps.append("link"), link(a, b))[1])
    monkeypatch.setattr(sink._rows, "submit", lambda arrival: (steps.append("row"), submit(arrival))[1])
    sink.store([encoded(a_slice())], route=ROUTE, announced=Announced(EXPLICIT, file_meta=file_meta))
    assert steps[-4:] == order


def test_a_sync_that_fails_takes_the_name_away_again(sink, ledger, monkeypatch):
    store(sink, a_slice(2))
    plain = os.fsync

    def broken(descriptor):
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".part"):
            raise OSError(errno.EIO, "Input/output error")
        plain(descriptor)

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        store(sink, a_slice(1))
    monkeypatch.undo()
    assert len(objects(sink)) == 1
    assert store(sink, a_slice(1)).stored is Stored.ADDED


def test_two_associations_that_send_one_object_at_the_same_time_make_one_object_and_other_bytes_a_version(sink, ledger):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: store(sink, a_slice(pixels=bytes([n % 2]) * 16)).stored, range(8)))
    assert sorted(found) == sorted([Stored.ADDED, Stored.NEW_VERSION, *[Stored.UNCHANGED] * 6])
    assert len(objects(sink)) == 2


def test_an_object_in_many_pieces_is_the_same_as_in_one(sink):
    image = a_slice(pixels=bytes(range(256)) * 300)
    data = encoded(image)
    cuts = [0, 3, 5, 4000, 70_000, len(data)]
    outcome = sink.store([data[a:b] for a, b in itertools.pairwise(cuts)], route=ROUTE, announced=announced(image))
    (path,) = objects(sink)
    assert path.read_bytes().endswith(data)
    assert outcome.instance.sha256 == hashlib.sha256(data).hexdigest() == dataset_sha256(path)


def test_other_bytes_for_an_object_whose_file_vanished_become_a_version(sink, ledger):
    first = store(sink, a_slice(1))
    (sink.archive.root / first.instance.path).unlink()
    second = store(sink, a_slice(1, pixels=b"\2\3" * 8))
    assert second.stored is Stored.NEW_VERSION
    assert ledger.present_path(ROUTE, second.instance.sop_instance_uid) == second.instance.path != first.instance.path
    assert dataset_sha256(sink.archive.root / second.instance.path) == second.instance.sha256
