"""What keeps other sites out: response headers, the origin check and the form token.

Airflow's session is a cookie with SameSite=Lax and its own API checks no origin, so every changing route here does both:
the browser must say that the request comes from this origin, and the form must carry a token that only this page could
have handed to this user.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fairlead.errors import NotPermitted

TOKEN_LIFETIME_S: Final = 12 * 3600
CONTENT_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
        "base-uri 'none'",
    )
)
"""No inline script, no inline style, no evaluation, frames only by Airflow itself (same origin)."""

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # no-referrer would make browsers send "Origin: null" with our own forms
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class ForgedRequest(NotPermitted):
    """A changing request that does not come from this page as handed to this user."""

    code = "forged-request"
    default_remedy = "Load the page again and repeat the step there."


class SecureHeaders:
    """ASGI middleware that sets the security headers, and keeps every answer but static files out of caches."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a ``send`` that adds the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caching = "no-cache" if "/static/" in scope["path"] else "no-store"

        async def send_secured(message: Message) -> None:
            """Send the message with the security headers on it."""
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers["Cache-Control"] = caching
            await send(message)

        await self._app(scope, receive, send_secured)


def check_origin(headers: Mapping[str, str]) -> None:
    """Refuse a changing request unless the browser says it comes from this very origin (Fetch Metadata, else Origin = Host).

    Raises
    ------
    ForgedRequest : another site, an opaque origin, or no statement at all.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        if site != "same-origin":
            raise ForgedRequest("The request comes from another site.")
        return
    origin = headers.get("origin", "")
    if not origin or urlsplit(origin).netloc != headers.get("host", ""):
        raise ForgedRequest("The request does not say that it comes from this page.")


def form_token(key: bytes, user_id: str, *, clock: Callable[[], float] = time.time) -> str:
    """Return a token for the forms of one user: ``<expiry>.<HMAC-SHA256>``."""
    expires = int(clock()) + TOKEN_LIFETIME_S
    return f"{expires}.{_signature(key, user_id, expires)}"


def check_token(token: str, key: bytes, user_id: str, *, clock: Callable[[], float] = time.time) -> None:
    """Refuse a form token that is absent, expired, altered, or another user's.

    Raises
    ------
    ForgedRequest : the token does not hold.
    """
    expires, _, signature = token.partition(".")
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
        raise ForgedRequest("The form has no valid token.")
    if not hmac.compare_digest(signature.encode(), _signature(key, user_id, int(expires)).encode()):
        raise ForgedRequest("The form's token is not yours.")
    if int(expires) < clock():
        raise ForgedRequest("The form is older than twelve hours.")


def _signature(key: bytes, user_id: str, expires: int) -> str:
    return hmac.new(key, f"workbench-form\x00{user_id}\x00{expires}".encode(), hashlib.sha256).hexdigest()
