"""One worker process of the node: ``python -m fairlead.receive.worker DESCRIPTOR``, started by the node and by nobody else.

It gets connections over the socket it was started with, serves them, and reports who left and what was counted. It ends when it is
told to drain, and at once when that socket closes: without a parent there are no limits and nobody completes a series.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import socket
import sys
import threading
from typing import Any, Final

from fairlead.database import open_engine
from fairlead.errors import FairleadError
from fairlead.logs import configure_logging
from fairlead.receive.admission import Doorway
from fairlead.receive.audit import AuditTrail
from fairlead.receive.ledger import Ledger
from fairlead.receive.metrics import NodeMetrics
from fairlead.receive.negotiation import storage_classes, transfer_syntaxes
from fairlead.receive.routes import RouteTable, load_routes
from fairlead.receive.serving import Serving
from fairlead.receive.sink import InstanceSink
from fairlead.receive.tls import server_context
from fairlead.receive.workers import MESSAGE_BYTES, sign_in
from fairlead.settings import Settings

logger = logging.getLogger(__name__)
TELL_EVERY_S: Final = 0.5
ANSWER_S: Final = 5.0


class Hand:
    """Serves what the parent hands over."""

    def __init__(self, channel: socket.socket, settings: Settings, routes: RouteTable, *, key: str, health_title: str) -> None:
        self.channel, self.settings = channel, settings
        ledger = Ledger(open_engine(settings.database))
        sink = InstanceSink(settings, ledger)
        self._signed = sign_in(sink.archive.root)
        self.metrics = NodeMetrics()
        sink.on_durable = self.metrics.synced
        self.serving = Serving(ledger, self._left)
        audit = AuditTrail(sink.archive.root / "audit", messages=settings.node.audit_messages)
        self.doorway = Doorway(
            settings.node, routes, ledger, sink, audit, self.metrics, self._admits, self.serving.leaves, health_title, key_prefix=key
        )
        self.serving.doorway = self.doorway
        self._tls = server_context(settings.node.tls)
        self._answers: dict[int, tuple[threading.Event, list[bool]]] = {}
        self._sending = threading.Lock()
        self._over = threading.Event()

    def run(self) -> None:
        """Serve until the parent says drain; return when everything is over."""
        storage_classes(), transfer_syntaxes()  # loaded before the first sender has to wait for them
        ticking = threading.Thread(target=self._tick, name="worker-tick", daemon=True)
        ticking.start()
        self._tell({"ready": True})
        while True:
            data, handles, _, _ = socket.recv_fds(self.channel, MESSAGE_BYTES, 4)
            if not data:  # the parent is dead; what was not acknowledged was not promised
                os._exit(1)
            if not self._hear(json.loads(data), handles):
                return

    def _hear(self, message: dict[str, Any], handles: list[int]) -> bool:
        match message:
            case {"serve": number, "peer": peer, "tls": secured, "own_only": own_only}:
                connection = socket.socket(fileno=handles[0])
                self.serving.begin(connection, peer, number, tls=self._tls if secured else None, own_only=own_only)
            case {"admitted": number, "yes": yes}:
                if waiting := self._answers.pop(number, None):
                    waiting[1].append(yes)
                    waiting[0].set()
            case {"reload": True}:
                self._read_routes()
            case {"drain": grace_s}:
                threading.Thread(target=self._drain, args=(grace_s,), name="worker-drain", daemon=True).start()
        return True

    def _read_routes(self) -> None:
        try:
            self.doorway.routes = load_routes(self.settings.routes_file, own_title=self.settings.node.ae_title)
        except FairleadError:
            logger.info("routes not replaced")  # the parent has read the same file, and says what is wrong with it

    def _drain(self, grace_s: float) -> None:
        """Finish, tell the last numbers, and leave the process; its main thread still hears answers meanwhile."""
        self.serving.drain(grace_s)
        status = 0
        try:
            self.serving.settle_gone()
        except FairleadError as error:
            logger.error("associations stay in the ledger: %s", error.message)
            status = 1
        self._count()
        logging.shutdown()
        os._exit(status)

    def _admits(self, number: int, title: str, most_per_title: int) -> bool:
        """Ask the parent, who counts for all; no answer is a no."""
        told, answer = threading.Event(), list[bool]()
        self._answers[number] = (told, answer)
        self._tell({"admit": number, "title": title, "most": most_per_title})
        return told.wait(ANSWER_S) and answer[0]

    def _left(self, number: int) -> None:
        self._count()
        self._tell({"left": number})

    def _tick(self) -> None:
        while not self._over.wait(TELL_EVERY_S):
            self._count()
            try:
                self.serving.settle_gone()
            except FairleadError as error:
                logger.error("worker: %s; trying again", error.message)

    def _count(self) -> None:
        if delta := self.metrics.take():
            self._tell({"counted": delta})

    def _tell(self, message: dict[str, Any]) -> None:
        with self._sending:
            try:
                self.channel.send(json.dumps(message).encode())
            except OSError:
                logger.debug("the parent hears nothing any more")  # the main thread sees it too, and ends the process


def main(descriptor: int) -> None:
    """Run one worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as channel:
        document, routes, key, health_title = pickle.load(sys.stdin.buffer)  # noqa: S301  # from our own parent, over its pipe
        settings = Settings(**document)
        configure_logging(settings.log.level, settings.log.format)
        Hand(channel, settings, routes, key=key, health_title=health_title).run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
