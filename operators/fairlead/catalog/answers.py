"""Responses: a node in the representation the client asked for, with ETag, links and the rest of the headers."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Final

from fastapi import Request
from fastapi.responses import Response
from rdflib import DCTERMS, PROV, RDF, RDFS, Graph, Literal, Namespace, URIRef

from fairlead.catalog.documents import PROFILES, Documents, etag_of, represent, signposts
from fairlead.catalog.draft_graph import draft_links
from fairlead.catalog.entries import Entry, iri_of
from fairlead.catalog.negotiation import HTML, OFFERED, choose, is_fresh
from fairlead.catalog.pages import POLICY, Pages
from fairlead.catalog.problems import NotAcceptable
from fairlead.catalog.tier import evaluate
from fairlead.errors import NotFound
from fairlead.publish import (
    DOCUMENTS,
    CatalogNode,
    DatasetNode,
    DistributionNode,
    Node,
    RootNode,
    SeriesNode,
    Site,
    Tombstone,
    datasheet_graph,
)
from fairlead.publish.graph import Child
from fairlead.publish.vocabulary import DCAT
from fairlead.records import DatasetRecord

ADMS: Final = Namespace("http://www.w3.org/ns/adms#")
VARY: Final = {"Vary": "Accept"}
REVALIDATE: Final = {"Cache-Control": "no-cache"}
RDF_ONLY: Final = tuple(name for name in OFFERED if name != HTML)
type Kept = tuple[bytes, list[str]]
"""A finished representation and its links."""
KEPT: Final = 512
"""Representations that are kept; each belongs to one generation of the store, or to what it was made of, so none is ever stale."""
KEPT_BYTES: Final = 64 * 1024 * 1024
"""Of all of them together."""


class Answers:
    """Makes responses; keeps finished representations while what is published stays the same."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._pages = Pages(documents.site)
        self._kept: OrderedDict[tuple[str, ...], Kept] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    @property
    def site(self) -> Site:
        """The site that is served."""
        return self._documents.site

    def node(self, request: Request, find: Callable[[], Node]) -> Response:
        """Answer with a node: negotiate first, so that 406 costs nothing; find and render it only when it is not kept."""
        if (profile := request.query_params.get("profile", "")) in DOCUMENTS:
            return self._document(request, find(), profile)
        media_type, profile = self._wanted(request)
        key = (self._documents.generation(), request.scope["path"], profile, media_type)
        kept = self._recall(key)
        if kept is None:
            node = find()
            body = self._page(node) if media_type == HTML else self._documents.represented(node, profile, media_type)
            links = signposts(self.site, node.record, profile=profile) if isinstance(node, DatasetNode) else []
            kept = self._keep(key, (body, [*links, *self._draft_links(self._iri_of(node))]))
        return self._respond(request, kept, media_type)

    def _document(self, request: Request, node: Node, profile: str) -> Response:
        """Answer with a view that is one JSON document; datasets and their distributions have them."""
        offered = DOCUMENTS[profile]
        media_type = choose(request.headers.get("accept"), offered=offered)
        wants_page = choose(request.headers.get("accept"), offered=(HTML,)) is not None
        if not isinstance(node, DatasetNode | DistributionNode) or (media_type is None and not wants_page):
            raise NotAcceptable(f"Datasets have the profile {profile}, as {offered[0]}.", remedy="Leave ?profile= out, or accept that.")
        try:
            document = self._documents.document(node, profile)
        except NotFound as error:
            raise NotAcceptable(error.message, remedy=error.remedy) from error
        body = (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()
        links = signposts(self.site, node.record, profile="fdp") if isinstance(node, DatasetNode) else []
        return self._respond(request, (body, links), media_type or offered[0])

    def graph(self, request: Request, graph: Graph, links: Sequence[str] = ()) -> Response:
        """Answer with a graph that has no page of its own (profiles, containers, pages of children): RDF only, Turtle for browsers."""
        media_type = choose(request.headers.get("accept"), request.query_params.get("format"), offered=RDF_ONLY)
        if media_type is None and HTML in (request.headers.get("accept") or ""):
            media_type = RDF_ONLY[0]
        if media_type is None:
            raise _not_acceptable(RDF_ONLY)
        return self._respond(request, (represent(graph, media_type), list(links)), media_type)

    def datasheet(self, request: Request, record: DatasetRecord) -> Response:
        """Answer with a dataset's datasheet."""
        media_type = choose(request.headers.get("accept"), request.query_params.get("format"))
        if media_type is None:
            raise _not_acceptable(OFFERED)
        body = self._pages.datasheet(record) if media_type == HTML else represent(datasheet_graph(record, site=self.site), media_type)
        return self._respond(request, (body, [f'<{self.site.dataset(record.id)}>; rel="describes"']), media_type)

    def entry(
        self, request: Request, entry: Entry, *, status: int = 200, headers: Mapping[str, str] | None = None, stored: Graph | None = None
    ) -> Response:
        """Answer with a written record; a draft is nobody else's, so no cache may keep it. ``stored``: its statements, when at hand."""
        if request.method in ("POST", "PUT"):  # it is stored: the answer is Turtle for those who want something else
            media_type, profile = choose(request.headers.get("accept"), offered=RDF_ONLY) or RDF_ONLY[0], "fdp"
        else:
            media_type, profile = self._wanted(request)
        if profile != "fdp":
            raise NotAcceptable("A written record has the profile fdp only.", remedy="Leave ?profile= out.")
        iri = iri_of(self.site, entry.kind.name, entry.id)
        draft = not entry.is_visible
        body = self._written(entry, media_type, iri, stored=stored, keep=not draft)
        extra = {"Cache-Control": "private, no-store", "Vary": "Accept, Authorization"} if draft else {}
        links = [f'<{iri}>; rel="cite-as"', f'<{iri}?format=ttl>; rel="describedby"; type="text/turtle"', *self._draft_links(iri)]
        return self._respond(request, (body, links), media_type, status=status, extra={**extra, **(headers or {})})

    def _written(self, entry: Entry, media_type: str, iri: str, *, stored: Graph | None, keep: bool) -> bytes:
        """Return the bytes of a written record; kept ones hold while its revision and its children are the same, whoever changed them."""
        children = self._documents.children(entry) if stored is None else []  # at hand only when it is new, with nothing below it
        key = (iri, str(entry.revision), media_type, digest_of(children))
        kept = self._recall(key) if keep else None
        if kept is not None:
            return kept[0]
        if media_type == HTML:
            body = self._pages.entry(entry, self._documents.entry(entry, children=children, stored=stored), iri)
        else:
            body = self._documents.written(entry, media_type, children=children, stored=stored)
        return self._keep(key, (body, []))[0] if keep else body

    def _iri_of(self, node: Node) -> str:
        """Return the address of a record."""
        match node:
            case RootNode():
                return self.site.root
            case CatalogNode():
                return self.site.catalog
            case SeriesNode():
                return node.iri
            case DatasetNode():
                return self.site.dataset(node.record.id)
            case DistributionNode():
                return self.site.distribution(node.record, node.distribution)

    def _draft_links(self, iri: str) -> list[str]:
        """Return the links that the FDP 2.0 draft adds; none without its setting."""
        many = iri == self.site.root or iri.startswith(f"{self.site.base}/catalog/")
        return draft_links(iri, has_bundle=many) if self._documents.draft else []

    def etags_of(self, entry: Entry) -> set[str]:
        """Return the ETag of every representation of a written record, for ``If-Match``."""
        children = self._documents.children(entry)
        return {etag_of(self._documents.written(entry, media_type, children=children)) for media_type in RDF_ONLY}

    def tombstone(self, request: Request, stone: Tombstone, iri: str) -> Response:
        """Answer 410 with what remains."""
        media_type = choose(request.headers.get("accept"), request.query_params.get("format")) or RDF_ONLY[0]
        body = self._pages.tombstone(stone, iri) if media_type == HTML else represent(_tombstone_graph(iri, stone, self.site), media_type)
        return Response(body, 410, headers=_headers(media_type), media_type=media_type)

    def _wanted(self, request: Request) -> tuple[str, str]:
        media_type = choose(request.headers.get("accept"), request.query_params.get("format"))
        if media_type is None:
            raise _not_acceptable(OFFERED)
        profile = request.query_params.get("profile", "fdp")
        if profile not in PROFILES:
            raise NotAcceptable(
                f"There is no view of this record in that profile; there are: {', '.join((*PROFILES, *DOCUMENTS))}.",
                remedy="Use ?profile=.",
            )
        return media_type, profile

    def _recall(self, key: tuple[str, ...]) -> Kept | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: tuple[str, ...], made: Kept) -> Kept:
        with self._lock:
            before = self._kept.pop(key, None)
            self._kept[key] = made
            self._size += len(made[0]) - (len(before[0]) if before else 0)
            while len(self._kept) > KEPT or self._size > KEPT_BYTES:
                self._size -= len(self._kept.popitem(last=False)[1][0])
        return made

    def _page(self, node: Node) -> bytes:
        if isinstance(node, DatasetNode):
            folder = self._documents.store.folder(node.record.id, node.record.version)
            return self._pages.dataset(node.record, tier=str(evaluate(str(folder))["record_tier"]))
        if not isinstance(node, RootNode | CatalogNode):
            return self._pages.page(node)
        parent = self.site.root if isinstance(node, RootNode) else self.site.catalog
        return self._pages.page(node, self._documents.store.published(), self._documents.written_children(parent))

    def _respond(
        self,
        request: Request,
        made: Kept,
        media_type: str,
        *,
        status: int = 200,
        extra: Mapping[str, str] | None = None,
    ) -> Response:
        body, links = made
        etag = etag_of(body)
        headers = {"ETag": etag, **REVALIDATE, **_headers(media_type), **(extra or {})}
        if links:
            headers["Link"] = ", ".join(links)
        if status == 200 and request.method in ("GET", "HEAD") and is_fresh(request.headers.get("if-none-match"), etag):
            return Response(status_code=304, headers=headers)
        return Response(body, status, headers=headers, media_type=media_type)


