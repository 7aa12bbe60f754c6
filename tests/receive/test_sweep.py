import json

import pytest
from sqlalchemy import delete

from fairlead.receive import InstanceSink, Ledger, retry_quarantine
from fairlead.receive.completion import Ending
from fairlead.receive.sweep import SweepReport, sweep
from fairlead.receive.tables import instances
from fairlead.settings import Settings
from receive.builders import ROUTE, a_slice, announced, encoded


@pytest.fixture
def ledger(engine):
    return Ledger(engine)


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home", node={"low_water_bytes": 0})


@pytest.fixture
def sink(settings, ledger):
    return InstanceSink(settings, ledger)


def store(sink, number, holder=None):
    image = a_slice(number)
    outcome = sink.store([encoded(image)], route=ROUTE, announced=announced(image), holder=holder)
    return sink.archive.root / outcome.instance.path


def forget(ledger):
    with ledger.engine.begin() as connection:
        connection.execute(delete(instances))


def test_a_clean_archive_has_nothing_to_tell(sink, ledger):
    store(sink, 1)
    assert sweep(sink.archive, ledger) == SweepReport(0, 0, (), (), 0)


def test_parts_are_deleted_and_lost_senders_settle(sink, ledger):
    store(sink, 1, holder="dead")
    sink.archive.new_part().write_bytes(b"half")
    report = sweep(sink.archive, ledger)
    assert (report.parts, report.lost_senders) == (1, 1)
    assert list(sink.archive.incoming.iterdir()) == []
    assert ledger.sender_left("dead", Ending.RELEASED) == 0


def test_an_object_without_a_row_gets_its_row_from_its_own_bytes_and_its_sidecar(sink, ledger):
    path = store(sink, 1)
    forget(ledger)
    assert sweep(sink.archive, ledger).adopted == 1
    ledger.settle(settle_after_s=0, quiet_after_s=0)
    (series,) = ledger.claim_series(9, claimant="test")
    assert [sink.archive.root / instance.path for instance in series.instances] == [path]
    assert series.route == ROUTE
    assert sweep(sink.archive, ledger).adopted == 0


def test_a_second_name_of_known_bytes_is_removed(sink, ledger):
    path = store(sink, 1)
    twin = path.with_name("f" * 32 + ".dcm")
    twin.write_bytes(path.read_bytes())
    sweep(sink.archive, ledger)
    assert path.exists()
    assert not twin.exists()


@pytest.mark.parametrize("sidecar", [None, "{broken", json.dumps({"project": "../x"})])
def test_an_object_whose_owner_nobody_knows_is_reported_and_kept(sink, ledger, sidecar):
    path = store(sink, 1)
    forget(ledger)
    if sidecar is None:
        (path.parent / "route.json").unlink()
    else:
        (path.parent / "route.json").write_text(sidecar)
    report = sweep(sink.archive, ledger)
    assert report.unowned == (path.relative_to(sink.archive.root).as_posix(),)
    assert path.exists()


def test_an_object_that_is_damaged_is_reported_and_kept(sink, ledger):
    path = store(sink, 1)
    forget(ledger)
    path.write_bytes(b"rubbish")
    assert len(sweep(sink.archive, ledger).unowned) == 1
    assert path.exists()


@pytest.mark.parametrize("left", ["half", "nothing", "zeros"])
def test_an_object_whose_name_survived_a_power_cut_and_whose_bytes_did_not_is_set_aside(sink, ledger, left):
    path = store(sink, 1)
    forget(ledger)
    whole = path.read_bytes()
    path.write_bytes({"half": whole[: len(whole) - 20], "nothing": b"", "zeros": whole[:-20] + bytes(20)}[left])
    report = sweep(sink.archive, ledger)
    assert (report.torn, report.adopted, report.unowned) == (1, 0, ())
    assert not path.exists()
    (row,) = ledger.quarantined()
    assert row.code == "torn"
    assert (sink.archive.root / row.path).is_file()
    assert store(sink, 1) == path  # the sender comes again


def test_a_torn_object_is_never_put_back(settings, sink, ledger):
    path = store(sink, 1)
    forget(ledger)
    path.write_bytes(path.read_bytes()[:-20])
    sweep(sink.archive, ledger)
    report = retry_quarantine(settings)
    assert [(one["code"], one["reason"]) for one in report.refused] == [("nothing-to-retry", "The object was never whole here.")]


def test_a_row_without_its_file_is_reported_in_quarantine(sink, ledger):
    path = store(sink, 1)
    path.unlink()
    name = path.relative_to(sink.archive.root).as_posix()
    assert sweep(sink.archive, ledger).missing == (name,)
    assert [(refusal.source, refusal.code) for refusal in ledger.quarantine()] == [(name, "missing-file")]
