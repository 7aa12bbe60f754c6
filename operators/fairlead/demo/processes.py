"""The servers of the demo: each in its own process group and log file, all of them ended by the guard."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, Self

from fairlead.errors import ServiceUnreachable

READY_TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.05


def free_ports(count: int) -> list[int]:
    """Return ``count`` loopback ports that are free now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for opened in sockets:
            opened.bind(("127.0.0.1", 0))
        return [opened.getsockname()[1] for opened in sockets]
    finally:
        for opened in sockets:
            opened.close()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back until the block is done: a server that was started is always known to the guard."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals only ever interrupt the main thread
        return
    caught: list[int] = []
    before = {number: signal.signal(number, lambda number, _: caught.append(number)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if caught:
        raise KeyboardInterrupt


@dataclass(slots=True)
class Server:
    """One started server and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait_for_line(self, start: str, timeout_s: float = READY_TIMEOUT_S) -> str:
        """Return the first log line that begins with ``start``.

        Raises
        ------
        ServiceUnreachable : the server ended or said nothing in time.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for line in self.log.read_text(errors="replace").splitlines():
                if line.startswith(start):
                    return line
            if self.process.poll() is not None:
                raise ServiceUnreachable(f"{self.name} ended with status {self.process.returncode}.", remedy=f"Read {self.log}.")
            time.sleep(POLL_S)
        raise ServiceUnreachable(f"{self.name} was not ready after {timeout_s:.0f} s.", remedy=f"Read {self.log}.")


@dataclass(slots=True)
class Servers:
    """Starts servers and ends them all, whatever happens to this process; ``environment`` is their whole environment."""

    logs: Path
    environment: Mapping[str, str]
    _guard: subprocess.Popen[bytes] | None = None
    _started: list[Server] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "fairlead.demo.guard"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Server:
        """Start one server in its own process group, its output in ``logs/<name>.log``."""
        guard = self._guard_input()
        log = self.logs / f"{name}.log"
        with uninterrupted(), log.open("wb") as output:
            process = subprocess.Popen(
                list(command),
                env=dict(self.environment) | dict(environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self.logs.parent,
            )
            guard.write(f"{process.pid}\n".encode())
            guard.flush()
            server = Server(name, process, log)
            self._started.append(server)
        return server

    def _guard_input(self) -> IO[bytes]:
        if self._guard is None or self._guard.stdin is None:
            raise ServiceUnreachable("A server was started outside the guard.", remedy="Use Servers as a context manager.")
        return self._guard.stdin

    def stop(self) -> None:
        """Close the guard's input and wait until it has ended every group; safe to call twice."""
        if self._guard is None or self._guard.stdin is None:
            return
        with uninterrupted():
            self._guard.stdin.close()
            while self._guard.poll() is None:
                for server in self._started:
                    server.process.poll()  # reap, or the group seems to live on as a zombie
                time.sleep(POLL_S)
            for server in self._started:
                server.process.wait()
            self._guard = None

    def ended(self) -> Server | None:
        """Return a server that ended by itself, if any."""
        return next((server for server in self._started if server.process.poll() is not None), None)
