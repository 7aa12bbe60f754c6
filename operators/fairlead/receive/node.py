"""The DICOM node: a listener that no single peer can occupy, a thread for each association, and the loops beside it."""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from fairlead.database import open_database
from fairlead.errors import FairleadError, InvalidConfiguration, PortInUse
from fairlead.receive.association import Association, Doorway
from fairlead.receive.ledger import Ledger
from fairlead.receive.routes import load_routes
from fairlead.receive.sink import InstanceSink
from fairlead.receive.sweep import sweep
from fairlead.receive.watch import FolderWatch
from fairlead.receive.wire import Wire
from fairlead.settings import Settings

logger = logging.getLogger(__name__)
BACKLOG: Final = 128
SETTLE_EVERY_S: Final = 0.5
SPARE: Final = 64
"""Connections beyond the association limits that are still heard (health checks, peers to be told no); more are closed at once."""


class DicomNode:
    """``start`` binds and serves in threads; ``stop`` drains. One node owns one archive."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[Association, threading.Thread] = {}
        self._loops: list[threading.Thread] = []
        self._listener: socket.socket | None = None

    def start(self) -> tuple[str, int]:
        """Open the port, sweep the archive, begin to serve; return the address that is listened on.

        Raises
        ------
        PortInUse : another process holds the port.
        InvalidConfiguration : the routes do not hold, or the host is no address of this machine.
        """
        node = self.settings.node
        routes = load_routes(self.settings.routes_file, own_title=node.ae_title)
        self._listener = _listen(node.host, node.port)
        try:
            self.ledger = Ledger(open_database(self.settings))
            sink = InstanceSink(self.settings, self.ledger)
            sweep(sink.archive, self.ledger)
        except BaseException:
            self._listener.close()
            raise
        self._doorway = Doorway(node, routes, self.ledger, sink, self._admits)
        watch = FolderWatch(self.settings, self.ledger)
        times = {"settle_after_s": node.settle_after_s, "quiet_after_s": node.quiet_after_s}
        self._loop("settle", SETTLE_EVERY_S, lambda: self.ledger.settle(**times))
        self._loop("watch", max(self.settings.watch.stable_after_s / 2, SETTLE_EVERY_S), watch.scan)
        self._spawn("accept", self._accept, self._listener)
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    def serve_forever(self) -> None:
        """Block until ``stop`` is called from a signal handler or another thread."""
        while not self._stopping.wait(3600):
            pass

    def request_stop(self) -> None:
        """Let ``serve_forever`` return; safe in a signal handler."""
        self._stopping.set()

    def stop(self, grace_s: float | None = None) -> None:
        """Accept nothing more, give open associations ``grace_s`` seconds to finish, abort the rest, end the loops."""
        self._stopping.set()
        if self._listener is not None:
            _wake(self._listener)
            self._listener.close()
        self._drain(self.settings.node.drain_grace_s if grace_s is None else grace_s)
        for thread in self._loops:
            thread.join(timeout=10)
        if self._listener is not None:
            self.ledger.engine.dispose()

    def associations(self) -> int:
        """Return how many connections are open in this process."""
        with self._lock:
            return len(self._open)

    # --- connections

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                connection, address = listener.accept()
            except OSError as error:
                if self._stopping.is_set():
                    return
                logger.error("cannot accept a connection: %s", error.strerror)
                self._stopping.wait(0.2)  # out of descriptors: others must end first
                continue
            if self._stopping.is_set():
                connection.close()
                return
            self._welcome(connection, str(address[0]))

    def _welcome(self, connection: socket.socket, peer: str) -> None:
        """Start the association's thread; the accept loop itself never waits for a peer."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        node = self.settings.node
        with self._lock:
            of_peer = sum(association.peer == peer for association in self._open)
            if len(self._open) >= node.max_associations + SPARE or of_peer >= node.max_associations_per_peer + SPARE:
                connection.close()
                return
            association = Association(Wire(connection), peer, self._doorway)
            thread = threading.Thread(target=self._serve, args=(association,), name=f"association-{association.key[:8]}", daemon=True)
            self._open[association] = thread
        thread.start()

    def _admits(self, association: Association) -> bool:
        """Count an association in, unless the node or its peer has all it may have."""
        node = self.settings.node
        with self._lock:
            counted = [other.peer for other in self._open if other.counted]
            association.counted = len(counted) < node.max_associations and counted.count(association.peer) < node.max_associations_per_peer
            return association.counted

    def _serve(self, association: Association) -> None:
        try:
            association.run()
        finally:
            with self._lock:
                del self._open[association]

    def _drain(self, grace_s: float) -> None:
        deadline = time.monotonic() + grace_s
        for association, thread in self._snapshot():
            if association.idle and not association.contexts:  # silent or negotiating: nothing of it can be lost
                association.wire.close()
            thread.join(timeout=max(deadline - time.monotonic(), 0))
        for association, thread in self._snapshot():
            logger.warning("association of %s closed at the end of the grace time", association.peer)
            association.wire.close()
            thread.join(timeout=5)

    def _snapshot(self) -> list[tuple[Association, threading.Thread]]:
        with self._lock:
            return list(self._open.items())

    # --- loops

    def _loop(self, name: str, every_s: float, step: Callable[[], object]) -> None:
        def run() -> None:
            while not self._stopping.wait(every_s):
                try:
                    step()
                except (FairleadError, OSError) as error:
                    logger.error("%s: %s; trying again", name, error)

        self._loops.append(self._spawn(name, run))

    def _spawn(self, name: str, target: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments, name=f"node-{name}", daemon=True)
        thread.start()
        return thread


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise InvalidConfiguration(f"node.host {host!r} is not an address of this machine.") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"Port {port} of {host} is in use.", remedy="Stop the other process, or set FAIRLEAD_NODE__PORT.") from error
        raise InvalidConfiguration(f"The node cannot listen on {host}:{port}: {error.strerror}.") from error
    return listener


def _wake(listener: socket.socket) -> None:
    """Unblock a thread that waits in ``accept``; closing the descriptor alone does not on Linux."""
    with suppress(OSError):  # not connected any more: that is what we want
        listener.shutdown(socket.SHUT_RDWR)
