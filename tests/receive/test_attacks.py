"""The attacks of raw sockets: the node closes them out, leaves nothing behind, and still serves others."""

import struct

import pytest

from receive.builders import (
    STUDY,
    a_slice,
    archived,
    association,
    echo,
    echoes,
    encoded,
    quick,
    running,
    send,
    served_within_a_second,
    wait_for,
)
from receive.raw import associate_request, closed, command, connect, established, p_data, pdv, read_pdu, rejection, status_in


@pytest.fixture
def settings(tmp_path):
    return quick(tmp_path / "home")


@pytest.fixture
def node(settings):
    with running(settings) as (found, port):
        found.port = port
        yield found


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
        assert served_within_a_second(node.port)
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
        assert served_within_a_second(node.port)
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
                assert served_within_a_second(port)
                assert closed(raw) == b""
        with established(port) as raw:
            raw.sendall(p_data(pdv(3, command(1)))[:-5])
            assert served_within_a_second(port)
            assert closed(raw) == b""
        wait_for(lambda: node.associations() == 0)


def test_a_peer_that_trickles_bytes_meets_the_same_deadline(tmp_path):
    with running(quick(tmp_path, acse_timeout_s=0.4)) as (_, port), connect(port) as raw:
        request = associate_request()
        raw.sendall(request[:1])
        assert served_within_a_second(port)
        raw.settimeout(0.05)
        for at in range(1, len(request)):
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
        assert served_within_a_second(port)
        assert echo(port) == 0
        for raw in silent:
            raw.close()


def test_one_address_cannot_hold_every_association(tmp_path):
    with running(quick(tmp_path, max_associations=8, max_associations_per_peer=2)) as (_, port):
        with association(port) as first, association(port) as second:
            assert first.is_established
            assert second.is_established
            assert rejection(port) == (2, 3, 2)
        wait_for(lambda: echoes(port))


def test_a_flood_of_connections_is_cut_off_and_then_served_again(tmp_path):
    with running(quick(tmp_path, max_associations=2, max_associations_per_peer=2, acse_timeout_s=0.5)) as (node, port):
        flood = [connect(port) for _ in range(100)]
        wait_for(lambda: node.associations() == 0)
        wait_for(lambda: echoes(port))
        for raw in flood:
            raw.close()


def test_a_transfer_that_is_cut_leaves_no_part_file(node, settings):
    for _ in range(5):
        raw = established(node.port)
        raw.sendall(p_data(pdv(3, command(1, sop_instance=f"{STUDY}.1.1")), pdv(0, encoded(a_slice())[:100])))
        assert served_within_a_second(node.port)
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
