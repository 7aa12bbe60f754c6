"""Sockets that a node listens on, and whether a peer does."""

from __future__ import annotations

import errno
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from fairlead.errors import InvalidConfiguration, PortInUse, ServiceUnreachable

BACKLOG: Final = 128


@dataclass(frozen=True, slots=True)
class Listener:
    """One open port, and how its connections are secured; ``own_only`` serves nobody but the node's own health check."""

    socket: socket.socket
    tls: ssl.SSLContext | None = None
    own_only: bool = False

    @property
    def address(self) -> tuple[str, int]:
        """The address that is listened on, the port as the system gave it."""
        host, port = self.socket.getsockname()[:2]
        return str(host), int(port)

    def close(self) -> None:
        """Close the port and unblock the thread that waits in ``accept``; closing the descriptor alone does not on Linux."""
        with suppress(OSError):  # not connected any more: that is what we want
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one.

    Raises
    ------
    PortInUse : another process holds the port. InvalidConfiguration : the host is no address of this machine.
    """
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


def require_listener(host: str, port: int, *, within_s: float) -> None:
    """Raise ServiceUnreachable when nobody listens there; asked first, because pynetdicom leaves a refused connection's socket open."""
    try:
        socket.create_connection((host, port), timeout=within_s).close()
    except OSError as error:
        raise ServiceUnreachable(f"Nothing answers at {host}:{port}.", remedy="Start the peer or correct its address.") from error
