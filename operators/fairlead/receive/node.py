"""The DICOM node: listeners that no single peer can occupy, a thread for each association, and the loops beside them."""

from __future__ import annotations

import logging
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Final

from fairlead.database import open_database
from fairlead.errors import FairleadError
from fairlead.receive.admission import Doorway
from fairlead.receive.audit import AuditTrail
from fairlead.receive.bucket_watch import StorageWatch
from fairlead.receive.copying import ArchiveCopy, open_archive_copy, required_place
from fairlead.receive.expected import expected_instances
from fairlead.receive.ledger import Ledger
from fairlead.receive.listening import Listener, listen
from fairlead.receive.metrics import Gauge, NodeMetrics
from fairlead.receive.places import Places
from fairlead.receive.reporter import Reporter
from fairlead.receive.routes import RouteTable, load_routes
from fairlead.receive.serving import Serving
from fairlead.receive.sink import InstanceSink
from fairlead.receive.sweep import sweep
from fairlead.receive.tls import client_context, server_context
from fairlead.receive.web import Web
from fairlead.receive.workers import Workers, wait_for_orphans
from fairlead.settings import Settings

logger = logging.getLogger(__name__)
SETTLE_EVERY_S: Final = 0.5
SIGNALS_EVERY_S: Final = 0.5
"""A signal that another thread receives runs its handler only when the main thread wakes up."""


