"""The FAIR Data Point as a web application: thin routes over :class:`DatasetStore`, all synchronous.

Source: FDP 1.2; FAIR Signposting; LDP 1.0 for the containers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import FastAPI, Query, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from rdflib import DCTERMS, RDF, Graph, URIRef
from sqlalchemy import Engine

from fairlead import __version__
from fairlead.catalog.answers import Answers, dataset_of
from fairlead.catalog.bytes import serve_file
from fairlead.catalog.documents import MAX_PAGE_SIZE, PAGE_SIZE, Documents, page_of
from fairlead.catalog.metrics import Metrics
from fairlead.catalog.pages import HERE
from fairlead.catalog.problems import add_handlers
from fairlead.errors import UnsupportedInput, Withdrawn
from fairlead.publish import DatasetStore, Node, Site
from fairlead.publish.vocabulary import DCAT, FDP, LDP
from fairlead.settings import Settings

READ: Final = ["GET", "HEAD"]
WRITE: Final = ["POST", "PUT", "PATCH", "DELETE"]
EXPOSED: Final = ["ETag", "Link", "Location", "Content-Length", "Content-Range", "Accept-Ranges", "Last-Modified"]
LATER: Final = ("search", "sparql", "oai", "tokens", "api-keys", "index/entries")
PageSize = Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)]


def create_app(settings: Settings, engine: Engine) -> FastAPI:
    """Return the application; it reads and never writes."""
    app = FastAPI(title=settings.catalog.title, version=__version__, redirect_slashes=False, docs_url=None, redoc_url=None)
    metrics = Metrics()
    app.add_middleware(
        CORSMiddleware, allow_origins=["*"], allow_methods=["GET", "HEAD", "OPTIONS"], allow_headers=["*"], expose_headers=EXPOSED
    )
    app.add_middleware(metrics.middleware())
    add_handlers(app)
    documents = Documents(Site.of(settings), DatasetStore(settings, engine))
    answers = Answers(documents)
    _add_records(app, documents, answers)
    _add_containers(app, documents, answers)
    _add_pages(app, documents, answers)
    _add_profiles(app, documents, answers)
    _add_bytes(app, documents.store)
    _add_service(app, documents.store, metrics)
    _add_later(app)
    return app


def _add_records(app: FastAPI, documents: Documents, answers: Answers) -> None:
    @app.api_route("/", methods=READ)
    def root(request: Request) -> Response:
        """Return the FAIR Data Point itself."""
        return answers.node(request, documents.root)

    @app.api_route("/catalog/{identifier}", methods=READ)
    def catalog(request: Request, identifier: str) -> Response:
        """Return a catalogue."""
        return answers.node(request, lambda: documents.catalog(identifier))

    @app.api_route("/dataset/{identifier}", methods=READ)
    def dataset(request: Request, identifier: str) -> Response:
        """Return a dataset, or its tombstone."""
        return _or_tombstone(request, documents, answers, identifier=identifier, find=lambda: documents.dataset(identifier))

    @app.api_route("/distribution/{identifier}", methods=READ)
    def distribution(request: Request, identifier: str) -> Response:
        """Return a distribution, or its dataset's tombstone."""
        return _or_tombstone(request, documents, answers, identifier=identifier, find=lambda: documents.distribution(identifier))


def _or_tombstone(request: Request, documents: Documents, answers: Answers, *, identifier: str, find: Callable[[], Node]) -> Response:
    try:
        return answers.node(request, find)
    except Withdrawn:
        return answers.tombstone(request, documents.store.tombstone(dataset_of(identifier)))


def _add_containers(app: FastAPI, documents: Documents, answers: Answers) -> None:
    site = documents.site

    def container(request: Request, node: Node, iri: str) -> Response:
        return answers.graph(request, _only_container(documents.graph(node, "fdp"), URIRef(iri)))

    @app.api_route("/catalog/", methods=READ)
    def catalogs(request: Request) -> Response:
        """Return the container of catalogues."""
        return container(request, documents.root(), f"{site.base}/catalog/")

    @app.api_route("/catalog/{identifier}/dataset/", methods=READ)
    def datasets(request: Request, identifier: str) -> Response:
        """Return the container of a catalogue's datasets."""
        return container(request, documents.catalog(identifier), f"{site.catalog}/dataset/")

    @app.api_route("/dataset/{identifier}/distribution/", methods=READ)
    def distributions(request: Request, identifier: str) -> Response:
        """Return the container of a dataset's distributions."""
        return container(request, documents.dataset(identifier), f"{site.dataset(identifier)}/distribution/")


