"""Shapes turned into plain checks once, so that a record that conforms is found to conform without a SHACL engine.

Only for what is written here of SHACL Core (sections 2.1 and 4); shapes that use anything else are not turned into checks at all. A
record that the checks refuse, or that brings classes of its own, goes to the engine, whose word and report hold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rdflib import RDF, RDFS, BNode, Graph, Literal, URIRef
from rdflib.term import Node as Term

from fairlead.publish.check import SH

type Values = Mapping[tuple[Term, Term], Sequence[Term]]
"""The objects of every subject and predicate of a record."""
type Check = Callable[[Values, Sequence[Term]], bool]

NODE_KINDS: Final[Mapping[Term, tuple[type, ...]]] = {
    SH.IRI: (URIRef,),
    SH.Literal: (Literal,),
    SH.BlankNode: (BNode,),
    SH.BlankNodeOrIRI: (BNode, URIRef),
    SH.BlankNodeOrLiteral: (BNode, Literal),
    SH.IRIOrLiteral: (URIRef, Literal),
}
WORDS: Final = frozenset({SH.message, SH.name, SH.description, RDFS.label, RDFS.comment})
"""What people read; it decides nothing."""
OF_NODES: Final = WORDS | {RDF.type, SH.targetClass, SH.property}
OF_PROPERTIES: Final = WORDS | {RDF.type, SH.path, SH.nodeKind, SH.minCount, SH.maxCount, SH.minLength, SH.uniqueLang, SH.node}
MAX_DEPTH: Final = 4


class _NotWritten(Exception):
    """The shapes use what is not written here."""


@dataclass(frozen=True, slots=True)
class _Property:
    """What holds of the values of one path (SHACL section 2.1.3.2)."""

    path: Term
    checks: tuple[Check, ...]

    def holds(self, values: Values, focus: Term) -> bool:
        """Return whether a node's values pass."""
        found = values.get((focus, self.path), ())
        return all(check(values, found) for check in self.checks)


@dataclass(frozen=True, slots=True)
class _Shape:
    """A node shape: all its property shapes hold."""

    properties: tuple[_Property, ...]

    def holds(self, values: Values, focus: Term) -> bool:
        """Return whether a node conforms."""
        return all(item.holds(values, focus) for item in self.properties)


@dataclass(frozen=True, slots=True)
class Checks:
    """Shapes as checks; they hold no state, so any number of threads may use them at once."""

    targets: Mapping[Term, tuple[_Shape, ...]]
    """The shapes of each class (SHACL section 2.1.3.2, class-based targets)."""

    def conforms(self, graph: Graph) -> bool:
        """Return whether a record surely conforms; False says only that the engine has to look."""
        values: dict[tuple[Term, Term], list[Term]] = defaultdict(list)
        typed: list[tuple[Term, Term]] = []
        for subject, predicate, value in graph:
            if predicate == RDFS.subClassOf:
                return False  # a subclass makes its instances targets too
            values[subject, predicate].append(value)
            if predicate == RDF.type:
                typed.append((subject, value))
        return all(shape.holds(values, node) for node, kind in typed for shape in self.targets.get(kind, ()))


def checks_of(shapes: Graph) -> Checks | None:
    """Return shapes as checks, or None when they use what is not written here."""
    try:
        found: dict[Term, tuple[_Shape, ...]] = {}
        owned = set(shapes.objects(None, SH.property))
        for node in {node for node in shapes.subjects() if node not in owned}:
            shape = _shape(shapes, node)
            for kind in shapes.objects(node, SH.targetClass):
                found[kind] = (*found.get(kind, ()), shape)
    except _NotWritten:
        return None
    return Checks(found)


def _shape(shapes: Graph, node: Term, depth: int = 0) -> _Shape:
    """Return a node shape; references that go round in a circle are not written here."""
    if depth > MAX_DEPTH or set(shapes.objects(node, RDF.type)) != {SH.NodeShape}:
        raise _NotWritten
    _require_known(shapes, node, OF_NODES)
    return _Shape(tuple(_property(shapes, item, depth) for item in shapes.objects(node, SH.property)))


def _property(shapes: Graph, node: Term, depth: int) -> _Property:
    _require_known(shapes, node, OF_PROPERTIES)
    path = _one(shapes, node, SH.path)
    if not isinstance(path, URIRef) or set(shapes.objects(node, RDF.type)) - {SH.PropertyShape}:
        raise _NotWritten
    checks = [make(_one(shapes, node, parameter)) for parameter, make in MAKERS.items() if (node, parameter, None) in shapes]
    checks += [_conforming(_shape(shapes, other, depth + 1)) for other in shapes.objects(node, SH.node)]
    return _Property(path, tuple(checks))


def _require_known(shapes: Graph, node: Term, known: frozenset[URIRef]) -> None:
    if not set(shapes.predicates(node)) <= known:
        raise _NotWritten


def _one(shapes: Graph, node: Term, parameter: URIRef) -> Term:
    found = list(shapes.objects(node, parameter))
    if len(found) != 1:
        raise _NotWritten
    return found[0]


def _number(term: Term) -> int:
    value: Any = term.value if isinstance(term, Literal) else None
    if type(value) is not int or value < 0:
        raise _NotWritten
    return value


def _least(term: Term) -> Check:
    number = _number(term)
    return lambda values, found: len(found) >= number


def _most(term: Term) -> Check:
    number = _number(term)
    return lambda values, found: len(found) <= number


def _long(term: Term) -> Check:
    """Blank nodes have no length (SHACL section 4.4.1)."""
    number = _number(term)
    return lambda values, found: all(not isinstance(value, BNode) and len(str(value)) >= number for value in found)


def _kind(term: Term) -> Check:
    if term not in NODE_KINDS:
        raise _NotWritten
    kinds = NODE_KINDS[term]
    return lambda values, found: all(isinstance(value, kinds) for value in found)


def _languages(term: Term) -> Check:
    if not isinstance(term, Literal) or term.value is not True:
        raise _NotWritten
    return lambda values, found: _are_unique([value.language.lower() for value in found if isinstance(value, Literal) and value.language])


def _are_unique(found: Sequence[str]) -> bool:
    return len(set(found)) == len(found)


def _conforming(shape: _Shape) -> Check:
    return lambda values, found: all(shape.holds(values, value) for value in found)


MAKERS: Final[Mapping[URIRef, Callable[[Term], Check]]] = {
    SH.nodeKind: _kind,
    SH.minCount: _least,
    SH.maxCount: _most,
    SH.minLength: _long,
    SH.uniqueLang: _languages,
}
