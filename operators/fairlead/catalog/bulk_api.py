"""Many records in one request and one transaction: all are stored, or none and the answer says why for each that failed.

Every record goes through what a single one goes through (reading, completion, shapes); only the way there is shorter.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from fairlead.catalog.accounts import User
from fairlead.catalog.bodies import body_of, json_of, text_field
from fairlead.catalog.entries import Entry, EntryState, iri_of
from fairlead.catalog.problems import PROBLEM
from fairlead.catalog.writer import Sent, Writer
from fairlead.catalog.writing import kind_of, words_of
from fairlead.errors import FairleadError, InvalidInput, ServiceUnreachable

MAX_RECORDS: Final = 1000
SHOWN: Final = 50
"""Failures that the answer lists; correcting those shows the others."""
Body = Annotated[bytes, Depends(body_of)]


def add_bulk_routes(app: FastAPI, writer: Writer) -> None:
    """Add the way to create many records at once."""

    @app.post("/bulk", status_code=201)
    def bulk(request: Request, body: Body) -> Response:
        """Store many new records, as drafts or published, in one transaction."""
        user = writer.user(request)
        asked = json_of(body)
        publish, items = _asked(asked)
        new, failed = _drafted(writer, user, items, publish=publish)
        if failed:
            return _refused(failed, len(items))
        if publish:
            new = [(replace(entry, state=EntryState.PUBLISHED), words) for entry, words in new]
        stored = writer.documents.entries.add_all(new)
        document = {"created": [writer.iri_of(entry.kind.name, entry.id) for entry in stored], "state": "PUBLISHED" if publish else "DRAFT"}
        if publish:
            document["waiting"] = [writer.iri_of(entry.kind.name, entry.id) for entry in stored if not entry.is_visible]
        return JSONResponse(document, 201, {"Cache-Control": "no-store"})


def _asked(document: Any) -> tuple[bool, list[Any]]:
    """Return whether to publish, and the records; raise InvalidInput."""
    items = document.get("records") if isinstance(document, dict) else None
    publish = document.get("publish", False) if isinstance(document, dict) else False
    if not isinstance(publish, bool):
        raise InvalidInput('The field "publish" is neither true nor false.', remedy="Write true or false, without quotes.")
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_RECORDS:
        raise InvalidInput(
            f"A bundle has 1 to {MAX_RECORDS} records.", remedy='Send {"publish": false, "records": [{"kind": "dataset", "body": "…"}]}.'
        )
    return publish, items


def _drafted(writer: Writer, user: User, items: list[Any], *, publish: bool) -> tuple[list[tuple[Entry, str]], list[dict[str, Any]]]:
    """Return what may be stored, and why the rest may not."""
    new: list[tuple[Entry, str]] = []
    failed: list[dict[str, Any]] = []
    for number, item in enumerate(items):
        try:
            kind = kind_of(text_field(item, "kind"))
            content_type = item.get("type", "text/turtle")
            sent = Sent(text_field(item, "body").encode(), str(content_type), user)
            entry, graph = writer.drafted(sent, kind)
            if publish:
                writer.require_place(entry.parent, user)
            new.append((entry, words_of(graph, iri_of(writer.documents.site, kind.name, entry.id))))
        except ServiceUnreachable:
            raise  # no record's fault
        except FairleadError as error:
            failed.append({"record": number, "code": error.code, "title": error.message, "detail": error.remedy})
            if len(failed) >= SHOWN:
                break
    return new, failed


def _refused(failed: list[dict[str, Any]], total: int) -> Response:
    document = {
        "type": "urn:fairlead:error:bundle-refused",
        "title": f"Nothing was stored: {len(failed)} of {total} records cannot be.",
        "status": 422,
        "detail": "Correct the records that are listed by their place, counted from 0, and send the bundle again.",
        "records": failed,
    }
    return Response(json.dumps(document, ensure_ascii=False), 422, {"Cache-Control": "no-store"}, PROBLEM)
