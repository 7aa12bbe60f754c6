"""Several processes behind one port: one set of limits, one truth about open series, and nothing lost with a worker."""

import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from fairlead.errors import ServiceUnreachable, StorageFull
from fairlead.receive import DicomNode
from fairlead.receive.listening import Listener
from fairlead.receive.places import SPARE, Places
from fairlead.receive.workers import Workers, sign_in
from fairlead.records import SeriesState
from receive.builders import (
    ROUTE,
    STUDY,
    a_slice,
    archived,
    association,
    audit_lines,
    encoded,
    quick,
    running,
    send,
    served_within_a_second,
    wait_for,
)
from receive.raw import command, connect, established, p_data, pdv, rejection
from receive.test_crash import everything_acknowledged_is_there, finish, send_until_it_dies, start_process

WORKERS = 2


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(pid: int) -> list[int]:
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def serves(pid: int) -> bool:
    return len(list(Path(f"/proc/{pid}/task").iterdir())) > 1  # the one that listens, and the one that tells


def send_until(over: threading.Event, port: int, series: int, acknowledged: dict[str, str]) -> None:
    """Send like a sender that comes again when it lost its association, or was told to; one that waited in vain is no reason to give up."""
    while not over.wait(0.05):
        send_until_it_dies(port, series, acknowledged)


def half_an_object(port: int, number: int):
    raw = established(port)
    raw.sendall(p_data(pdv(3, command(1, sop_instance=f"{STUDY}.1.{number}")), pdv(0, encoded(a_slice(number))[:100])))
    return raw


def test_workers_share_limits_series_and_numbers_and_one_that_dies_is_replaced(tmp_path):
    settings = quick(tmp_path / "home", workers=WORKERS, max_associations=3, max_associations_per_peer=3)
    with running(settings) as (node, port):
        wait_for(lambda: len(node.workers()) == WORKERS, within_s=90)
        with association(port) as first, association(port) as second:  # the least loaded takes the next: one each
            assert [send(first, a_slice(1)), send(second, a_slice(2))] == [0, 0]
            cut = half_an_object(port, 3)
            assert rejection(port) == (2, 3, 2)  # the limit is the node's, not a worker's
            before = node.workers()
            first.release()
            wait_for(lambda: node.ledger.counts()[SeriesState.SETTLING] == 1)
            assert node.ledger.settle(settle_after_s=1e-9, quiet_after_s=1e-9) == 0  # another worker has the series open
            os.kill(before[0], signal.SIGKILL)
            os.kill(before[1], signal.SIGKILL)
            wait_for(lambda: not set(before) & set(node.workers()))
            cut.close()
        assert served_within_a_second(port)
        wait_for(lambda: node.ledger.open_associations() == 0 == node.associations())
        assert list((settings.archive_folder / ".incoming").glob("*.part")) == []
        with association(port) as again:
            assert send(again, a_slice(3)) == 0
        node.ledger.settle(settle_after_s=1e-9, quiet_after_s=1e-9)
        wait_for(lambda: node.ledger.counts()[SeriesState.COMPLETE] == 1)
        wait_for(lambda: 'instances_total{calling_ae="SCANNER",result="0000"} 3' in node._doorway.metrics.text(()))
        assert "fairlead_node_workers_lost_total 2" in node._doorway.metrics.text(())
        assert len(archived(settings)) == 3
        assert {path.name for path in settings.archive_folder.iterdir()} == {".incoming", "audit", "objects", "quarantine"}
        results = sorted(line["result"] for line in audit_lines(settings))
        assert results == ["lost", "lost", "rejected", "released", "released", "released"]


def test_killed_workers_and_a_killed_node_lose_no_acknowledged_object(tmp_path):
    home, acknowledged = tmp_path / "home", {}
    process, port = start_process(home, FAIRLEAD_NODE__WORKERS=str(WORKERS), FAIRLEAD_LOG__LEVEL="ERROR")
    wait_for(lambda: [serves(pid) for pid in children(process.pid)] == [True] * WORKERS, within_s=90)
    senders: list[threading.Thread] = []
    over = threading.Event()
    for turn in range(2):
        more = [threading.Thread(target=send_until, args=(over, port, turn * 8 + number, acknowledged)) for number in range(1, 9)]
        senders += more
        goal = len(acknowledged) + 24
        for thread in more:
            thread.start()
        wait_for(lambda goal=goal: len(acknowledged) >= goal, within_s=60)
        victims = children(process.pid)
        os.kill(process.pid if turn else victims[0], signal.SIGKILL)
        wait_for(lambda gone=victims[0]: not is_alive(gone))  # without a parent nobody goes on
    over.set()
    for thread in senders:
        thread.join(timeout=20)
        assert not thread.is_alive()
    everything_acknowledged_is_there(home, acknowledged, series=16)


