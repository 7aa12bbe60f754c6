"""What strangers send: bodies that are too large, too deep or too clever, and parameters that nobody would think of."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdflib import term

from catalog.conftest import TestClient
from fairlead.catalog.reading import read_rdf
from fairlead.errors import FairleadError, InvalidInput, UnsupportedInput

type Bearer = Callable[..., dict[str, str]]
BASE = "http://127.0.0.1:8000/dataset/x"
ODD = ("", "../../etc/passwd", "%00", "ds-0.image-1", "a" * 5000, "%ED%A0%80%0a", "ä <b>{}")
BILLION = '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><rdf>&b;</rdf>'


@pytest.mark.parametrize(
    ("body", "media_type", "words"),
    [
        (b"x" * 3_000_000, "text/turtle", "more than"),
        (b'<urn:a> <urn:b> "' + b"x" * 300_000 + b'" .', "text/turtle", "A literal has more than"),
        (b"[ <urn:a> " * 20_000, "text/turtle", "nested too deeply|not valid turtle"),
        (b"(" * 20_000, "text/turtle", "nested too deeply|not valid turtle"),
        (b'{"@graph":' * 100_000, "application/ld+json", "not JSON"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "application/ld+json", "nested deeper"),
        (b'{"@context": "http://127.0.0.1:9/context.jsonld"}', "application/ld+json", "remote context"),
        (b'{"@context": [{}, "file:///etc/passwd"]}', "application/ld+json", "remote context"),
        (b'{"@context": {"a": {"@context": "http://127.0.0.1:9/"}}}', "application/ld+json", "remote context"),
        (b'{"@context": {"@import": "http://127.0.0.1:9/"}}', "application/ld+json", "@import"),
        (BILLION.encode(), "application/rdf+xml", "entities"),
        (BILLION.encode("utf-16"), "application/rdf+xml", "not UTF-8"),
        (b'<?xml version="1.0" encoding="utf-7"?><a/>', "application/rdf+xml", "not UTF-8"),
        (b"<file:///etc/passwd> <urn:b> <urn:c> .", "text/turtle", "scheme"),
        (b"<urn:a> <urn:b> <javascript:alert(1)> .", "text/turtle", "scheme"),
        (b"<urn:a> <urn:b> <data:text/html,x> .", "text/turtle", "scheme"),
        (b"<urn:a> <urn:b> <http://[> .", "text/turtle", "no valid IRI|not valid turtle"),
        (b"<urn:a> <urn:b> <http://e/" + b"x" * 3000 + b"> .", "text/turtle", "no valid IRI"),
        (b"\xff\xfe\x00", "text/turtle", "not UTF-8"),
    ],
)
def test_hostile_documents_are_refused_in_words(body: bytes, media_type: str, words: str):
    with pytest.raises(InvalidInput, match=words):
        read_rdf(body, media_type, base=BASE, limit=2_000_000)


def test_a_document_of_very_many_statements_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fairlead.catalog.reading.MAX_TRIPLES", 10)
    body = "".join(f"<urn:a> <urn:b> <urn:c{number}> ." for number in range(11)).encode()
    with pytest.raises(InvalidInput, match="more than 10 statements"):
        read_rdf(body, "text/turtle", base=BASE, limit=10_000)


def test_what_is_no_rdf_is_named():
    with pytest.raises(UnsupportedInput, match="image/png"):
        read_rdf(b"", "image/png", base=BASE, limit=1)


def test_known_contexts_need_no_network():
    document = b'{"@context": "https://schema.org/", "@id": "http://example.org/a", "name": "x"}'
    (triple,) = read_rdf(document, "application/ld+json", base=BASE, limit=1000)
    assert str(triple[1]) == "http://schema.org/name"


@given(st.binary(max_size=300), st.sampled_from(["text/turtle", "application/ld+json", "application/rdf+xml", "application/n-triples"]))
@settings(max_examples=60, deadline=None)
def test_bytes_are_read_or_refused_and_nothing_else(body: bytes, media_type: str):
    with suppress(FairleadError):
        read_rdf(body, media_type, base=BASE, limit=1000)


def test_a_body_without_end_is_cut_before_it_is_read(client: TestClient, bearer: Bearer):
    def endless():
        for _ in itertools.repeat(None, 100):
            yield b"# " + b"x" * 100_000 + b"\n"

    answer = client.post("/dataset", content=endless(), headers={**bearer(), "Content-Type": "text/turtle"})
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Encoding": "gzip"},
        {"Content-Type": "text/turtle; charset=iso-8859-1"},
        {"Content-Type": 'application/ld+json;profile="x"; charset="utf-16"'},
    ],
)
def test_a_body_that_is_packed_or_no_utf_8_is_415(client: TestClient, bearer: Bearer, headers: dict[str, str]):
    answer = client.post("/dataset", content=b"x", headers={**bearer(), **headers})
    assert (answer.status_code, answer.json()["type"]) == (415, "urn:fairlead:error:unsupported-media-type")


def test_the_parameters_that_hold_are_told_where_the_answer_says(client: TestClient):
    answer = client.get("/page/catalog?size=0")
    assert "See /openapi.json" in answer.json()["detail"]
    assert "/page/catalog" in client.get("/openapi.json").json()["paths"]


def test_wrong_passwords_end_in_a_pause(client: TestClient, accounts, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fairlead.catalog.accounts.MAX_FAILURES", 2)
    asked = {"email": "ada@example.org", "password": "wrong"}
    assert [client.post("/tokens", json=asked).status_code for _ in range(3)] == [401, 401, 429]
    assert "Retry-After" in client.post("/tokens", json=asked).headers


def paths_of(client: TestClient) -> list[tuple[str, str]]:
    """Return every method and path of the OpenAPI document."""
    document = client.get("/openapi.json").json()
    found = [(method, path) for path, item in document["paths"].items() for method in item]
    assert len(found) > 40
    return found


def test_no_route_makes_a_mistake_with_odd_input(client: TestClient, bearer: Bearer):
    """Every operation of the OpenAPI document with odd parameters and bodies: refusals are fine, mistakes of the server are not."""
    me, wrong = bearer("root@example.org"), []
    for method, path in paths_of(client):
        for odd in ODD if "{" in path else ODD[:2]:
            url = path.replace("{version}", "1").replace("{path}", odd or "x")
            for name in ("identifier", "dataset"):
                url = url.replace(f"{{{name}}}", odd or "x")
            for headers in (
                {},
                {**me, "Content-Type": "text/turtle", "Accept": odd.encode("ascii", "ignore").decode().replace("\x00", "")},
            ):
                answer = client.request(method, url, headers=headers, content=odd.encode("utf-8", "ignore") if method != "get" else None)
                if answer.status_code >= 500 and answer.status_code != 501:
                    wrong.append((method, url, answer.status_code))
    assert wrong == []


MARKUP = "<img src=x onerror=alert(1)>\"'"
QUERIES = [f"/{end}{quote(MARKUP, safe='')}" for end in ("", "?profile=", "?format=", "search?q=", "search?facet=type:", "search?page=")]
QUERIES += [
    f"/{end}{quote(MARKUP, safe='')}" for end in ("catalog/local/page/dataset?size=", "spec?profile=", "sparql?query=", "oai?verb=")
]


def test_no_page_shows_what_was_asked_as_markup(client: TestClient, bearer: Bearer):
    """Whatever a link has in its path or query, and whatever is sent, is text on the page that says what is wrong."""
    asked = [(method, path.replace("{version}", "1").replace("{", f"{quote(MARKUP, safe='')}{{")) for method, path in paths_of(client)]
    asked = [(method, re.sub(r"\{.*?\}", "", path)) for method, path in asked] + [("get", path) for path in QUERIES]
    pages = 0
    for (method, url), me in itertools.product(asked, ({}, bearer("root@example.org"))):
        sent = {} if method == "get" else {"content": MARKUP}
        answer = client.request(method, url, headers={**me, "Accept": "text/html", "Content-Type": "text/turtle"}, **sent)
        if answer.headers.get("content-type", "").startswith("text/html"):
            assert "<img src=x" not in answer.text, (method, url)
            pages += "&lt;img" in answer.text
        assert not [name for name, value in answer.headers.items() if "<img" in value], (method, url)
    assert pages  # some do show it


@pytest.mark.parametrize("query", ["page=-1", "page=99999999999999999999", "size=0", "size=x", "q=" + "x" * 600])
def test_odd_queries_are_400(client: TestClient, query: str):
    assert client.get(f"/search?{query}").status_code == 400


CRATE_CONTEXT = "https://w3id.org/ro/crate/1.2/context"
XSD, RDF_NS = "http://www.w3.org/2001/XMLSchema#", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


@pytest.mark.parametrize(
    ("body", "media_type", "words"),
    [
        ("".join(f"@prefix p{n}: <urn:{n}:> .\n" for n in range(40_000)), "text/turtle", "500 prefixes"),
        ("".join(f"PREFIX p{n}: <urn:{n}:>\n" for n in range(40_000)), "text/turtle", "500 prefixes"),
        ("".join(f'<a xmlns:e{n}="urn:{n}#"/>' for n in range(40_000)), "application/rdf+xml", "500 prefixes"),
        (json.dumps({"@context": {f"t{n}": f"urn:{n}#" for n in range(40_000)}}), "application/ld+json", "500 prefixes"),
        (json.dumps([{"@context": CRATE_CONTEXT, "name": "x"}] * 20_000), "application/ld+json", "50 contexts"),
        ("<> <urn:p> (" + " 1" * 400_000 + ") .", "text/turtle", "50000 statements"),
    ],
    ids=["prefixes", "sparql-prefixes", "namespaces", "terms", "contexts", "list"],
)
def test_what_costs_more_than_it_weighs_is_refused_before_it_is_paid(body: str, media_type: str, words: str):
    """Each of these took minutes, or gigabytes, within the size that a body may have."""
    with pytest.raises(InvalidInput, match=words):
        read_rdf(body.encode(), media_type, base=BASE, limit=2_000_000)


@pytest.mark.parametrize(
    ("value", "datatype"),
    [("1e999999999", XSD + "decimal"), ("<b>" * 60_000, RDF_NS + "HTML"), ("9" * 5000, XSD + "integer")],
    ids=["decimal", "html", "digits"],
)
def test_values_stay_as_they_were_written(value: str, datatype: str):
    term._reset_bindings()  # as other libraries do
    graph = read_rdf(f'<> <urn:p> "{value}"^^<{datatype}> .'.encode(), "text/turtle", base=BASE, limit=2_000_000)
    (literal,) = graph.objects()
    assert (str(literal), str(literal.datatype)) == (value, datatype)
    assert value in graph.serialize(format="nt")


def test_ordinary_numbers_have_values_as_before():
    body = f'<> <urn:p> "1.50"^^<{XSD}decimal>, "2026-01-01"^^<{XSD}date> .'.encode()
    graph = read_rdf(body, "text/turtle", base=BASE, limit=1000)
    assert sorted(str(value.toPython()) for value in graph.objects()) == ["1.50", "2026-01-01"]
