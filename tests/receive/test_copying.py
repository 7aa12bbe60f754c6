"""The archive's second place: complete means copied and read back; no outage, kill or damaged object loses anything."""

import hashlib
import os
import signal
import threading
from collections import Counter
from itertools import count
from pathlib import Path

import pytest
from obstore.store import MemoryStore
from sqlalchemy import select

from fairlead.errors import Conflict, InvalidConfiguration, ServiceUnreachable
from fairlead.progress import Silent
from fairlead.receive import InstanceSink, Ledger, complete_imports, import_paths, node_status, tables
from fairlead.receive.completion import Ending
from fairlead.receive.copying import STUCK_S, ArchiveCopy, place_of
from fairlead.receive.sweep import sweep
from fairlead.records import SeriesState
from fairlead.settings import Settings, load_settings
from fairlead.storage import BucketObjects, LocalObjects
from receive.builders import ROUTE, STUDY, a_slice, announced, archived, encoded, ledger_of, part10, quick, running, wait_for
from receive.test_crash import born, mortal, send_until_it_dies

URL = "s3://vault/node-1"


class Store:
    """A store that counts what is put, and that can be away, or answer with other bytes."""

    def __init__(self, inner) -> None:
        self.inner, self.away, self.lies, self.puts = inner, False, set(), Counter()

    def put(self, key: str, source: Path) -> bool:
        if self.away:
            raise ServiceUnreachable("The object store answered with TimeoutError.")
        new = self.inner.put(key, source)
        self.puts[key] += new
        return new

    def sha256(self, key: str) -> str:
        return "0" * 64 if key in self.lies else self.inner.sha256(key)

    def __getattr__(self, name):
        return getattr(self.inner, name)


class House:
    """A ledger, its sink, and a copy to a store with a hand-driven clock; ``restart`` forgets all that is not durable."""

    def __init__(self, settings: Settings, engine, store: Store) -> None:
        self.settings, self.store, self.seconds, self.engine = settings, store, 0.0, engine
        self.sink = InstanceSink(settings, Ledger(engine))
        self.restart()

    def restart(self) -> None:
        self.ledger = Ledger(self.engine)
        self.copy = ArchiveCopy(URL, self.settings.archive_folder, self.ledger, store=self.store)
        self.copy.monotonic = lambda: self.seconds

    def receive(self, *numbers: int, series: int = 1) -> list[str]:
        holder = f"{self.seconds} {numbers} {series}"[:32]
        images = [a_slice(number, series=series) for number in numbers]
        stored = [self.sink.store([encoded(image)], route=ROUTE, announced=announced(image), holder=holder) for image in images]
        self.sink.ledger.association_closed(holder, Ending.RELEASED)
        return [outcome.instance.path for outcome in stored]

    def settle(self) -> int:
        return self.ledger.settle(settle_after_s=1e-9, quiet_after_s=1e-9, copied_to=place_of(URL))

    def generation(self, series: int = 1) -> int:
        with self.engine.connect() as connection:
            return connection.scalar(select(tables.series.c.generation_number).where(tables.series.c.series_uid == f"{STUDY}.{series}"))

    def lying(self) -> list[str]:
        return list(self.store.inner.keys())


@pytest.fixture(params=["memory", "local"])
def house(request, settings, engine, tmp_path) -> House:
    return House(settings, engine, Store(BucketObjects(MemoryStore()) if request.param == "memory" else LocalObjects(tmp_path / "bucket")))


def test_a_series_is_complete_when_all_its_objects_lie_in_the_bucket_and_were_read_back(house):
    paths = house.receive(1, 2, 3)
    assert house.settle() == 0
    assert house.copy.step() == 3
    assert house.settle() == 1
    assert house.lying() == sorted([*paths, str(Path(paths[0]).with_name("route.json"))])
    for path in paths:
        assert house.store.get(path) == (house.settings.archive_folder / path).read_bytes()
    assert not any(word in key for key in house.lying() for word in ("Doe", "secret", STUDY))


