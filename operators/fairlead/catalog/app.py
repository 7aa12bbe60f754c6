"""The FAIR Data Point as a web application: thin routes over :class:`DatasetStore`, all synchronous.

Source: FDP 1.2; FAIR Signposting; LDP 1.0 for the containers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final

from fastapi import FastAPI, Request
from fastapi import Path as PathParameter
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, Response
from fastapi.routing import APIRoute
from sqlalchemy import Engine

from fairlead import __version__
from fairlead.catalog.accounts import Accounts, User
from fairlead.catalog.answers import Answers, dataset_of
from fairlead.catalog.bulk_api import add_bulk_routes
from fairlead.catalog.bundle_api import add_bundle_routes
from fairlead.catalog.bytes import serve_file
from fairlead.catalog.compressing import Compressed
from fairlead.catalog.container_api import add_container_routes, add_page_routes
from fairlead.catalog.corpus import Corpus
from fairlead.catalog.documents import Documents
from fairlead.catalog.entries import Entries, iri_of
from fairlead.catalog.fdp_draft import add_draft_routes
from fairlead.catalog.find_api import add_find_routes
from fairlead.catalog.history_api import add_history_routes
from fairlead.catalog.metrics import Metrics
from fairlead.catalog.pages import HERE, Pages
from fairlead.catalog.pings import PingIndex, add_ping_routes
from fairlead.catalog.problems import add_handlers
from fairlead.catalog.redirecting import Mirrored
from fairlead.catalog.series import SeriesBook
from fairlead.catalog.service import READ, add_later_routes, add_service_routes
from fairlead.catalog.viewing import add_viewer_routes
from fairlead.catalog.write_api import add_write_routes
from fairlead.catalog.writer import Writer
from fairlead.errors import NotFound, Withdrawn
from fairlead.publish import DatasetStore, Node, Site
from fairlead.settings import Settings

EXPOSED: Final = ["ETag", "Link", "Location", "Content-Length", "Content-Range", "Accept-Ranges", "Last-Modified"]
WRITTEN: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Identifiers that records which clients write are given (RFC 9562)."""
Version = Annotated[int, PathParameter(ge=1, le=10**9)]


def create_app(settings: Settings, engine: Engine) -> FastAPI:
    """Return the application: what is published to read, and a write side for users that an administrator added."""
    app = FastAPI(title=settings.catalog.title, version=__version__, redirect_slashes=False, docs_url=None, redoc_url=None)
    metrics = Metrics()
    app.add_middleware(Compressed)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"],
        allow_headers=["*"],
        expose_headers=EXPOSED,
    )
    app.add_middleware(metrics.middleware())
    site, store = Site.of(settings), DatasetStore(settings, engine)
    add_handlers(app, Pages(site).problem)
    gateway = settings.gateway.url if "url" in settings.gateway.model_fields_set else ""  # its default is good for nobody else
    documents = Documents(site, store, Entries(engine), SeriesBook(site, store, engine), gateway, settings.catalog.fdp_draft)
    answers = Answers(documents)
    accounts = Accounts(settings, engine)
    _add_records(app, documents, answers, accounts)
    _add_datasheets(app, documents, answers)
    add_container_routes(app, documents, answers)
    add_page_routes(app, documents, answers)
    _add_profiles(app, documents, answers)
    _add_bytes(app, documents.store, Mirrored(settings.catalog.bucket))
    add_service_routes(app, documents.store, metrics)
    add_viewer_routes(app)
    add_find_routes(app, documents, Corpus(documents, engine))
    writer = Writer(documents, answers, accounts)
    add_write_routes(app, writer)
    add_bulk_routes(app, writer)
    add_history_routes(app, writer)
    if documents.draft:
        add_draft_routes(app, documents, answers)
        add_bundle_routes(app, writer, engine)
    if settings.catalog.ping.accept:
        add_ping_routes(app, PingIndex(settings, engine))
    add_later_routes(app)
    _split_heads(app)
    return app


def _split_heads(app: FastAPI) -> None:
    """Give HEAD routes of its own outside the OpenAPI document, where an operation id stands for one method."""
    for route in [route for route in app.routes if isinstance(route, APIRoute) and route.methods == {"GET", "HEAD"}]:
        app.add_api_route(route.path, route.endpoint, methods=["HEAD"], include_in_schema=False, name=f"head {route.name}")
        route.methods = {"GET"}


