"""Read the N-Triples that we stored ourselves (RDF 1.1 N-Triples, section 7): one expression a line, several times as fast as a parser.

Only for what rdflib wrote; what strangers send is read by :mod:`fairlead.catalog.reading`. Labels of blank nodes stay what they are, so
that a stored record is the same graph, and the same bytes, each time.
"""

from __future__ import annotations

import re
from typing import Final

from rdflib import BNode, Graph, Literal, URIRef
from rdflib.term import Node as Term

from fairlead.publish.graph import new_graph

IRI: Final = r"<([^<>\\]*)>"
BLANK: Final = r"_:(\w+)"
LINE: Final = re.compile(rf'(?:{IRI}|{BLANK}) {IRI} (?:{IRI}|{BLANK}|"((?:[^"\\]|\\.)*)"(?:@([A-Za-z0-9-]+)|\^\^{IRI})?) \.')
ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
CHARACTERS: Final = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f"}


def read_ntriples(text: str) -> Graph:
    """Return a graph with our prefixes; a line of another form is left, with all the others, to rdflib."""
    graph = new_graph()
    iris: dict[str, URIRef] = {}
    for line in text.split("\n"):
        if not line:
            continue
        found = LINE.fullmatch(line)
        if found is None:
            return new_graph().parse(data=text, format="nt")
        subject, blank, predicate, iri, label, quoted, language, kind = found.groups()
        value: Term
        if quoted is not None:
            plain = ESCAPE.sub(_character, quoted) if "\\" in quoted else quoted
            value = Literal(plain, lang=language, datatype=_iri(iris, kind) if kind else None)
        else:
            value = BNode(label) if iri is None else _iri(iris, iri)
        graph.add((BNode(blank) if subject is None else _iri(iris, subject), _iri(iris, predicate), value))
    return graph


def _iri(known: dict[str, URIRef], iri: str) -> URIRef:
    found = known.get(iri)
    if found is None:
        found = known[iri] = URIRef(iri)
    return found


def _character(found: re.Match[str]) -> str:
    short, long, other = found.groups()
    return CHARACTERS.get(other, other) if other is not None else chr(int(short or long, 16))
