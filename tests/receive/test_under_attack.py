"""Every attack of the threat list, going on again and again, while another peer gets its C-ECHO within a second.

What each attack must not achieve is in test_attacks, test_node and test_tls; here it is about everybody else.
"""

import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fairlead.receive import DicomNode
from receive.builders import STUDY, a_slice, archived, encoded, quick, running, served_within_a_second, wait_for
from receive.raw import associate_request, command, connect, established, p_data, pdv, read_pdu, status_in
from receive.test_tls import context, issue, tls

ROUTES = """
routes:
  - {name: scanner, project: default, center: local, calling_ae: [SCANNER, OTHER], from_networks: [127.0.0.1/32, 127.0.0.2/32]}
"""
MOST = 20


@dataclass
class Place:
    """A node under attack, and what the attacker holds open."""

    node: DicomNode
    port: int
    home: Path
    keys: Path | None = None
    held: list = field(default_factory=list)


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    hospital = issue(folder, "hospital")
    for name, authority in (("node", hospital), ("ct", hospital), ("stranger", issue(folder, "elsewhere"))):
        issue(folder, name, authority)
    return folder


@contextmanager
def node(home: Path, **more: object) -> Iterator[Place]:
    (home / "routes.yaml").write_text(ROUTES)
    # The attacker may hold connections for as long as the test takes: nothing here is healed by a timeout.
    limits = {"max_associations": MOST, "max_associations_per_peer": MOST // 2, "acse_timeout_s": 60, "network_timeout_s": 60}
    with running(quick(home / "home", routes=home / "routes.yaml", **limits | more)) as (found, port):
        yield Place(found, port, home)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    with node(tmp_path_factory.mktemp("plain")) as place:
        yield place


@pytest.fixture(scope="module")
def secured(tmp_path_factory, keys):
    with node(tmp_path_factory.mktemp("secured"), tls=tls(keys)) as place:
        place.keys = keys
        yield place


def four_gigabytes(place: Place) -> None:
    with connect(place.port) as raw:
        raw.sendall(struct.pack(">BxL", 1, 0xFFFFFFFF) + bytes(5000))
    with established(place.port) as raw:
        raw.sendall(struct.pack(">BxL", 4, 0xFFFFFFFF) + bytes(5000))


def slow_loris(place: Place) -> None:
    """Open connections that stop in the middle of a PDU, and trickle one byte into each at every round."""
    if len(place.held) < 8:
        place.held.append(connect(place.port))
        place.held[-1].sendall(associate_request()[:20])
        inside = established(place.port)
        inside.sendall(p_data(pdv(3, command(1)))[:20])
        place.held.append(inside)
    for raw in place.held:
        with suppress(OSError):
            raw.sendall(b"\0")


def silent_connections(place: Place) -> None:
    if len(place.held) < 12:
        place.held += [connect(place.port) for _ in range(12)]


def cut_transfers(place: Place) -> None:
    with established(place.port) as raw:
        raw.sendall(p_data(pdv(3, command(1, sop_instance=f"{STUDY}.1.1")), pdv(0, encoded(a_slice())[:100])))


def evil_uids(place: Place) -> None:
    with established(place.port) as raw:
        raw.sendall(p_data(pdv(3, command(1, sop_instance="../../evil")), pdv(2, encoded(a_slice()))))
        assert status_in(read_pdu(raw)[1])[0] == 0xA900


def wrong_title(place: Place) -> None:
    with connect(place.port) as raw:
        raw.sendall(associate_request(calling=b"STRANGER"))
        assert read_pdu(raw)[1][1:] == bytes((1, 1, 3))


def wrong_network(place: Place) -> None:
    with connect(place.port, source="127.0.0.9") as raw:
        raw.sendall(associate_request())
        assert read_pdu(raw)[1][1:] == bytes((1, 1, 3))


def flood(place: Place) -> None:
    """As many associations as one address gets, and then connections without end."""
    while len(place.held) < MOST // 2:
        place.held.append(established(place.port))
    place.held += [connect(place.port) for _ in range(10)]


def silent_tls(place: Place) -> None:
    if len(place.held) < 12:
        place.held.append(connect(place.port))
        if len(place.held) % 2:
            place.held[-1].sendall(b"\x16\x03\x01\x02\x00\x01")  # the begin of a ClientHello


def wrong_certificate(place: Place) -> None:
    secure = context(place.keys, "stranger").wrap_socket
    with suppress(OSError), connect(place.port) as raw, secure(raw, server_hostname="node") as inside:  # either side may meet the refusal
        inside.sendall(associate_request())
        assert inside.recv(10) == b""


@contextmanager
def going_on(attack: Callable[[Place], None], place: Place) -> Iterator[list[Exception]]:
    """Repeat the attack until the end of the block; yield once it has gone through twice. Failures of the attacker are collected."""
    over, rounds, failed = threading.Event(), [], []

    def repeat() -> None:
        while not over.is_set() and len(place.held) < 300:
            try:
                attack(place)
            except Exception as error:
                failed.append(error)
                return
            rounds.append(1)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        wait_for(lambda: len(rounds) >= 2 or failed)
        yield failed
    finally:
        over.set()
        thread.join(timeout=20)
        for raw in place.held:
            raw.close()
        place.held.clear()
        wait_for(lambda: place.node.associations() == 0)


PLAIN = [four_gigabytes, slow_loris, silent_connections, cut_transfers, evil_uids, wrong_title, wrong_network, flood]


@pytest.mark.parametrize("attack", PLAIN, ids=lambda attack: attack.__name__)
def test_another_peer_is_served_while_the_attack_goes_on(plain, attack):
    with going_on(attack, plain) as failed:
        served = [served_within_a_second(plain.port, source="127.0.0.2") for _ in range(3)]
    assert served == [True] * 3
    assert failed == []
    assert served_within_a_second(plain.port)  # the attacker's address, too, once it has stopped
    settings = quick(plain.home / "home")
    assert archived(settings) == []
    assert not list(plain.home.rglob("*evil*"))


@pytest.mark.parametrize("attack", [silent_tls, wrong_certificate], ids=lambda attack: attack.__name__)
def test_another_peer_is_served_over_tls_while_the_attack_goes_on(secured, keys, attack):
    with going_on(attack, secured) as failed:
        served = [served_within_a_second(secured.port, tls=context(keys, "ct"), source="127.0.0.2") for _ in range(3)]
    assert served == [True] * 3
    assert failed == []
