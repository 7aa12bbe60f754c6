"""Records as Turtle and N-Triples: the same bytes for the same statements, and the members of large containers without a graph of them.

Source: RDF 1.1 Turtle sections 2 and 6 (grammar), RDF 1.1 N-Triples; LDP 1.0 section 5.4 for containers.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from rdflib import RDF, RDFS, XSD, BNode, Graph, Literal, URIRef
from rdflib.term import Node as Term

from fairlead.publish.graph import Child
from fairlead.publish.vocabulary import LDP, PREFIXES

MAX_NESTING: Final = 8
"""Blank nodes within blank nodes; deeper ones get labels, so that no client chooses how deep we recurse."""
NAMESPACES: Final[Mapping[str, str]] = {iri: prefix for prefix, iri in PREFIXES.items()}
LOCAL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
PLAIN_IRI: Final = re.compile(r'[^\x00-\x20<>"{}|^`\\]*')
PLAIN_TEXT: Final = re.compile(r'[^\x00-\x1f"\\\x7f]*')
INTEGER: Final = re.compile(r"[+-]?[0-9]{1,300}")
"""Longer ones are quoted: Python reads no number of more than 4,300 digits, and rdflib not the rest of the document then."""
ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True, slots=True)
class Members:
    """The children of one container, to be written beside a record that describes the container without them."""

    container: str
    member_of: str
    relation: str
    children: Sequence[Child]


def turtle_of(graph: Graph, members: Iterable[Members] = ()) -> bytes:
    """Return a record, and the members of its containers, as Turtle."""
    return _Writer(graph).text(tuple(members)).encode()


def ntriples_of(graph: Graph, members: Iterable[Members] = ()) -> bytes:
    """Return a record, and the members of its containers, as N-Triples, sorted."""
    lines = {line for line in graph.serialize(format="nt").split("\n") if line}  # not splitlines: it knows line ends that RDF does not
    for part in members:
        container, node, relation = _iri(part.container), _iri(part.member_of), _iri(part.relation)
        for address, title in part.children:
            child = _iri(address)
            lines |= {f"{container} {CONTAINS} {child} .", f"{node} {relation} {child} .", f"{child} {LABEL} {_text(title)} ."}
    return ("\n".join(sorted(lines)) + "\n").encode()


class _Writer:
    """One graph on its way to Turtle: IRIs first, by name; blank nodes where they are used, when that is one place only."""

    def __init__(self, graph: Graph) -> None:
        self._subjects: dict[Term, dict[Term, list[Term]]] = defaultdict(lambda: defaultdict(list))
        self._uses: Counter[Term] = Counter()
        self._prefixes: set[str] = set()
        self._labels: dict[Term, str] = {}
        self._done: set[Term] = set()
        self._waiting: list[Term] = []
        for subject, predicate, value in graph:
            self._subjects[subject][predicate].append(value)
            if isinstance(value, BNode):
                self._uses[value] += 1

    def text(self, members: Sequence[Members]) -> str:
        """Return the document."""
        blocks = [self._block(node) for node in sorted((node for node in self._subjects if not isinstance(node, BNode)), key=str)]
        blank = sorted((node for node in self._subjects if isinstance(node, BNode)), key=str)
        self._waiting += [node for node in blank if self._uses[node] != 1]
        blocks += self._labelled()
        for node in blank:  # what is left goes round in a circle
            if node not in self._done:
                self._waiting.append(node)
                blocks += self._labelled()
        blocks += [block for part in members for block in self._members(part)]
        head = "".join(f"@prefix {prefix}: <{PREFIXES[prefix]}> .\n" for prefix in PREFIXES if prefix in self._prefixes)
        return f"{head}\n" + "\n".join(blocks)

    def _labelled(self) -> list[str]:
        blocks = []
        while self._waiting:
            node = self._waiting.pop()
            if node not in self._done:
                blocks.append(self._block(node))
        return blocks

    def _block(self, node: Term) -> str:
        self._done.add(node)
        return f"{self._label(node) if isinstance(node, BNode) else self._name(node)} {self._statements(node, 1)} .\n"

    def _statements(self, node: Term, depth: int) -> str:
        """Return predicates and objects; types come first, everything else by name."""
        indent = ";\n" + "    " * depth
        found = []
        for predicate, values in self._subjects[node].items():
            name = "a" if predicate == RDF.type else self._name(predicate)
            found.append((name != "a", name, ", ".join(sorted(self._object(value, depth) for value in values))))
        return indent.join(f"{name} {values} " for _, name, values in sorted(found)).rstrip()

    def _object(self, value: Term, depth: int) -> str:
        if isinstance(value, Literal):
            return self._literal(value)
        if not isinstance(value, BNode):
            return self._name(value)
        if value in self._labels or self._uses[value] != 1 or value in self._done:
            return self._label(value)
        if value not in self._subjects:
            return "[]"
        if depth >= MAX_NESTING:
            self._waiting.append(value)
            return self._label(value)
        self._done.add(value)
        return f"[ {self._statements(value, depth + 1)} ]"

    def _label(self, node: Term) -> str:
        return self._labels.setdefault(node, f"_:b{len(self._labels)}")

    def _name(self, iri: Term) -> str:
        prefix, name = short(str(iri))
        if prefix:
            self._prefixes.add(prefix)
        return name

    def _literal(self, value: Literal) -> str:
        lexical, kind = str(value), value.datatype
        if value.language:
            return f"{_text(lexical)}@{value.language}"
        if kind is None or kind == XSD.string:
            return _text(lexical)
        if (kind == XSD.integer and INTEGER.fullmatch(lexical)) or (kind == XSD.boolean and lexical in ("true", "false")):
            return lexical
        return f"{_text(lexical)}^^{self._name(kind)}"

    def _members(self, part: Members) -> list[str]:
        if not part.children:
            return []
        children = [(_iri(address), _text(title)) for address, title in part.children]
        listed = ",\n    ".join(dict.fromkeys(address for address, _ in children))
        labels = "".join(f"{address} {self._name(RDFS.label)} {title} .\n" for address, title in children)
        container, node = URIRef(part.container), URIRef(part.member_of)
        contains, relation = self._name(LDP.contains), self._name(URIRef(part.relation))
        return [f"{self._name(container)} {contains} {listed} .\n", f"{self._name(node)} {relation} {listed} .\n", labels]


@lru_cache(maxsize=4096)
def short(iri: str) -> tuple[str, str]:
    """Return an IRI as Turtle and the prefix that it needs, which is empty for one that is written out.

    >>> short("http://www.w3.org/ns/dcat#Dataset"), short("http://example.org/a")
    (('dcat', 'dcat:Dataset'), ('', '<http://example.org/a>'))
    """
    cut = max(iri.rfind("#"), iri.rfind("/")) + 1
    prefix = NAMESPACES.get(iri[:cut])
    if prefix is not None and LOCAL.fullmatch(iri, cut):
        return prefix, f"{prefix}:{iri[cut:]}"
    return "", _iri(iri)


def _iri(iri: str) -> str:
    return f"<{iri}>" if PLAIN_IRI.fullmatch(iri) else "<" + "".join(c if PLAIN_IRI.fullmatch(c) else f"\\u{ord(c):04X}" for c in iri) + ">"


def _text(text: str) -> str:
    if PLAIN_TEXT.fullmatch(text):
        return f'"{text}"'
    return '"' + "".join(c if PLAIN_TEXT.fullmatch(c) else ESCAPES.get(c, f"\\u{ord(c):04X}") for c in text) + '"'


CONTAINS: Final = _iri(str(LDP.contains))
LABEL: Final = _iri(str(RDFS.label))