class DicomNode:
    """``start`` binds and serves in threads; ``stop`` drains. One node owns one archive."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._stopping = threading.Event()
        self._reload = threading.Event()
        self._places = Places(most=settings.node.max_associations, most_per_peer=settings.node.max_associations_per_peer)
        self._buried: dict[str, set[str]] = {}
        """Workers that died, and which of their associations have their line in the audit trail."""
        self._burying = threading.Lock()
        self._workers: Workers | None = None
        self._loops: list[threading.Thread] = []
        self._listeners: list[Listener] = []
        self._web: Web | None = None
        self._copy: ArchiveCopy | None = None
        self.more_gauges: Callable[[], Iterable[Gauge]] = tuple

    def start(self) -> tuple[str, int]:
        """Open the ports, sweep the archive, begin to serve; return the address that DICOM is spoken on.

        Raises
        ------
        PortInUse : another process holds a port.
        InvalidConfiguration : the routes or the TLS files do not hold, or the host is no address of this machine.
        """
        node = self.settings.node
        routes = load_routes(self.settings.routes_file, own_title=node.ae_title)
        tls = client_context(node.tls) if node.tls.certificate is not None else None
        try:
            self._bind()
            self.ledger = Ledger(open_database(self.settings))
            self._build(routes, tls)
        except BaseException:
            self._close_listeners()
            if self._workers is not None:
                self._workers.drain(0)
            if hasattr(self, "ledger"):
                self.ledger.engine.dispose()
            raise
        return self._begin()

    def _build(self, routes: RouteTable, tls: ssl.SSLContext | None) -> None:
        node, sink = self.settings.node, InstanceSink(self.settings, self.ledger)
        wait_for_orphans(sink.archive.root)
        audit, metrics = AuditTrail(sink.archive.root / "audit", messages=node.audit_messages), NodeMetrics()
        audit.lost(self.ledger.associations())
        sweep(sink.archive, self.ledger)
        metrics.more = self.more_gauges
        sink.on_durable = metrics.synced
        own = secrets.token_hex(8)
        self._serving = Serving(self.ledger, self._places.leave)
        self._doorway = Doorway(node, routes, self.ledger, sink, audit, metrics, self._admits, self._serving.leaves, health_title=own)
        self._serving.doorway = self._doorway
        if node.workers > 1:
            self._workers = Workers(self.settings, places=self._places, doorway=self._doorway, bury=self._bury)
            self._workers.start()
        self._reporter = Reporter(self._doorway, tls)
        if (copy := open_archive_copy(self.settings, self.ledger)) is not None:
            copy.going = lambda: not self._stopping.is_set()
            copy.counted = lambda result, number: metrics.count("copies", number, result=result)
            self._copy = copy
        if node.web.port is not None:
            self._web = Web(self.settings, self._doorway, self._listeners[-1].address)
            self._web.start()

    def _bind(self) -> None:
        node = self.settings.node
        context = server_context(node.tls)
        self._listeners = [Listener(listen(node.host, node.port), context)]
        if context is not None and node.tls.plain_port is not None:
            self._listeners.append(Listener(listen(node.host, node.tls.plain_port)))
        if context is not None and node.web.port is not None:  # the health check must not need a client certificate of its own
            self._listeners.append(Listener(listen("127.0.0.1", 0), own_only=True))

    def _begin(self) -> tuple[str, int]:
        watch = StorageWatch(self.settings, self.ledger)
        self._loop("settle", SETTLE_EVERY_S, self._settle)
        self._loop("report", SETTLE_EVERY_S, self._reporter.step)
        if self._copy is not None:
            self._loop("copy", SETTLE_EVERY_S, self._copy.step)
        self._loop("watch", max(self.settings.watch.stable_after_s / 2, SETTLE_EVERY_S), watch.scan)
        for listener in self._listeners:
            self._spawn("accept", self._accept, listener)
        return self._listeners[0].address

    @property
    def plain_address(self) -> tuple[str, int] | None:
        """The second port, without TLS, where there is one."""
        plain = [one.address for one in self._listeners[1:] if not one.own_only]
        return plain[0] if plain else None

    @property
    def web_address(self) -> tuple[str, int] | None:
        """Where STOW-RS, ``/healthz`` and ``/metrics`` are, None when they are not started."""
        return self._web.address if self._web is not None else None

    def reload(self) -> None:
        """Read the routes again before the next association is admitted; safe in a signal handler."""
        self._reload.set()

    def serve_forever(self) -> None:
        """Block until ``stop`` is called from a signal handler or another thread."""
        while not self._stopping.wait(SIGNALS_EVERY_S):
            pass

    def request_stop(self) -> None:
        """Let ``serve_forever`` return; safe in a signal handler."""
        self._stopping.set()

    def stop(self, grace_s: float | None = None) -> None:
        """Accept nothing more, give open associations ``grace_s`` seconds to finish, abort the rest, end the loops."""
        self._stopping.set()
        self._close_listeners()
        if self._web is not None:
            self._web.stop()
        if self._listeners:
            self._drain(self.settings.node.drain_grace_s if grace_s is None else grace_s)
        for thread in self._loops:
            thread.join(timeout=10)
        if self._listeners:
            self._reporter.join(timeout_s=10)
            self._strike_out()
            self.ledger.engine.dispose()

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()

    def associations(self) -> int:
        """Return how many connections are open, whichever process serves them."""
        return len(self._places)

    def workers(self) -> list[int]:
        """Return the ids of the worker processes that serve; none where the node itself serves."""
        return self._workers.pids() if self._workers is not None else []

    # --- connections

    def _accept(self, listener: Listener) -> None:
        while not self._stopping.is_set():
            try:
                connection, address = listener.socket.accept()
            except OSError as error:
                if self._stopping.is_set():
                    return
                logger.error("cannot accept a connection: %s", error.strerror)
                self._stopping.wait(0.2)  # out of descriptors: others must end first
                continue
            if self._stopping.is_set():
                connection.close()
                return
            self._welcome(connection, str(address[0]), listener)

    def _welcome(self, connection: socket.socket, peer: str, listener: Listener) -> None:
        """Give the connection to a worker, or to a thread of its own; the accept loop itself never waits for a peer."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._workers is not None and self._workers.hand_over(connection, peer, listener):
            return
        if (number := self._places.enter(peer)) is not None:
            self._serving.begin(connection, peer, number, tls=listener.tls, own_only=listener.own_only)
        else:
            connection.close()

    def _admits(self, number: int, title: str, most_per_title: int) -> bool:
        return self._places.admit(number, title=title, most_per_title=most_per_title)

    def _drain(self, grace_s: float) -> None:
        if self._workers is not None:
            self._workers.drain(grace_s)
        self._serving.drain(grace_s)

    def _bury(self, key: str) -> None:
        """Strike out what a dead worker had open; when the ledger is away, the settle loop does it later."""
        self._buried.setdefault(key, set())
        try:
            self._strike_out()
        except FairleadError as error:
            logger.error("a dead worker could not be struck out of the ledger: %s; trying again", error.message)
        except Exception as error:  # whatever it is, the dead one must be replaced: its keeper is the caller
            logger.error("a dead worker could not be struck out (%s); trying again", type(error).__name__)

    def _strike_out(self) -> None:
        self._serving.settle_gone()
        with self._burying:  # who buries and the settle loop must not both write the audit lines
            for key, told in list(self._buried.items()):
                untold = [one for one in self.ledger.associations(key) if one.key not in told]
                self._doorway.audit.lost(untold)
                told.update(one.key for one in untold)
                self.ledger.worker_lost(key)
                self._doorway.sink.archive.clear_incoming()
                self._buried.pop(key, None)

    # --- loops

    def _settle(self) -> None:
        if self._reload.is_set():
            self._reload.clear()
            self._read_routes()
        self._strike_out()
        root = self._doorway.sink.archive.root
        self.ledger.expect(lambda path: expected_instances(root / path))
        node = self.settings.node
        self.ledger.settle(settle_after_s=node.settle_after_s, quiet_after_s=node.quiet_after_s, copied_to=required_place(self.settings))

    def _read_routes(self) -> None:
        """Replace the table; one that does not hold is reported, and the present one stays in force."""
        try:
            self._doorway.routes = load_routes(self.settings.routes_file, own_title=self.settings.node.ae_title)
            if self._workers is not None:
                self._workers.reload()
            logger.info("routes read again: %d rules", len(self._doorway.routes.rules))
        except FairleadError as error:
            logger.error("routes not replaced: %s", error)

    def _loop(self, name: str, every_s: float, step: Callable[[], object]) -> None:
        def run() -> None:
            """Repeat the step until the node stops; a failure is logged and tried again."""
            while not self._stopping.wait(every_s):
                try:
                    step()
                    metrics.stepped(name)
                except (FairleadError, OSError) as error:
                    metrics.count("loop_failures", loop=name)
                    logger.error("%s: %s; trying again", name, error)
                except Exception as error:  # a defect of ours; the loop must not end with it, and its message may quote data
                    metrics.count("loop_failures", loop=name)
                    logger.error("%s: %s, a defect of Fairlead; trying again", name, type(error).__name__)

        metrics = self._doorway.metrics
        metrics.stepped(name)
        self._loops.append(self._spawn(name, run))

    def _spawn(self, name: str, target: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments, name=f"node-{name}", daemon=True)
        thread.start()
        return thread
