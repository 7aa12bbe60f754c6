"""What a written record said before: looked at and brought back by those who may change it.

Restoring is a change like any other: the old content goes through today's shapes, what it replaces is kept too.
"""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from fairlead.catalog.entries import Entry, Revision, iri_of
from fairlead.catalog.write_api import Sent, Writer
from fairlead.catalog.writing import KINDS
from fairlead.errors import NotFound

PRIVATE = {"Cache-Control": "private, no-store", "Vary": "Authorization"}


def add_history_routes(app: FastAPI, writer: Writer) -> None:
    """Add the history of every type of record."""
    for kind in KINDS:
        _add_kind(app, writer, kind)


def _add_kind(app: FastAPI, writer: Writer, kind: str) -> None:
    @app.get(f"/{kind}/{{identifier}}/history", name=f"history {kind}")
    def history(request: Request, identifier: str) -> Response:
        """List what the record said before, the newest first."""
        entry = writer.mine(request, kind, identifier)
        here = f"{iri_of(writer.documents.site, kind, identifier)}/history"
        found = [
            {"revision": item.revision, "title": item.title, "changed_at": item.changed_at.isoformat(), "url": f"{here}/{item.revision}"}
            for item in writer.documents.entries.history(entry)
        ]
        return JSONResponse({"current": entry.revision, "revisions": found}, headers=PRIVATE)

    @app.get(f"/{kind}/{{identifier}}/history/{{revision}}", name=f"revision {kind}")
    def revision_of(request: Request, identifier: str, revision: int) -> Response:
        """Return an earlier content as N-Triples."""
        found = _revision(writer, writer.mine(request, kind, identifier), revision)
        return Response(found.body, media_type="application/n-triples", headers=PRIVATE)

    @app.post(f"/{kind}/{{identifier}}/history/{{revision}}/restore", name=f"restore {kind}")
    def restore(request: Request, identifier: str, revision: int) -> Response:
        """Make an earlier content the present one."""
        entry = writer.mine(request, kind, identifier)
        content = _revision(writer, entry, revision).body.encode()
        return writer.replaced(request, entry, Sent(content, "application/n-triples", writer.user(request)))


def _revision(writer: Writer, entry: Entry, number: int) -> Revision:
    found = next((item for item in writer.documents.entries.history(entry) if item.revision == number), None)
    if found is None:
        raise NotFound("The record has no such revision.", remedy="See its history for those it has.")
    return found
