"""The node on loopback: pynetdicom as an independent sender, raw sockets as the attackers of the facts file."""

import hashlib
import logging
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom import AE

from fairlead.errors import PortInUse
from fairlead.receive import DicomNode, node_status
from fairlead.receive.part10 import read_layout
from fairlead.receive.sink import dataset_sha256
from fairlead.records import SeriesState
from receive.builders import (
    CT,
    EXPLICIT,
    IMPLICIT,
    STUDY,
    a_slice,
    association,
    encoded,
    ledger_of,
    quick,
    running,
    send,
    send_bytes,
    wait_for,
)

ECHO = "1.2.840.10008.1.1"


def echo(port: int) -> int:
    with association(port, (ECHO, IMPLICIT)) as peer:
        assert peer.is_established
        return peer.send_c_echo().Status


def archived(settings) -> list[Path]:
    return sorted((settings.archive_folder / "objects").rglob("*.dcm"))


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


def test_no_patient_is_in_a_log_line(node, caplog):
    caplog.set_level(logging.DEBUG, logger="fairlead")
    with association(node.port) as peer:
        send(peer, a_slice(1))
        send_bytes(peer, encoded(a_slice(2)), sop_class=CT, sop_instance="1.2.3")
        send_bytes(peer, encoded(a_slice(2))[:150], sop_class=CT, sop_instance="1.2.3")
    wait_for(lambda: "released" in caplog.text)
    assert "refused" in caplog.text
    assert not re.search("Doe|Jane|secret-id", caplog.text)


# --- hostile peers: the node still serves others


def connect(port: int) -> socket.socket:
    raw = socket.create_connection(("127.0.0.1", port), timeout=10)
    raw.settimeout(10)
    return raw


def closed(raw: socket.socket) -> bytes:
    """Return everything the node still says until it closes the connection."""
    said = b""
    try:
        while more := raw.recv(4096):
            said += more
    except ConnectionResetError:
        pass
    return said


def rejection(port: int, **request: bytes) -> tuple[int, int, int]:
    """Return (result, source, reason) of the A-ASSOCIATE-RJ; pynetdicom's requestor sometimes misses a quick one."""
    with connect(port) as raw:
        raw.sendall(associate_request(**request))
        kind, body = read_pdu(raw)
        assert kind == 3
        return body[1], body[2], body[3]