def _add_pages(app: FastAPI, documents: Documents, answers: Answers) -> None:
    site = documents.site

    def page(request: Request, node: Node, *, parent: str, relation: URIRef, where: tuple[int, int]) -> Response:
        address = site.base + request.url.path
        part = page_of(documents.graph(node, "fdp"), address, relation=relation, parent=URIRef(parent), page=where[0], size=where[1])
        return answers.graph(request, part.graph, [f'<{url}>; rel="{name}"' for name, url in part.links.items()])

    @app.api_route("/page/catalog", methods=READ)
    def catalog_page(request: Request, page_number: Annotated[int, Query(alias="page", ge=0)] = 0, size: PageSize = PAGE_SIZE) -> Response:
        """Return some catalogues."""
        return page(request, documents.root(), parent=site.root, relation=FDP.metadataCatalog, where=(page_number, size))

    @app.api_route("/catalog/{identifier}/page/dataset", methods=READ)
    def dataset_page(
        request: Request, identifier: str, page_number: Annotated[int, Query(alias="page", ge=0)] = 0, size: PageSize = PAGE_SIZE
    ) -> Response:
        """Return some datasets of a catalogue."""
        return page(request, documents.catalog(identifier), parent=site.catalog, relation=DCAT.dataset, where=(page_number, size))

    @app.api_route("/dataset/{identifier}/page/distribution", methods=READ)
    def distribution_page(
        request: Request, identifier: str, page_number: Annotated[int, Query(alias="page", ge=0)] = 0, size: PageSize = PAGE_SIZE
    ) -> Response:
        """Return some distributions of a dataset."""
        node, parent = documents.dataset(identifier), site.dataset(identifier)
        return page(request, node, parent=parent, relation=DCAT.distribution, where=(page_number, size))


def _only_container(graph: Graph, container: URIRef) -> Graph:
    part = Graph()
    part += graph.triples((container, None, None))
    parent, relation = graph.value(container, LDP.membershipResource), graph.value(container, LDP.hasMemberRelation)
    part += graph.triples((parent, relation, None))
    part += graph.triples((parent, RDF.type, None))
    part += graph.triples((parent, DCTERMS.title, None))
    return part


def _add_profiles(app: FastAPI, documents: Documents, answers: Answers) -> None:
    @app.api_route("/profile/{identifier}", methods=READ)
    def profile(request: Request, identifier: str) -> Response:
        """Return a profile with its SHACL shapes."""
        return answers.graph(request, documents.profile(identifier))

    def spec(request: Request, identifier: str = "") -> Response:
        """Return the shapes of a record's type: one profile covers all types."""
        return answers.graph(request, documents.profile(request.query_params.get("profile", "fdp")))

    for path in ("/spec", "/catalog/{identifier}/spec", "/dataset/{identifier}/spec", "/distribution/{identifier}/spec"):
        app.add_api_route(path, spec, methods=READ, name=f"spec {path}")


def _add_bytes(app: FastAPI, store: DatasetStore) -> None:
    @app.api_route("/data/{dataset}/v{version}/{path:path}", methods=READ)
    def data(request: Request, dataset: str, version: int, path: str) -> Response:
        """Return bytes of a published version."""
        return serve_file(store, request, dataset=dataset, version=version, path=path)

    @app.api_route("/static/style.css", methods=READ, include_in_schema=False)
    def style() -> Response:
        """Return the style sheet."""
        return FileResponse(HERE / "static" / "style.css", media_type="text/css", headers={"Cache-Control": "public, max-age=3600"})


def _add_service(app: FastAPI, store: DatasetStore, metrics: Metrics) -> None:
    @app.api_route("/healthz", methods=READ)
    def healthz() -> JSONResponse:
        """Return 200 while the store answers, 503 otherwise."""
        store.generation()
        return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})

    @app.api_route("/metrics", methods=READ)
    def prometheus() -> PlainTextResponse:
        """Return counters in the Prometheus text format."""
        return PlainTextResponse(metrics.text(datasets=len(store.published())), media_type="text/plain; version=0.0.4")


def _add_later(app: FastAPI) -> None:
    def later(request: Request) -> Response:
        """Say what this server does not do."""
        raise UnsupportedInput(
            f"This FAIR Data Point does not do {request.method} {request.url.path} yet.",
            remedy="It serves records to read, see / and /profile/fdp; datasets come from `fairlead publish` or the export_cohort DAG.",
        )

    for name in LATER:
        app.add_api_route(f"/{name}", later, methods=[*READ, *WRITE], include_in_schema=False, name=f"later {name}")
    records = [
        f"/{kind}{end}" for kind in ("catalog", "dataset", "distribution") for end in ("", "/{identifier}", "/{identifier}/meta/state")
    ]
    for path in ("/", *records):
        app.add_api_route(path, later, methods=WRITE, include_in_schema=False, name=f"later {path}")
