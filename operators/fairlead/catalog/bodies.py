"""Request bodies of bounded size, read before any parser sees them."""

from __future__ import annotations

from typing import Final

from fastapi import Request

from fairlead.errors import FairleadError, UnsupportedInput

MAX_BODY: Final = 2 * 1024 * 1024
"""Bytes of a written record; the largest real ones have some 50 kB."""


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
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY:
            raise TooLarge(f"The request has more than {MAX_BODY} bytes.")
        parts.append(part)
    return b"".join(parts)
