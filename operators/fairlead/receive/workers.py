"""Worker processes behind the node's listening sockets: the parent accepts, hands each connection to the least loaded worker, counts.

A worker only serves associations. What there must be one of stays in the parent: limits, the settle, report and watch loops, the web
door, the metrics. Which association has which series open is in the ledger, so nothing is lost with a worker: its associations
are struck out as aborted, its part files deleted, and another one takes its place. A worker ends at once when its parent is gone.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import pickle
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from fairlead.errors import ServiceUnreachable
from fairlead.receive.admission import Doorway
from fairlead.receive.listening import Listener
from fairlead.receive.places import Places
from fairlead.receive.routes import RouteTable
from fairlead.settings import Settings

logger = logging.getLogger(__name__)
MESSAGE_BYTES: Final = 128 * 1024
SEND_S: Final = 2.0
ORPHANS_S: Final = 10.0
REST_S: Final = 1.0
"""Pause before a worker is replaced that did not even live this long."""
ALIVE: Final = ".incoming/workers.lock"
"""Below the folder of what is under way, which no backup copies."""


class Worker:
    """The parent's end of one worker process. Its ``key`` begins the key of every association it serves."""

    def __init__(self, settings: Settings, routes: RouteTable, health_title: str) -> None:
        self.key = secrets.token_hex(4)
        self.is_ready = threading.Event()
        self.born = time.monotonic()
        self._sending = threading.Lock()
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fairlead.receive.worker", str(theirs.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,  # the node's own line is all that goes there
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C reaches the parent, which drains
            )
        self._brief(pickle.dumps((settings.model_dump(), routes, self.key, health_title)))

    def _brief(self, document: bytes) -> None:
        """Give the process what it needs to begin; one that is dead already is noticed by whoever listens to it."""
        if (pipe := self.process.stdin) is not None:
            with suppress(OSError), pipe:
                pipe.write(document)

    def tell(self, message: dict[str, Any], *connections: socket.socket) -> bool:
        """Send a message, with connections; return whether the worker could take it."""
        with self._sending:
            try:
                flags = socket.MSG_DONTWAIT if connections else 0
                socket.send_fds(self.channel, [json.dumps(message).encode()], [one.fileno() for one in connections], flags)
            except OSError:
                return False
        return True

    def messages(self) -> Iterator[dict[str, Any]]:
        """Yield what the worker says, until it is dead."""
        with suppress(OSError):
            while data := self.channel.recv(MESSAGE_BYTES):
                yield json.loads(data)

    def end(self, within_s: float) -> int:
        """Wait for the process, kill it when it takes longer; return its exit status."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Workers:
    """All workers of a node; a dead one is replaced. ``bury`` is told the key of each worker that died."""

    def __init__(self, settings: Settings, *, places: Places, doorway: Doorway, bury: Callable[[str], None]) -> None:
        self.settings, self.places, self.doorway, self.bury = settings, places, doorway, bury
        self._lock = threading.Lock()
        self._crew: list[Worker] = []
        self._keepers: list[threading.Thread] = []
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start every worker; the node itself serves until one is ready."""
        for number in range(self.settings.node.workers):
            keeper = threading.Thread(target=self._keep, args=(self._hire(),), name=f"node-worker-{number}", daemon=True)
            self._keepers.append(keeper)
            keeper.start()

    def pids(self) -> list[int]:
        """Return the process ids of the workers that serve."""
        with self._lock:
            return [worker.process.pid for worker in self._crew if worker.is_ready.is_set()]

    def hand_over(self, connection: socket.socket, peer: str, listener: Listener) -> bool:
        """Give a connection to the least loaded worker and close it here; return False when no worker takes it just now."""
        for worker in self._least_loaded_first():
            number = self.places.enter(peer, server=worker.key)
            if number is None:
                connection.close()
                return True
            message = {"serve": number, "peer": peer, "tls": listener.tls is not None, "own_only": listener.own_only}
            if worker.tell(message, connection):
                connection.close()
                return True
            self.places.leave(number)  # died just now, and its keeper has not heard of it yet: the next one takes it
        return False

    def _least_loaded_first(self) -> list[Worker]:
        with self._lock:
            crew = [worker for worker in self._crew if worker.is_ready.is_set()]
        return sorted(crew, key=lambda worker: self.places.served_by(worker.key))

    def reload(self) -> None:
        """Let every worker read the routes again."""
        with self._lock:
            crew = list(self._crew)
        for worker in crew:
            worker.tell({"reload": True})

    def drain(self, grace_s: float) -> None:
        """Let the workers finish what they have open within ``grace_s`` seconds; all are gone when this returns."""
        self._stopping.set()
        with self._lock:
            crew = list(self._crew)
        for worker in crew:
            worker.tell({"drain": grace_s})
        deadline = time.monotonic() + grace_s + 15
        for worker in crew:
            worker.end(max(deadline - time.monotonic(), 0.1))
        for keeper in self._keepers:
            keeper.join(timeout=10)

    # --- one thread for each worker

    def _hire(self) -> Worker:
        worker = Worker(self.settings, self.doorway.routes, self.doorway.health_title)
        with self._lock:
            self._crew.append(worker)
        return worker

    def _keep(self, worker: Worker) -> None:
        """Listen to a worker while it lives, then to the one that replaces it."""
        while True:
            for message in worker.messages():
                self._hear(worker, message)
            status = worker.end(SEND_S)
            self._bury(worker)
            if self._stopping.is_set():
                return
            logger.error("a worker process ended with status %d; another one takes its place", status)
            self.doorway.metrics.count("workers_lost")
            if time.monotonic() - worker.born < REST_S and self._stopping.wait(REST_S):
                return
            worker = self._hire()

    def _hear(self, worker: Worker, message: dict[str, Any]) -> None:
        match message:
            case {"ready": True}:
                worker.is_ready.set()
            case {"admit": number, "title": title, "most": most}:
                worker.tell({"admitted": number, "yes": self.places.admit(number, title=title, most_per_title=most)})
            case {"left": number}:
                self.places.leave(number)
            case {"counted": delta}:
                self.doorway.metrics.add(delta)

    def _bury(self, worker: Worker) -> None:
        with self._lock:
            self._crew.remove(worker)
        worker.channel.close()
        self.places.abandon(worker.key)
        if worker.process.returncode != 0:
            self.bury(worker.key)


def sign_in(root: Path) -> int:
    """Show, as long as this process lives, that a worker writes to the archive; return the open descriptor."""
    handle = os.open(root / ALIVE, os.O_RDWR | os.O_CREAT, 0o640)
    fcntl.flock(handle, fcntl.LOCK_SH)
    return handle


def wait_for_orphans(root: Path) -> None:
    """Wait for workers of a node that was killed: they end by themselves, and must not write once their associations are struck out.

    Raises
    ------
    ServiceUnreachable : another node serves this archive.
    """
    deadline = time.monotonic() + ORPHANS_S
    if not (root / ALIVE).exists():  # no worker ever wrote here
        return
    handle = os.open(root / ALIVE, os.O_RDWR)
    try:
        while not _is_free(handle):
            if time.monotonic() > deadline:
                raise ServiceUnreachable("Workers of another node write to this archive.", remedy="Stop that node; one serves one archive.")
            time.sleep(0.05)
    finally:
        os.close(handle)


def _is_free(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
