"""Read other FAIR Data Points, DCAT catalogues and RO-Crates into this catalogue's view.

Conditional requests, upsert, and deletion only of what the other side itself answers with 404 or 410: an error, an outage or an
empty list deletes nothing. Source: FDP 1.2; the reference implementation's walk; RO-Crate 1.2.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from rdflib import DCTERMS, RDF, BNode, Graph, Namespace, URIRef
from rdflib.term import Node as Term
from sqlalchemy import Engine

from fairlead.catalog.fetching import Answer, Fetcher
from fairlead.catalog.harvest_rows import HarvestedRows
from fairlead.catalog.ntriples import read_ntriples
from fairlead.catalog.reading import PARSERS, read_rdf
from fairlead.catalog.writing import title_of, words_of
from fairlead.database import open_database, utc_now
from fairlead.errors import Conflict, FairleadError, InvalidInput, NotPermitted, ServiceUnreachable
from fairlead.publish.vocabulary import DCAT, FDP, LDP, SCHEMA
from fairlead.records import Record, Refusal
from fairlead.settings import Settings

R3D: Final = Namespace("http://www.re3data.org/schema/3-0#")
ACCEPT: Final = "text/turtle, application/ld+json;q=0.8, application/rdf+xml;q=0.6, application/n-triples;q=0.5, application/json;q=0.2"
LINKS: Final = (R3D.dataCatalog, FDP.metadataCatalog, DCAT.catalog, DCAT.dataset, DCAT.distribution)
"""Followed where a record has no container (the reference's fallback)."""
KINDS: Final = (
    ("service", FDP.FAIRDataPoint),
    ("service", FDP.MetadataService),
    ("catalog", DCAT.Catalog),
    ("dataset", DCAT.Dataset),
    ("distribution", DCAT.Distribution),
    ("dataset", SCHEMA.Dataset),
)
FOLLOWED: Final = frozenset(f"<{iri}>" for iri in (RDF.type, LDP.contains, *LINKS, DCTERMS.title, SCHEMA.name))
"""Predicates of the statements that :func:`_children` looks at."""
GONE: Final = frozenset({404, 410})
CLOSED: Final = frozenset({401, 403})
"""A listed child that is not for us is not published; the reference lists drafts like that."""
MAX_DOCUMENTS: Final = 20_000
MAX_DEPTH: Final = 8
MAX_SECONDS: Final = 3600.0
MAX_ERRORS: Final = 200


class HarvestReport(Record):
    """What a harvest did; ``seen = stored + unchanged`` and the errors beside it. A source that fails deletes nothing."""

    seen: int = 0
    stored: int = 0
    unchanged: int = 0
    deleted: int = 0
    errors: tuple[Refusal, ...] = ()


def harvest(settings: Settings, urls: Sequence[str], *, fetcher: Fetcher | None = None, engine: Engine | None = None) -> HarvestReport:
    """Harvest FAIR Data Points, DCAT catalogues and RO-Crates; one that fails does not stop the others.

    Raises
    ------
    ServiceUnreachable : our own database does not answer.
    """
    if not urls:
        return HarvestReport()
    asking = fetcher or Fetcher(private=settings.catalog.harvest_private)
    database = engine or open_database(settings)
    try:
        run = _Run(asking, HarvestedRows(database), f"{settings.catalog.base_url.rstrip('/')}/")
        for url in urls:
            try:
                run.source(url)
            finally:
                run.rows.flush()
        return run.report()
    finally:
        asking.close()
        if engine is None:
            database.dispose()


@dataclass(frozen=True, slots=True)
class _Found:
    """Where a record was found, and what it is."""

    source: str
    document: str
    iri: str
    kind: str


@dataclass(slots=True)
class _Run:
    """One harvest and its counts."""

    fetcher: Fetcher
    rows: HarvestedRows
    own_base: str
    clock: Callable[[], datetime] = utc_now
    stored: int = 0
    unchanged: int = 0
    deleted: int = 0
    errors: list[Refusal] = field(default_factory=list)
    ends: float = field(default_factory=lambda: time.monotonic() + MAX_SECONDS)

    def report(self) -> HarvestReport:
        """Return what was seen, stored and deleted, and what went wrong."""
        return HarvestReport(
            seen=self.stored + self.unchanged, stored=self.stored, unchanged=self.unchanged, deleted=self.deleted, errors=tuple(self.errors)
        )

    def source(self, url: str) -> None:
        """Walk one source breadth first, then ask for what it had the last time and no longer lists."""
        waiting, seen = deque([(url, 0)]), {url}
        while waiting:
            if len(seen) > MAX_DOCUMENTS or time.monotonic() > self.ends:
                self._refuse(url, InvalidInput("The source has no end within the bounds.", remedy="Harvest its catalogues one by one."))
                return
            address, depth = waiting.popleft()
            try:
                children = self._document(url, address)
            except (InvalidInput, NotPermitted, ServiceUnreachable) as error:
                self._refuse(address, error)
                continue
            for child in children if depth < MAX_DEPTH else ():
                if child not in seen:
                    seen.add(child)
                    waiting.append((child, depth + 1))
        self._look_for_lost(url, seen)

    def _document(self, source: str, address: str) -> list[str]:
        """Fetch one document, store what it describes and return what it leads to."""
        known = self.rows.get(address)
        answer = self.fetcher.get(address, {"Accept": ACCEPT, **_conditions(known)})
        if answer.status == 304 and known is not None:
            self.unchanged += 1
            return _children(_links_of(known["body"]))
        if answer.status in CLOSED and address != source:
            return []
        if answer.status in GONE:
            self._forget(address)
            if address == source:
                raise InvalidInput(f"The source answers {answer.status}.", remedy="Correct the address.")
            return []
        if answer.status != 200:
            raise ServiceUnreachable(f"The server answers {answer.status}.", remedy="Repeat later.")
        graph = read_document(answer)
        for iri, kind in _entities(graph):
            before = known if iri == address else self.rows.get(iri)
            self._store(_Found(source, address, iri, kind), _part(graph, URIRef(iri)), answer, before=before)
        return _children(graph)

    def _look_for_lost(self, source: str, seen: set[str]) -> None:
        """Ask for records that the source no longer leads to; only its own 404 or 410 deletes them."""
        known = self.rows.of_source(source)
        for iri in known:
            if iri in seen or time.monotonic() > self.ends:
                continue
            try:
                if self.fetcher.get(iri, {"Accept": ACCEPT}).status in GONE:
                    self._forget(iri)
            except (InvalidInput, NotPermitted, ServiceUnreachable) as error:
                self._refuse(iri, error)

    def _store(self, found: _Found, graph: Graph, answer: Answer, *, before: Any) -> None:
        iri, is_own, known = found.iri, found.iri == found.document, before
        lines = sorted(line for line in graph.serialize(format="nt").split("\n") if line)  # not splitlines: it knows other line ends too
        body = "\n".join(lines) + "\n"
        digest, now = _digest(graph, lines), self.clock()
        if not is_own and (iri.startswith(self.own_base) or (known is not None and known["source"] != found.source)):
            self._refuse(iri, Conflict("The record is another source's or our own, and this is not its own address."))
            return
        values: dict[str, Any] = {"seen_at": now, "source": found.source, "document": found.document}
        if is_own:
            values |= {"etag": answer.headers.get("etag", "")[:256], "last_modified": answer.headers.get("last-modified", "")[:64]}
        if known is not None and known["sha256"] == digest:
            self.unchanged += 1
        else:
            self.stored += 1
            values |= {"kind": found.kind, "body": body, "sha256": digest, "changed_at": now}
            values |= {"title": title_of(graph, iri) or _name(graph, iri), "words": words_of(graph, iri) or _name(graph, iri).casefold()}
        self.rows.put(iri, known, values)

    def _forget(self, iri: str) -> None:
        self.deleted += self.rows.remove(iri)

    def _refuse(self, address: str, error: FairleadError) -> None:
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(Refusal(source=address[:1024], code=error.code, reason=error.message))


def _conditions(known: Any) -> dict[str, str]:
    if known is None:
        return {}
    given = {"If-None-Match": known["etag"], "If-Modified-Since": known["last_modified"]}
    return {name: value for name, value in given.items() if value}


def read_document(answer: Answer) -> Graph:
    """Return the statements of an answer; raise InvalidInput for anything that is no RDF, such as a page for people."""
    media_type = answer.media_type
    if media_type not in PARSERS:
        raise InvalidInput(f"The answer is {media_type or 'of no stated type'}, not RDF.", remedy="Ask its owner for Turtle or JSON-LD.")
    return read_rdf(answer.body, media_type, base=answer.url, limit=len(answer.body))


def _entities(graph: Graph) -> Iterator[tuple[str, str]]:
    """Yield the described entities: the document's own, and what it describes beside it."""
    done: set[str] = set()
    for kind, rdf_type in KINDS:
        for node in sorted(graph.subjects(RDF.type, rdf_type), key=str):
            described = (node, DCTERMS.title, None) in graph or (node, SCHEMA.name, None) in graph
            if isinstance(node, URIRef) and str(node) not in done and described and len(node) <= 1024:
                done.add(str(node))
                yield str(node), kind


def _children(graph: Graph) -> list[str]:
    """Return what to follow: every container's members, or the links of a record without a container."""
    containers = set(graph.subjects(RDF.type, LDP.DirectContainer))
    found = {child for container in containers for child in graph.objects(container, LDP.contains)}
    if not containers:
        found = {child for relation in LINKS for child in graph.objects(None, relation)}
    described = {iri for iri, _ in _entities(graph)}
    return sorted(str(child) for child in found if isinstance(child, URIRef) and str(child) not in described)


def _part(graph: Graph, node: URIRef) -> Graph:
    """Return the statements about an entity, with the blank nodes and fragments they lead to."""
    part: Graph = Graph(bind_namespaces="none")
    waiting: list[Term] = [node]
    done: set[Term] = set()
    while waiting:
        subject = waiting.pop()
        if subject in done:
            continue
        done.add(subject)
        for triple in graph.triples((subject, None, None)):
            part.add(triple)
            value = triple[2]
            if isinstance(value, BNode) or str(value).startswith(f"{node}#"):
                waiting.append(value)
    for container in graph.subjects(RDF.type, LDP.DirectContainer):
        if graph.value(container, LDP.membershipResource) in (node, None):  # one that does not say whose it is leads to children too
            part += graph.triples((container, None, None))
    return part


def _digest(graph: Graph, lines: Sequence[str]) -> str:
    """Return a digest that does not depend on the names of blank nodes: they are new in every answer."""
    if not any(isinstance(subject, BNode) or isinstance(value, BNode) for subject, _, value in graph):
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()
    plain = sorted(" ".join("_:b" if part.startswith("_:") else part for part in line.split(" ")) for line in lines)
    return hashlib.sha256("\n".join(plain).encode()).hexdigest()


def _name(graph: Graph, iri: str) -> str:
    return str(graph.value(URIRef(iri), SCHEMA.name) or "")


def _links_of(body: str) -> Graph:
    """Return of a stored record what tells where it leads."""
    return read_ntriples("".join(f"{line}\n" for line in body.split("\n") if FOLLOWED.intersection(line.split(" ", 2)[1:2])))
