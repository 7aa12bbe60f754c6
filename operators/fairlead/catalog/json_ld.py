"""Records as JSON-LD: nested as rdflib writes it, or flat where blank nodes go too deep for that or round in a circle.

Source: JSON-LD 1.1 section 7.6 (from RDF to an expanded, flat document).
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any, Final

from rdflib import RDF, BNode, Graph, Literal
from rdflib.term import Node as Term

from fairlead.publish import serialise

JSON_LD: Final = "application/ld+json"
MAX_BLANK: Final = 60
"""Blank nodes within others; rdflib needs some frames of the stack for each, and leaves out those that only lead to themselves."""


def json_ld_of(graph: Graph) -> bytes:
    """Return a graph as JSON-LD, the same bytes for the same statements with the same labels."""
    return serialise(graph, JSON_LD) if _is_nestable(graph) else _flat(graph)


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
