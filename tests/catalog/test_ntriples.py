"""What we stored is read as rdflib reads it."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from rdflib import XSD, BNode, Graph, Literal, URIRef
from rdflib.compare import isomorphic

from fairlead.catalog.ntriples import read_ntriples

texts = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["\u2028", "\x85\x0b\x1c", "\\u0041", 'a\\"\n\r\t', "\U0001f41d"]
)
subjects = st.sampled_from([URIRef("urn:a"), URIRef("http://example.org/é'#x"), BNode("a"), BNode()])
literals = st.one_of(
    texts.map(Literal), texts.map(lambda text: Literal(text, lang="de-AT")), st.integers().map(Literal), st.booleans().map(Literal)
)
triples = st.lists(st.tuples(subjects, st.sampled_from([URIRef("urn:p"), XSD.date]), st.one_of(subjects, literals)), max_size=8)


@settings(max_examples=150, deadline=None)
@given(triples)
def test_what_rdflib_wrote_is_read_as_rdflib_reads_it(statements: list[tuple[Any, Any, Any]]):
    graph = Graph()
    for triple in statements:
        graph.add(triple)
    text = graph.serialize(format="nt")
    found = read_ntriples(text)
    assert isomorphic(found, Graph().parse(data=text, format="nt"))
    assert set(found) == set(graph), "labels of blank nodes stay"


def test_other_forms_of_n_triples_are_read_too():
    assert len(read_ntriples('<urn:a>  <urn:b>\t"c" . # so\n\n_:a.b <urn:b> <urn:\\u00e9> .\n')) == 2