def associate_request(calling=b"SCANNER", called=b"FAIRLEAD", application=b"1.2.840.10008.3.1.1.1") -> bytes:
    def item(kind: int, body: bytes) -> bytes:
        return struct.pack(">BxH", kind, len(body)) + body

    body = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16), calling.ljust(16)) + item(0x10, application)
    body += item(0x20, struct.pack(">Bxxx", 1) + item(0x30, CT.encode()) + item(0x40, EXPLICIT.encode()))
    body += item(0x50, item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3.4"))
    return struct.pack(">BxL", 1, len(body)) + body


def read_pdu(raw: socket.socket) -> tuple[int, bytes]:
    def exactly(count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = raw.recv(count - len(data))
            assert more, "the node closed the connection"
            data += more
        return data

    kind, length = struct.unpack(">BxL", exactly(6))
    return kind, exactly(length)


def command(field: int, *, sop_class: str = CT, sop_instance: str = "1.2.3", data_set: int = 0) -> bytes:
    def element(number: int, value: bytes) -> bytes:
        return struct.pack("<HHL", 0, number, len(value)) + value

    def text(value: str) -> bytes:
        return value.encode() + b"\0" * (len(value) % 2)

    body = element(2, text(sop_class)) + element(0x100, struct.pack("<H", field)) + element(0x110, b"\1\0")
    body += element(0x700, b"\2\0") + element(0x800, struct.pack("<H", data_set)) + element(0x1000, text(sop_instance))
    return element(0, struct.pack("<L", len(body))) + body


def pdv(control: int, data: bytes, context: int = 1) -> bytes:
    return struct.pack(">LBB", len(data) + 2, context, control) + data


def p_data(*pdvs: bytes) -> bytes:
    body = b"".join(pdvs)
    return struct.pack(">BxL", 4, len(body)) + body


def established(port: int) -> socket.socket:
    raw = connect(port)
    raw.sendall(associate_request())
    assert read_pdu(raw)[0] == 2
    return raw


def status_in(answer: bytes) -> tuple[int, str]:
    status = struct.unpack_from("<H", answer, answer.index(struct.pack("<HHL", 0, 0x900, 2)) + 8)[0]
    at = answer.find(struct.pack("<HH", 0, 0x902))
    return status, answer[at + 8 : at + 72].split(b"\0")[0].decode("latin-1") if at >= 0 else ""


def raw_store(port: int, sop_instance: str, data: bytes) -> tuple[int, str]:
    with established(port) as raw:
        raw.sendall(p_data(pdv(3, command(1, sop_instance=sop_instance)), pdv(2, data)))
        answer = status_in(read_pdu(raw)[1])
        raw.sendall(struct.pack(">BxL4x", 5, 4))
        assert read_pdu(raw)[0] == 6
        return answer


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


ATTACKS = {
    "a web browser": b"GET / HTTP/1.1\r\nHost: node\r\n\r\n",
    "4 GiB announced before the association": struct.pack(">BxL", 1, 0xFFFFFFFF) + bytes(100),
    "an unknown PDU": struct.pack(">BxL", 0x42, 4) + bytes(4),
    "data before an association": p_data(pdv(3, command(1))),
    "a request that is noise": struct.pack(">BxL", 1, 200) + b"\xff" * 200,
    "a request with a truncated item": (lambda r: struct.pack(">BxL", 1, len(r) - 16) + r[6:-10])(associate_request()),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_who_does_not_speak_dicom_is_refused_and_others_are_served(node, attack):
    with connect(node.port) as raw:
        raw.sendall(attack)
        said = closed(raw)
    assert said == b"" or said[0] in (3, 7)
    assert echo(node.port) == 0


INSIDE = {
    "a PDU over the cap": struct.pack(">BxL", 4, 0x7FFFFFFF),
    "a PDV longer than its PDU": struct.pack(">BxL", 4, 6) + struct.pack(">LBB", 5000, 1, 3),
    "half a PDV header": struct.pack(">BxL", 4, 3) + bytes(3),
    "a second association request": associate_request(),
    "a data set without a command": p_data(pdv(2, b"abcd")),
    "a context that is not open": p_data(pdv(3, command(0x30, data_set=0x101), context=9)),
    "a command that is noise": p_data(pdv(3, b"\xff" * 20)),
    "a command cut inside an element": p_data(pdv(3, b"\0\0\0\1")),
    "a command without a command": p_data(pdv(3, struct.pack("<HHLH", 0, 0x800, 2, 0x101))),
    "a message id that is a text": p_data(pdv(3, struct.pack("<HHL4s", 0, 0x110, 4, b"abcd"))),
    "a command inside a data set": p_data(pdv(3, command(1)), pdv(3, command(1))),
    "a release inside a data set": p_data(pdv(3, command(1)), pdv(0, b"ab")) + struct.pack(">BxL4x", 5, 4),
    "a command without end": p_data(pdv(1, bytes(60_000))) + p_data(pdv(1, bytes(60_000))),
}


@pytest.mark.parametrize("attack", INSIDE.values(), ids=INSIDE.keys())
def test_a_peer_that_breaks_the_protocol_inside_an_association_is_aborted_and_leaves_nothing(node, settings, attack):
    with established(node.port) as raw:
        raw.sendall(attack)
        assert closed(raw)[:1] == b"\x07"
    wait_for(lambda: node.associations() == 0)
    assert echo(node.port) == 0
    assert archived(settings) == list((settings.archive_folder / ".incoming").iterdir()) == []


def test_an_operation_that_is_not_offered_is_answered_and_the_association_goes_on(node):
    with established(node.port) as raw:
        raw.sendall(p_data(pdv(3, command(0x0FFF, data_set=0x101))))
        raw.sendall(p_data(pdv(3, command(0x20)), pdv(2, b"identifier")))
        assert status_in(read_pdu(raw)[1])[0] == 0x0211
        raw.sendall(p_data(pdv(3, command(1, data_set=0x101))))
        assert status_in(read_pdu(raw)[1]) == (0xC000, "The request has no data set.")
        raw.sendall(p_data(pdv(3, command(1, sop_class="1.2.840.10008.5.1.4.1.1.4")), pdv(2, encoded(a_slice()))))
        assert status_in(read_pdu(raw)[1]) == (0xA900, "The SOP class is not the negotiated one.")
        raw.sendall(p_data(pdv(3, command(0x30, data_set=0x101))))
        assert status_in(read_pdu(raw)[1])[0] == 0


def test_a_peer_that_sends_half_a_pdu_is_closed_at_the_deadline(tmp_path):
    with running(quick(tmp_path, acse_timeout_s=0.3, network_timeout_s=0.3)) as (node, port):
        for half in (b"\x01", struct.pack(">BxL", 1, 100) + b"half"):
            with connect(port) as raw:
                raw.sendall(half)
                assert closed(raw) == b""
        with established(port) as raw:
            raw.sendall(p_data(pdv(3, command(1)))[:-5])
            assert closed(raw) == b""
        wait_for(lambda: node.associations() == 0)


def test_a_peer_that_trickles_bytes_meets_the_same_deadline(tmp_path):
    with running(quick(tmp_path, acse_timeout_s=0.4)) as (_, port), connect(port) as raw:
        request = associate_request()
        raw.settimeout(0.05)
        for at in range(len(request)):
            try:
                raw.sendall(request[at : at + 1])
                if raw.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("the node waited for the whole request")
        assert at < len(request) - 1


def test_silent_connections_do_not_use_up_the_associations_of_others(tmp_path):
    with running(quick(tmp_path, max_associations=4, max_associations_per_peer=4, acse_timeout_s=30)) as (node, port):
        silent = [connect(port) for _ in range(12)]
        wait_for(lambda: node.associations() == 12)
        assert echo(port) == 0
        for raw in silent:
            raw.close()


def test_one_address_cannot_hold_every_association(tmp_path):
    with running(quick(tmp_path, max_associations=8, max_associations_per_peer=2)) as (_, port):
        with association(port) as first, association(port) as second:
            assert first.is_established
            assert second.is_established
            assert rejection(port) == (2, 3, 2)
        wait_for(lambda: _echoes(port))


def _echoes(port: int) -> bool:
    with association(port, (ECHO, IMPLICIT)) as peer:
        return bool(peer.is_established and peer.send_c_echo().Status == 0)


def test_a_flood_of_connections_is_cut_off_and_then_served_again(tmp_path):
    with running(quick(tmp_path, max_associations=2, max_associations_per_peer=2, acse_timeout_s=0.5)) as (node, port):
        flood = [connect(port) for _ in range(100)]
        wait_for(lambda: node.associations() == 0)
        wait_for(lambda: _echoes(port))
        for raw in flood:
            raw.close()


def test_a_transfer_that_is_cut_leaves_no_part_file(node, settings):
    for _ in range(5):
        raw = established(node.port)
        raw.sendall(p_data(pdv(3, command(1, sop_instance=f"{STUDY}.1.1")), pdv(0, encoded(a_slice())[:100])))
        raw.close()
    wait_for(lambda: node.associations() == 0)
    assert list((settings.archive_folder / ".incoming").iterdir()) == []
    assert archived(settings) == []


def test_an_unforeseen_failure_ends_one_association_and_not_the_node(node, monkeypatch):
    monkeypatch.setattr(node._doorway.sink, "store", lambda *a, **k: 1 / 0)
    with association(node.port) as peer:
        raw = established(node.port)
        raw.sendall(p_data(pdv(3, command(1, sop_instance=f"{STUDY}.1.1")), pdv(2, encoded(a_slice()))))
        assert closed(raw)[:1] == b"\x07"
        raw.close()
        monkeypatch.undo()
        assert send(peer, a_slice()) == 0


# --- start, stop, crash


def test_a_port_in_use_is_named(node, tmp_path):
    with pytest.raises(PortInUse, match=f"Port {node.port}"):
        DicomNode(quick(tmp_path / "second", port=node.port)).start()


def test_stopping_lets_an_open_association_finish(tmp_path):
    node = DicomNode(quick(tmp_path))
    _, port = node.start()
    with association(port) as peer:
        silent = connect(port)
        wait_for(lambda: node.associations() == 2)
        stopping = threading.Thread(target=node.stop, kwargs={"grace_s": 10})
        stopping.start()
        assert closed(silent) == b""
        silent.close()
        assert send(peer, a_slice()) == 0
    stopping.join(timeout=10)
    assert not stopping.is_alive()
    assert node_status(quick(tmp_path)).associations == 0
    with pytest.raises(ConnectionRefusedError):
        connect(port)


started: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _no_process_outlives_its_test():
    yield
    while started:
        process = started.pop()
        process.kill()
        process.communicate(timeout=10)


def start_process(home: Path, **more: str) -> tuple[subprocess.Popen[str], int]:
    environment = os.environ | {
        "FAIRLEAD_HOME": str(home),
        "FAIRLEAD_NODE__PORT": "0",
        "FAIRLEAD_NODE__LOW_WATER_BYTES": "0",
        "FAIRLEAD_NODE__SETTLE_AFTER_S": "0.2",
        "FAIRLEAD_NODE__QUIET_AFTER_S": "0.4",
        **more,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "fairlead.cli", "node"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    started.append(process)
    ready = process.stdout.readline()
    assert re.fullmatch(r"listening 127\.0\.0\.1:\d+ FAIRLEAD\n", ready), process.stderr.read()
    return process, int(ready.split(":")[1].split()[0])


def finish(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[int, str]:
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    started.remove(process)
    return process.returncode, errors


def test_the_command_says_when_it_is_ready_and_ends_well_on_sigterm(tmp_path):
    process, port = start_process(tmp_path)
    assert echo(port) == 0
    assert (tmp_path / "watch").is_dir()
    status, errors = finish(process)
    assert status == 0
    assert "Traceback" not in errors


def test_the_command_exits_with_3_when_the_port_is_in_use(node, tmp_path):
    environment = os.environ | {"FAIRLEAD_HOME": str(tmp_path / "x"), "FAIRLEAD_NODE__PORT": str(node.port)}
    done = subprocess.run([sys.executable, "-m", "fairlead.cli", "node"], env=environment, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (3, "")
    assert "port-in-use" in done.stderr
    assert str(node.port) in done.stderr


def _settled(counts: dict[SeriesState, int]) -> bool:
    return counts[SeriesState.COMPLETE] > 0 and counts[SeriesState.RECEIVING] == counts[SeriesState.SETTLING] == 0


def test_kill_minus_nine_during_parallel_transfers_loses_no_acknowledged_object(tmp_path):
    home = tmp_path / "home"
    acknowledged: dict[str, str] = {}

    def sender(port: int, series: int) -> None:
        with association(port) as peer:
            for number in range(1, 2000):
                image = a_slice(number, series=series, pixels=bytes([series]) * 50_000)
                try:
                    status = send(peer, image)
                except (AttributeError, RuntimeError, StopIteration):
                    return  # the node is gone: this one was not acknowledged
                if status == 0:
                    acknowledged[image.SOPInstanceUID] = hashlib.sha256(encoded(image)).hexdigest()
                else:
                    return

    for turn in range(2):
        process, port = start_process(home)
        before = len(acknowledged)
        senders = [threading.Thread(target=sender, args=(port, turn * 10 + series)) for series in range(1, 5)]
        for thread in senders:
            thread.start()
        wait_for(lambda before=before: len(acknowledged) > before + 20, within_s=60)
        finish(process, signal.SIGKILL)
        for thread in senders:
            thread.join(timeout=20)
    assert len(acknowledged) > 40

    process, _ = start_process(home)
    with ledger_of(quick(home)) as ledger:
        wait_for(lambda: _settled(ledger.counts()), within_s=60)  # completion resumed after the restart
        claimed = ledger.claim_series(99, claimant="test")
    finish(process)
    stored = {instance.sop_instance_uid: instance for series in claimed for instance in series.instances}
    archive = quick(home).archive_folder
    assert list((archive / ".incoming").iterdir()) == []
    for uid, sha256 in acknowledged.items():
        assert stored[uid].sha256 == sha256 == dataset_sha256(archive / stored[uid].path)
    assert len(list((archive / "objects").rglob("*.dcm"))) == len(stored)


def test_start_deletes_parts_and_adopts_an_object_without_a_row(settings):
    with running(settings) as (node, port):
        with association(port) as peer:
            send(peer, a_slice(1))
            send(peer, a_slice(2))
        wait_for(lambda: node.ledger.open_associations() == 0)
        with node.ledger.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM instances WHERE sop_instance_uid LIKE '%.1.2'")
    (settings.archive_folder / ".incoming" / "dead.part").write_bytes(b"half")
    with running(settings) as (node, _):
        assert list((settings.archive_folder / ".incoming").iterdir()) == []
        node.ledger.settle(settle_after_s=0, quiet_after_s=0.000001)
        assert len(node.ledger.series_of("default", "local", f"{STUDY}.1").instances) == 2


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
