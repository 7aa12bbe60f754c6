"""Start, stop, and death in the middle of it."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from fairlead.errors import PortInUse
from fairlead.receive import DicomNode, node_status
from fairlead.receive.sink import dataset_sha256
from fairlead.records import SeriesState
from needs import missing, program
from receive.builders import STUDY, a_slice, association, audit_lines, echo, encoded, ledger_of, quick, running, send, wait_for
from receive.raw import associate_request, closed, command, connect, established, p_data, pdv, read_pdu, rejection, status_in

ROUNDS, SENDERS = 10, 8


@pytest.fixture
def settings(tmp_path):
    return quick(tmp_path / "home")


@pytest.fixture
def node(settings):
    with running(settings) as (found, port):
        found.port = port
        yield found


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


def start_process(
    home: Path, *, command: Sequence[str] = (sys.executable, "-m", "fairlead.cli", "node"), **more: str
) -> tuple[subprocess.Popen[str], int]:
    environment = os.environ | {
        "FAIRLEAD_HOME": str(home),
        "FAIRLEAD_NODE__PORT": "0",
        "FAIRLEAD_NODE__LOW_WATER_BYTES": "0",
        "FAIRLEAD_NODE__SETTLE_AFTER_S": "0.2",
        "FAIRLEAD_NODE__QUIET_AFTER_S": "0.4",
        **more,
    }
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
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


def test_sighup_lets_the_next_association_meet_the_new_routes(tmp_path):
    routes = tmp_path / "routes.yaml"
    rule = "routes: [{{name: ct, project: p, center: c, calling_ae: [{}], from_networks: [127.0.0.1/32]}}]"
    routes.write_text(rule.format("CT1"))
    process, port = start_process(tmp_path / "home", FAIRLEAD_NODE__ROUTES=str(routes), FAIRLEAD_LOG__LEVEL="ERROR")
    assert rejection(port, calling=b"SCANNER") == (1, 1, 3)
    routes.write_text(rule.format("SCANNER"))
    with association(port, calling="CT1") as old:
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: admitted(port))
        assert send(old, a_slice()) == 0  # who is in stays in
    assert rejection(port, calling=b"CT1") == (1, 1, 3)
    assert finish(process)[0] == 0


def admitted(port: int) -> bool:
    with connect(port) as raw:
        raw.sendall(associate_request())
        return read_pdu(raw)[0] == 2


MEGABYTE = 1024 * 1024


def test_a_full_disk_is_told_leaves_nothing_half_and_is_over_when_there_is_space_again(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    with on_a_small_disk(tmp_path / "home", disk, megabytes=3) as (port, seen):
        ballast = seen / "ballast"
        ballast.write_bytes(bytes(MEGABYTE))
        with association(port) as peer:
            statuses = [send(peer, a_slice(number, pixels=bytes([number]) * (MEGABYTE // 2))) for number in range(1, 7)]
            stored = statuses.count(0)
            assert set(statuses) == {0, 0xA700}
            assert sorted(statuses) == statuses
            assert len(list((seen / "objects").rglob("*.dcm"))) == stored
            assert list((seen / ".incoming").iterdir()) == list((seen / "quarantine").iterdir()) == []
            ballast.unlink()
            assert send(peer, a_slice(9, pixels=bytes(MEGABYTE // 2))) == 0
        assert len(list((seen / "objects").rglob("*.dcm"))) == stored + 1


@contextmanager
def on_a_small_disk(home: Path, disk: Path, *, megabytes: int) -> Iterator[tuple[int, Path]]:
    """Run a node whose archive is a tmpfs in a mount namespace of its own; yield its port, and the archive as it is seen from here."""
    if subprocess.run([program("unshare"), "--map-root-user", "--mount", "true"], capture_output=True, check=False).returncode:
        missing("a mount namespace for everybody", "allow unprivileged user namespaces, or run as root")
    mount = f'mount -t tmpfs -o size={megabytes}m none "$1" && exec "$2" -m fairlead.cli node'
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh", str(disk), sys.executable]
    process, port = start_process(home, command=command, FAIRLEAD_ARCHIVE=str(disk))
    yield port, Path(f"/proc/{process.pid}/root{disk}")
    assert finish(process)[0] == 0


@contextmanager
def mortal(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a program that forks a node for every line it reads; killing one is cheap, so that ten are."""
    program = [sys.executable, str(Path(__file__).with_name("mortal_node.py")), str(home)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.stdin.close()


def born(process: subprocess.Popen[str]) -> tuple[int, int]:
    """Return (process id, port) of the next node."""
    process.stdin.write("\n")
    process.stdin.flush()
    pid, port = process.stdout.readline().split()
    return int(pid), int(port)


def send_until_it_dies(port: int, series: int, acknowledged: dict[str, str]) -> None:
    try:
        with established(port) as raw:
            for number in range(1, 2000):
                image = a_slice(number, series=series, pixels=bytes([series % 256]) * 20_000)
                data = encoded(image)
                raw.sendall(p_data(pdv(3, command(1, sop_instance=image.SOPInstanceUID)), pdv(2, data)))
                if status_in(read_pdu(raw)[1])[0] != 0:
                    return
                acknowledged[image.SOPInstanceUID] = hashlib.sha256(data).hexdigest()
    except (OSError, AssertionError):
        return  # the node is gone: the last one was not acknowledged


def test_ten_kills_during_eight_transfers_lose_no_acknowledged_object(tmp_path):
    home = tmp_path / "home"
    acknowledged: dict[str, str] = {}
    with mortal(home) as mother:
        for turn in range(ROUNDS):
            pid, port = born(mother)
            goal = len(acknowledged) + 3 * SENDERS
            senders = [
                threading.Thread(target=send_until_it_dies, args=(port, turn * SENDERS + number, acknowledged))
                for number in range(1, SENDERS + 1)
            ]
            for thread in senders:
                thread.start()
            try:
                wait_for(lambda goal=goal: len(acknowledged) >= goal, within_s=60)
            finally:
                os.kill(pid, signal.SIGKILL)
            for thread in senders:
                thread.join(timeout=20)
                assert not thread.is_alive()
    everything_acknowledged_is_there(home, acknowledged, series=ROUNDS * SENDERS)
    lost = [line for line in audit_lines(quick(home)) if line["result"] == "lost"]
    assert ROUNDS <= len({line["association"] for line in lost}) == len(lost) <= ROUNDS * SENDERS
    assert {(line["calling_ae"], line["peer"], line["stored"]) for line in lost} == {("SCANNER", "127.0.0.1", None)}


def everything_acknowledged_is_there(home: Path, acknowledged: dict[str, str], *, series: int) -> None:
    settings = quick(home, quiet_after_s=0.4)
    with running(settings), ledger_of(settings) as ledger:  # completion resumes after the restart
        wait_for(lambda: ledger.counts()[SeriesState.RECEIVING] == ledger.counts()[SeriesState.SETTLING] == 0, within_s=60)
        claimed = ledger.claim_series(series + 1, claimant="test")
    stored = {instance.sop_instance_uid: instance for found in claimed for instance in found.instances}
    assert list((settings.archive_folder / ".incoming").glob("*.part")) == []
    for uid, sha256 in acknowledged.items():
        assert stored[uid].sha256 == sha256 == dataset_sha256(settings.archive_folder / stored[uid].path)
    assert len(list((settings.archive_folder / "objects").rglob("*.dcm"))) == len(stored)


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
