"""Every way to read the catalogue stays well-formed, whatever stands in one record: new, stored before today's checks, or harvested."""

from __future__ import annotations

import csv
import io
import json
import warnings
from collections.abc import Callable

import httpx
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from lxml import etree
from rdflib import RDF, XSD, BNode, Dataset, Graph, Literal, URIRef
from sqlalchemy import Engine, update

from catalog.conftest import TestClient
from catalog.test_fdp_draft import draft
from catalog.test_write_api import a_dataset, create, publish_entry
from fairlead.catalog import harvest
from fairlead.catalog.documents import represent
from fairlead.catalog.fetching import Fetcher
from fairlead.catalog.reading import read_rdf
from fairlead.catalog.tables import entries
from fairlead.errors import FairleadError
from fairlead.settings import Settings

__all__ = ["draft"]
type Bearer = Callable[..., dict[str, str]]
BASE = "http://127.0.0.1:8000"
SYNTAXES = {"ttl": "turtle", "jsonld": "json-ld", "rdf": "xml", "nt": "nt"}
CHAIN = " ; <urn:p> " + "[ <urn:p> " * 50 + "1" + " ]" * 50
DEEP = "<> <urn:p> _:a0 . " + "".join(f"_:a{n} <urn:p> _:a{n + 1} . " for n in range(600))
ODD = (
    ('; <http://e/> "x" ; <urn:a:> "y" ; <http://e/?a=1&b=c> "z" ; <http://e/a%20b> "q" ; <http://e/é> "r"', ""),
    ("; a [], <http://e/> ; <http://www.w3.org/1999/02/22-rdf-syntax-ns#about> 1 ; <http://www.w3.org/1999/02/22-rdf-syntax-ns#li> 2", ""),
    ("; <urn:p> _:a", "_:a <urn:p> _:b . _:b <urn:p> _:a . _:c <urn:p> _:c ."),
    (CHAIN, ""),
    ("", DEEP),
    ("; <urn:p> (1 2 (3 ()))", "_:l <http://www.w3.org/1999/02/22-rdf-syntax-ns#rest> _:l ."),
    ('; <urn:p> "a\\u2028b\\u0085c\\r\\n]]>&amp;<b>\\"\\\\", "x"@en-x-private, "\\uFFFD\\U0010FFFD", "<a>"^^<urn:own>', ""),
    ('; <urn:p> "<a>"^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#XMLLiteral>, "INF"^^<http://www.w3.org/2001/XMLSchema#double>', ""),
    (f'; <urn:p> "{"9" * 4500}"^^<http://www.w3.org/2001/XMLSchema#integer>', ""),
    ('; <http://purl.org/dc/terms/creator> "a & b"', ""),
)


def surfaces(client: TestClient, iri: str) -> None:
    """Read one record in every syntax; each answer is whole and says something of the record."""
    for name, syntax in SYNTAXES.items():
        answer = client.get(f"{iri}?format={name}")
        assert answer.status_code == 200, (name, answer.text)
        if syntax == "xml":
            etree.fromstring(answer.content)
        assert (URIRef(iri), None, None) in parsed(answer.text, syntax)
    assert client.get(f"{iri}?format=html").status_code == 200


