"""A client that calls an ASGI application in the same process and does nothing else; Starlette's test client costs as much as a request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    """What the application said."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")


@dataclass(slots=True)
class DirectClient:
    """Requests one after the other, each as one ASGI call in one event loop of its own thread, as a server has it."""

    app: Any
    _ready: Future[asyncio.AbstractEventLoop] = field(default_factory=Future)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def __enter__(self) -> Self:
        self._thread = Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        self._ready.result()
        return self

    def __exit__(self, *_: object) -> None:
        self._ready.result().call_soon_threadsafe(self._over.set)
        self._thread.join()

    _thread: Thread = field(init=False)

    async def _serve(self) -> None:
        self._ready.set_result(asyncio.get_running_loop())
        await self._over.wait()

    def request(self, method: str, url: str, *, headers: Mapping[str, str], content: bytes = b"") -> Answer:
        """Return the answer to one request."""
        made: Coroutine[Any, Any, Answer] = self._call(method, url, headers, content)
        return asyncio.run_coroutine_threadsafe(made, self._ready.result()).result()

    def post(self, url: str, *, headers: Mapping[str, str], content: str = "", json: Any = None) -> Answer:
        """Return the answer to a POST."""
        return self.request("POST", url, headers=headers, content=_body(content, json))

    def put(self, url: str, *, headers: Mapping[str, str], content: str = "", json: Any = None) -> Answer:
        """Return the answer to a PUT."""
        return self.request("PUT", url, headers=headers, content=_body(content, json))

    async def _call(self, method: str, url: str, headers: Mapping[str, str], content: bytes) -> Answer:
        parts, said, body = urlsplit(url), {}, bytearray()
        named = [(b"host", b"127.0.0.1:8000"), *((name.lower().encode(), value.encode()) for name, value in headers.items())]

        async def receive() -> dict[str, Any]:
            """Give the whole body at once."""
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            """Take the answer."""
            if message["type"] == "http.response.start":
                said.update(message)
            else:
                body.extend(message.get("body", b""))

        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "root_path": ""}
        scope |= {"path": parts.path, "raw_path": parts.path.encode(), "query_string": parts.query.encode(), "headers": named}
        await self.app(scope | {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000)}, receive, send)
        return Answer(said["status"], {name.decode(): value.decode() for name, value in said["headers"]}, bytes(body))


def _body(content: str, document: Any) -> bytes:
    return content.encode() if document is None else json.dumps(document).encode()
