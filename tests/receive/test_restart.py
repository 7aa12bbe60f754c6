"""A node that starts beside a running import, after a power cut, or over damaged copies: nobody's bytes, rows or holds are lost."""

import os

import pytest
from sqlalchemy import delete, select

from fairlead.progress import Silent
from fairlead.receive import InstanceSink, Ledger, import_paths
from fairlead.receive.series_ledger import Arrival
from fairlead.receive.sweep import _adopt, sweep
from fairlead.receive.tables import holds, instances
from fairlead.records import SeriesState
from fairlead.settings import Settings
from receive.builders import ROUTE, STUDY, a_row, a_slice, announced, encoded, part10


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home", node={"low_water_bytes": 0})


@pytest.fixture
def ledger(engine):
    return Ledger(engine)


@pytest.fixture
def sink(settings, ledger):
    return InstanceSink(settings, ledger)


def store(sink, data, image):
    return sink.archive.root / sink.store([data], route=ROUTE, announced=announced(image)).instance.path


def lose_row(sink, ledger, path):
    with ledger.engine.begin() as connection:
        connection.execute(delete(instances).where(instances.c.path == path.relative_to(sink.archive.root).as_posix()))


def current(sink, ledger):
    with ledger.engine.connect() as connection:
        return {sink.archive.root / path for path in connection.scalars(select(instances.c.path).where(instances.c.current))}


def test_a_damaged_copy_whose_row_was_lost_does_not_become_the_present_version(sink, ledger):
    whole = encoded(a_slice(1, pixels=b"\0\1" * 400))
    good, bad = store(sink, whole, a_slice(1)), store(sink, whole[:-300], a_slice(1))
    assert bad != good
    lose_row(sink, ledger, bad)
    assert sweep(sink.archive, ledger).adopted == 1
    assert current(sink, ledger) == {good}


@pytest.mark.parametrize("lost", ["both", "whole"])
def test_a_whole_copy_is_the_present_version_whatever_the_sweep_finds_first(sink, ledger, lost):
    whole = encoded(a_slice(1, pixels=b"\0\1" * 400))
    bad, good = store(sink, whole[:-300], a_slice(1)), store(sink, whole, a_slice(1))
    assert current(sink, ledger) == {good}
    for path in (bad, good) if lost == "both" else (good,):
        lose_row(sink, ledger, path)
    sweep(sink.archive, ledger)
    assert current(sink, ledger) == {good}


def test_of_two_whole_copies_the_one_with_a_row_stays(sink, ledger):
    one, two = (store(sink, encoded(a_slice(1, pixels=bytes([n]) * 16)), a_slice(1)) for n in (1, 2))
    lose_row(sink, ledger, one)
    sweep(sink.archive, ledger)
    assert current(sink, ledger) == {two}


def test_a_second_damaged_copy_does_not_replace_a_whole_one_that_replaced_a_damaged_one(sink, ledger):
    whole = encoded(a_slice(1, pixels=b"\0\1" * 400))
    store(sink, whole[:-300], a_slice(1))
    good = store(sink, whole, a_slice(1))
    store(sink, whole[:-200], a_slice(1))
    assert current(sink, ledger) == {good}


@pytest.fixture
def modes(monkeypatch):
    """How each transaction for rows is synchronised with the disk: 1 is NORMAL, 2 is FULL."""
    found, plain = [], Ledger._record

    def looked_at(self, connection, arrival):
        found.append(connection.exec_driver_sql("PRAGMA synchronous").scalar())
        return plain(self, connection, arrival)

    monkeypatch.setattr(Ledger, "_record", looked_at)
    return found


def test_a_row_that_the_archive_can_give_back_is_not_flushed_and_one_that_orders_versions_is(sink, modes):
    store(sink, encoded(a_slice(1)), a_slice(1))
    store(sink, encoded(a_slice(1, pixels=b"\2\2" * 8)), a_slice(1))
    store(sink, encoded(a_slice(2)), a_slice(2))
    assert modes == [1, 2, 1]


def test_a_row_that_only_seemed_to_be_the_first_of_its_instance_is_flushed_after_all(ledger, modes):
    ledger.record([Arrival(a_row(1, sha="a" * 64), STUDY, f"{STUDY}.1", ROUTE, derivable=True)])
    outcome = ledger.record([Arrival(a_row(1, sha="b" * 64), STUDY, f"{STUDY}.1", ROUTE, derivable=True)])
    assert outcome == ["new-version"]
    assert modes == [1, 1, 2]
    with ledger.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_a_node_that_starts_leaves_a_write_under_way_alone(sink, ledger):
    data = encoded(a_slice(1))

    def chunks():
        yield data[:100]
        assert sweep(sink.archive, ledger).parts == 0
        yield data[100:]

    assert sink.store(chunks(), route=ROUTE, announced=announced(a_slice(1))).stored == "added"
    assert list(sink.archive.incoming.iterdir()) == []


def test_a_node_that_starts_leaves_the_holds_of_a_running_import_and_drops_those_of_a_dead_one(settings, sink, ledger, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in (1, 2):
        (folder / f"{number}.dcm").write_bytes(part10(a_slice(number)))
    sink.store([encoded(a_slice(1, series=2))], route=ROUTE, announced=announced(a_slice(1, series=2)), holder="dead")
    (sink.archive.incoming / "dead.import").write_bytes(b"")
    lost, held = [], []

    class Halfway(Silent):
        def step(self, count=1, size_bytes=0):
            if not lost:
                lost.append(sweep(sink.archive, ledger).lost_senders)
                with ledger.engine.connect() as connection:
                    held.extend(connection.scalars(select(holds.c.holder)))

    import_paths(settings, ledger, [folder], route=ROUTE, progress=Halfway())
    assert lost == [1]
    assert len(held) == 1
    assert held != ["dead"]
    assert list(sink.archive.incoming.iterdir()) == []
    ledger.settle(settle_after_s=60, quiet_after_s=60)
    assert ledger.counts()[SeriesState.COMPLETE] == 1


def test_a_row_that_an_import_writes_during_the_sweep_keeps_its_file(sink, ledger):
    path = store(sink, encoded(a_slice(1)), a_slice(1))
    assert _adopt(sink.archive, ledger, path)  # it was no orphan any more when its turn came
    assert path.is_file()


def test_a_part_that_was_swept_before_its_writer_could_lock_it_is_begun_again(sink, monkeypatch):
    import fcntl

    part, plain, swept = sink.archive.new_part(), fcntl.flock, []

    def late(handle, how):
        if not swept:
            swept.append(part)
            part.unlink()
        return plain(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with sink.archive.writing(part) as handle:
        os.ftruncate(handle.fileno(), 1)
    assert part.stat().st_size == 1
