"""The quarantine: kept bytes are looked at, tried again, and taken out."""

import json
import logging

import pytest

from fairlead.cli import run
from fairlead.errors import NotFound
from fairlead.receive import InstanceSink, Ledger, export_quarantine, list_quarantine, retry_quarantine
from fairlead.receive.series_ledger import RelationConflict
from fairlead.receive.sink import Announced, AnnouncedOtherwise, DuplicateRefused, Terms, dataset_sha256
from fairlead.records import Refusal, SeriesState
from receive.builders import CT, EXPLICIT, ROUTE, a_slice, announced, archived, encoded, quick


@pytest.fixture(autouse=True)
def _no_handler_stays_behind():
    """The command sets up logging on the captured stderr, which is closed after the test."""
    yield
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)


@pytest.fixture
def settings(tmp_path):
    return quick(tmp_path / "home")


@pytest.fixture
def ledger(engine):
    return Ledger(engine)


@pytest.fixture
def sink(settings, ledger):
    return InstanceSink(settings, ledger)


def refuse_as_announced(sink, number=1):
    with pytest.raises(AnnouncedOtherwise):
        sink.store([encoded(a_slice(number))], route=ROUTE, announced=Announced(EXPLICIT, CT, "1.2.3"))


def test_what_was_announced_otherwise_is_taken_as_its_data_set_states(settings, sink, ledger):
    refuse_as_announced(sink)
    (row,) = list_quarantine(settings)
    assert (row.code, row.route, row.times) == ("announced-otherwise", ROUTE, 1)
    report = retry_quarantine(settings)
    assert (report.retried, report.mended, report.refused) == (1, 1, [])
    assert list_quarantine(settings) == ()
    assert list((settings.archive_folder / "quarantine").iterdir()) == []
    (path,) = archived(settings)
    assert path.read_bytes().endswith(encoded(a_slice()))
    ledger.settle(settle_after_s=5, quiet_after_s=60)
    assert ledger.counts()[SeriesState.COMPLETE] == 1


def test_what_is_still_wrong_stays_with_its_reason(settings, sink):
    other = a_slice(1)
    other.SeriesInstanceUID = "1.2.3"
    sink.store([encoded(a_slice(1))], route=ROUTE, announced=announced(a_slice(1)))
    with pytest.raises(RelationConflict):
        sink.store([encoded(other)], route=ROUTE, announced=announced(other))
    report = retry_quarantine(settings)
    assert (report.retried, report.mended, report.refused[0]["code"]) == (1, 0, "relation-conflict")
    (row,) = list_quarantine(settings)
    assert dataset_sha256(settings.archive_folder / row.path)


def test_only_the_named_ones_are_tried_and_unknown_numbers_are_named(settings, sink):
    refuse_as_announced(sink, 1)
    refuse_as_announced(sink, 2)
    first, second = list_quarantine(settings)
    assert retry_quarantine(settings, [second.id]).mended == 1
    assert [row.id for row in list_quarantine(settings)] == [first.id]
    with pytest.raises(NotFound, match="no entry 99"):
        retry_quarantine(settings, [99])


def test_a_quarantined_series_goes_back_to_the_work_list(settings, sink, ledger):
    sink.store([encoded(a_slice(1))], route=ROUTE, announced=announced(a_slice(1)))
    ledger.settle(settle_after_s=1e-9, quiet_after_s=1e-9)
    (series,) = ledger.claim_series(1, claimant="test")
    ledger.series_quarantined(series, code="unreadable-image", reason="The pixels cannot be decoded.")
    assert retry_quarantine(settings).mended == 1
    assert ledger.counts()[SeriesState.COMPLETE] == 1


def test_a_refusal_without_bytes_says_so(settings, ledger):
    ledger.refuse(Refusal(source="x.tif", code="unsupported", reason="Not an image."))
    assert retry_quarantine(settings).refused[0]["code"] == "nothing-to-retry"


def test_an_export_holds_the_bytes_and_the_reasons(settings, sink, tmp_path):
    refuse_as_announced(sink)
    rows = export_quarantine(settings, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "reasons.json").read_text()) == rows
    assert (tmp_path / "out" / rows[0]["file"]).read_bytes().endswith(encoded(a_slice()))
    assert len(list_quarantine(settings)) == 1


def test_a_route_may_refuse_other_bytes_under_a_known_instance(settings, sink):
    terms = Terms(duplicates="refuse")
    one, other = a_slice(1), a_slice(1, pixels=b"\7\7" * 8)
    sink.store([encoded(one)], route=ROUTE, announced=announced(one), terms=terms)
    sink.store([encoded(one)], route=ROUTE, announced=announced(one), terms=terms)
    with pytest.raises(DuplicateRefused):
        sink.store([encoded(other)], route=ROUTE, announced=announced(other), terms=terms)
    assert len(archived(settings)) == 1
    assert [row.code for row in list_quarantine(settings)] == ["duplicate-refused"]


def test_the_commands_list_retry_and_export(settings, sink, tmp_path, monkeypatch, capsys):
    def told(*arguments: str) -> str:
        assert run(["node", "quarantine", *arguments]) == 0
        return capsys.readouterr().out

    monkeypatch.setenv("FAIRLEAD_HOME", str(settings.home))
    monkeypatch.setenv("FAIRLEAD_NODE__LOW_WATER_BYTES", "0")
    refuse_as_announced(sink)
    (row,) = json.loads(told("list", "--json"))["quarantine"]
    assert (row["code"], row["kept"], row["times"]) == ("announced-otherwise", True, 1)
    assert "announced-otherwise" in told("list")
    assert "1 files, 1 reasons" in told("export", str(tmp_path / "out"))
    assert json.loads(told("retry", str(row["id"]), "--json")) == {"retried": 1, "mended": 1, "refused": []}
    assert told("list").strip() == ""
