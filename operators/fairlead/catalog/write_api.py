"""The write side of the FAIR Data Point, wire-compatible with clients of the reference implementation.

``POST /tokens`` → ``POST /{type}`` (201, Location, draft) → ``PUT /{type}/{id}/meta/state`` → ``PUT``, ``DELETE``. Where the
reference answers 403 to anonymous writers we answer 401, and 422 with the SHACL report to records that break the shapes.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from fairlead.catalog.bodies import body_of, json_of, text_field
from fairlead.catalog.documents import represent
from fairlead.catalog.negotiation import choose
from fairlead.catalog.problems import RDF_REPORT, problem
from fairlead.catalog.writer import Writer
from fairlead.catalog.writing import KINDS, RefusedRecord

Body = Annotated[bytes, Depends(body_of)]


def add_write_routes(app: FastAPI, writer: Writer) -> None:
    """Add tokens and the life of written records."""

    @app.post("/tokens")
    def tokens(body: Body) -> Response:
        """Return a token for an e-mail address and its password."""
        asked = json_of(body)
        token = writer.accounts.token(text_field(asked, "email"), text_field(asked, "password"))
        return JSONResponse({"token": token}, headers={"Cache-Control": "no-store"})

    for kind in KINDS:
        _add_kind(app, writer, kind)

    @app.exception_handler(RefusedRecord)
    def refused(request: Request, error: RefusedRecord) -> Response:
        """Answer 422 with the SHACL report as RDF, or in words for those who ask for JSON."""
        media_type = choose(request.headers.get("accept"), offered=RDF_REPORT)
        if error.report is None or media_type in (None, "application/problem+json"):
            return problem(422, code=error.code, title=error.message, detail=error.remedy)
        return Response(represent(error.report.document, str(media_type)), 422, {"Cache-Control": "no-store"}, media_type)


def _add_kind(app: FastAPI, writer: Writer, kind: str) -> None:
    @app.post(f"/{kind}", name=f"create {kind}")
    def create(request: Request, body: Body) -> Response:
        """Store a new record as a draft."""
        return writer.create(request, kind, body)

    @app.put(f"/{kind}/{{identifier}}", name=f"replace {kind}")
    def replace(request: Request, identifier: str, body: Body) -> Response:
        """Replace a record."""
        return writer.replace(request, kind, identifier, body)

    @app.delete(f"/{kind}/{{identifier}}", name=f"delete {kind}", status_code=204)
    def delete(request: Request, identifier: str) -> Response:
        """Delete a record and what is below it."""
        return writer.delete(request, kind, identifier)

    @app.get(f"/{kind}/{{identifier}}/meta", name=f"meta {kind}")
    def meta(request: Request, identifier: str) -> Response:
        """Return state and rights."""
        return writer.meta(request, kind, identifier)

    @app.put(f"/{kind}/{{identifier}}/meta/state", name=f"state {kind}")
    def state(request: Request, identifier: str, body: Body) -> Response:
        """Publish a draft."""
        return writer.change_state(request, kind, identifier, body)
