"""The gateway over HTTP: two signed questions, what may be read about the policy and the vocabulary, health and metrics."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from fairlead.errors import FairleadError, Unauthenticated
from fairlead.federation.bearer import check_bearer
from fairlead.federation.describing import service_turtle, vocabulary_of
from fairlead.federation.freezing import FREEZE
from fairlead.federation.gateway import COUNT, FACETS, Gateway
from fairlead.federation.messages import SIGNATURE, Question, is_fresh
from fairlead.federation.networks import add_networks, limited_body, problem
from fairlead.federation.signing import is_signed

HUB: Final = "Fairlead-Hub"
SENT_AT: Final = "Fairlead-Sent-At"
SIGNED: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": Question.model_json_schema()}}},
    "parameters": [{"name": SIGNATURE, "in": "header", "required": True, "schema": {"type": "string"}}],
}
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    code: {"description": text}
    for code, text in {
        400: "No question.", 401: "Not signed by a known hub.", 403: "Refused by policy.", 413: "Too large.",
        422: "A field or term is unknown here.", 429: "Budget spent.", 503: "Index or database do not answer.",
    }.items()
}  # fmt: skip


def create_app(gateway: Gateway, *, url: str = "") -> FastAPI:
    """Return the application of one centre's gateway; ``url`` is its address as hubs reach it."""
    app = FastAPI(title="Fairlead gateway", version="1", docs_url=None, redoc_url=None)
    app.state.gateway = gateway
    _add_questions(app, gateway)
    _add_reading(app, gateway, url)
    add_networks(app, gateway, url)
    _add_errors(app)
    return app


def _add_questions(app: FastAPI, gateway: Gateway) -> None:
    async def ask(request: Request, path: str) -> Response:
        """Answer one question, or refuse it in a way that is audited."""
        try:
            bearer = gateway.policy().bearer
            if bearer is not None:
                check_bearer(request.headers.get("authorization", ""), bearer, now=gateway.clock())
            body = await limited_body(request, gateway.policy().largest_message_bytes)
        except FairleadError as error:
            reply = await run_in_threadpool(gateway.refuse, error, path)
            return JSONResponse(reply.document, reply.status)
        reply = await run_in_threadpool(gateway.ask, path, body, request.headers.get(SIGNATURE, ""))
        return JSONResponse(reply.document, reply.status, headers={"Cache-Control": "no-store"})

    @app.post(COUNT, openapi_extra=SIGNED, responses=ANSWERS)
    async def count(request: Request) -> Response:
        """Count patients."""
        return await ask(request, COUNT)

    @app.post(FACETS, openapi_extra=SIGNED, responses=ANSWERS)
    async def facets(request: Request) -> Response:
        """Count patients, altogether and by the values of fields."""
        return await ask(request, FACETS)

    @app.post(FREEZE, openapi_extra=SIGNED, responses=ANSWERS)
    async def freeze(request: Request) -> Response:
        """Freeze this centre's part of a cohort across centres, and count it."""
        return await ask(request, FREEZE)


def _add_reading(app: FastAPI, gateway: Gateway, url: str) -> None:
    @app.get("/v1/policy", responses={401: ANSWERS[401]})
    def policy(request: Request) -> Response:
        """Return the rules for all; a hub that signs reads its own projects, too."""
        headers, now = request.headers, gateway.policy()
        name = headers.get(HUB, "")
        if not name:
            return JSONResponse({"center": gateway.center, "key": gateway.identity.public_key} | now.for_hub(""))
        hub = now.hub(name)
        sent = headers.get(SENT_AT, "")
        lines = ("GET", "/v1/policy", gateway.center, sent)  # the centre is in it, so that no centre reads another's with it
        if hub is None or not is_signed(hub.public_key, headers.get(SIGNATURE, ""), *lines) or not is_fresh(sent, gateway.clock()):
            return problem(Unauthenticated("The message is not signed by a hub that this centre knows."))
        return JSONResponse({"center": gateway.center, "key": gateway.identity.public_key} | now.for_hub(name))

    @app.get("/v1/vocabulary")
    def vocabulary() -> JSONResponse:
        """Return the fields that may be asked about, with their aliases, units and vocabularies."""
        return JSONResponse(vocabulary_of(gateway))

    @app.get("/v1/service")
    def service() -> Response:
        """Return the gateway as a DCAT data service, which catalogues list and hubs find."""
        return Response(service_turtle(gateway, url), media_type="text/turtle")

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """Say that requests are answered."""
        return {"status": "ok"}

    @app.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> str:
        """Return answers by state, in the Prometheus text format."""
        lines = ["# HELP fairlead_gateway_answers_total Answers by state.", "# TYPE fairlead_gateway_answers_total counter"]
        lines += [f'fairlead_gateway_answers_total{{state="{state}"}} {number}' for state, number in sorted(gateway.tally.items())]
        return "\n".join(lines) + "\n"


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(FairleadError)
    async def refused(request: Request, error: FairleadError) -> JSONResponse:
        """Answer an error of ours as a problem document (RFC 9457)."""
        return problem(error)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        """Answer the framework's own refusals in the same form."""
        return JSONResponse({"title": error.detail, "status": error.status_code}, error.status_code, headers=error.headers)
