"""Both ends of pull mode: the hub's mailbox over HTTP, and the gateway that empties it. Everything in a letter is signed by its author.

Fetching is signed too, or a stranger could see which centres are asked how often. The gateway answers a letter exactly as it
answers over HTTP, except that the letter may be older; the signed answer goes back the same way.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from fairlead.database import utc_now
from fairlead.errors import FairleadError, InvalidInput, NotFound, ServiceUnreachable, Unauthenticated
from fairlead.federation.asking import LARGEST_ANSWER
from fairlead.federation.centers import Centers
from fairlead.federation.freezing import FREEZE
from fairlead.federation.gateway import COUNT, FACETS, Gateway
from fairlead.federation.mailbox import Mailbox, letters_of
from fairlead.federation.messages import SIGNATURE, is_fresh
from fairlead.federation.networks import limited_body, problem
from fairlead.federation.signing import Identity, is_signed

SENT_AT: Final = "Fairlead-Sent-At"
LETTER: Final = re.compile(r"[0-9a-f-]{36}")
WAIT_S: Final = 30.0


def create_mailroom(box: Mailbox, centers: Centers, *, clock: Callable[[], datetime] = utc_now) -> FastAPI:
    """Return the hub's application, from which accepted centres fetch their questions."""
    app = FastAPI(title="Fairlead mailbox", docs_url=None, redoc_url=None)

    def admitted(request: Request, center: str, body: bytes) -> None:
        """Raise Unauthenticated unless an accepted centre that fetches its questions signed this just now."""
        sent = request.headers.get(SENT_AT, "")
        lines = (request.method, request.url.path, sent, hashlib.sha256(body).hexdigest())
        known = next((one for one in centers.list(accepted=True) if one.name == center and one.mode == "pull"), None)
        if known is None or not is_signed(known.public_key, request.headers.get(SIGNATURE, ""), *lines) or not is_fresh(sent, clock()):
            raise Unauthenticated("The message is not signed by a centre that fetches its questions here.")

    @app.get("/v1/mailbox/{center}")
    def letters(request: Request, center: str) -> JSONResponse:
        """Return the questions that wait for a centre."""
        admitted(request, center, b"")
        return JSONResponse({"letters": box.waiting(center)}, headers={"Cache-Control": "no-store"})

    @app.post("/v1/mailbox/{center}/{letter}")
    async def answer(request: Request, center: str, letter: str) -> JSONResponse:
        """Take a centre's answer to one question."""
        body = await limited_body(request, LARGEST_ANSWER)
        await run_in_threadpool(admitted, request, center, body)
        if LETTER.fullmatch(letter) is None or not await run_in_threadpool(box.answer, center, letter, body.decode("utf-8", "replace")):
            raise NotFound("No such question waits for this centre.")
        return JSONResponse({"taken": True})

    @app.exception_handler(FairleadError)
    async def refused(request: Request, error: FairleadError) -> JSONResponse:
        """Answer an error of ours as a problem document (RFC 9457)."""
        return problem(error)

    return app


def empty_mailbox(gateway: Gateway, url: str, *, client: httpx.Client) -> int:
    """Answer every question that waits at a hub, and return how many there were.

    Raises
    ------
    ServiceUnreachable : the mailbox does not answer; InvalidInput : what answers there is none.
    """
    path = f"/v1/mailbox/{gateway.center}"
    try:
        found = letters_of(_sent(client, "GET", url, path, identity=gateway.identity, clock=gateway.clock).content)
        for letter in found:
            if letter["path"] in (COUNT, FACETS, FREEZE) and LETTER.fullmatch(letter["id"]):
                reply = gateway.ask(letter["path"], letter["request"].encode(), letter["signature"], mailbox=True)
                body = json.dumps(reply.document).encode()
                _sent(client, "POST", url, f"{path}/{letter['id']}", body, identity=gateway.identity, clock=gateway.clock)
    except httpx.HTTPError as error:
        raise ServiceUnreachable(
            "The mailbox does not answer, or refuses this centre.", remedy="Check gateway.mailbox; the hub must have accepted this centre."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput("What answers there is no mailbox.", remedy="Check gateway.mailbox.") from error
    return len(found)


def _sent(
    client: httpx.Client, method: str, url: str, path: str, body: bytes = b"", *, identity: Identity, clock: Callable[[], datetime]
) -> httpx.Response:
    full = urlsplit(url).path.rstrip("/") + path
    sent = clock().isoformat()
    signature = identity.sign(method, full, sent, hashlib.sha256(body).hexdigest())
    headers = {SENT_AT: sent, SIGNATURE: signature, "Content-Type": "application/json"}
    response = client.request(method, url.rstrip("/") + path, content=body, headers=headers)
    response.raise_for_status()
    return response


def pull(gateway: Gateway, url: str, *, every_s: float, stopped: Callable[[float], bool], once: bool = False) -> int:
    """Empty the mailbox again and again until ``stopped`` (which waits) says so; a mailbox that is away is asked again later."""
    total, began = 0, time.monotonic()
    with httpx.Client(timeout=WAIT_S, trust_env=False) as client:
        while True:
            try:
                total += empty_mailbox(gateway, url, client=client)
            except ServiceUnreachable:
                if once or time.monotonic() - began < every_s:  # a wrong address shows at once
                    raise
            if once or stopped(every_s):
                return total
