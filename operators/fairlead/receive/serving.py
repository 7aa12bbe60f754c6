"""The associations that one process serves, a thread for each: begin, drain, and strike out of the ledger when they are over."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable

from fairlead.errors import FairleadError
from fairlead.logs import about
from fairlead.receive.admission import Doorway
from fairlead.receive.association import Association
from fairlead.receive.completion import Ending
from fairlead.receive.ledger import Ledger
from fairlead.receive.wire import Wire

logger = logging.getLogger(__name__)


class Serving:
    """Threads of this process; ``left`` is told the number of every connection that is over."""

    doorway: Doorway
    """Set once by whoever makes both: the doorway needs :meth:`leaves`."""

    def __init__(self, ledger: Ledger, left: Callable[[int], None]) -> None:
        self.ledger = ledger
        self._left = left
        self._lock = threading.Lock()
        self._open: dict[Association, threading.Thread] = {}
        self._gone: dict[str, Ending] = {}

    def begin(self, connection: socket.socket, peer: str, number: int, *, tls: ssl.SSLContext | None, own_only: bool) -> None:
        """Start the association's thread; the caller never waits for a peer."""
        association = Association(Wire(connection), peer, self.doorway, tls=tls, own_only=own_only, number=number)
        thread = threading.Thread(target=self._serve, args=(association,), name=f"association-{association.key[:8]}", daemon=True)
        with self._lock:
            self._open[association] = thread
        thread.start()

    def _serve(self, association: Association) -> None:
        try:
            with about(association=association.key):
                association.run()
        finally:
            with self._lock:
                del self._open[association]
            self._left(association.number)

    def drain(self, grace_s: float) -> None:
        """Give open associations ``grace_s`` seconds to finish, then close the rest."""
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

    def leaves(self, key: str, ending: Ending) -> None:
        """Strike an association out; when the ledger is away, :meth:`settle_gone` does it later."""
        self._gone[key] = ending
        try:
            self.settle_gone()
        except FairleadError as error:
            logger.error("an association could not be struck out of the ledger: %s; trying again", error.message)

    def settle_gone(self) -> None:
        """Strike out whoever is gone and still in the ledger."""
        for key, ending in list(self._gone.items()):
            self.ledger.association_closed(key, ending)
            self._gone.pop(key, None)
