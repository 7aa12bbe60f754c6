"""Open a centre's gateway from the settings and serve it until SIGTERM; with certificates over TLS, with authorities over mTLS."""

from __future__ import annotations

import signal
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, current_thread, main_thread
from types import MappingProxyType
from typing import Any, Final

from fairlead.database import open_database
from fairlead.errors import InvalidConfiguration, PortInUse
from fairlead.extract import FieldCatalogue, load_catalogue
from fairlead.federation.gateway import Gateway
from fairlead.federation.policy import Policy, load_policy
from fairlead.federation.secrets import load_keyring
from fairlead.federation.signing import GATEWAY_KEY, load_identity
from fairlead.index import open_index
from fairlead.settings import Settings

GRACE_S: Final = 10


class PolicyFile:
    """The governance file, read again when it changes; a file that no longer holds stops answers rather than keeping old rules."""

    def __init__(self, file: Path, catalogue: FieldCatalogue) -> None:
        self._file, self._catalogue = file, catalogue
        self._lock = Lock()
        self._read: tuple[tuple[int, int], Policy] | None = None

    def __call__(self) -> Policy:
        """Return the policy in force."""
        try:
            stat = self._file.stat()
        except OSError as error:
            raise InvalidConfiguration(f"The governance file {self._file} cannot be read ({error.strerror}).") from error
        with self._lock:
            stamp = (stat.st_mtime_ns, stat.st_size)
            if self._read is None or self._read[0] != stamp:
                self._read = stamp, load_policy(self._file, self._catalogue)
            return self._read[1]


def open_gateway(settings: Settings) -> Gateway:
    """Return the gateway of this installation, its policy checked and its index warm.

    Raises
    ------
    InvalidConfiguration : policy, secrets or catalogue do not hold.
    """
    catalogue = load_catalogue(settings.fields_file)
    policy = PolicyFile(settings.governance_file, catalogue)
    policy()
    gateway = Gateway(
        center=settings.center,
        index=open_index(settings, catalogue),
        catalogue=catalogue,
        policy=policy,
        engine=open_database(settings),
        identity=load_identity(settings.secrets_folder, GATEWAY_KEY),
        ring=load_keyring(settings.secrets_folder),
        secrets_folder=settings.secrets_folder,
    )
    gateway.warm()
    return gateway


def serve(settings: Settings, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; ``ready`` is called with the address when questions are answered.

    Raises
    ------
    PortInUse : another process holds the port.
    """
    from fairlead.federation.app import create_app

    gateway = open_gateway(settings)
    try:
        listening = settings.gateway
        run_app(create_app(gateway, url=listening.url), host=listening.host, port=listening.port, ready=ready, tls=_tls(settings))
    finally:
        gateway.engine.dispose()


def run_app(
    app: Any, *, host: str, port: int, ready: Callable[[str], None] | None = None, tls: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Serve an application until SIGTERM or SIGINT; ``ready`` is called with the address when requests are answered."""
    import uvicorn

    opened = _bind(host, port)
    try:
        config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=GRACE_S, **tls)
        _server(config, lambda: ready(_address(opened, tls=bool(tls))) if ready else None).run(sockets=[opened])
    finally:
        opened.close()


def _tls(settings: Settings) -> dict[str, Any]:
    gateway = settings.gateway
    if gateway.certificate is None:
        return {}
    options: dict[str, Any] = {"ssl_certfile": str(gateway.certificate), "ssl_keyfile": str(gateway.key) if gateway.key else None}
    if gateway.ca_file is not None:
        options |= {"ssl_ca_certs": str(gateway.ca_file), "ssl_cert_reqs": ssl.CERT_REQUIRED}
    return options


def _bind(host: str, port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
    except OSError as error:
        opened.close()
        raise PortInUse(f"The gateway cannot listen on {host} port {port} ({error.strerror}).") from error
    return opened


def _address(opened: socket.socket, *, tls: bool) -> str:
    host, port = opened.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _server(config: Any, ready: Callable[[], None]) -> Any:
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            """Start, then say that questions are taken."""
            await super().startup(sockets)
            ready()

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Take SIGTERM and SIGINT as requests to drain, and end with 0."""
            # uvicorn would raise the signal again when it is done, and the exit status were that of a kill
            if current_thread() is not main_thread():
                yield
                return
            before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    return Server(config)
