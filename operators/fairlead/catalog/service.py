"""What is about the service and not about records: whether it answers, its counters, and what it does not do."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from fairlead.catalog.metrics import Metrics
from fairlead.errors import UnsupportedInput
from fairlead.publish import DatasetStore

READ: Final = ["GET", "HEAD"]
WRITE: Final = ["POST", "PUT", "PATCH", "DELETE"]
LATER: Final = ("api-keys", "index/entries")
"""What may be asked for and is not done here; the last one is, where pings are taken."""


def add_service_routes(app: FastAPI, store: DatasetStore, metrics: Metrics) -> None:
    """Add health and counters."""

    @app.api_route("/healthz", methods=READ)
    def healthz() -> JSONResponse:
        """Return 200 while the store answers, 503 otherwise."""
        store.generation()
        return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})

    @app.api_route("/metrics", methods=READ)
    def prometheus() -> PlainTextResponse:
        """Return counters in the Prometheus text format."""
        return PlainTextResponse(metrics.text(datasets=len(store.published())), media_type="text/plain; version=0.0.4")


def add_later_routes(app: FastAPI) -> None:
    """Add answers in words for what clients of the reference may ask for; after every route that is built."""

    def later(request: Request) -> Response:
        """Say what this server does not do."""
        raise UnsupportedInput(
            f"This FAIR Data Point does not do {request.method} {request.url.path} yet.",
            remedy="It serves records to read, see / and /profile/fdp; datasets come from `fairlead publish` or the export_cohort DAG.",
        )

    for name in LATER:
        app.add_api_route(f"/{name}", later, methods=[*READ, *WRITE], include_in_schema=False, name=f"later {name}")
    app.add_api_route("/", later, methods=["POST"], include_in_schema=False, name="later /")
