"""Our Turtle says what the graph says, in the same bytes each time; members beside a record are as good as in its graph."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdflib import RDF, RDFS, XSD, BNode, Graph, Literal, URIRef
from rdflib.compare import isomorphic

from fairlead.catalog.documents import represent
from fairlead.catalog.turtle import MAX_NESTING, Members, ntriples_of, turtle_of
from fairlead.publish.graph import add_container
from fairlead.publish.vocabulary import DCAT

HERE = "http://example.org/catalog/1"
nodes = st.sampled_from([URIRef(HERE), URIRef("urn:a"), URIRef("http://example.org/a'(),.;%20"), *map(BNode, "ab")])
predicates = st.sampled_from([RDF.type, DCAT.dataset, URIRef("http://www.w3.org/ns/dcat#a.b"), URIRef("http://www.w3.org/ns/dcat#1")])
texts = st.text(st.characters(codec="utf-8"), max_size=12)
KINDS = [("1", XSD.integer), ("+01", XSD.integer), ("true", XSD.boolean), ("1.0", XSD.decimal), ("x", URIRef("urn:kind"))]
literals = st.one_of(
    texts.map(Literal),
    texts.map(lambda text: Literal(text, lang="en-GB")),
    st.sampled_from(KINDS).map(lambda pair: Literal(pair[0], datatype=pair[1], normalize=False)),
)
graphs = st.lists(st.tuples(nodes, predicates, st.one_of(nodes, literals)), max_size=9)


def graph_of(triples: list[tuple[Any, Any, Any]]) -> Graph:
    """Return a graph of these statements."""
    graph = Graph()
    for triple in triples:
        graph.add(triple)
    return graph


@settings(max_examples=200, deadline=None)
@given(graphs)
def test_turtle_says_what_the_graph_says(triples: list[tuple[Any, Any, Any]]):
    graph = graph_of(triples)
    written = turtle_of(graph)
    again = Graph().parse(data=written, format="turtle")
    assert isomorphic(again, Graph().parse(data=graph.serialize(format="nt"), format="nt"))


@settings(max_examples=60, deadline=None)
@given(graphs, st.lists(st.tuples(st.uuids(), texts), max_size=5))
def test_members_beside_a_record_are_as_good_as_in_its_graph(triples: list[tuple[Any, Any, Any]], rows: list[tuple[Any, str]]):
    children = [(f"http://example.org/dataset/{name}", title) for name, title in rows]
    members = [Members(f"{HERE}/dataset/", HERE, str(DCAT.dataset), children)]
    bare, whole = graph_of(triples), graph_of(triples)
    for graph, listed in ((bare, []), (whole, children)):
        add_container(graph, f"{HERE}/dataset/", member_of=URIRef(HERE), relation=DCAT.dataset, children=listed)
    expected = Graph().parse(data=turtle_of(whole), format="turtle")
    assert isomorphic(Graph().parse(data=turtle_of(bare, members), format="turtle"), expected)
    assert isomorphic(Graph().parse(data=ntriples_of(bare, members).decode(), format="nt"), expected)


def test_the_order_of_statements_does_not_show():
    agents = [(URIRef(HERE), DCAT.contactPoint, BNode(name)) for name in "ab"] + [(BNode(n), RDFS.label, Literal(f"x{n}")) for n in "ab"]
    assert turtle_of(graph_of(agents)) == turtle_of(graph_of(agents[::-1]))


@pytest.mark.parametrize("closed", [False, True], ids=["chain", "ring"])
def test_chains_of_blank_nodes_are_written_without_recursion(closed: bool):
    length = 3000
    chain = [BNode(f"n{number}") for number in range(length)]
    triples = [(one, DCAT.dataset, two) for one, two in pairwise(chain)]
    graph = graph_of([(URIRef(HERE), DCAT.dataset, chain[0]), *triples, *([(chain[-1], DCAT.dataset, chain[0])] if closed else [])])
    written = turtle_of(graph).decode()
    assert written.count("[") <= length
    assert len(Graph().parse(data=written, format="turtle")) == len(graph)
    assert max(line.count("[") for line in written.split(" .\n")) <= MAX_NESTING


def test_shapes_keep_the_short_form_of_lists():
    graph = Graph().parse(data="<urn:a> <urn:b> ( <urn:c> <urn:d> ) .", format="turtle")
    assert b"( ns1:c ns1:d )" in represent(graph, "text/turtle")
