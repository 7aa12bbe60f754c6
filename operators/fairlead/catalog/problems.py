"""Errors as RFC 9457 problem documents: what is so and what to do, never an internal detail."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from fairlead.catalog.accounts import NotAuthenticated, TooManyAttempts
from fairlead.catalog.bodies import TooLarge, UnsupportedMediaType
from fairlead.catalog.entries import PreconditionFailed
from fairlead.catalog.negotiation import HTML, choose
from fairlead.catalog.pages import POLICY
from fairlead.catalog.sparql import TooCostly
from fairlead.errors import (
    CheckFailed,
    Conflict,
    FairleadError,
    InvalidInput,
    NotFound,
    NotPermitted,
    ServiceUnreachable,
    UnsupportedInput,
    Withdrawn,
)

logger = logging.getLogger(__name__)
PROBLEM: Final = "application/problem+json"
type PageOf = Callable[[int, str, str], bytes]
"""The page of a status, a title and a detail."""
RDF_REPORT: Final = ("text/turtle", "application/ld+json", "application/rdf+xml", "application/n-triples", PROBLEM)
"""Representations of a SHACL report; Turtle for those who do not mind, as the reference does."""
STATUS: Final[Mapping[type[FairleadError], int]] = {
    NotAuthenticated: 401,
    TooManyAttempts: 429,
    TooLarge: 413,
    UnsupportedMediaType: 415,
    PreconditionFailed: 412,
    Withdrawn: 410,
    NotFound: 404,
    UnsupportedInput: 501,
    InvalidInput: 400,
    NotPermitted: 403,
    Conflict: 409,
    CheckFailed: 422,
    TooCostly: 503,
    ServiceUnreachable: 503,
}
"""First class that fits wins; any other error of ours is 500."""


NOT_FOUND: Final = "Check the address; the catalogue and its search lead to what there is."
"""Stands for the remedy that the command line gives."""
EXTRA: Final[Mapping[int, Mapping[str, str]]] = {
    401: {"WWW-Authenticate": 'Bearer realm="catalog"'},
    429: {"Retry-After": "300"},
    503: {"Retry-After": "30"},
}
"""Headers that a status comes with (RFC 9110 sections 11.6.1 and 10.2.3)."""


class NotAcceptable(FairleadError):
    """None of the representations asked for exists."""

    code = "not-acceptable"


def status_of(error: FairleadError) -> int:
    """Return the HTTP status of an error."""
    if isinstance(error, NotAcceptable):
        return 406
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)


def problem(status: int, *, code: str, title: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem document; it is never cached."""
    body = {"type": f"urn:fairlead:error:{code}", "title": title, "status": status, "detail": detail}
    extra = EXTRA.get(status, {})
    return Response(
        json.dumps(body, ensure_ascii=False), status, {"Cache-Control": "no-store", "Vary": "Accept", **extra, **(headers or {})}, PROBLEM
    )


def add_handlers(app: FastAPI, page: PageOf | None = None) -> None:
    """Answer every error of the app with a problem document, and with a page in a browser when ``page`` makes one."""

    def answer(request: Request, status: int, *, code: str, title: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
        """Say what is so in what the client prefers."""
        made = problem(status, code=code, title=title, detail=detail, headers=headers)
        if page is not None and choose(request.headers.get("accept"), offered=(PROBLEM, "application/json", HTML)) == HTML:
            security = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
            kept = {name: value for name, value in made.headers.items() if name not in ("content-length", "content-type")}
            return Response(page(status, title, detail), status, {**kept, **security}, HTML)
        return made

    @app.exception_handler(FairleadError)
    def ours(request: Request, error: FairleadError) -> Response:
        """Answer an error of ours with its own words."""
        status = status_of(error)
        if status >= 500:
            logger.warning("%s answered %s: %s", request.url.path, status, error.code)
        remedy = NOT_FOUND if error.remedy == NotFound.default_remedy else error.remedy
        return answer(request, status, code=error.code, title=error.message, detail=remedy)

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        """Answer what routing refuses."""
        headers = dict(error.headers or {})
        return answer(request, error.status_code, code=f"http-{error.status_code}", title=str(error.detail), detail="", headers=headers)

    @app.exception_handler(RequestValidationError)
    def validation(request: Request, error: RequestValidationError) -> Response:
        """Answer parameters that do not hold, by their names."""
        names = ", ".join(sorted({str(item["loc"][-1]) for item in error.errors()}))
        return answer(
            request,
            400,
            code="invalid-input",
            title=f"These parameters do not hold: {names}.",
            detail="See /openapi.json for what they may be.",
        )

    @app.exception_handler(Exception)
    def unforeseen(request: Request, error: Exception) -> Response:
        """Answer a mistake of ours with a reference and nothing else."""
        reference = secrets.token_hex(6)
        logger.error("%s failed, reference %s: %s", request.url.path, reference, type(error).__name__)
        return answer(request, 500, code="internal", title="The server made a mistake.", detail=f"Reference {reference}.")
