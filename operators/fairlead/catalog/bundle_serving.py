"""Everything public below a record in one document: records, their metadata records, their containers; and what was deleted since.

Source: FDP 2.0 draft, bundle retrieval; a deleted record leaves a metadata record that says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Final

from rdflib import DCTERMS, FOAF, PROV, RDF, Graph, Literal, Namespace, URIRef

from fairlead.catalog.bodies import TRIG
from fairlead.catalog.documents import Documents, represent
from fairlead.catalog.draft_graph import metadata_iri, metadata_record
from fairlead.catalog.entries import iri_of
from fairlead.errors import InvalidInput
from fairlead.publish import CatalogNode, DatasetNode, DistributionNode, Node
from fairlead.publish.graph import EPOCH, moment, new_graph
from fairlead.publish.vocabulary import FDP

ADMS: Final = Namespace("http://www.w3.org/ns/adms#")
WITHDRAWN: Final = URIRef("http://publications.europa.eu/resource/authority/dataset-status/WITHDRAWN")
BUNDLES: Final = ("text/turtle", "application/ld+json", TRIG)


@dataclass(frozen=True, slots=True)
class Piece:
    """One record of a bundle as N-Triples, with what it is part of and when it changed; ``text`` has its metadata record too."""

    iri: str
    parent: str
    modified: datetime
    text: str


def moment_of(text: str) -> datetime:
    """Return an instant that a client gives; raise InvalidInput when it is none, or has no zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput("since is not an instant.", remedy="Write it as 2026-11-21T08:00:00Z.") from error
    if found.tzinfo is None:
        raise InvalidInput("since has no time zone.", remedy="Write it as 2026-11-21T08:00:00Z.")
    return found.astimezone(UTC)


class Bundles:
    """The public content of one catalogue in pieces, kept until something changes."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._lock = Lock()
        self._kept: tuple[str, tuple[Piece, ...]] = ("", ())

    def of(self, top: str, since: datetime | None = None) -> list[Piece]:
        """Return the bundle of a record; with ``since``, what changed after that instant and what was deleted after it."""
        pieces = self._all()
        parents = {piece.iri: piece.parent for piece in pieces}
        chosen = [piece for piece in pieces if top in _line(piece.iri, parents)]
        if since is None:
            return chosen
        return [piece for piece in (*chosen, *self._tombstones()) if piece.modified > since]

    def _all(self) -> tuple[Piece, ...]:
        generation = self._documents.generation()
        with self._lock:
            if self._kept[0] != generation:
                self._kept = (generation, tuple(self._pieces()))
            return self._kept[1]

    def _pieces(self) -> Iterator[Piece]:
        documents, site = self._documents, self._documents.site
        root, catalog = documents.root(), documents.catalog(site.catalog_id)
        nodes: list[tuple[Node, str, str]] = [(root, site.root, ""), (catalog, site.catalog, site.root)]
        nodes += [(node, node.iri, site.catalog) for node in documents.series.all()]
        for record in catalog.records if isinstance(catalog, CatalogNode) else ():
            here = site.dataset(record.id)
            nodes.append((DatasetNode(record), here, site.catalog))
            nodes += [(DistributionNode(record, item), site.distribution(record, item), here) for item in record.distributions]
        for node, iri, parent in nodes:
            yield _piece(iri, parent, documents.graph(node, "fdp"))
        for entry in documents.entries.published():
            yield _piece(iri_of(site, entry.kind.name, entry.id), entry.parent, documents.entry(entry))

    def _tombstones(self) -> Iterator[Piece]:
        site = self._documents.site
        for record in self._documents.store.withdrawn_records():
            gone = self._documents.store.tombstone(record.id).withdrawn_at
            yield _tombstone(site.dataset(record.id), record.issued, gone)
        for entry in self._documents.entries.deleted():
            yield _tombstone(iri_of(site, entry.kind.name, entry.id), entry.created_at, entry.changed_at)


def _line(iri: str, parents: dict[str, str]) -> Iterator[str]:
    """Yield a record and what it is part of, up to the root."""
    for _ in range(8):
        yield iri
        if not (iri := parents.get(iri, "")):
            return


def _piece(iri: str, parent: str, graph: Graph) -> Piece:
    about = metadata_record(graph, iri)
    modified = next((datetime.fromisoformat(str(value)) for value in about.objects(None, DCTERMS.modified)), EPOCH)
    return Piece(iri, parent, modified, graph.serialize(format="nt") + about.serialize(format="nt"))


def _tombstone(iri: str, issued: datetime, gone: datetime) -> Piece:
    graph, node = new_graph(), URIRef(metadata_iri(iri))
    graph.add((node, RDF.type, FDP.MetadataRecord))
    graph.add((node, FOAF.primaryTopic, URIRef(iri)))
    graph.add((node, DCTERMS.issued, moment(issued)))
    graph.add((node, DCTERMS.modified, moment(gone)))
    graph.add((node, PROV.invalidatedAtTime, moment(gone)))
    graph.add((node, ADMS.status, WITHDRAWN))
    graph.add((node, DCTERMS.identifier, Literal(str(node))))
    return Piece(iri, "", gone, graph.serialize(format="nt"))


def written_as(pieces: Sequence[Piece], media_type: str) -> bytes:
    """Return a bundle as one graph, or in TriG with one named graph a record; N-Triples are Turtle and stand as they are."""
    if media_type == TRIG:
        return "".join(f"<{piece.iri}> {{\n{piece.text}}}\n" for piece in pieces).encode()
    text = "".join(piece.text for piece in pieces)
    if media_type == "text/turtle":
        return text.encode()
    graph = new_graph()
    graph.parse(data=text, format="nt")
    return represent(graph, media_type)
