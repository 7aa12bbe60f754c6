"""Two attempts of one step: the healthy one is left alone, the other one is told to come back."""

from __future__ import annotations

import errno
import threading
from datetime import timedelta

import pytest
from sqlalchemy import Engine, insert, select

from fairlead.database import utc_now
from fairlead.errors import Busy, CheckFailed, StorageFull
from fairlead.publish import Exports, ExportState
from fairlead.publish.leases import is_gone, is_leased, leased
from fairlead.publish.tables import leases
from fairlead.settings import Settings
from publish.conftest import Clock, run
from publish.fakes import FakeUpstream, a_cohort, an_imaging_record


class Slow(FakeUpstream):
    """A left-hand side whose de-identification waits until it may go on."""

    def __init__(self) -> None:
        records = [an_imaging_record(1)]
        super().__init__(a_cohort(records), records)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def deidentify(self, *given, **named):
        """Write, say so, and wait."""
        report = super().deidentify(*given, **named)
        self.begun.set()
        assert self.go_on.wait(30)
        return report


def test_a_second_attempt_leaves_the_first_alone(settings: Settings, engine: Engine):
    upstream = Slow()
    exports = Exports(settings, engine, upstream=upstream)
    identifier = run(exports, until="decide")
    first = threading.Thread(target=exports.deidentify, args=(identifier,))
    first.start()
    assert upstream.begun.wait(30)
    second = Exports(settings, engine, upstream=upstream)
    with pytest.raises(Busy, match="Another process"):
        second.deidentify(identifier)
    assert second.fail(identifier, "impatient").state == ExportState.APPROVED
    upstream.go_on.set()
    first.join()
    assert upstream.calls == ["deidentify"]
    assert second.deidentify(identifier).state == ExportState.DEIDENTIFIED
    for step in ("convert", "describe"):
        getattr(second, step)(identifier)
    assert second.publish(identifier).counts.series == 1


def test_a_worker_that_lost_its_lease_changes_nothing(exports: Exports, settings: Settings, engine: Engine, upstream: FakeUpstream):
    identifier = run(exports, until="decide")
    real = upstream.deidentify

    def overtaken(*given, **named):
        with engine.begin() as connection:
            connection.execute(leases.update().values(holder="host|other|1|1|x"))
        return real(*given, **named)

    upstream.deidentify = overtaken
    with pytest.raises(Busy, match="taken over"):
        exports.deidentify(identifier)
    assert exports.get(identifier).state == ExportState.APPROVED
    assert [path.name for path in (settings.staging_folder / identifier).iterdir()] == []


@pytest.mark.parametrize(("age", "busy"), [(-60, True), (60, False)])
def test_the_lease_of_another_machine_counts_until_it_runs_out(exports: Exports, engine: Engine, age: int, busy: bool):
    identifier = run(exports, until="decide")
    with engine.begin() as connection:
        connection.execute(
            insert(leases).values(export_id=identifier, holder="elsewhere|ns|1|1|x", expires_at=utc_now() - timedelta(seconds=age))
        )
    late = Exports(exports._settings, engine, upstream=exports._given)
    if busy:
        with pytest.raises(Busy):
            late.deidentify(identifier)
    else:
        assert late.deidentify(identifier).state == ExportState.DEIDENTIFIED


def test_the_lease_is_given_back(exports: Exports, engine: Engine):
    run(exports)
    with engine.connect() as connection:
        assert connection.execute(select(leases)).all() == []


def test_a_process_that_is_gone_holds_nothing(exports: Exports, engine: Engine):
    identifier = run(exports, until="decide")
    with leased(engine, identifier, clock=Clock()) as lease:
        host, namespace, pid, started, token = lease.holder.split("|")
        assert not is_gone(lease.holder)
        assert is_gone(f"{host}|{namespace}|{pid}|{int(started) + 1}|{token}")
        assert not is_gone(f"elsewhere|{namespace}|{pid}|{int(started) + 1}|{token}")


def test_a_full_disk_keeps_what_is_finished_and_the_retry_goes_on(exports: Exports, settings: Settings, upstream: FakeUpstream):
    identifier = run(exports, until="deidentify")
    real = upstream.convert

    def full(*given, **named):
        raise OSError(errno.ENOSPC, "full")

    upstream.convert = full
    with pytest.raises(StorageFull):
        exports.convert(identifier)
    assert sorted(path.name for path in (settings.staging_folder / identifier).iterdir()) == ["safe", "safe.json"]
    upstream.convert = real
    exports.convert(identifier)
    exports.describe(identifier)
    assert exports.publish(identifier).counts.series == 2
    assert upstream.calls == ["deidentify", "deidentify", "convert", "convert"]


def test_what_ended_exports_left_is_swept_and_the_rest_stays(exports: Exports, settings: Settings):
    ended, going = run(exports), run(exports, run_id="run-2", until="deidentify")
    (settings.staging_folder / ended / "safe").mkdir(parents=True)
    run(exports, run_id="run-3", until="request")
    assert sorted(path.name for path in settings.staging_folder.iterdir()) == [going]


class InPlace(FakeUpstream):
    """A left-hand side with OME-Zarr that is read where it is, and is another one after the conversion."""

    def in_place(self, record) -> bool:
        """Read all of it in place."""
        return True

    def is_unchanged(self, record) -> bool:
        """Say no as soon as something was converted."""
        return "convert" not in self.calls


def test_a_folder_that_changes_while_it_is_converted_is_not_published(settings: Settings, engine: Engine):
    records = [an_imaging_record(1, kind="ome-image", path="/data/Mueller_Hans.ome.zarr")]
    exports = Exports(settings, engine, upstream=InPlace(a_cohort(records), records))
    with pytest.raises(CheckFailed, match="changed since it was indexed"):
        run(exports)
    assert not list(settings.published_folder.glob("*"))


def test_a_lease_is_renewed_while_the_work_goes_on(exports: Exports, engine: Engine):
    def until():
        with engine.connect() as connection:
            return connection.execute(select(leases.c.expires_at)).scalar_one()

    identifier = run(exports, until="decide")
    with leased(engine, identifier, clock=utc_now, seconds=1.0):
        first, deadline = until(), utc_now() + timedelta(seconds=30)
        while until() == first:
            assert utc_now() < deadline


def test_a_renewal_ends_quietly_when_somebody_has_taken_over(exports: Exports, engine: Engine):
    identifier = run(exports, until="decide")
    with leased(engine, identifier, clock=utc_now, seconds=0.4) as lease:
        with engine.begin() as connection:
            connection.execute(leases.update().values(holder="elsewhere|ns|1|1|x", expires_at=utc_now() + timedelta(hours=1)))
        deadline = utc_now() + timedelta(seconds=30)
        while any(thread.name == "export-lease" for thread in threading.enumerate()):
            assert utc_now() < deadline
        with pytest.raises(Busy, match="taken over"):
            lease.confirm()
    assert is_leased(engine, identifier, now=utc_now())
