"""From what a client sent to the record that is stored and served: which entity it describes, what the server owns, what it completes.

Source: FDP 1.2 and the reference implementation's behaviour on write (types, identifier, language, licence are added by the server).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from rdflib import DCTERMS, FOAF, RDF, RDFS, BNode, Graph, Literal, URIRef
from rdflib.term import Node as Term

from fairlead.catalog.conforming import Checks, checks_of
from fairlead.errors import InvalidInput, NotFound, ShapeViolation
from fairlead.publish import Site, check_shapes
from fairlead.publish.check import ShapeReport
from fairlead.publish.graph import add_agent, new_graph
from fairlead.publish.vocabulary import DCAT, FDP, LANGUAGE, LDP

SHAPES: Final = Path(__file__).parent / "shapes" / "written.ttl"
MEDIA_TYPES: Final = ("https://www.iana.org/assignments/media-types/", "http://www.iana.org/assignments/media-types/")
SERVER_OWNED: Final = (FDP.metadataIdentifier, FDP.metadataIssued, FDP.metadataModified, RDFS.label)
MAX_JUDGED: Final = 5_000
"""Statements of a record that the SHACL engine looks at: each finding costs it half a millisecond and 14 kB; real records have hundreds."""
WORDS: Final = (DCTERMS.title, DCTERMS.description, DCAT.keyword)


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of record: its class, where its children hang, and what it may be part of."""

    name: str
    rdf_type: URIRef
    child: str | None = None
    relation: URIRef | None = None


KINDS: Final[Mapping[str, Kind]] = {
    "catalog": Kind("catalog", DCAT.Catalog, "dataset", DCAT.dataset),
    "dataset": Kind("dataset", DCAT.Dataset, "distribution", DCAT.distribution),
    "distribution": Kind("distribution", DCAT.Distribution),
}


