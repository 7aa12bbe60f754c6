"""Request bodies of bounded size, read before any parser sees them."""

from __future__ import annotations

import re
from typing import Any, Final

from fastapi import Request

from fairlead.catalog.reading import strict_json
from fairlead.errors import FairleadError, InvalidInput, UnsupportedInput

MAX_BODY: Final = 2 * 1024 * 1024
"""Bytes of a written record; the largest real ones have some 50 kB."""
MAX_BUNDLE: Final = 8 * 1024 * 1024
"""Bytes of a bundle of records."""
TRIG: Final = "application/trig"
CHARSET: Final = re.compile(r';\s*charset\s*=\s*"?([^";\s]*)', re.IGNORECASE)


class TooLarge(FairleadError):
    """A request body beyond the limit."""

    code = "body-too-large"
    default_remedy = f"Send at most {MAX_BODY} bytes."


class UnsupportedMediaType(UnsupportedInput):
    """A request body of a media type that is not read."""

    code = "unsupported-media-type"


async def body_of(request: Request) -> bytes:
    """Return the body; stop reading when it is larger than :data:`MAX_BODY`.

    Raises
    ------
    TooLarge : the client is told before it has sent everything.
    """
    return await _bounded(request, MAX_BODY)


async def bundle_of(request: Request) -> bytes:
    """Return the body of a bundle of records, or of one record; raise TooLarge as :func:`body_of` does."""
    many = request.headers.get("content-type", "").partition(";")[0].strip().lower() == TRIG
    return await _bounded(request, MAX_BUNDLE if many else MAX_BODY)


def _check_encoding(request: Request) -> None:
    """Raise UnsupportedMediaType for bodies that are compressed, or in other characters than UTF-8 (RFC 9110 section 15.5.16)."""
    packed = request.headers.get("content-encoding", "").strip().lower()
    if packed not in ("", "identity"):
        raise UnsupportedMediaType(f"Requests are not read as {packed[:40]!r}.", remedy="Send the body as it is, without Content-Encoding.")
    found = CHARSET.search(request.headers.get("content-type", ""))
    if found is not None and found.group(1).lower() not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType(f"Characters are not read as {found.group(1)[:40]!r}.", remedy="Send UTF-8.")


async def _bounded(request: Request, limit: int) -> bytes:
    _check_encoding(request)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLarge(f"The request has more than {limit} bytes.", remedy=f"Send at most {limit} bytes.")
        parts.append(part)
    return b"".join(parts)


def json_of(body: bytes) -> Any:
    """Return a JSON body; raise InvalidInput."""
    try:
        return strict_json(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InvalidInput("The request is not UTF-8.", remedy="Send a JSON document in UTF-8.") from error


def text_field(document: Any, name: str) -> str:
    """Return a text field of a JSON body; raise InvalidInput when it is missing or empty."""
    value = document.get(name) if isinstance(document, dict) else None
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"The request names no {name!r}.", remedy=f'Send {{"{name}": …}}.')
    return value
