"""A bundle of records taken apart: which graph describes what, under which address, as part of what.

Source: FDP 2.0 draft, bulk ingestion: one named graph a record (BLK-03), whose name other records of the bundle may use (BLK-04).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from rdflib import DCTERMS, RDF, BNode, Graph, URIRef
from rdflib.term import Node

from fairlead.catalog.writing import KINDS, Kind
from fairlead.errors import InvalidInput
from fairlead.publish.graph import new_graph
from fairlead.publish.vocabulary import DCAT, FDP

MAX_RECORDS: Final = 1000
CHILDREN: Final = (FDP.metadataCatalog, DCAT.dataset, DCAT.distribution)


@dataclass(frozen=True, slots=True)
class Part:
    """One record of a bundle: its name there, its statements under the address that it will have, and what it is part of."""

    name: str
    kind: Kind
    id: str
    iri: str
    graph: Graph
    parent: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A graph of a bundle that is no record, by its name, and why."""

    name: str
    error: InvalidInput


def take_apart(graphs: Mapping[Node, Graph], *, base: str, container: str, top: str) -> tuple[list[Part], list[Fault]]:
    """Return the records of a bundle, parents first, and the graphs that are none.

    ``container`` is the address that the bundle was sent to, ``top`` what its uppermost records are part of.

    Raises
    ------
    InvalidInput : there is no named graph, or more than :data:`MAX_RECORDS`.
    """
    if not 1 <= len(graphs) <= MAX_RECORDS:
        raise InvalidInput(
            f"A bundle has 1 to {MAX_RECORDS} named graphs, one for each record.", remedy="Write GRAPH <#name> { … } around each record."
        )
    found: dict[Node, tuple[Node, Kind, str]] = {}
    faults: list[Fault] = []
    for name, graph in graphs.items():
        try:
            found[name] = (*_entity(graph, name, URIRef(container)), str(uuid.uuid4()))
        except InvalidInput as error:
            faults.append(Fault(_shown(name), error))
    addresses = {name: URIRef(f"{base}/{kind.name}/{identifier}") for name, (_, kind, identifier) in found.items()}
    parts = [_part(name, found[name], graphs[name], addresses, container) for name in found]
    order = list(KINDS)
    return sorted(_placed(parts, top), key=lambda part: order.index(part.kind.name)), faults


def _shown(name: Node) -> str:
    return f"_:{name}" if isinstance(name, BNode) else str(name)


def _entity(graph: Graph, name: Node, empty: URIRef) -> tuple[Node, Kind]:
    """Return the one thing that a graph describes: its own name, ``<>``, else the only catalogue, dataset or distribution."""
    typed = {(node, kind.name) for kind in KINDS.values() for node in graph.subjects(RDF.type, kind.rdf_type)}
    own = {item for item in typed if item[0] in (name, empty)}
    inside = {item for item in typed if isinstance(item[0], BNode) and item[0] != name and (None, None, item[0]) in graph}
    chosen = own or typed - inside
    if len(chosen) != 1:
        raise InvalidInput(
            f"The graph describes {len(chosen)} catalogues, datasets or distributions; a graph of a bundle describes one.",
            remedy="Give each record a graph of its own, and one type.",
        )
    node, kind = chosen.pop()
    return node, KINDS[kind]


def _part(name: Node, known: tuple[Node, Kind, str], graph: Graph, addresses: Mapping[Node, URIRef], container: str) -> Part:
    """Return a record whose graph names are the addresses that the records will have."""
    node, kind, identifier = known
    here = addresses[name]
    names: dict[Node, URIRef] = {**addresses, URIRef(container): here, node: here}
    renamed = new_graph()
    for subject, predicate, value in graph:
        renamed.add((names.get(subject, subject), predicate, names.get(value, value)))
    parent = renamed.value(here, DCTERMS.isPartOf)
    return Part(_shown(name), kind, identifier, str(here), renamed, str(parent or ""))


def _placed(parts: list[Part], top: str) -> Iterator[Part]:
    """Yield the records with their parents: what they say, else what links to them in the bundle, else ``top``."""
    above = {str(child): part.iri for part in parts for link in CHILDREN for child in part.graph.objects(URIRef(part.iri), link)}
    for part in parts:
        yield Part(part.name, part.kind, part.id, part.iri, part.graph, part.parent or above.get(part.iri, top))