def test_a_late_object_makes_the_next_generation_and_only_it_goes_up(house):
    house.receive(1, 2)
    house.copy.step()
    house.settle()
    (late,) = house.receive(3)
    before = house.store.puts.copy()
    assert house.settle() == 0
    assert house.copy.step() == 1
    assert house.store.puts - before == Counter({late: 1})
    assert (house.settle(), house.generation()) == (1, 2)


def test_while_the_bucket_is_away_series_wait_and_the_pauses_grow(house):
    house.receive(1, 2)
    house.store.away = True
    tries = 0
    for _ in range(62):  # one second each: after 0, 2, 6, 14, 30 and 62 seconds, but for the last
        try:
            house.copy.step()
        except ServiceUnreachable:
            tries += 1
        house.seconds += 1
    assert (tries, house.settle(), house.ledger.uncopied_count(place_of(URL))) == (5, 0, 2)
    house.store.away = False
    assert (house.copy.step(), house.settle()) == (2, 1)


def test_what_went_up_before_the_place_failed_is_noted_and_not_sent_again(house, monkeypatch):
    house.receive(*range(1, 9))
    turns, put = count(), house.store.put

    def put_some(key, source):
        house.store.away = next(turns) >= 5
        return put(key, source)

    monkeypatch.setattr(house.store, "put", put_some)
    with pytest.raises(ServiceUnreachable):
        house.copy.step()
    assert house.ledger.uncopied_count(place_of(URL)) < 8
    monkeypatch.setattr(house.store, "put", put)
    house.store.away, house.seconds = False, 10.0
    house.copy.step()
    assert house.settle() == 1
    assert set(house.store.puts.values()) == {1}


def test_a_crash_between_copy_and_note_sends_nothing_twice(house, monkeypatch):
    house.receive(1, 2, 3)
    with monkeypatch.context() as patch:
        patch.setattr(house.ledger, "copied", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            house.copy.step()
    house.restart()
    assert house.settle() == 0
    assert (house.copy.step(), house.settle()) == (3, 1)
    assert set(house.store.puts.values()) == {1}


def test_an_object_that_rots_here_or_is_another_one_there_holds_back_its_series_only(house, tmp_path):
    (rotten,), (taken,), (lied,), _ = (house.receive(1, series=series) for series in (1, 2, 3, 4))
    file = house.settings.archive_folder / rotten
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"?")
    (tmp_path / "other").write_bytes(b"another node's")
    house.store.put(taken, tmp_path / "other")
    house.store.lies.add(lied)
    assert house.copy.step() == 1
    assert (house.settle(), house.generation(4)) == (1, 1)
    assert house.store.get(taken) == b"another node's"
    assert rotten not in house.lying()
    refused = {refusal.source: refusal for refusal in house.ledger.quarantine()}
    assert refused.keys() == {rotten, taken, lied}
    assert {refusal.code for refusal in refused.values()} == {"no-copy"}
    file.write_bytes(whole)
    house.store.lies.clear()
    assert house.copy.step() == 0
    house.seconds += STUCK_S
    assert (house.copy.step(), house.settle()) == (2, 2)
    assert [refusal.source for refusal in house.ledger.quarantine()] == [taken]


def test_another_bucket_is_another_place(house):
    house.receive(1)
    house.copy.step()
    assert house.ledger.uncopied_count(place_of(URL + "/")) == 0
    assert house.ledger.uncopied_count(place_of("s3://vault/node-2")) == 1


def test_a_node_starts_on_what_the_bucket_holds(house, tmp_path):
    house.receive(1, 2)
    house.receive(1, series=2)
    house.copy.step()
    again = Settings(home=tmp_path / "again")
    for key in house.lying():
        (again.archive_folder / key).parent.mkdir(parents=True, exist_ok=True)
        (again.archive_folder / key).write_bytes(house.store.get(key))
    with ledger_of(again) as ledger:
        assert sweep(InstanceSink(again, ledger).archive, ledger).adopted == 3
        assert ledger.settle(settle_after_s=1e-9, quiet_after_s=1e-9) == 2
        assert len(ledger.series_of("default", "local", f"{STUDY}.1").instances) == 2