def _add_records(app: FastAPI, documents: Documents, answers: Answers, accounts: Accounts) -> None:
    find: dict[str, Callable[[str], Node]] = {
        "catalog": documents.catalog,
        "series": documents.series.get,
        "dataset": documents.dataset,
        "distribution": documents.distribution,
    }

    @app.api_route("/", methods=READ)
    def root(request: Request) -> Response:
        """Return the FAIR Data Point itself."""
        return answers.node(request, documents.root)

    def record(request: Request, kind: str, identifier: str) -> Response:
        """Answer with an exported record, else with a written one, or with a tombstone."""
        if _is_written(documents.site, kind, identifier):
            return written(request, kind, identifier)
        try:
            return answers.node(request, lambda: find[kind](identifier))
        except Withdrawn:
            return _tombstone(request, documents, answers, "" if kind == "series" else dataset_of(identifier))
        except NotFound:
            return written(request, kind, identifier)

    def written(request: Request, kind: str, identifier: str) -> Response:
        """Answer with a written record, as the user who asks may see it."""
        user = accounts.user_of(request.headers.get("authorization"))
        return _written(request, answers, documents=documents, kind=kind, identifier=identifier, user=user)

    def add(kind: str) -> None:
        """Add the route of one type of record."""

        def one(request: Request, identifier: str) -> Response:
            """Return the record of one identifier."""
            return record(request, kind, identifier)

        one.__doc__ = f"Return a {kind}, or its tombstone."
        app.add_api_route(f"/{kind}/{{identifier}}", one, methods=READ, name=kind)

    for kind in find:
        add(kind)


def _written(request: Request, answers: Answers, *, documents: Documents, kind: str, identifier: str, user: User | None) -> Response:
    """Answer with a written record, or its tombstone."""
    try:
        return answers.entry(request, documents.entries.get(kind, identifier, user))
    except Withdrawn:
        iri = iri_of(documents.site, kind, identifier)
        return answers.tombstone(request, documents.entries.tombstone(kind, identifier), iri)


def _is_written(site: Site, kind: str, identifier: str) -> bool:
    """Return whether only a written record can be called like that, which spares looking for an exported one first."""
    return kind != "series" and identifier != site.catalog_id and WRITTEN.fullmatch(identifier) is not None


def _add_datasheets(app: FastAPI, documents: Documents, answers: Answers) -> None:
    @app.api_route("/dataset/{identifier}/datasheet", methods=READ)
    def sheet(request: Request, identifier: str) -> Response:
        """Return a dataset's AI-readiness datasheet, as a page or as quality measurements (DQV)."""
        try:
            record = documents.dataset(identifier).record
        except Withdrawn:
            return _tombstone(request, documents, answers, identifier)
        return answers.datasheet(request, record)


def _tombstone(request: Request, documents: Documents, answers: Answers, dataset: str) -> Response:
    """Answer 410 with a dataset's tombstone; a series that lost all its datasets has none of its own."""
    if not dataset:
        raise Withdrawn("Every dataset of this series was withdrawn.")
    return answers.tombstone(request, documents.store.tombstone(dataset), documents.site.dataset(dataset))


def _add_profiles(app: FastAPI, documents: Documents, answers: Answers) -> None:
    @app.api_route("/profile/{identifier}", methods=READ)
    def profile(request: Request, identifier: str) -> Response:
        """Return a profile with its SHACL shapes."""
        return answers.graph(request, documents.profile(identifier))

    def spec(request: Request, identifier: str = "") -> Response:
        """Return the shapes of a record's type: one profile covers all types."""
        return answers.graph(request, documents.profile(request.query_params.get("profile", "fdp")))

    for path in (
        "/spec",
        "/catalog/{identifier}/spec",
        "/dataset/{identifier}/spec",
        "/series/{identifier}/spec",
        "/distribution/{identifier}/spec",
    ):
        app.add_api_route(path, spec, methods=READ, name=f"spec {path}")


def _add_bytes(app: FastAPI, store: DatasetStore, mirrored: Mirrored) -> None:
    @app.api_route("/data/{dataset}/v{version}/{path:path}", methods=READ)
    def data(request: Request, dataset: str, version: Version, path: str) -> Response:
        """Return bytes of a published version."""
        if request.path_params["version"] != str(version):
            raise NotFound("There is no such file.")  # v01, v+1: one thing has one address
        return serve_file(store, request, dataset=dataset, version=version, path=path, mirrored=mirrored)

    @app.api_route("/static/style.css", methods=READ, include_in_schema=False)
    def style() -> Response:
        """Return the style sheet."""
        return FileResponse(HERE / "static" / "style.css", media_type="text/css", headers={"Cache-Control": "public, max-age=3600"})

    @app.api_route("/static/icon.svg", methods=READ, include_in_schema=False)
    def icon() -> Response:
        """Return the icon of the pages."""
        return FileResponse(HERE / "static" / "icon.svg", media_type="image/svg+xml", headers={"Cache-Control": "public, max-age=3600"})
