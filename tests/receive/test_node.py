"""The node on loopback: pynetdicom as an independent sender, raw sockets as the attackers of the facts file."""

import hashlib
import logging
import re
from collections import Counter
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom import AE

from fairlead.receive import node_status
from fairlead.receive.part10 import read_layout
from fairlead.receive.sink import dataset_sha256
from fairlead.records import SeriesState
from receive.builders import (
    CT,
    ECHO,
    EXPLICIT,
    IMPLICIT,
    STUDY,
    a_slice,
    archived,
    association,
    audit_lines,
    echo,
    encoded,
    quick,
    running,
    send,
    send_bytes,
    wait_for,
)
from receive.raw import associate_request, command, connect, established, p_data, pdv, raw_store, read_pdu, rejection, status_in


def state_of(node, number=1):
    with node.ledger.engine.begin() as connection:
        return connection.exec_driver_sql("SELECT state FROM series WHERE series_uid = ?", (f"{STUDY}.{number}",)).scalar()


@pytest.fixture
def settings(tmp_path):
    return quick(tmp_path / "home")


@pytest.fixture
def node(settings):
    with running(settings) as (found, port):
        found.port = port
        yield found


# --- what it is for


def test_an_echo_is_answered(node):
    assert echo(node.port) == 0


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, "1.2.840.10008.1.2.2"])
def test_an_object_is_stored_as_sent(node, settings, syntax):
    with association(node.port, (CT, syntax)) as peer:
        assert send(peer, a_slice(), syntax) == 0
    (path,) = archived(settings)
    assert path.read_bytes().endswith(encoded(a_slice(), syntax))
    assert dcmread(path).file_meta.TransferSyntaxUID == syntax


def test_the_first_syntax_that_is_not_implicit_is_chosen(node):
    ae = AE("SCANNER")
    ae.add_requested_context(CT, [IMPLICIT, "1.2.840.10008.1.2.4.80", EXPLICIT])
    ae.add_requested_context("1.2.840.10008.5.1.4.1.1.4", [IMPLICIT])
    ae.add_requested_context("1.2.840.10008.5.1.4.1.2.1.1", [EXPLICIT])  # Query/Retrieve: not a storage class
    ae.add_requested_context("1.2.826.0.1.3680043.10.99", [EXPLICIT])  # a private storage class; the route allows them
    peer = ae.associate("127.0.0.1", node.port, ae_title="FAIRLEAD")
    chosen = {str(context.abstract_syntax): str(context.transfer_syntax[0]) for context in peer.accepted_contexts}
    peer.release()
    assert chosen == {CT: "1.2.840.10008.1.2.4.80", "1.2.840.10008.5.1.4.1.1.4": IMPLICIT, "1.2.826.0.1.3680043.10.99": EXPLICIT}
    assert [str(context.abstract_syntax) for context in peer.rejected_contexts] == ["1.2.840.10008.5.1.4.1.2.1.1"]


def test_a_series_completes_after_its_sender_released_and_not_before(node, settings):
    with association(node.port) as first, association(node.port) as second:
        assert send(first, a_slice(1)) == send(second, a_slice(2)) == 0
        first.release()
        wait_for(lambda: node.ledger.open_associations() == 1)
        node.ledger.settle(settle_after_s=0, quiet_after_s=0.0001)
        assert state_of(node) in ("receiving", "settling")  # the second one still has it open
    wait_for(lambda: state_of(node) == "complete")
    (series,) = node.ledger.claim_series(9, claimant="test")
    assert [instance.sop_instance_uid for instance in series.instances] == [f"{STUDY}.1.1", f"{STUDY}.1.2"]
    assert (series.route.calling_ae, series.route.called_ae, series.route.peer) == ("SCANNER", "FAIRLEAD", "127.0.0.1")
    assert node_status(settings).series[SeriesState.COMPLETE] == 1


