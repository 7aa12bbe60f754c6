"""What is known of one dataset before it is judged: its statements, its distributions, and the answers of its servers."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rdflib import DCTERMS, RDF, Graph, URIRef

from fairlead.catalog.fetching import Answer, Fetcher
from fairlead.catalog.reading import PARSERS, read_rdf
from fairlead.errors import FairleadError, InvalidInput, NotFound, ServiceUnreachable
from fairlead.publish.vocabulary import DCAT, SCHEMA

MAX_FILE: Final = 32 * 1024 * 1024
MAX_DISTRIBUTIONS: Final = 50
SUFFIXES: Final = {
    ".ttl": "text/turtle",
    ".jsonld": "application/ld+json",
    ".json": "application/ld+json",
    ".rdf": "application/rdf+xml",
    ".xml": "application/rdf+xml",
    ".nt": "application/n-triples",
    ".n3": "text/turtle",
}
EMBEDDED: Final = re.compile(r'<script[^>]+type="application/ld\+json"[^>]*>(.*?)</script>', re.DOTALL)


@dataclass(slots=True)
class Case:
    """One dataset under examination. ``node`` is its IRI in ``graph``; offline there are no answers."""

    target: str
    graph: Graph
    node: URIRef
    page: Answer | None = None
    rdf: Answer | None = None
    fetcher: Fetcher | None = None
    withdrawn: bool = False
    probes: list[dict[str, Any]] = field(default_factory=list)
    seen: dict[str, Answer | None] = field(default_factory=dict)

    @property
    def online(self) -> bool:
        """Whether servers may be asked."""
        return self.fetcher is not None

    def get(self, url: str, **headers: str) -> Answer | None:
        """Return an answer, None when there is none; every request is noted once with status and digest."""
        key = f"{url} {sorted(headers.items())}"
        if key not in self.seen:
            self.seen[key] = self._ask(url, headers)
        return self.seen[key]

    def _ask(self, url: str, headers: dict[str, str]) -> Answer | None:
        if self.fetcher is None:
            return None
        try:
            answer = self.fetcher.get(url, {name.replace("_", "-"): value for name, value in headers.items()})
        except FairleadError as error:
            self.probes.append({"url": url, "error": error.code})
            return None
        self.probes.append({"url": url, "status": answer.status, "sha256": hashlib.sha256(answer.body).hexdigest()})
        return answer

    def values(self, *predicates: URIRef) -> list[Any]:
        """Return every value that the dataset has for one of the predicates."""
        return [value for predicate in predicates for value in self.graph.objects(self.node, predicate)]

    def distributions(self) -> list[URIRef]:
        """Return the distributions that the record names, with their own statements loaded where they are documents of their own."""
        found = sorted({item for item in self.values(DCAT.distribution, SCHEMA.distribution) if isinstance(item, URIRef)}, key=str)
        for item in found[:MAX_DISTRIBUTIONS]:
            if (item, None, None) not in self.graph or (item, RDF.type, None) not in self.graph:
                answer = self.get(str(item), Accept="text/turtle")
                if answer is not None and answer.status == 200 and answer.media_type in PARSERS:
                    self.graph += graph_of(answer)
        return found

    def downloads(self) -> list[str]:
        """Return the addresses of bytes, images first."""
        found = [str(url) for item in self.distributions() for url in self.graph.objects(item, DCAT.downloadURL)]
        found += [str(url) for item in self.values(SCHEMA.distribution) for url in self.graph.objects(item, SCHEMA.contentUrl)]
        return sorted(dict.fromkeys(found), key=lambda url: (".zarr" not in url, url))


def graph_of(answer: Answer) -> Graph:
    """Return the statements of an answer, empty when they cannot be read."""
    try:
        return plain_schema(read_rdf(answer.body, answer.media_type, base=answer.url, limit=MAX_FILE))
    except InvalidInput:
        return Graph()


def plain_schema(graph: Graph) -> Graph:
    """Return the graph with one namespace for schema.org: it is written with http and with https."""
    secure = str(SCHEMA).replace("http:", "https:")
    for triple in list(graph):
        renamed = tuple(
            URIRef(str(term).replace(secure, str(SCHEMA), 1)) if isinstance(term, URIRef) and term.startswith(secure) else term
            for term in triple
        )
        if renamed != triple:
            graph.remove(triple)
            graph.add((renamed[0], renamed[1], renamed[2]))
    return graph


def main_node(graph: Graph, preferred: str) -> URIRef:
    """Return the dataset that a graph is about: the address itself, else the only (or first) dataset in it."""
    if (URIRef(preferred), None, None) in graph:
        return URIRef(preferred)
    found = {node for kind in (DCAT.Dataset, SCHEMA.Dataset) for node in graph.subjects(RDF.type, kind) if isinstance(node, URIRef)}
    titled = sorted((node for node in found if (node, DCTERMS.title, None) in graph or (node, SCHEMA.name, None) in graph), key=str)
    return next(iter(titled), URIRef(preferred))


def case_of_path(path: Path) -> Case:
    """Return the case of a record in a file, or of the crate or record in a folder.

    Raises
    ------
    NotFound : there is no such file.
    InvalidInput : it is no RDF, or not well formed.
    """
    graph, base = read_record(path)
    return Case(str(path), graph, main_node(graph, base))


def read_record(path: Path) -> tuple[Graph, str]:
    """Return the statements of a record or crate, and the base they were read with."""
    if path.is_dir():
        names = ("record.ttl", "ro-crate-metadata.json", "record.jsonld")
        path = next((path / name for name in names if (path / name).is_file()), path / names[0])
    if not path.is_file():
        raise NotFound(f"There is no record {path.name}.", remedy="Give a record (.ttl, .jsonld, .rdf, .nt), or a folder that holds one.")
    if path.stat().st_size > MAX_FILE:
        raise InvalidInput(f"{path.name} has more than {MAX_FILE} bytes.", remedy="A record describes one dataset.")
    media_type = SUFFIXES.get(path.suffix.lower())
    if media_type is None:
        raise InvalidInput(f"{path.name} is no RDF by its name.", remedy=f"Records end with {', '.join(SUFFIXES)}.")
    base = "http://record.invalid/"
    return plain_schema(read_rdf(path.read_bytes(), media_type, base=base, limit=MAX_FILE)), base


def case_of_url(url: str, fetcher: Fetcher) -> Case:
    """Return the case of a dataset on the web.

    Raises
    ------
    ServiceUnreachable : the server does not answer, or says that it cannot now; that is no verdict on the dataset.
    """
    case = Case(url, Graph(), URIRef(url), fetcher=fetcher)
    page = fetcher.get(url, {"Accept": "text/html, application/xhtml+xml;q=0.9, */*;q=0.1"})
    if page.status in (429, 503):
        raise ServiceUnreachable(f"The server answers {page.status}.", remedy="Repeat later; nothing was judged.")
    case.page, case.withdrawn = page, page.status == 410
    case.probes.append({"url": url, "status": page.status, "sha256": hashlib.sha256(page.body).hexdigest()})
    answer = case.get(url, Accept="text/turtle, application/ld+json;q=0.8, application/rdf+xml;q=0.6")
    if answer is not None and answer.status == 200 and answer.media_type in PARSERS:
        case.rdf, case.graph = answer, graph_of(answer)
    elif page.status == 200:
        for text in EMBEDDED.findall(page.body.decode("utf-8", "replace"))[:5]:
            case.graph += graph_of(Answer(page.url, 200, {"content-type": "application/ld+json"}, text.encode()))
    case.node = main_node(case.graph, url)
    return case
