"""Shapes as plain checks say what the SHACL engine says; what they do not understand they leave to it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyshacl import validate
from rdflib import DCTERMS, FOAF, RDF, RDFS, SH, XSD, BNode, Graph, Literal, Namespace, URIRef

from fairlead.catalog.conforming import checks_of
from fairlead.catalog.writing import RefusedRecord, require_shapes, written_checks, written_shapes
from fairlead.publish import check_shapes
from fairlead.publish.vocabulary import DCAT

RECORD, AGENT, NOBODY = URIRef("http://example.org/dataset/1"), URIRef("http://example.org/agent"), BNode("nobody")
GOOD = {
    (RECORD, RDF.type, DCAT.Resource),
    (RECORD, RDF.type, DCAT.Dataset),
    (RECORD, DCTERMS.title, Literal("Bees", lang="en")),
    (RECORD, DCTERMS.title, Literal("Bienen", lang="de")),
    (RECORD, DCTERMS.publisher, AGENT),
    (AGENT, FOAF.name, Literal("Centre")),
    (RECORD, DCTERMS.isPartOf, URIRef("http://example.org/catalog/1")),
    (RECORD, DCAT.version, Literal("1")),
    (RECORD, DCTERMS.license, URIRef("http://example.org/licence")),
    (RECORD, DCAT.theme, URIRef("http://example.org/theme")),
}
PREDICATES = sorted({*written_shapes().objects(None, URIRef("http://www.w3.org/ns/shacl#path")), RDF.type})
CLASSES = [DCAT.Dataset, DCAT.Distribution, DCAT.Catalog, DCAT.Resource]
VALUES = [Literal("x"), Literal(""), Literal("y", lang="en"), Literal("z", lang="EN"), Literal(1), AGENT, NOBODY, RECORD, *CLASSES]
statement = st.tuples(st.sampled_from([RECORD, AGENT, NOBODY]), st.sampled_from(PREDICATES), st.sampled_from(VALUES))


@settings(max_examples=120, deadline=None)
@given(st.sets(st.sampled_from(sorted(GOOD)), max_size=2), st.sets(statement, max_size=4))
def test_the_checks_say_what_the_engine_says(missing: set[tuple[URIRef, URIRef, URIRef]], added: set[tuple[URIRef, URIRef, URIRef]]):
    graph = Graph()
    for triple in (GOOD - missing) | added:
        graph.add(triple)
    checks = written_checks()
    assert checks is not None
    assert checks.conforms(graph) == check_shapes(graph, shapes=written_shapes()).valid


EX = Namespace("http://example.org/")
KINDS_OF_NODES = [SH.IRI, SH.Literal, SH.BlankNode, SH.BlankNodeOrIRI, SH.BlankNodeOrLiteral, SH.IRIOrLiteral]
numbers = st.integers(0, 3).map(Literal)
constraints = st.fixed_dictionaries(
    {},
    optional={
        SH.nodeKind: st.sampled_from(KINDS_OF_NODES),
        SH.minCount: numbers,
        SH.maxCount: numbers,
        SH.minLength: numbers,
        SH.uniqueLang: st.booleans().map(Literal),
        SH.node: st.just(EX.Other),
    },
)
property_shapes = st.lists(st.tuples(st.sampled_from([EX.p, EX.q, RDF.type]), constraints), max_size=3)
nodes = st.sampled_from([EX.a, EX.b, BNode("a"), BNode("b")])
texts = [Literal(""), Literal("", lang="de"), Literal("01", datatype=XSD.integer), Literal("true", datatype=XSD.boolean), Literal("\n")]
things = st.one_of(nodes, st.sampled_from([*VALUES, *texts, EX.C, EX.D]))
said = st.tuples(st.one_of(nodes, st.just(EX.C)), st.sampled_from([EX.p, EX.q, RDF.type, RDFS.subClassOf]), things)
typed = st.tuples(nodes, st.just(RDF.type), st.sampled_from([EX.C, EX.D]))


@settings(max_examples=100, deadline=None)
@given(property_shapes, property_shapes, st.sets(said, max_size=6), st.sets(typed, min_size=1, max_size=3))
def test_no_check_passes_what_the_engine_refuses_whatever_the_shapes(own, others, statements, types):
    shapes, graph = Graph(), Graph()
    shapes.add((EX.Own, SH.targetClass, EX.C))
    for shape, parts in ((EX.Own, own), (EX.Other, others)):
        shapes.add((shape, RDF.type, SH.NodeShape))
        for number, (path, parameters) in enumerate(parts):
            here = BNode(f"{shape[-3:]}{number}")
            for triple in ((shape, SH.property, here), (here, SH.path, path), *((here, name, value) for name, value in parameters.items())):
                shapes.add(triple)
    for triple in statements | types:
        graph.add(triple)
    checks = checks_of(shapes)
    if checks is not None and checks.conforms(graph):
        assert validate(graph, shacl_graph=shapes)[0]


def test_a_class_of_the_clients_own_is_left_to_the_engine():
    graph, mine = Graph(), URIRef("http://example.org/Mine")
    graph.add((mine, RDFS.subClassOf, DCAT.Dataset))
    graph.add((RECORD, RDF.type, mine))
    checks = written_checks()
    assert checks is not None
    assert not checks.conforms(graph)
    with pytest.raises(RefusedRecord, match="A dataset has a theme"):
        require_shapes(graph)


@pytest.mark.parametrize(
    "turtle",
    [
        "[] sh:targetNode ex:b",
        "[] a rdfs:Class",
        "[] sh:deactivated true",
        "[] sh:or ( [ sh:nodeKind sh:IRI ] )",
        "[] sh:property [ sh:path ex:p ; sh:pattern 'x' ]",
        "[] sh:property [ sh:path ex:p ; sh:severity sh:Warning ; sh:minCount 1 ]",
        "[] sh:property [ sh:path [ sh:inversePath ex:p ] ; sh:minCount 1 ]",
        "[] sh:property [ sh:path ex:p ; sh:minCount 1, 2 ]",
        "[] sh:property [ sh:path ex:p ; sh:minCount 'one' ]",
        "[] sh:property [ sh:path ex:p ; sh:node ex:a ]",
    ],
)
def test_shapes_that_use_more_become_no_checks(turtle: str):
    shapes = Graph().parse(
        data=f"""@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix ex: <http://example.org/> .
        @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
        ex:a a sh:NodeShape ; sh:targetClass ex:C . {turtle.replace("[]", "ex:a", 1)} .""",
        format="turtle",
    )
    assert checks_of(shapes) is None