def test_a_late_slice_opens_the_next_generation_and_a_resend_does_not(node):
    with association(node.port) as peer:
        send(peer, a_slice(1))
    wait_for(lambda: state_of(node) == "complete")
    (first,) = node.ledger.claim_series(9, claimant="test")
    node.ledger.series_indexed(first)
    with association(node.port) as peer:
        assert send(peer, a_slice(1)) == 0
    assert state_of(node) == "indexed"
    with association(node.port) as peer:
        assert send(peer, a_slice(2)) == 0
    wait_for(lambda: state_of(node) == "complete")
    (second,) = node.ledger.claim_series(9, claimant="test")
    assert len(second.instances) == 2
    assert second.generation != first.generation


def test_after_an_abort_the_series_waits_longer(node):
    with association(node.port) as peer:
        send(peer, a_slice(1))
        peer.abort()
    wait_for(lambda: state_of(node) == "settling")
    assert node.ledger.settle(settle_after_s=0, quiet_after_s=1000) == 0
    assert node.ledger.settle(settle_after_s=0, quiet_after_s=0.000001) == 1


def test_the_called_title_chooses_the_project(node):
    with association(node.port, called="kp-heart") as peer:
        send(peer, a_slice(1))
    wait_for(lambda: node.ledger.counts()[SeriesState.COMPLETE] == 1)
    assert node.ledger.series_of("heart", "local", f"{STUDY}.1").route.project == "heart"


# --- statuses


@pytest.mark.parametrize(
    ("sop_instance", "data", "status", "comment"),
    [
        ("../evil", encoded(a_slice()), 0xA900, "SOP Instance UID differs"),
        ("1.2.3", encoded(a_slice()), 0xA900, "SOP Instance UID differs"),
        (f"{STUDY}.1.1", encoded(a_slice())[:40], 0xC000, "ends inside|claims more"),
        (f"{STUDY}.1.1", b"", 0xC000, "neither a SOP class"),
    ],
)
def test_a_bad_object_gets_its_status_and_the_association_goes_on(node, settings, sop_instance, data, status, comment):
    with association(node.port) as peer:
        found, text = (
            raw_store(node.port, sop_instance, data)
            if sop_instance == "../evil" or not data
            else send_bytes(peer, data, sop_class=CT, sop_instance=sop_instance)
        )
        assert found == status
        assert re.search(comment, text)
        assert send(peer, a_slice(7)) == 0
    assert len(archived(settings)) == 1
    assert not list(settings.home_folder.parent.rglob("*evil*"))
    assert len(node_status(settings).quarantine) == 1


def test_an_object_under_another_series_is_refused_with_its_reason(node):
    other = a_slice(1)
    other.SeriesInstanceUID = "1.2.3"
    with association(node.port) as peer:
        assert send(peer, a_slice(1)) == 0
        status, comment = send_bytes(peer, encoded(other), sop_class=CT, sop_instance=other.SOPInstanceUID)
    assert (status, comment) == (0xC000, "The SOP instance is known under another series.")


def test_an_object_over_the_limit_is_refused_and_the_next_is_not(tmp_path):
    with running(quick(tmp_path, max_instance_bytes=50_000)) as (_, port), association(port) as peer:
        big = a_slice(1, pixels=bytes(200_000))
        assert send(peer, big) == 0xC000
        assert send(peer, a_slice(2)) == 0


def test_senders_that_together_have_too_much_under_way_are_told_to_come_again(tmp_path):
    with running(quick(tmp_path, max_bytes_in_flight=100_000)) as (node, port), association(port) as peer:
        slow = established(port)
        half = encoded(a_slice(1, pixels=bytes(80_000)))
        slow.sendall(p_data(pdv(3, command(1, sop_instance=f"{STUDY}.1.1")), pdv(0, half[:60_000])))
        wait_for(lambda: node._doorway.sink.in_flight.total == 60_000)
        big = a_slice(2, pixels=bytes(60_000))
        assert send_bytes(peer, encoded(big), sop_class=CT, sop_instance=big.SOPInstanceUID)[0] == 0xA700
        assert send(peer, a_slice(3)) == 0  # what fits beside it is taken
        slow.sendall(p_data(pdv(2, half[60_000:])))
        assert status_in(read_pdu(slow)[1])[0] == 0
        slow.close()
        assert send(peer, big) == 0
        assert send(peer, a_slice(4, pixels=bytes(200_000))) == 0  # alone, an object is never too much
        assert node._doorway.sink.in_flight.total == 0


