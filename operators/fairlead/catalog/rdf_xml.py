"""Records as RDF/XML, which cannot say everything that RDF can: some properties have no name in XML, some characters no place.

Sources: RDF 1.1 XML Syntax sections 5.1 (names that are no properties) and 6 (serialising); Namespaces in XML 1.0 (``NCName``).
"""

from __future__ import annotations

import re
from typing import Final

from rdflib import RDF, BNode, Graph, Literal
from rdflib.namespace import split_uri
from rdflib.term import Node as Term

from fairlead.catalog.literals import NOT_XML, clean
from fairlead.publish import serialise
from fairlead.publish.graph import new_graph

RDF_XML: Final = "application/rdf+xml"
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
LABEL: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*")
"""Labels of blank nodes that every syntax has; JSON-LD would take any text."""
NO_PROPERTIES: Final = frozenset(
    f"{RDF}{name}"
    for name in (
        "RDF",
        "ID",
        "about",
        "parseType",
        "resource",
        "nodeID",
        "datatype",
        "Description",
        "li",
        "bagID",
        "aboutEach",
        "aboutEachPrefix",
    )
)
"""They would be read as syntax."""


def rdf_xml_of(graph: Graph) -> bytes:
    """Return what RDF/XML can say of a graph: a property without a name in XML is left out, a forbidden character is a blank."""
    left_out = unsayable(graph)
    is_odd = any(
        (isinstance(term, Literal) and NOT_XML.search(term)) or (isinstance(term, BNode) and LABEL.fullmatch(term) is None)
        for triple in graph
        for term in triple[::2]
    )
    return serialise(_sayable(graph, left_out) if left_out or is_odd else graph, RDF_XML)


def unsayable(graph: Graph) -> frozenset[Term]:
    """Return the properties of a graph that RDF/XML has no way to write."""
    return frozenset(predicate for predicate in set(graph.predicates()) if not _has_name(str(predicate)))


def _has_name(predicate: str) -> bool:
    try:
        namespace, name = split_uri(predicate)
    except ValueError:
        return False
    return NAME.fullmatch(name) is not None and "&" not in namespace and predicate not in NO_PROPERTIES


def _sayable(graph: Graph, left_out: frozenset[Term]) -> Graph:
    plain = new_graph()
    for subject, predicate, value in relabelled(graph):
        if predicate not in left_out:
            written = Literal(clean(value), lang=value.language, datatype=value.datatype) if isinstance(value, Literal) else value
            plain.add((subject, predicate, written))
    return plain


def relabelled(graph: Graph) -> Graph:
    """Return a graph whose blank nodes have labels that every syntax has; it is the same one when they have them already."""
    terms = {term for triple in graph for term in triple[::2]}
    names: dict[Term, Term] = {term: BNode() for term in terms if isinstance(term, BNode) and LABEL.fullmatch(term) is None}
    if not names:
        return graph
    found = new_graph()
    for subject, predicate, value in graph:
        found.add((names.get(subject, subject), predicate, names.get(value, value)))
    return found
