"""Run the application: the port is taken before anything is said, SIGTERM lets answers finish and exits with 0."""

from __future__ import annotations

import errno
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Any, Final

import uvicorn

from fairlead.catalog.app import create_app
from fairlead.catalog.branches import hide_early
from fairlead.catalog.entries import iri_of
from fairlead.catalog.pings import announcing
from fairlead.database import open_database, utc_now
from fairlead.errors import PortInUse, ServiceUnreachable
from fairlead.publish import Site
from fairlead.settings import Settings

logger = logging.getLogger(__name__)
GRACE_S: Final = 10


class _Server(uvicorn.Server):
    """Uvicorn that tells when it is ready, and ends quietly: its own handler would raise the signal again, and the exit were -15."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ask to stop on SIGTERM and SIGINT; put the old handlers back afterwards."""
        if current_thread() is not main_thread():
            yield
            return
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: Any) -> None:
        self.force_exit = self.should_exit and number == signal.SIGINT
        self.should_exit = True


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises
    ------
    PortInUse : another process holds the port.
    ServiceUnreachable : the address cannot be used on this machine.
    """
    opened = None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        opened = socket.socket(found[0][0], socket.SOCK_STREAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(found[0][4])
    except (OSError, UnicodeError) as error:  # UnicodeError: no name of a host at all (IDNA)
        if opened is not None:
            opened.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise PortInUse(f"Port {port} on {host} is in use.", remedy="Choose another with --port, or 0 for a free one.") from error
        raise ServiceUnreachable(
            f"The catalog cannot listen on {host} port {port}.", remedy="Choose an address of this machine."
        ) from error
    return opened


def address_of(opened: socket.socket) -> str:
    """Return the socket's address as a URL."""
    host, port = opened.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(settings: Settings, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; ``ready`` is called with the address when requests are answered.

    Raises
    ------
    PortInUse : another process holds the port.
    ServiceUnreachable : the database does not answer.
    """
    opened = bind(settings.catalog.host, settings.catalog.port)
    engine = None
    try:
        engine = open_database(settings)
        site = Site.of(settings)
        if hidden := hide_early(engine, iri=lambda kind, name: iri_of(site, kind, name), now=utc_now()):
            logger.warning("%d records that were visible below drafts are hidden until the drafts are published", hidden)
        config = uvicorn.Config(
            create_app(settings, engine), log_config=None, access_log=False, timeout_graceful_shutdown=GRACE_S, server_header=False
        )
        address = address_of(opened)
        with announcing(settings) as begin:

            def started() -> None:
                """Say that we answer: to who started us, then to the indexes."""
                if ready:
                    ready(address)
                begin()

            _Server(config, started).run(sockets=[opened])
    finally:
        opened.close()
        if engine is not None:
            engine.dispose()