def test_one_title_cannot_hold_every_association_wherever_it_calls_from(tmp_path):
    routes = tmp_path / "routes.yaml"
    rule = "{{name: {0}, project: p, center: c, calling_ae: [{0}], from_networks: [127.0.0.0/8]{1}}}"
    routes.write_text(f"routes: [{rule.format('CT1', ', max_associations: 1')}, {rule.format('CT2', '')}]")
    with running(quick(tmp_path / "home", routes=routes, max_associations_per_title=2)) as (_, port):
        held = []
        for calling, most in ((b"CT1", 1), (b"CT2", 2)):
            for number in range(most):
                held.append(connect(port, source=f"127.0.0.{number + 1}"))
                held[-1].sendall(associate_request(calling=calling))
                assert read_pdu(held[-1])[0] == 2
            assert rejection(port, source="127.0.0.9", calling=calling) == (2, 3, 2)
        for raw in held:
            raw.close()


def test_when_the_ledger_is_away_the_sender_is_told_to_keep_the_object(node, settings):
    with association(node.port) as peer:
        with node.ledger.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE instances RENAME TO hidden")
        assert send(peer, a_slice(1)) == 0xA700
        with node.ledger.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE hidden RENAME TO instances")
        assert send(peer, a_slice(1)) == 0
    assert len(archived(settings)) == 1


def test_below_the_low_water_mark_new_associations_are_refused_for_the_moment(tmp_path):
    with running(quick(tmp_path, low_water_bytes=2**62)) as (_, port):
        assert rejection(port) == (2, 3, 1)


def test_whoever_is_not_listed_is_rejected(tmp_path):
    routes = tmp_path / "routes.yaml"
    routes.write_text("routes: [{name: ct, project: p, center: c, calling_ae: [CT1], from_networks: [127.0.0.1/32]}]")
    with running(quick(tmp_path / "home", routes=routes)) as (_, port):
        assert rejection(port, calling=b"CT2") == (1, 1, 3)
        assert rejection(port, calling=b"CT1", called=b"OTHER") == (1, 1, 7)
        assert rejection(port, calling=b"CT1", called=b"kp-secret") == (1, 1, 7)
        assert rejection(port, calling=b"CT1", application=b"1.2.3") == (1, 1, 2)
        with association(port, calling="CT1") as peer:
            assert send(peer, a_slice()) == 0


def test_a_sender_at_an_address_that_no_route_lists_is_rejected(tmp_path):
    routes = tmp_path / "routes.yaml"
    routes.write_text("routes: [{name: far, project: p, center: c, from_networks: [10.0.0.0/8]}]")
    with running(quick(tmp_path / "home", routes=routes)) as (_, port):
        assert rejection(port) == (1, 1, 3)


def test_no_patient_is_in_a_log_line(node, caplog):
    caplog.set_level(logging.DEBUG, logger="fairlead")
    with association(node.port) as peer:
        send(peer, a_slice(1))
        send_bytes(peer, encoded(a_slice(2)), sop_class=CT, sop_instance="1.2.3")
        send_bytes(peer, encoded(a_slice(2))[:150], sop_class=CT, sop_instance="1.2.3")
    wait_for(lambda: "released" in caplog.text)
    assert "refused" in caplog.text
    assert not re.search("Doe|Jane|secret-id", caplog.text)


# --- the wire


def test_command_and_data_set_in_one_pdu_and_in_single_bytes_are_the_same(node, settings):
    data = encoded(a_slice())
    assert raw_store(node.port, f"{STUDY}.1.1", data) == (0, "")
    with established(node.port) as raw:
        told = command(1, sop_instance=f"{STUDY}.1.1")
        raw.sendall(p_data(pdv(1, told[:9])) + p_data(pdv(3, told[9:])))
        raw.sendall(b"".join(p_data(pdv(0, data[at : at + 1])) for at in range(len(data) - 1)) + p_data(pdv(2, data[-1:])))
        assert status_in(read_pdu(raw)[1]) == (0, "")
    assert node.ledger.counter("instances_unchanged") == 1
    assert len(archived(settings)) == 1