def test_an_import_copies_before_it_completes_and_says_when_the_place_is_missing(tmp_path):
    bucket = tmp_path / "bucket"
    settings = quick(tmp_path / "home", archive_bucket=bucket.as_uri())
    (tmp_path / "a.dcm").write_bytes(part10(a_slice()))
    with ledger_of(settings) as ledger:
        import_paths(settings, ledger, [tmp_path / "a.dcm"], route=ROUTE, progress=Silent())
        with pytest.raises(ServiceUnreachable, match="not there"):
            complete_imports(settings, ledger)
        assert ledger.counts()[SeriesState.COMPLETE] == 0
        assert node_status(settings).uncopied == 1
        assert not bucket.exists()  # a disk that is not mounted is not replaced by a folder
        bucket.mkdir()
        assert complete_imports(settings, ledger) == 1
    (kept,) = archived(settings)
    assert (bucket / kept.relative_to(settings.archive_folder)).read_bytes() == kept.read_bytes()


def test_kills_during_receiving_and_copying_leave_every_acknowledged_object_in_both_places(tmp_path, monkeypatch):
    home, bucket = tmp_path / "home", tmp_path / "bucket"
    bucket.mkdir()
    monkeypatch.setenv("FAIRLEAD_NODE__ARCHIVE_BUCKET", bucket.as_uri())
    acknowledged: dict[str, str] = {}
    with mortal(home) as mother:
        for turn in range(4):
            pid, port = born(mother)
            goal, copied = len(acknowledged) + 8, len(list(bucket.rglob("*.dcm")))
            senders = [threading.Thread(target=send_until_it_dies, args=(port, 2 * turn + n, acknowledged)) for n in (1, 2)]
            for thread in senders:
                thread.start()
            try:
                wait_for(lambda goal=goal, copied=copied: len(acknowledged) >= goal and len(list(bucket.rglob("*.dcm"))) > copied)
            finally:
                os.kill(pid, signal.SIGKILL)
            for thread in senders:
                thread.join(timeout=20)
                assert not thread.is_alive()
    settings = quick(home, quiet_after_s=0.4)
    with running(settings) as (node, _), ledger_of(settings) as ledger:
        wait_for(lambda: ledger.counts()[SeriesState.RECEIVING] == ledger.counts()[SeriesState.SETTLING] == 0, within_s=60)
        claimed = ledger.claim_series(9, claimant="test")
        assert 'copies_total{result="refused"}' not in node._doorway.metrics.text(())
    stored = {instance.sop_instance_uid: instance for found in claimed for instance in found.instances}
    assert acknowledged.items() <= {uid: instance.sha256 for uid, instance in stored.items()}.items()
    for instance in stored.values():
        copy, kept = bucket / instance.path, settings.archive_folder / instance.path
        assert hashlib.sha256(copy.read_bytes()).digest() == hashlib.sha256(kept.read_bytes()).digest()


@pytest.mark.parametrize("url", ["https://vault", "s3://", "s3://key:secret@vault/x", "file://vault/x", "s3://vault/x?y", "/vault"])
def test_an_address_that_is_none_or_holds_a_secret_is_refused(url, monkeypatch):
    monkeypatch.setenv("FAIRLEAD_NODE__ARCHIVE_BUCKET", url)
    with pytest.raises(InvalidConfiguration, match="ARCHIVE_BUCKET"):
        load_settings()


def test_two_processes_may_copy_the_same_object_at_once(house):
    house.receive(1)
    (row,) = house.ledger.uncopied(place_of(URL), house.ledger.uncopied_series(place_of(URL)))
    put = house.store.inner.put

    def late(key, source):  # the other one has written it since we looked
        put(key, source)
        raise Conflict("exists already")

    house.store.inner.put = late
    assert house.copy.step() == 1
    assert house.store.get(row.path) == (house.settings.archive_folder / row.path).read_bytes()