def parsed(text: str, syntax: str) -> Graph:
    """Return a document as another program reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of literals that are ill-formed, and rdflib's own deprecations
        return Graph().parse(data=text, format=syntax)


def everywhere(client: TestClient) -> None:
    """Read what lists many records."""
    for prefix in ("oai_dc", "oai_datacite", "dcat"):
        answer = client.get("/oai", params={"verb": "ListRecords", "metadataPrefix": prefix})
        assert answer.status_code == 200, answer.text
        assert b"<error" not in answer.content
        etree.fromstring(answer.content)
    etree.fromstring(client.get("/sitemap.xml").content)
    assert {hit["title"] for hit in client.get("/search?q=bees").json()} >= {"Bees"}
    for path in ("/search?q=bees", "/catalog/local", "/"):
        assert client.get(path, headers={"Accept": "text/html"}).status_code == 200
    for media_type in ("xml", "json"):
        answer = client.get(
            "/sparql", params={"query": "SELECT * { ?s ?p ?o }"}, headers={"Accept": f"application/sparql-results+{media_type}"}
        )
        assert answer.status_code == 200, answer.text
        assert len(etree.fromstring(answer.content) if media_type == "xml" else json.loads(answer.content)) > 1
        assert b"INF" in answer.content
    rows = client.get("/sparql", params={"query": "SELECT ?s ?o { ?s ?p ?o }"}, headers={"Accept": "text/csv"})
    assert {len(row) for row in csv.reader(io.StringIO(rows.text, newline=""))} == {2}
    dump = client.get("/dump.nt")
    assert dump.status_code == 200
    assert len(parsed(dump.text, "nt")) > 10
    made = client.get("/sparql", params={"query": "CONSTRUCT { ?s ?p ?o } WHERE { ?s ?p ?o }"}, headers={"Accept": "application/n-triples"})
    assert made.status_code == 200, made.text
    assert len(parsed(made.text, "nt")) > 10


def test_no_odd_record_breaks_a_page_or_a_list(draft: TestClient, bearer: Bearer, engine: Engine, settings: Settings):
    root = bearer("root@example.org")
    for more, beside in ODD:
        iri = create(draft, root, body=a_dataset(more=more) + "\n" + beside)
        publish_entry(draft, root, iri)
        surfaces(draft, iri)
    before = create(draft, root)
    publish_entry(draft, root, before)
    node = f"<{before}> <http://purl.org/dc/terms"
    old = f"""{node}/abstract> "a\\u0000b\\uFFFE" .\n{node}/license> "\x01" .\n{node}/issued> "x"^^<{XSD.date}> .\n_:1 <urn:p> _:1 .\n"""
    with engine.begin() as connection:
        body = entries.c.body + old
        connection.execute(update(entries).where(entries.c.id == before.rpartition("/")[2]).values(body=body, revision=9))
    surfaces(draft, before)
    taken, errors = harvested(settings, engine)
    assert (taken, sorted(errors)) == (3, ["invalid-input", "invalid-input"])
    everywhere(draft)
    for accept in ("application/trig", "text/turtle", "application/ld+json"):
        answer = draft.get("/bundle", headers={"Accept": accept})
        assert answer.status_code == 200
        if accept == "application/trig":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                Dataset().parse(data=answer.text, format="trig")


def harvested(settings: Settings, engine: Engine) -> tuple[int, list[str]]:
    """Harvest a catalogue with a plain, an ill-typed, a forbidden and a malformed record; return what was taken, and the errors."""
    point = "https://fdp.example/"
    head = "@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> . "
    bodies = [
        '"a\\u2028b\\u0085c"',
        f'"not a date"^^<{XSD.date}>',
        '"a\\u0000"',
        "<http://e/a\\u0020b>",
    ]
    pages = {
        f"{point}{n}": f"{head}<{point}{n}> a dcat:Dataset ; dct:title 'Bees {n}' ; <urn:p> {value} ." for n, value in enumerate(bodies)
    }
    links = ", ".join(f"<{name}>" for name in pages)
    pages[point] = f"{head}<{point}> a dcat:Catalog ; dct:title 'C' ; dcat:dataset {links} ."

    def answer(request: httpx.Request) -> httpx.Response:
        """Answer with a page."""
        return httpx.Response(
            200, headers={"Content-Type": "text/turtle"}, text=pages[str(request.url.copy_with(host=request.headers["host"]))]
        )

    fetcher = Fetcher(transport=httpx.MockTransport(answer), resolve=lambda host, port: ["93.184.216.34"])
    report = harvest(settings, [point], fetcher=fetcher, engine=engine)
    return report.stored, [error.code for error in report.errors]


TEXT = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(["\x00", "\ufffe", "\u2028", "]]>", '"\\\n\r'])
NAMES = st.sampled_from(
    ["http://e/", "http://e/a", "http://e/1", "urn:x:", "http://e/?a&b=c", "http://e/a b", str(RDF.type), str(RDF.first), str(RDF.rest)]
)
NODES = st.sampled_from([URIRef("urn:a"), URIRef("http://e/b"), *(BNode(f"b{n}") for n in range(4))])
LITERALS = st.builds(Literal, TEXT) | st.builds(Literal, TEXT, lang=st.sampled_from(["en", "de-DE", "x-y"]))
TYPED = st.tuples(
    TEXT | st.sampled_from(["1", "NaN", "2026-01-01"]), st.sampled_from([XSD.integer, XSD.double, XSD.date, XSD.boolean, URIRef("urn:t")])
)


@given(st.lists(st.tuples(NODES, NAMES, NODES | LITERALS | TYPED), min_size=1, max_size=8))
@bounded(max_examples=60, deadline=None)
def test_what_is_read_can_be_written_in_every_syntax(statements: list[tuple[URIRef | BNode, str, object]]):
    body = json.dumps([_node(*statement) for statement in statements]).encode()
    try:
        graph = read_rdf(body, "application/ld+json", base="http://e/x", limit=99_999)
    except FairleadError:
        return
    for media_type, syntax in (("text/turtle", "turtle"), ("application/ld+json", "json-ld"), ("application/n-triples", "nt")):
        assert len(parsed(_written(graph, media_type), syntax)) == len(graph), media_type
    assert len(parsed(_written(graph, "application/rdf+xml"), "xml")) <= len(graph)


def _written(graph: Graph, media_type: str) -> str:
    """Return a representation; rdflib warns of numbers that are none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return represent(graph, media_type).decode()


def _node(subject: URIRef | BNode, predicate: str, value: object) -> dict[str, object]:
    """Return a statement as JSON-LD."""
    said: dict[str, object]
    match value:
        case Literal():
            said = {"@value": str(value), **({"@language": value.language} if value.language else {})}
        case tuple():
            said = {"@value": value[0], "@type": str(value[1])}
        case _:
            said = {"@id": _name(value)}
    return {"@id": _name(subject), predicate: said}


def _name(term: object) -> str:
    return f"_:{term}" if isinstance(term, BNode) else str(term)
