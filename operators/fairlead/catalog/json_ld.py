"""Records as JSON-LD: nested as rdflib writes it, or flat where that would not say everything.

Source: JSON-LD 1.1 section 7.6 (from RDF to an expanded, flat document).
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any, Final

from rdflib import RDF, BNode, Graph, Literal
from rdflib.term import Node as Term

from fairlead.publish import serialise

JSON_LD: Final = "application/ld+json"
MAX_BLANK: Final = 60
"""Blank nodes within others; rdflib needs some frames of the stack for each, and leaves out those that only lead to themselves."""


def json_ld_of(graph: Graph) -> bytes:
    """Return a graph as JSON-LD, the same bytes for the same statements with the same labels."""
    has_empty = any(isinstance(value, Literal) and not str(value) for value in graph.objects())  # rdflib leaves out one among other values
    is_plain = not has_empty and _has_whole_lists(graph) and _is_nestable(graph)
    return serialise(graph, JSON_LD) if is_plain else _flat(graph)


def _has_whole_lists(graph: Graph) -> bool:
    """Return whether what looks like part of a list is part of exactly one, which has an end (JSON-LD 1.1 API, section 8.4.2)."""
    cells = {*graph.subjects(RDF.rest), *graph.subjects(RDF.first)}
    uses = Counter(value for _, _, value in graph if value in cells)
    seen: set[Term] = set()
    for node in [value for _, predicate, value in graph if predicate != RDF.rest and value in cells]:
        while node != RDF.nil:
            said = {predicate: value for predicate, value in graph.predicate_objects(node)}
            whole = len(list(graph.predicates(node))) == 2 and said.keys() == {RDF.first, RDF.rest}
            if not whole or uses[node] != 1 or node in seen or not isinstance(node, BNode):
                return False
            seen.add(node)
            node = said[RDF.rest]
    return seen == cells


def _is_nestable(graph: Graph) -> bool:
    """Return whether few enough blank nodes are within others, and every one is reached from what is no blank node's part."""
    below: dict[Term, list[Term]] = defaultdict(list)
    for subject, predicate, value in graph:
        if isinstance(value, BNode) and predicate != RDF.rest:  # rdflib walks along lists
            below[subject].append(value)
    inside = {node for found in below.values() for node in found}
    blank = {node for node in graph.subjects() if isinstance(node, BNode)}
    if not inside & blank:
        return True
    lists = set(graph.objects(None, RDF.rest))
    level: set[Term] = {node for node in {*below, *blank, *lists} if node not in inside}
    reached: set[Term] = set()
    for _ in range(MAX_BLANK):
        reached |= level
        level = {child for node in level for child in below.get(node, ())} - reached
        if not level:
            return blank <= reached
    return False


def _flat(graph: Graph) -> bytes:
    """Return the document with every node at its top."""
    nodes: dict[str, dict[str, Any]] = {}
    for subject, predicate, value in sorted(graph):
        node = nodes.setdefault(_id(subject), {"@id": _id(subject)})
        if predicate == RDF.type and not isinstance(value, Literal):
            node.setdefault("@type", []).append(_id(value))
        else:
            node.setdefault(str(predicate), []).append(_value(value))
    return (json.dumps({"@graph": list(nodes.values())}, ensure_ascii=False, indent=2) + "\n").encode()


def _id(term: Term) -> str:
    return f"_:{term}" if isinstance(term, BNode) else str(term)


def _value(term: Term) -> dict[str, str]:
    if not isinstance(term, Literal):
        return {"@id": _id(term)}
    kind = {"@language": term.language} if term.language else {"@type": str(term.datatype)} if term.datatype else {}
    return {"@value": str(term), **kind}
