"""Gzip for documents, with entity tags of their own; the bytes of datasets are compressed already and are asked for in parts.

A compressed representation is another one, so it has another strong ETag (RFC 9110 section 8.8.3.3): the same with ``-gzip``. What a
client sends back loses that again before anybody compares it.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SMALLEST: Final = 1024
"""Bytes from which on compressing pays; tokens and other secrets are shorter, so their length tells nothing (BREACH)."""
LEVEL: Final = 4
MARK: Final = '-gzip"'
CONDITIONS: Final = (b"if-none-match", b"if-match")
UNWANTED: Final = re.compile(r"gzip\s*;\s*q\s*=\s*0(\.0*)?\s*(,|$)")


class Compressed:
    """The middleware itself."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app
        self._gzip = GZipMiddleware(app, minimum_size=SMALLEST, compresslevel=LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and compress the answer when the client takes that."""
        if scope["type"] != "http" or scope["path"].startswith("/data/"):
            await self._app(scope, receive, send)
            return
        sent = [(name, value.decode("latin-1")) for name, value in scope["headers"]]
        has_ours = any(name == b"if-none-match" and MARK in value for name, value in sent)
        plain = [(name, (value.replace(MARK, '"') if name in CONDITIONS else value).encode("latin-1")) for name, value in sent]

        async def marked(message: Message) -> None:
            """Mark the entity tag of what is compressed, and of what the client has compressed."""
            if message["type"] == "http.response.start":
                _mark(MutableHeaders(raw=message["headers"]), always=has_ours and message["status"] == 304)
            await send(message)

        wants = not any(name == b"accept-encoding" and UNWANTED.search(value.lower()) for name, value in sent)
        await (self._gzip if wants else self._app)({**scope, "headers": plain}, receive, marked)


def _mark(headers: MutableHeaders, *, always: bool) -> None:
    etag = headers.get("etag", "")
    if etag.endswith('"') and (always or headers.get("content-encoding") == "gzip"):
        headers["ETag"] = etag.removesuffix('"') + MARK
