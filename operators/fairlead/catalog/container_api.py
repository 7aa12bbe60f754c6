"""Children of a record by themselves: as the LDP container that the record names, and page by page.

Sources: LDP 1.0 section 5.4; FDP 1.2 (``/page/{child}``).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.responses import Response
from rdflib import DCTERMS, RDF, RDFS, Graph, URIRef

from fairlead.catalog.answers import Answers
from fairlead.catalog.documents import MAX_PAGE_SIZE, PAGE_SIZE, Documents, Page, page_of
from fairlead.catalog.service import READ
from fairlead.errors import NotFound, Withdrawn
from fairlead.publish.graph import new_graph
from fairlead.publish.vocabulary import DCAT, FDP, LDP

PageSize = Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)]
PageNumber = Annotated[int, Query(alias="page", ge=0, le=10**9)]
"""Bounded, so that no database is asked for a number that it does not have."""


def add_container_routes(app: FastAPI, documents: Documents, answers: Answers) -> None:
    """Add the container of every relation, whole."""
    site = documents.site

    def container(request: Request, graph: Graph, iri: str) -> Response:
        """Answer with one container and nothing else of its document."""
        return answers.graph(request, _only_container(graph, URIRef(iri)))

    @app.api_route("/catalog/", methods=READ)
    def catalogs(request: Request) -> Response:
        """Return the container of catalogues."""
        return container(request, documents.graph(documents.root(), "fdp"), f"{site.base}/catalog/")

    @app.api_route("/catalog/{identifier}/dataset/", methods=READ)
    def datasets(request: Request, identifier: str) -> Response:
        """Return the container of a catalogue's datasets."""
        return container(request, _graph_of(documents, "catalog", identifier), f"{site.base}/catalog/{identifier}/dataset/")

    @app.api_route("/catalog/{identifier}/series/", methods=READ)
    def all_series(request: Request, identifier: str) -> Response:
        """Return the container of a catalogue's dataset series."""
        return container(request, documents.graph(documents.catalog(identifier), "fdp"), f"{site.base}/catalog/{identifier}/series/")

    @app.api_route("/series/{identifier}/dataset/", methods=READ)
    def parts(request: Request, identifier: str) -> Response:
        """Return the container of a series' datasets."""
        node = documents.series.get(identifier)
        return container(request, documents.graph(node, "fdp"), f"{node.iri}/dataset/")

    @app.api_route("/dataset/{identifier}/distribution/", methods=READ)
    def distributions(request: Request, identifier: str) -> Response:
        """Return the container of a dataset's distributions."""
        return container(request, _graph_of(documents, "dataset", identifier), f"{site.dataset(identifier)}/distribution/")


def _graph_of(documents: Documents, kind: str, identifier: str) -> Graph:
    """Return a published record, exported or written; raise NotFound."""
    try:
        node = documents.catalog(identifier) if kind == "catalog" else documents.dataset(identifier)
    except Withdrawn:
        raise
    except NotFound:
        return documents.entry(documents.entries.get(kind, identifier))
    return documents.graph(node, "fdp")


def add_page_routes(app: FastAPI, documents: Documents, answers: Answers) -> None:
    """Add the same children page by page."""
    site = documents.site

    def answer(request: Request, part: Page) -> Response:
        """Answer with a page of children and the links to the others."""
        address = site.base + request.url.path
        return answers.graph(request, part.graph, [f'<{address}?{query}>; rel="{name}"' for name, query in part.links.items()])

    @app.api_route("/page/catalog", methods=READ)
    def catalog_page(request: Request, page_number: PageNumber = 0, size: PageSize = PAGE_SIZE) -> Response:
        """Return some catalogues."""
        return answer(request, documents.page(site.root, FDP.metadataCatalog, page=page_number, size=size))

    @app.api_route("/catalog/{identifier}/page/dataset", methods=READ)
    def dataset_page(request: Request, identifier: str, page_number: PageNumber = 0, size: PageSize = PAGE_SIZE) -> Response:
        """Return some datasets of a catalogue."""
        if identifier != site.catalog_id:
            documents.entries.get("catalog", identifier)
        return answer(request, documents.page(f"{site.base}/catalog/{identifier}", DCAT.dataset, page=page_number, size=size))

    @app.api_route("/dataset/{identifier}/page/distribution", methods=READ)
    def distribution_page(request: Request, identifier: str, page_number: PageNumber = 0, size: PageSize = PAGE_SIZE) -> Response:
        """Return some distributions of a dataset."""
        parent = URIRef(site.dataset(identifier))
        graph = _graph_of(documents, "dataset", identifier)
        children = [
            (str(iri), str(graph.value(iri, RDFS.label) or "")) for iri in sorted(graph.objects(parent, DCAT.distribution), key=str)
        ]
        chosen = children[page_number * size : (page_number + 1) * size]
        return answer(request, page_of(chosen, len(children), relation=DCAT.distribution, parent=parent, page=page_number, size=size))


def _only_container(graph: Graph, container: URIRef) -> Graph:
    part = new_graph()
    part += graph.triples((container, None, None))
    parent, relation = graph.value(container, LDP.membershipResource), graph.value(container, LDP.hasMemberRelation)
    part += graph.triples((parent, relation, None))
    part += graph.triples((parent, RDF.type, None))
    part += graph.triples((parent, DCTERMS.title, None))
    return part