def digest_of(children: Sequence[Child]) -> str:
    """Return a mark of addresses and titles in their order."""
    return hashlib.sha256("\n".join(f"{iri}\t{title!r}" for iri, title in children).encode()).hexdigest() if children else ""


def _headers(media_type: str) -> dict[str, str]:
    page = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"} if media_type == HTML else {}
    return {**VARY, "X-Content-Type-Options": "nosniff", **page}


def _not_acceptable(offered: Sequence[str]) -> NotAcceptable:
    return NotAcceptable(
        f"This record is offered as {', '.join(offered)}.", remedy="Name one of them in Accept, or use ?format=ttl|jsonld|rdf|nt."
    )


def _tombstone_graph(iri: str, stone: Tombstone, site: Site) -> Graph:
    graph, node = Graph(), URIRef(iri)
    graph.add((node, RDF.type, PROV.Entity))
    graph.add((node, DCTERMS.title, Literal(stone.title)))
    graph.add((node, ADMS["status"], URIRef("http://publications.europa.eu/resource/authority/dataset-status/WITHDRAWN")))
    graph.add((node, PROV.invalidatedAtTime, Literal(stone.withdrawn_at)))
    graph.add((node, RDFS.comment, Literal(stone.reason)))
    graph.add((node, DCAT.contactPoint, URIRef(f"mailto:{site.words.contact_email}")))
    return graph


def dataset_of(identifier: str) -> str:
    """Return the dataset that a dataset's or a distribution's id belongs to; raise NotFound for an empty one."""
    dataset = identifier.partition(".")[0]
    if not dataset:
        raise NotFound("There is no dataset of that id.")
    return dataset
