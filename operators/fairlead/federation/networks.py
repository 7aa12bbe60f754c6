"""Two networks that ask in their own protocols: GA4GH Beacon v2 and the mediator of Lens. Both get the protected numbers, and budgets."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from fairlead.errors import FairleadError, NotFound, TooLarge, Unauthenticated
from fairlead.federation import beacon, lens
from fairlead.federation.gateway import STATUS, Gateway
from fairlead.federation.messages import VERSIONS, Question, new_nonce, read_json
from fairlead.federation.policy import Doors
from fairlead.records import JsonObject

BEACON: Final = "/beacon/individuals"
LENS: Final = "/lens/query"
DOCUMENT: Final[dict[str, Any]] = {"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}}


def add_networks(app: FastAPI, gateway: Gateway, url: str) -> None:
    """Add the endpoints; each is there only when the policy says under which hub and project it asks."""

    @app.get("/beacon/info")
    @app.get("/beacon")
    def info() -> JSONResponse:
        """Describe the beacon (Beacon v2, Informational endpoints)."""
        _door(gateway, "beacon")
        return JSONResponse(beacon.info_of(gateway, url))

    @app.get("/beacon/filtering_terms")
    def filtering_terms() -> JSONResponse:
        """List the fields and terms that filters may use."""
        _door(gateway, "beacon")
        return JSONResponse(beacon.terms_of(gateway))

    @app.get(BEACON)
    async def individuals(request: Request) -> Response:
        """Count everybody, or those whom `filters` (CURIEs, separated by commas) describe."""
        door = _door(gateway, "beacon", request)
        given = [one for one in request.query_params.get("filters", "").split(",") if one]
        granularity = request.query_params.get("requestedGranularity", "count")
        return await run_in_threadpool(_individuals, gateway, door, {"query": {"filters": given, "requestedGranularity": granularity}})

    @app.post(BEACON, openapi_extra=DOCUMENT)
    async def find_individuals(request: Request) -> Response:
        """Count those whom a Beacon request describes."""
        door = _door(gateway, "beacon", request)
        document = read_json(await limited_body(request, gateway.policy().largest_message_bytes))
        return await run_in_threadpool(_individuals, gateway, door, document)

    @app.post(LENS, openapi_extra=DOCUMENT)
    async def mediate(request: Request) -> Response:
        """Count those whom a search of Lens describes; the answer has the totals that its catalogue shows."""
        door = _door(gateway, "lens", request)
        tree = read_json(await limited_body(request, gateway.policy().largest_message_bytes))
        answer = await run_in_threadpool(_asked, gateway, door, lens.definition_of(tree), LENS)
        totals = {"subjects": answer["patients"] or 0, "plusMinus": answer["plus_minus"], "below": answer.get("below")}
        return JSONResponse({"site": gateway.center, "status": "succeeded", "totals": totals, "policy": answer["policy"]})


def _individuals(gateway: Gateway, door: Doors, document: Any) -> Response:
    filters, granularity = beacon.read_request(document)
    answer = _asked(gateway, door, beacon.definition_of(filters, gateway.catalogue), BEACON)
    return JSONResponse(beacon.response_of(gateway, answer, filters=filters, granularity=granularity))


def _asked(gateway: Gateway, door: Doors, definition: JsonObject, path: str) -> JsonObject:
    question = Question(
        versions=VERSIONS,
        hub=door.hub,
        center=gateway.center,
        project=door.project,
        purpose=door.purpose,
        person="network",
        nonce=new_nonce(),
        sent_at=gateway.clock(),
        definition=definition,
    )
    return gateway.ask_inside(question, path)


def _door(gateway: Gateway, name: str, request: Request | None = None) -> Doors:
    """Return what the policy says of a network; refuse who does not show its token."""
    door: Doors | None = getattr(gateway.policy(), name)
    if door is None:
        raise NotFound("This centre does not take part in this network.", remedy="Its governance file would have to open it.")
    if request is not None and door.token_sha256 is not None:
        shown = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(hashlib.sha256(shown.encode()).hexdigest(), door.token_sha256):
            raise Unauthenticated("The request carries no valid token.", remedy="Get the network's token from the centre's administrator.")
    return door


async def limited_body(request: Request, most: int) -> bytes:
    """Return the body, read no further than ``most`` bytes.

    Raises
    ------
    TooLarge : there is more.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise TooLarge(f"The message has more than {most} bytes.")
    return bytes(body)


def problem(error: FairleadError) -> JSONResponse:
    """Return an error as problem+json (RFC 9457)."""
    status = 404 if isinstance(error, NotFound) else next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
    document = {"type": error.code, "title": error.message, "detail": error.remedy, "status": status}
    return JSONResponse(document, status, media_type="application/problem+json")
