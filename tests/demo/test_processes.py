"""The demo's servers: nothing outlives the demo, however it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fairlead.demo.guard import end_groups, group_lives
from fairlead.demo.processes import Servers, free_ports, uninterrupted
from fairlead.errors import ServiceUnreachable

# A server with a child of its own, as `airflow standalone` is; both ignore SIGTERM when told to.
FAMILY = """
import signal, subprocess, sys, time
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = None if "child" in sys.argv else subprocess.Popen([sys.executable, *sys.argv, "child"])
print("listening", child.pid if child else "", flush=True)
time.sleep(60)
"""


def family(tmp_path: Path, *words: str) -> list[str]:
    script = tmp_path / "family.py"
    script.write_text(FAMILY)
    return [sys.executable, str(script), *words]


def eventually(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def test_leaving_the_block_ends_servers_and_their_children(tmp_path: Path) -> None:
    with Servers(tmp_path / "logs", dict(os.environ)) as servers:
        server = servers.start("family", family(tmp_path))
        child = int(server.wait_for_line("listening").split()[1])
        os.kill(child, 0)
    assert not group_lives(server.process.pid)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_until_the_guard_knows_the_server(tmp_path: Path, number: signal.Signals) -> None:
    reached = []

    def interrupted_half_way() -> None:
        with uninterrupted():
            signal.raise_signal(number)
            reached.append("the guard was told")

    with pytest.raises(KeyboardInterrupt):
        interrupted_half_way()
    assert reached == ["the guard was told"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_in_the_block_ends_them_too(tmp_path: Path) -> None:
    started = []

    def fails() -> None:
        with Servers(tmp_path / "logs", dict(os.environ)) as servers:
            started.append(servers.start("family", family(tmp_path)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert not group_lives(started[0].process.pid)


def test_stopping_twice_is_harmless(tmp_path: Path) -> None:
    with Servers(tmp_path / "logs", dict(os.environ)) as servers:
        servers.stop()


def test_a_stubborn_group_is_killed(tmp_path: Path) -> None:
    process = subprocess.Popen(family(tmp_path, "stubborn"), stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()
    end_groups([process.pid], grace_s=0.3)
    assert process.wait(5) == -signal.SIGKILL
    process.stdout.close()
    assert eventually(lambda: not group_lives(process.pid))


def test_children_in_groups_of_their_own_are_ended_too(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], process_group=0)\n"
        "print('listening', child.pid, flush=True)\n"
        "time.sleep(60)"
    )
    with Servers(tmp_path / "logs", dict(os.environ)) as servers:
        child = int(servers.start("parent", [sys.executable, "-c", code]).wait_for_line("listening").split()[1])
        assert os.getpgid(child) == child
    assert eventually(lambda: not group_lives(child))


def test_when_the_owner_is_killed_the_guard_still_ends_its_servers(tmp_path: Path) -> None:
    script = tmp_path / "owner.py"
    script.write_text(
        "import os, sys, time\nfrom pathlib import Path\nfrom fairlead.demo.processes import Servers\n"
        "with Servers(Path(sys.argv[1]), dict(os.environ)) as servers:\n"
        "    print(servers.start('family', sys.argv[2:]).process.pid, flush=True)\n    time.sleep(60)\n"
    )
    owner = subprocess.Popen([sys.executable, str(script), str(tmp_path / "logs"), *family(tmp_path)], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    group = int(owner.stdout.readline())
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert eventually(lambda: not group_lives(group))


def test_a_server_that_ends_is_reported_with_its_log(tmp_path: Path) -> None:
    with Servers(tmp_path / "logs", dict(os.environ)) as servers:
        server = servers.start("short", [sys.executable, "-c", "raise SystemExit(7)"])
        with pytest.raises(ServiceUnreachable, match=r"short ended with status 7\. Read .*short\.log"):
            server.wait_for_line("listening")
        assert servers.ended() is server


def test_a_silent_server_is_reported(tmp_path: Path) -> None:
    with (
        Servers(tmp_path / "logs", dict(os.environ)) as servers,
        pytest.raises(ServiceUnreachable, match="was not ready after"),
    ):
        servers.start("silent", [sys.executable, "-c", "import time; time.sleep(60)"]).wait_for_line("listening", timeout_s=0.2)


def test_nothing_starts_outside_the_guard(tmp_path: Path) -> None:
    servers = Servers(tmp_path, dict(os.environ))
    with pytest.raises(ServiceUnreachable, match="outside the guard"):
        servers.start("x", [sys.executable, "-c", ""])


def test_free_ports_are_different_and_free() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    for port in ports:
        with socket.socket() as opened:
            opened.bind(("127.0.0.1", port))
