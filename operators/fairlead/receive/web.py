"""The node's web door: STOW-RS, ``/healthz`` with a C-ECHO to our own port, and Prometheus ``/metrics``.

The same routes decide as for DICOM: the caller's address, the title ``STOW-RS`` as calling AE, and for
``/kp-<project>/studies`` the project. A body is read as it comes; a request never holds more than a few chunks.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address
from typing import Final
from uuid import uuid4

import anyio
import uvicorn
from anyio import from_thread, to_thread
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.requests import ClientDisconnect

from fairlead.errors import InvalidConfiguration, NotPermitted, ServiceUnreachable, StorageFull
from fairlead.receive.admission import Admission, Doorway
from fairlead.receive.audit import AuditLine
from fairlead.receive.completion import Ending
from fairlead.receive.health import echo, gauges
from fairlead.receive.listening import listen
from fairlead.receive.multipart import BadMultipart, MultipartStream, media_type
from fairlead.receive.stow import DICOM, StowDoor, StowReport
from fairlead.records import is_uid
from fairlead.settings import Settings

logger = logging.getLogger(__name__)
CALLING: Final = "STOW-RS"
JSON: Final = "application/dicom+json"
UPLOADS: Final = 16
"""Requests that store at the same time; more are told to come again."""
CONNECTIONS: Final = 256
RETRY_AFTER_S: Final = "30"


class TooMuch(Exception):
    """The body is longer than the node takes in one request."""


class Web:
    """The server in a thread of its own. A dead peer costs one of its upload slots until the network timeout, never an answer to others."""

    def __init__(self, settings: Settings, doorway: Doorway, dicom: tuple[str, int]) -> None:
        web = settings.node.web
        if not web.token.get_secret_value() and not _is_loopback(web.host):
            raise InvalidConfiguration(
                f"STOW-RS on {web.host} needs a bearer token.", remedy="Set FAIRLEAD_NODE__WEB__TOKEN, or node.web.host to 127.0.0.1."
            )
        self.settings = settings
        self.doorway = doorway
        self.dicom = dicom
        self._socket = listen(web.host, web.port or 0)
        configuration = uvicorn.Config(
            self.app(), log_config=None, access_log=False, lifespan="off", limit_concurrency=CONNECTIONS, timeout_graceful_shutdown=5
        )
        self._server = uvicorn.Server(configuration)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="node-web", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Where the server listens."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    def start(self) -> None:
        """Serve in the background."""
        self._thread.start()

    def stop(self) -> None:
        """End the server; requests under way get a moment."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=15)
        self._socket.close()

    def app(self) -> FastAPI:
        """Return the application; its only store is the sink."""
        app = FastAPI(title="Fairlead node", docs_url=None, redoc_url=None, openapi_url=None)
        self._slots = threading.BoundedSemaphore(UPLOADS)
        self._limiter: anyio.CapacityLimiter | None = None

        @app.get("/healthz")
        def health() -> Response:
            """Answer whether the node takes an association."""
            return self._health()

        @app.get("/metrics")
        def metrics() -> Response:
            """Return the metrics in the text format of Prometheus."""
            return PlainTextResponse(self.doorway.metrics.text(gauges(self.doorway)), media_type="text/plain; version=0.0.4")

        for path in ("/studies", "/studies/{study}", "/{called}/studies", "/{called}/studies/{study}"):
            app.add_api_route(path, self._store, methods=["POST"], response_model=None)
        return app

    def _health(self) -> Response:
        try:
            seconds = echo(self.dicom, calling=self.doorway.health_title, called=self.settings.node.ae_title)
        except ServiceUnreachable as error:
            return JSONResponse({"status": "failed", "reason": error.message}, 503)
        ages = {loop: round(age, 1) for loop, age in self.doorway.metrics.loop_ages().items()}
        return JSONResponse({"status": "ok", "echo_seconds": round(seconds, 4), "loop_age_seconds": ages})

    # --- STOW-RS

    async def _store(self, request: Request) -> Response:
        study, called = request.path_params.get("study"), request.path_params.get("called")
        if refusal := self._refusal(request, study):
            return refusal
        try:
            admission = self._admit(request, called)
            self.doorway.sink.archive.require_room(self.settings.node.low_water_bytes)
        except NotPermitted as error:
            return _problem(403, error.message)
        except StorageFull as error:
            return _problem(503, error.message)
        if not self._slots.acquire(blocking=False):
            return _problem(503, "All upload slots are taken.")
        try:
            return await self._receive(request, admission, study)
        finally:
            self._slots.release()

    def _refusal(self, request: Request, study: str | None) -> Response | None:
        """Return what the headers alone already decide."""
        token = self.settings.node.web.token.get_secret_value()
        shown = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token and not secrets.compare_digest(token.encode(), shown.encode()):
            return JSONResponse({"error": "A bearer token is required."}, 401, {"WWW-Authenticate": "Bearer"})
        kind, parameters = media_type(request.headers.get("content-type", ""))
        if kind != "multipart/related" or parameters.get("type", DICOM).lower() != DICOM:
            return _problem(415, f'Send multipart/related; type="{DICOM}".')
        if not _accepts_json(request.headers.get("accept", "*/*")):
            return _problem(406, f"The answer is {JSON}.")
        if study is not None and not is_uid(study):
            return _problem(400, "The study in the address is no UID.")
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > self.settings.node.web.max_request_bytes:
            return _problem(413, "The body is larger than node.web.max_request_bytes.")
        return None

    def _admit(self, request: Request, called: str | None) -> Admission:
        peer = request.client.host if request.client else "0.0.0.0"  # noqa: S104  # an address that no network holds, not one to bind
        title = called or self.settings.node.ae_title
        rule, route = self.doorway.routes.match_rule(calling_ae=CALLING, called_ae=title, peer=peer)
        return Admission(rule, route.model_copy(update={"door": "stow"}))

    async def _receive(self, request: Request, admission: Admission, study: str | None) -> Response:
        boundary = media_type(request.headers["content-type"])[1].get("boundary", "")
        holder, ending = uuid4().hex, Ending.ABORTED
        door = StowDoor(self.doorway.sink, admission, holder=holder, study_uid=study)
        self._limiter = self._limiter or anyio.CapacityLimiter(UPLOADS)
        result = "aborted"
        try:
            body = self._body(request)
            report = await to_thread.run_sync(lambda: door.take(MultipartStream(_pull(body), boundary)), limiter=self._limiter)
            ending, result = Ending.RELEASED, "released"
            return JSONResponse(report.document(), report.status, media_type=JSON)
        except BadMultipart as error:
            return _problem(400, error.message)
        except TooMuch:
            return _problem(413, "The body is larger than node.web.max_request_bytes.")
        except (ClientDisconnect, TimeoutError):
            return _problem(408, "The body did not arrive.")
        finally:
            await to_thread.run_sync(lambda: self._over(door.report, admission, holder, ending, result), limiter=self._limiter)

    async def _body(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the body within its limits: whole size, and how long the sender may be silent."""
        left, wait_s = self.settings.node.web.max_request_bytes, self.settings.node.network_timeout_s
        stream = request.stream()
        while True:
            try:
                chunk = await asyncio.wait_for(anext(stream), wait_s)
            except StopAsyncIteration:
                return
            left -= len(chunk)
            if left < 0:
                raise TooMuch
            yield chunk

    def _over(self, report: StowReport, admission: Admission, holder: str, ending: Ending, result: str) -> None:
        self.doorway.leaves(holder, ending)
        route, metrics = admission.route, self.doorway.metrics
        failed = [reason for *_, reason in report.failed] + report.others
        metrics.count("associations", calling_ae=CALLING, result=result)
        metrics.count("instances", len(report.stored), calling_ae=CALLING, result="0000")
        metrics.count("bytes", report.size_bytes, calling_ae=CALLING)
        for reason in failed:
            metrics.count("instances", calling_ae=CALLING, result=f"{reason:04X}")
        line = AuditLine(holder, route.peer, CALLING, route.called_ae, None, admission.rule.name, route.project, route.center)
        line.result, line.stored, line.refused, line.bytes = result, len(report.stored), len(failed), report.size_bytes
        self.doorway.audit.write(line)


def _pull(body: AsyncIterator[bytes]) -> Iterator[bytes]:
    """Yield the chunks of the event loop's iterator in a worker thread; one chunk is asked for at a time."""

    async def one() -> bytes | None:
        """Return the next piece of the body, None at its end."""
        return await anext(body, None)

    while (chunk := from_thread.run(one)) is not None:
        yield chunk


def _problem(status: int, message: str) -> Response:
    headers = {"Retry-After": RETRY_AFTER_S} if status == 503 else {}
    return JSONResponse({"error": message}, status, headers)


def _accepts_json(accept: str) -> bool:
    kinds = {media_type(part.strip())[0] for part in accept.split(",")}
    return bool(kinds & {JSON, "application/json", "application/*", "*/*"})


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