class RefusedRecord(ShapeViolation):
    """A record that breaks the shapes; carries the report for the answer."""

    code = "record-refused"

    def __init__(self, message: str, *, remedy: str | None = None, report: ShapeReport | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.report = report


def kind_of(name: str) -> Kind:
    """Return a type of record by its prefix; raise NotFound."""
    if name not in KINDS:
        raise NotFound("There is no such type of record.", remedy=f"Types: {', '.join(KINDS)}.")
    return KINDS[name]


def described(graph: Graph, kind: Kind, *, base: str) -> Term:
    """Return the one entity that a document describes: ``<>``, else the only one of the wanted class.

    Raises
    ------
    InvalidInput : it describes none, or several.
    """
    empty = URIRef(base)
    if (empty, DCTERMS.title, None) in graph or (empty, RDF.type, kind.rdf_type) in graph:
        return empty
    found = set(graph.subjects(RDF.type, kind.rdf_type))
    inside = {child for child in found if isinstance(child, BNode) and (None, None, child) in graph}
    if len(found - inside) != 1:
        number = len(found - inside)
        raise InvalidInput(
            f"The document describes {number} entities of type {kind.name}; a record describes one.",
            remedy=f"Describe one, as <> a dcat:{kind.name.capitalize()}.",
        )
    return (found - inside).pop()


def part_of(graph: Graph, node: Term) -> str:
    """Return the parent that a record names.

    Raises
    ------
    InvalidInput : it names none, or several.
    """
    parents = [parent for parent in graph.objects(node, DCTERMS.isPartOf) if isinstance(parent, URIRef)]
    if len(parents) != 1:
        raise InvalidInput("A record says of what it is a part: exactly one dct:isPartOf.", remedy="Name the parent's IRI.")
    return str(parents[0])


def rewritten(graph: Graph, node: Term, iri: str, *, site: Site) -> Graph:
    """Return the record under its own IRI, without what the server owns: containers, child links of ours, metadata about metadata."""
    here = URIRef(iri)
    containers = {item for kind in (LDP.DirectContainer, LDP.Container) for item in graph.subjects(RDF.type, kind)} - {node}
    result = new_graph()
    for subject, predicate, value in graph:
        ours = isinstance(value, URIRef) and value.startswith(f"{site.base}/")
        child_link = ours and predicate in (DCAT.dataset, DCAT.distribution, FDP.metadataCatalog)
        profile = ours and predicate == DCTERMS.conformsTo
        if subject in containers or (subject == node and (predicate in SERVER_OWNED or child_link or profile)):
            continue
        if str(subject) == f"{iri}#identifier":
            continue
        result.add((here if subject == node else subject, predicate, here if value == node else value))
    return result


def complete(graph: Graph, iri: str, kind: Kind, *, site: Site, parent: Graph | None = None) -> None:
    """Add what a client may leave out: types, label, version, publisher (the parent's), language, licence, identifier, names of agents."""
    node = URIRef(iri)
    graph.add((node, RDF.type, kind.rdf_type))
    graph.add((node, RDF.type, DCAT.Resource))
    if graph.value(node, DCAT.version) is None:
        graph.add((node, DCAT.version, Literal(str(graph.value(node, DCTERMS.hasVersion) or "1"))))
    if graph.value(node, DCTERMS.publisher) is None:
        _inherit_publisher(graph, node, site=site, parent=parent)
    for agent in list(graph.objects(node, DCTERMS.publisher)):
        if isinstance(agent, URIRef) and graph.value(agent, FOAF.name) is None:
            graph.add((agent, FOAF.name, Literal(str(agent))))
        graph.add((agent, RDF.type, FOAF.Agent))
    if graph.value(node, DCTERMS.language) is None:
        graph.add((node, DCTERMS.language, URIRef(LANGUAGE + site.words.language)))
    if graph.value(node, DCTERMS.license) is None:
        graph.add((node, DCTERMS.license, URIRef(site.words.license)))
    for title in sorted(graph.objects(node, DCTERMS.title), key=str)[:1]:
        graph.add((node, RDFS.label, Literal(str(title))))
    for value in list(graph.objects(node, DCAT.mediaType)):
        _name_media_type(graph, node, value)


def _inherit_publisher(graph: Graph, node: URIRef, *, site: Site, parent: Graph | None) -> None:
    agents = [agent for agent in parent.objects(None, DCTERMS.publisher)] if parent is not None else []
    if not agents or parent is None:
        graph.add((node, DCTERMS.publisher, add_agent(graph, site.publisher)))
        return
    for agent in agents:
        graph.add((node, DCTERMS.publisher, agent))
        graph += parent.triples((agent, None, None))


def _name_media_type(graph: Graph, node: URIRef, value: Term) -> None:
    """Turn the IANA address of a media type into its name: the ``fdp`` view has a literal there."""
    prefix = next((prefix for prefix in MEDIA_TYPES if str(value).startswith(prefix)), None)
    if isinstance(value, URIRef) and prefix is not None:
        graph.remove((node, DCAT.mediaType, value))
        graph.add((node, DCAT.mediaType, Literal(str(value).removeprefix(prefix))))


@lru_cache(maxsize=4)
def site_graph(site: Site) -> Graph:
    """Return what a record inherits from the FAIR Data Point itself; it is read and never changed."""
    graph = new_graph()
    graph.add((URIRef(site.root), DCTERMS.publisher, add_agent(graph, site.publisher)))
    return graph


@cache
def written_shapes() -> Graph:
    """Return the shapes of written records; read once, never changed."""
    return Graph().parse(SHAPES, format="turtle")


@cache
def written_checks() -> Checks | None:
    """Return the shapes of written records as checks; from the file, since the engine writes what it knows into the graph that it gets."""
    return checks_of(Graph().parse(SHAPES, format="turtle"))


def require_shapes(graph: Graph) -> None:
    """Raise when the completed record breaks the shapes; the SHACL engine looks at those that do not plainly conform.

    Raises
    ------
    RefusedRecord : the message lists the first findings, the report has them all.
    """
    checks = written_checks()
    if checks is not None and checks.conforms(graph):
        return
    if len(graph) > MAX_JUDGED:
        raise RefusedRecord(
            f"The record breaks the shapes, or has classes of its own, and has over {MAX_JUDGED} statements: too many for a report.",
            remedy="See /profile/written for the shapes, or send a part of it to get a report.",
        )
    report = check_shapes(graph, "fdp", shapes=written_shapes())
    if not report.valid:
        words = " ".join(dict.fromkeys(item.message for item in report.results[:5]))
        raise RefusedRecord(f"The record breaks the shapes: {words}", remedy="Correct it and send it again.", report=report)


def title_of(graph: Graph, iri: str) -> str:
    """Return a record's title."""
    return min((str(title) for title in graph.objects(URIRef(iri), DCTERMS.title)), default="")


def words_of(graph: Graph, iri: str) -> str:
    """Return the text that search looks at, in lower case."""
    return "\n".join(sorted(_words(graph, iri))).casefold()[:20_000]


def _words(graph: Graph, iri: str) -> Iterator[str]:
    for predicate in WORDS:
        yield from (str(value) for value in graph.objects(URIRef(iri), predicate))