def test_a_dead_worker_has_one_line_for_each_association_however_long_the_ledger_takes(tmp_path, monkeypatch):
    with running(quick(tmp_path / "home")) as (node, _):
        node.ledger.association_opened("deadbeef" + "0" * 24, ROUTE)
        with monkeypatch.context() as patch:
            patch.setattr(node.ledger, "worker_lost", lambda _key: (_ for _ in ()).throw(StorageFull("There is no space left.")))
            for _ in range(3):
                node._bury("deadbeef")
            patch.setattr(node.ledger, "worker_lost", lambda _key: (_ for _ in ()).throw(PermissionError(13, "closed")))
            node._bury("deadbeef")  # its keeper, who calls, must live on to replace it
        assert node.ledger.open_associations() == 1
        node._bury("deadbeef")
        assert node.ledger.open_associations() == 0
    assert [line["result"] for line in audit_lines(node.settings)] == ["lost"]


def test_signals_reach_the_workers_and_open_associations_finish(tmp_path):
    routes = tmp_path / "routes.yaml"
    rule = "routes: [{{name: ct, project: p, center: c, calling_ae: [{}], from_networks: [127.0.0.1/32]}}]"
    routes.write_text(rule.format("CT1"))
    process, port = start_process(tmp_path / "home", FAIRLEAD_NODE__ROUTES=str(routes), FAIRLEAD_NODE__WORKERS=str(WORKERS))
    assert rejection(port) == (1, 1, 3)
    routes.write_text(rule.format("SCANNER"))
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: all(admitted(port) for _ in range(2 * WORKERS)))
    with association(port) as peer:
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: refuses(port))
        assert send(peer, a_slice()) == 0
    status, errors = finish(process)
    assert status == 0
    assert "Traceback" not in errors


def admitted(port: int) -> bool:
    try:
        established(port).close()
    except (AssertionError, OSError):
        return False
    return True


def refuses(port: int) -> bool:
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_node_does_not_start_beside_workers_of_another_one(tmp_path, monkeypatch):
    monkeypatch.setattr("fairlead.receive.workers.ORPHANS_S", 0.1)
    settings = quick(tmp_path / "home")
    with running(settings):
        pass
    handle = sign_in(settings.archive_folder)
    with pytest.raises(ServiceUnreachable, match="another node"):
        DicomNode(settings).start()
    os.close(handle)
    with running(settings):
        pass


class Crewman:
    """A worker as the parent knows it; a dead one takes nothing, and nobody has noticed yet."""

    def __init__(self, key: str, *, dead: bool) -> None:
        self.key, self.dead, self.is_ready, self.served = key, dead, threading.Event(), []
        self.is_ready.set()

    def tell(self, message: dict, *connections: socket.socket) -> bool:
        self.served += [] if self.dead else [message["serve"]]
        return not self.dead


def test_a_connection_is_not_lost_to_a_worker_that_died_a_moment_ago(tmp_path):
    places = Places(most=9, most_per_peer=9)
    workers = Workers(quick(tmp_path / "home"), places=places, doorway=None, bury=lambda _key: None)
    dead, living = Crewman("dead", dead=True), Crewman("living", dead=False)
    places.enter("127.0.0.1", server="living")  # so that the dead one looks least loaded
    workers._crew = [dead, living]
    listener = Listener(None)
    ours, theirs = socket.socketpair()
    assert workers.hand_over(ours, "127.0.0.1", listener)
    assert (len(living.served), places.served_by("dead"), places.served_by("living")) == (1, 0, 2)
    workers._crew = [dead]
    with theirs, socket.socket() as another:
        assert not workers.hand_over(another, "127.0.0.1", listener)  # then the node itself serves
        assert another.fileno() >= 0
    assert len(places) == 2


def test_places_are_counted_for_all_servers_and_given_back_for_a_dead_one():
    places = Places(most=2, most_per_peer=1)
    one, two, three = (places.enter(peer, server=server) for peer, server in (("a", "x"), ("a", "y"), ("b", "y")))
    assert [places.admit(one), places.admit(two), places.admit(three)] == [True, False, True]
    places.abandon("y")
    assert (len(places), places.served_by("x"), places.served_by("y")) == (1, 1, 0)
    assert not places.admit(three)
    assert [places.enter("a") for _ in range(SPARE + 1)][-1] is None
