"""Finding things: search, SPARQL, OAI-PMH, sitemap, linksets. Each says 503 when the store is down, never "nothing found"."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from fairlead.catalog.bodies import body_of, json_of, text_field
from fairlead.catalog.corpus import FACETS, Corpus, facet_counts
from fairlead.catalog.documents import Documents
from fairlead.catalog.linkset import linkset_json, linkset_text
from fairlead.catalog.negotiation import HTML, choose
from fairlead.catalog.oai import Repository
from fairlead.catalog.pages import POLICY, Pages, Search
from fairlead.catalog.problems import NotAcceptable
from fairlead.catalog.sparql import RESULTS, Queries
from fairlead.catalog.void import add_void_routes, service_graph, triples_of
from fairlead.catalog.void import answer as describe
from fairlead.errors import InvalidInput

PAGE: Final = 50
MAX_PAGE: Final = 100
MAX_TEXT: Final = 500
JSON: Final = "application/json"
Body = Annotated[bytes, Depends(body_of)]
Size = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Facet = Annotated[list[str] | None, Query(max_length=20)]
Number = Annotated[int, Query(ge=0, le=100_000)]
LINKSET: Final = ("application/linkset+json", "application/linkset")


def add_find_routes(app: FastAPI, documents: Documents, corpus: Corpus) -> None:
    """Add every route of this module."""
    _add_search(app, documents, corpus)
    _add_sparql(app, documents, corpus)
    add_void_routes(app, documents, corpus)
    _add_oai(app, Repository(documents, corpus))
    _add_maps(app, documents, corpus)
    _add_linksets(app, documents)


def _add_search(app: FastAPI, documents: Documents, corpus: Corpus) -> None:
    pages = Pages(documents.site)

    @app.api_route("/search", methods=["GET", "HEAD"])
    def search(
        request: Request, q: Annotated[str, Query(max_length=MAX_TEXT)] = "", facet: Facet = None, page: Number = 0, size: Size = PAGE
    ) -> Response:
        """Return what holds every word and every ``facet=name:value``, as JSON for programs and as a page for people."""
        chosen = [_facet(text) for text in facet or ()]
        found = corpus.search(q, chosen)
        part = found[page * size : (page + 1) * size]
        headers = {"Vary": "Accept", "X-Total-Count": str(len(found)), "Cache-Control": "no-cache"}
        media_type = choose(request.headers.get("accept"), offered=(JSON, HTML))
        if media_type == HTML:
            security = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}
            return Response(
                pages.search(Search(q, tuple(chosen), part, len(found), facet_counts(found))), headers=headers | security, media_type=HTML
            )
        if media_type is None:
            raise NotAcceptable("Search answers as JSON or as a page.", remedy=f"Accept {JSON} or {HTML}.")
        return JSONResponse([hit.document() for hit in part], headers=headers)

    @app.get("/search/facets")
    def facets(q: Annotated[str, Query(max_length=MAX_TEXT)] = "", facet: Facet = None) -> JSONResponse:
        """Return how many hits of a search have each value of each facet."""
        counted = facet_counts(corpus.search(q, [_facet(text) for text in facet or ()]))
        return JSONResponse({name: [{"value": value, "count": number} for value, number in found] for name, found in counted.items()})

    @app.post("/search")
    def search_post(body: Body) -> Response:
        """Search as clients of the reference implementation do."""
        found = corpus.search(text_field(json_of(body), "query")[:MAX_TEXT])
        return JSONResponse([hit.document() for hit in found[:MAX_PAGE]], headers={"X-Total-Count": str(len(found))})


def _facet(text: str) -> tuple[str, str]:
    name, separator, value = text.partition(":")
    if name not in FACETS or not separator:
        raise InvalidInput("There is no such facet.", remedy=f"Use facet=NAME:VALUE with one of {', '.join(FACETS)}.")
    return name, value


def _add_sparql(app: FastAPI, documents: Documents, corpus: Corpus) -> None:
    queries = Queries(corpus)

    def answer(request: Request, query: str) -> Response:
        """Run a query and answer in the media type that was asked for."""
        media_type = choose(request.headers.get("accept"), offered=RESULTS)
        if media_type is None:
            raise NotAcceptable(f"Results are there as {', '.join(RESULTS)}.", remedy="Name one of them in Accept.")
        found, body = queries.run(query, media_type)
        return Response(body, media_type=found, headers={"Cache-Control": "no-cache", "Vary": "Accept"})

    @app.get("/sparql")
    def sparql(request: Request, query: str | None = None) -> Response:
        """Answer a read-only SPARQL query; without one, say what the service does (SPARQL 1.1 Service Description)."""
        if query is None:
            return describe(request, service_graph(documents.site, triples_of(corpus)))
        return answer(request, query)

    @app.post("/sparql")
    def sparql_post(request: Request, body: Body) -> Response:
        """Answer a read-only SPARQL query that is sent as the body or as a form."""
        return answer(request, _query_of(request, body))


def _query_of(request: Request, body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput("The query is not UTF-8.", remedy="Send UTF-8.") from error
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(_pairs(text)).get("query", "")
    return text


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=50)
    except ValueError as error:
        raise InvalidInput("The form has too many fields.", remedy="Send fewer.") from error


def _add_oai(app: FastAPI, repository: Repository) -> None:
    def answer(pairs: list[tuple[str, str]]) -> Response:
        """Answer an OAI-PMH request with these arguments."""
        return Response(repository.answer(pairs), media_type="text/xml; charset=utf-8", headers={"Cache-Control": "no-cache"})

    @app.api_route("/oai", methods=["GET", "HEAD"])
    def oai(request: Request) -> Response:
        """Answer an OAI-PMH request."""
        return answer(_pairs(request.url.query))

    @app.post("/oai")
    def oai_post(body: Body) -> Response:
        """Answer an OAI-PMH request that comes as a form."""
        return answer(_pairs(body.decode("utf-8", "replace")))


def _add_maps(app: FastAPI, documents: Documents, corpus: Corpus) -> None:
    @app.api_route("/sitemap.xml", methods=["GET", "HEAD"])
    def sitemap() -> Response:
        """Return the addresses of pages for search engines (sitemaps.org 0.9)."""
        site = documents.site
        rows = [(site.root, ""), (site.catalog, ""), *((node.iri, "") for node in corpus.series())]
        rows += [(item.iri, f"<lastmod>{item.changed_at:%Y-%m-%d}</lastmod>") for item in corpus.items() if not item.deleted]
        body = "".join(f"<url><loc>{escape(iri)}</loc>{changed}</url>" for iri, changed in rows[:50_000])
        text = f'<?xml version="1.0" encoding="UTF-8"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{body}</urlset>'
        return Response(text, media_type="application/xml")

    @app.api_route("/robots.txt", methods=["GET", "HEAD"])
    def robots() -> PlainTextResponse:
        """Allow pages and records; leave the pixels and the query service alone."""
        return PlainTextResponse(f"User-agent: *\nDisallow: /data/\nDisallow: /sparql\nSitemap: {documents.site.base}/sitemap.xml\n")


def _add_linksets(app: FastAPI, documents: Documents) -> None:
    @app.api_route("/.well-known/linkset/dataset/{identifier}", methods=["GET", "HEAD"])
    def linkset(request: Request, identifier: str) -> Response:
        """Return every Signposting link of a dataset (level 2, RFC 9264)."""
        record = documents.dataset(identifier).record
        media_type = choose(request.headers.get("accept"), offered=LINKSET)
        if media_type is None and choose(request.headers.get("accept"), offered=(JSON,)):
            media_type = LINKSET[0]
        if media_type is None:
            raise NotAcceptable(f"Linksets are there as {' and '.join(LINKSET)}.", remedy="Name one of them in Accept.")
        links: dict[str, Any] = linkset_json(documents.site, record)
        body = linkset_text(links).encode() if media_type == LINKSET[1] else JSONResponse(links).body
        return Response(bytes(body), media_type=media_type, headers={"Vary": "Accept", "Cache-Control": "no-cache"})
