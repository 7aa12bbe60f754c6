"""Everything public at once: what search looks through, what OAI-PMH lists, what SPARQL asks. Rebuilt when something changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any, Final

from sqlalchemy import Engine, select

from fairlead.catalog.documents import Documents
from fairlead.catalog.entries import Entry, iri_of
from fairlead.catalog.tables import harvested
from fairlead.publish import DatasetNode, DistributionNode, RootNode, SeriesNode
from fairlead.publish.graph import concepts
from fairlead.publish.store import store_errors
from fairlead.publish.vocabulary import concept_iri
from fairlead.records import DatasetRecord

FACETS: Final = ("type", "modality", "body part", "organism", "access", "licence", "origin")
TYPES: Final = {
    "service": "https://w3id.org/fdp/fdp-o#FAIRDataPoint",
    "catalog": "http://www.w3.org/ns/dcat#Catalog",
    "dataset": "http://www.w3.org/ns/dcat#Dataset",
    "distribution": "http://www.w3.org/ns/dcat#Distribution",
}


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that can be found; ``words`` are its text in lower case."""

    uri: str
    kind: str
    title: str
    description: str
    words: str
    origin: str = ""
    facets: tuple[tuple[str, str], ...] = ()
    """Names and values to narrow a search by."""

    def document(self) -> dict[str, Any]:
        """Return the hit as the reference implementation answers it."""
        types = [TYPES[self.kind], "http://www.w3.org/ns/dcat#Resource"]
        return {"uri": self.uri, "types": types, "title": self.title, "description": self.description, "relations": []}


@dataclass(frozen=True, slots=True)
class Item:
    """One dataset as OAI-PMH sees it; ``record`` is None for deleted ones and for written ones."""

    id: str
    iri: str
    changed_at: datetime
    deleted: bool = False
    record: DatasetRecord | None = None
    entry: Entry | None = None


class Corpus:
    """The public content of one catalogue, kept until something changes."""

    def __init__(self, documents: Documents, engine: Engine) -> None:
        self._documents = documents
        self._engine = engine
        self._lock = Lock()
        self._kept: dict[str, tuple[str, Any]] = {}

    def generation(self) -> str:
        """Return a mark that changes with anything that is public here, harvested records included."""
        return self._documents.generation()

    def hits(self) -> tuple[Hit, ...]:
        """Return everything that can be found, by address."""
        return self._keep("hits", lambda: tuple(sorted(self._hits(), key=lambda hit: hit.uri)))

    def items(self) -> tuple[Item, ...]:
        """Return every dataset, deleted ones too, oldest change first."""
        return self._keep("items", lambda: tuple(sorted(self._items(), key=lambda item: (item.changed_at, item.id))))

    def series(self) -> tuple[SeriesNode, ...]:
        """Return every dataset series; search does not list them, their datasets have the same words and lead to them."""
        return self._keep("series", self._documents.series.all)

    def ntriples(self) -> bytes:
        """Return every public statement as N-Triples."""
        return self._keep("ntriples", lambda: "".join(self._statements()).encode())

    def search(self, query: str, chosen: Sequence[tuple[str, str]] = ()) -> list[Hit]:
        """Return what holds every word of the query and has every chosen facet; titles that hold the words come first."""
        words = [word.casefold() for word in query.split()[:20]]
        asked = bool(words or chosen)
        found = [hit for hit in self.hits() if asked and all(word in hit.words for word in words) and set(chosen) <= set(hit.facets)]
        return sorted(found, key=lambda hit: (not all(word in hit.title.casefold() for word in words), hit.kind != "dataset", hit.uri))

    def _keep[T](self, name: str, make: Callable[[], T]) -> T:
        generation = self.generation()
        with self._lock:
            kept = self._kept.get(name)
            if kept is None or kept[0] != generation:
                kept = self._kept[name] = (generation, make())
        found: T = kept[1]
        return found

    def _hits(self) -> Iterator[Hit]:
        site = self._documents.site
        for record in self._documents.store.published():
            labels = [concept.label or concept.raw for concept in concepts(record)]
            words = "\n".join([record.title, record.description, *record.keywords, *labels, record.id]).casefold()
            yield Hit(site.dataset(record.id), "dataset", record.title, record.description, words, facets=_facets(record))
        words_of = self._documents.entries.words()
        for entry in self._documents.entries.published():
            kind = entry.kind.name
            yield Hit(iri_of(site, kind, entry.id), kind, entry.title, "", words_of.get(entry.id, ""), facets=(("type", kind),))
        for row in self._harvested():
            facets = (("type", row["kind"]), ("origin", row["source"]))
            yield Hit(row["iri"], row["kind"], row["title"], "", row["words"], row["source"], facets)

    def _harvested(self) -> list[Any]:
        columns = (harvested.c.iri, harvested.c.kind, harvested.c.title, harvested.c.words, harvested.c.source)
        with store_errors(), self._engine.connect() as connection:
            return list(connection.execute(select(*columns)).mappings())

    def _items(self) -> Iterator[Item]:
        site, documents = self._documents.site, self._documents
        for record in documents.store.published():
            yield Item(record.id, site.dataset(record.id), record.modified, record=record)
        for stone in documents.store.withdrawn():
            yield Item(stone.id, site.dataset(stone.id), stone.withdrawn_at, deleted=True)
        for entry in documents.entries.published():
            if entry.kind.name == "dataset":
                yield Item(entry.id, iri_of(site, "dataset", entry.id), entry.changed_at, entry=entry)
        for entry in documents.entries.deleted():
            if entry.kind.name == "dataset":
                yield Item(entry.id, iri_of(site, "dataset", entry.id), entry.changed_at, deleted=True)

    def _statements(self) -> Iterator[str]:
        documents = self._documents
        nodes: list[Any] = [RootNode(), documents.catalog(documents.site.catalog_id), *documents.series.all()]
        for record in documents.store.published():
            nodes += [DatasetNode(record), *(DistributionNode(record, item) for item in record.distributions)]
        for node in nodes:
            yield documents.graph(node, "fdp").serialize(format="nt")
        for entry in documents.entries.published():
            yield documents.entry(entry).serialize(format="nt")
        with store_errors(), self._engine.connect() as connection:
            yield from connection.scalars(select(harvested.c.body)).all()


def _facets(record: DatasetRecord) -> tuple[tuple[str, str], ...]:
    named = (("modality", record.modalities), ("body part", record.body_parts), ("organism", record.organisms))
    concepts_of = [(name, item.label or item.raw) for name, found in named for item in found if concept_iri(item.curie)]
    return (("type", "dataset"), ("access", record.access_rights), ("licence", record.license), *concepts_of)


def facet_counts(hits: Sequence[Hit]) -> Mapping[str, list[tuple[str, int]]]:
    """Return how many of the hits have each value of each facet, the commonest first."""
    counted = Counter(facet for hit in hits for facet in dict.fromkeys(hit.facets))
    found: dict[str, list[tuple[str, int]]] = {name: [] for name in FACETS}
    for (name, value), number in sorted(counted.items(), key=lambda item: (-item[1], item[0])):
        found[name].append((value, number))
    return {name: values for name, values in found.items() if values}
