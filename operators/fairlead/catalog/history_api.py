"""What a written record said before: looked at, brought back and forgotten by those who may change it.

Restoring is a change like any other: the old content goes through today's shapes, what it replaces is kept too.
"""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from fairlead.catalog.entries import iri_of
from fairlead.catalog.writer import Sent, Writer
from fairlead.catalog.writing import KINDS

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
        content = writer.documents.entries.content(writer.mine(request, kind, identifier), revision)
        return Response(content, media_type="application/n-triples", headers=PRIVATE)

    @app.delete(f"/{kind}/{{identifier}}/history/{{revision}}", name=f"forget {kind}", status_code=204)
    def forget(request: Request, identifier: str, revision: int) -> Response:
        """Remove an earlier content for good."""
        writer.documents.entries.forget(writer.mine(request, kind, identifier), revision)
        return Response(status_code=204)

    @app.post(f"/{kind}/{{identifier}}/history/{{revision}}/restore", name=f"restore {kind}")
    def restore(request: Request, identifier: str, revision: int) -> Response:
        """Make an earlier content the present one."""
        entry = writer.mine(request, kind, identifier)
        content = writer.documents.entries.content(entry, revision).encode()
        return writer.replaced(request, entry, Sent(content, "application/n-triples", writer.user(request)))