# --- every real file


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")  # some of the files are broken on purpose
def test_every_real_object_is_taken_over_the_network_bit_for_bit_or_refused_with_a_status(node, settings, data):
    found = [d for d in map(_description, sorted(p for p in (data / "dicom").rglob("*") if p.is_file())) if d is not None]
    contexts = sorted({(sop_class, syntax) for sop_class, _, syntax, _ in found})
    statuses: Counter[int] = Counter()
    sent = set()
    assert len(contexts) <= 128
    with association(node.port, *contexts) as peer:
        for sop_class, sop_instance, syntax, body in found:
            status, _ = send_bytes(peer, body, sop_class=sop_class, sop_instance=sop_instance, syntax=syntax)
            statuses[status] += 1
            if status == 0:
                sent.add(hashlib.sha256(body).hexdigest())
    assert {dataset_sha256(path) for path in archived(settings)} == sent
    assert len(found) == statuses.total() == 399
    assert statuses == {0: 392, 0xC000: 7}


def _description(path: Path):
    with path.open("rb") as file:
        size = path.stat().st_size
        if size < 140:
            return None
        image = dcmread(path, stop_before_pixels=True, force=True)
        meta = image.file_meta
        if "TransferSyntaxUID" not in meta or not image.get("SOPClassUID") or not image.get("SOPInstanceUID"):
            return None
        file.seek(read_layout(file, size=size).offset)
        if image.SOPClassUID == "1.2.840.10008.1.3.10":  # a DICOMDIR is not a storage object
            return None
        return str(image.SOPClassUID), str(image.SOPInstanceUID), str(meta.TransferSyntaxUID), file.read()


# --- routes read again, limits of a route, audit


def test_routes_are_read_again_on_request_and_broken_ones_change_nothing(tmp_path):
    routes, rule = (
        tmp_path / "routes.yaml",
        "routes: [{{name: ct, project: p, center: c, calling_ae: [{}], from_networks: [127.0.0.1/32]}}]",
    )
    routes.write_text(rule.format("CT1"))
    with running(quick(tmp_path / "home", routes=routes)) as (node, port):
        assert rejection(port, calling=b"CT2") == (1, 1, 3)
        routes.write_text(rule.format("CT2"))
        node.reload()
        wait_for(lambda: "CT2" in node._doorway.routes.rules[0].calling_ae)
        assert rejection(port, calling=b"CT1") == (1, 1, 3)
        routes.write_text("routes: 7")
        node.reload()
        wait_for(lambda: not node._reload.is_set())
        assert rejection(port, calling=b"CT1") == (1, 1, 3)


def test_a_route_may_name_the_classes_it_takes(tmp_path):
    routes = tmp_path / "routes.yaml"
    routes.write_text(f"routes: [{{name: ct, project: p, center: c, from_networks: [127.0.0.0/8], sop_classes: [{CT}]}}]")
    ae = AE("SCANNER")
    for sop_class in (CT, "1.2.840.10008.5.1.4.1.1.4"):
        ae.add_requested_context(sop_class, EXPLICIT)
    with running(quick(tmp_path / "home", routes=routes)) as (_, port):
        peer = ae.associate("127.0.0.1", port, ae_title="FAIRLEAD")
        accepted = [str(context.abstract_syntax) for context in peer.accepted_contexts]
        peer.release()
    assert accepted == [CT]


def test_the_audit_trail_tells_who_was_refused_and_who_broke_off(node, settings):
    rejection(node.port, called=b"OTHER")
    established(node.port).close()
    wait_for(lambda: len(audit_lines(settings)) == 2)
    assert [(line["result"], line["calling_ae"], line["called_ae"]) for line in audit_lines(settings)] == [
        ("rejected", "SCANNER", "OTHER"),
        ("aborted", "SCANNER", "FAIRLEAD"),
    ]


def test_the_port_of_the_health_check_serves_nobody_else_and_only_echoes(node):
    node._doorway.health_title = "A-SECRET"
    with association(node.port, (ECHO, IMPLICIT), (CT, EXPLICIT), calling="A-SECRET") as peer:
        assert [str(context.abstract_syntax) for context in peer.accepted_contexts] == [ECHO]
        assert peer.send_c_echo().Status == 0
        assert node.ledger.open_associations() == 0
