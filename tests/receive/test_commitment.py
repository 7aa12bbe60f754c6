"""Storage commitment with pynetdicom as the sender that asks and gets its report on an association of the node's own."""

from contextlib import contextmanager
from datetime import timedelta

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt
from sqlalchemy import select

from fairlead.receive.commitment_scp import BadManifest, event_report, read_manifest
from fairlead.receive.commitments import CommitmentState, Verdict
from fairlead.receive.completion import Ending
from fairlead.receive.series_ledger import Arrival
from fairlead.receive.tables import commitments
from fairlead.records import SeriesState
from receive.builders import CT, EXPLICIT, IMPLICIT, ROUTE, STUDY, Clock, a_row, a_slice, association, quick, running, send, wait_for

COMMITMENT, INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"


def request(*uids: str, transaction: str = "1.2.3.4", sop_class: str = CT) -> Dataset:
    wanted = Dataset()
    wanted.TransactionUID = transaction
    items = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        items.append(item)
    wanted.ReferencedSOPSequence = items
    return wanted


@contextmanager
def listener(reports: list, *, status: int = 0, title: str = "SCANNER"):
    """A modality that takes commitment reports."""

    def take(event):
        reports.append((event.assoc.requestor.ae_title, event.event_type, event.event_information))
        return status, None

    ae = AE(ae_title=title)
    ae.add_supported_context(COMMITMENT, scu_role=False, scp_role=True)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)])
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


@contextmanager
def node_with_peer(tmp_path, port: int, **settings):
    routes = tmp_path / "routes.yaml"
    routes.write_text(
        "routes: [{name: all, project: default, center: local, from_networks: [127.0.0.0/8]}]\n"
        f"peers: [{{ae_title: SCANNER, host: 127.0.0.1, port: {port}}}]\n"
    )
    with running(quick(tmp_path / "home", routes=routes, **settings)) as found:
        yield found


def ask(port: int, wanted: Dataset, *, action: int = 1, syntax: str = EXPLICIT) -> int:
    with association(port, (COMMITMENT, syntax)) as peer:
        return peer.send_n_action(wanted, action, COMMITMENT, INSTANCE)[0].Status


def failures(report: Dataset) -> dict[str, int]:
    return {item.ReferencedSOPInstanceUID: item.FailureReason for item in report.get("FailedSOPSequence", ())}


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_a_request_is_answered_and_reported_on_a_new_association(tmp_path, syntax):
    reports: list = []
    with listener(reports) as scanner, node_with_peer(tmp_path, scanner, settle_after_s=600) as (node, port):
        with association(port) as peer:
            assert send(peer, a_slice(1)) == send(peer, a_slice(2)) == 0
        assert ask(port, request(f"{STUDY}.1.1", f"{STUDY}.1.2"), syntax=syntax) == 0
        wait_for(lambda: reports)
        caller, event, report = reports[0]
        assert (caller, event, report.TransactionUID) == ("FAIRLEAD", 1, "1.2.3.4")
        assert [item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence] == [f"{STUDY}.1.1", f"{STUDY}.1.2"]
        assert "FailedSOPSequence" not in report
        wait_for(lambda: node.ledger.commitments_by_state()["reported"] == 1)
        wait_for(lambda: node.ledger.counts()[SeriesState.COMPLETE] == 1)  # the manifest ended a wait of ten minutes


def test_what_is_not_durable_here_is_reported_as_failed_with_its_reason(tmp_path):
    reports: list = []
    with listener(reports) as scanner, node_with_peer(tmp_path, scanner) as (node, port):
        with association(port) as peer:
            assert [send(peer, a_slice(number)) for number in (1, 2, 3)] == [0, 0, 0]
        lost = node.ledger.known_versions(ROUTE, f"{STUDY}.1.2")
        (node.settings.archive_folder / next(iter(lost.values()))).unlink()
        wanted = request(f"{STUDY}.1.1", f"{STUDY}.1.2", "1.2.9")
        wanted.ReferencedSOPSequence += request(f"{STUDY}.1.3", sop_class="1.2.840.10008.5.1.4.1.1.4").ReferencedSOPSequence
        assert ask(port, wanted) == 0
        wait_for(lambda: reports)
    _, event, report = reports[0]
    assert event == 2
    assert failures(report) == {f"{STUDY}.1.2": 0x0110, "1.2.9": 0x0112, f"{STUDY}.1.3": 0x0119}
    assert [item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence] == [f"{STUDY}.1.1"]


def test_a_report_that_the_peer_misses_is_sent_again_even_after_a_restart(tmp_path):
    reports: list = []
    with listener(reports) as scanner:
        pass  # its port is free now: nobody answers
    with node_with_peer(tmp_path, scanner, report_retry_s=0.2) as (node, port):
        with association(port) as peer:
            assert send(peer, a_slice(1)) == 0
        assert ask(port, request(f"{STUDY}.1.1")) == 0
        wait_for(lambda: [one.attempts for one in node.ledger.due_commitments()] > [0])
    with listener(reports) as scanner, node_with_peer(tmp_path, scanner, report_retry_s=0.2):
        wait_for(lambda: reports)
    assert reports[0][1] == 1


def test_a_peer_that_refuses_the_report_gets_it_again(tmp_path):
    reports: list = []
    with listener(reports, status=0x0110) as scanner, node_with_peer(tmp_path, scanner, report_retry_s=0.1) as (_, port):
        with association(port) as peer:
            assert send(peer, a_slice(1)) == 0
        assert ask(port, request(f"{STUDY}.1.1")) == 0
        wait_for(lambda: len(reports) > 1)


@pytest.mark.parametrize(
    ("wanted", "action", "status"),
    [(request(), 1, 0x0115), (request("1.2.3", transaction=""), 1, 0x0115), (request("1.2.3"), 2, 0x0123)],
    ids=["nothing listed", "no transaction", "another action"],
)
def test_a_request_that_is_none_gets_its_status(tmp_path, wanted, action, status):
    with node_with_peer(tmp_path, 1) as (node, port):
        assert ask(port, wanted, action=action) == status
        assert sum(node.ledger.commitments_by_state().values()) == 0


def test_a_sender_that_is_no_peer_is_told_so(tmp_path):
    with running(quick(tmp_path)) as (_, port):
        assert ask(port, request("1.2.3")) == 0x0124


def test_noise_is_no_manifest():
    for data in (b"", b"\xff" * 40, b"\x08\x00\x18\x11UI\x02\x001\0"):
        with pytest.raises(BadManifest):
            read_manifest(data, EXPLICIT)


def test_the_report_of_the_standard():
    ledger_row = type("Row", (), {"transaction_uid": "1.2"})()
    assert event_report(ledger_row, Verdict((("1", "2"),), ()))[0] == 1
    event, report = event_report(ledger_row, Verdict((), (("1", "2", 0x0112),)))
    assert event == 2
    assert "ReferencedSOPSequence" not in report
    assert report.FailedSOPSequence[0].FailureReason == 0x0112


# --- the ledger's side


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(engine, clock):
    from fairlead.receive import Ledger

    return Ledger(engine, clock)


def asked(ledger, *numbers: int, holder: str = "a"):
    ledger.request_commitment("1.2", [(CT, f"{STUDY}.1.{number}") for number in numbers], route=ROUTE, holder=holder)
    return ledger.due_commitments()[-1]


def arrive(ledger, number: int, holder: str):
    ledger.record([Arrival(a_row(number), STUDY, f"{STUDY}.1", ROUTE, holder)])


def settled(ledger) -> int:
    return ledger.settle(settle_after_s=5, quiet_after_s=60)


def test_a_manifest_completes_a_series_although_its_sender_is_still_connected(ledger):
    arrive(ledger, 1, "a")
    arrive(ledger, 2, "a")
    assert ledger.manifest_completes(asked(ledger, 1, 2)) == 1
    assert settled(ledger) == 1


def test_a_manifest_that_lists_less_than_there_is_completes_nothing(ledger):
    arrive(ledger, 1, "a")
    arrive(ledger, 2, "a")
    assert ledger.manifest_completes(asked(ledger, 1)) == settled(ledger) == 0


def test_another_association_that_carries_the_series_keeps_it_open(ledger):
    arrive(ledger, 1, "a")
    arrive(ledger, 2, "b")
    ledger.manifest_completes(asked(ledger, 1, 2))
    assert settled(ledger) == 0
    ledger.sender_left("b", Ending.RELEASED)
    assert settled(ledger) == 1


def test_an_object_after_the_manifest_opens_the_series_again(ledger, clock):
    arrive(ledger, 1, "a")
    ledger.manifest_completes(asked(ledger, 1))
    arrive(ledger, 2, "a")
    clock.pass_s(600)
    assert settled(ledger) == 0
    ledger.sender_left("a", Ending.RELEASED)
    assert settled(ledger) == 0
    clock.pass_s(6)
    assert settled(ledger) == 1


def test_attempts_come_later_and_later_and_end(ledger, clock):
    one, waits = asked(ledger, 1), []
    while ledger.commitment_missed(one, retry_s=5, for_s=86_400) is CommitmentState.PENDING:
        assert ledger.due_commitments() == ()
        with ledger.engine.connect() as connection:
            due_at = connection.scalar(select(commitments.c.next_at))
        waits.append((due_at - clock.now).total_seconds())
        clock.now = due_at
        (one,) = ledger.due_commitments()
    assert waits[:5] == [5, 10, 20, 40, 80]
    assert max(waits) == 3600
    assert timedelta(0) <= clock.now - one.requested_at - timedelta(days=1) < timedelta(hours=1)
    assert ledger.commitments_by_state() == {"pending": 0, "reported": 0, "abandoned": 1}


def test_the_same_transaction_again_starts_over(ledger):
    ledger.commitment_reported(asked(ledger, 1))
    assert asked(ledger, 1, 2).manifest == ((CT, f"{STUDY}.1.1"), (CT, f"{STUDY}.1.2"))
    assert ledger.commitments_by_state()["reported"] == 0
