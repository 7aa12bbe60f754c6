"""Literals and JSON that strangers send: what is refused, in which words, and what stays as it was written."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from rdflib import XSD, Literal

from catalog.conftest import TestClient
from fairlead.catalog.literals import is_well_formed
from fairlead.catalog.reading import read_rdf
from fairlead.errors import InvalidInput

type Bearer = Callable[..., dict[str, str]]
BASE = "http://127.0.0.1:8000"
PREFIXES = """@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""

GOOD = {
    "boolean": "true false 1 0",
    "decimal": "1 -1.50 +.5 5.",
    "double": "1e5 INF -INF NaN 1.5E-3 1e999",
    "integer": "0 -5 +007 " + "9" * 5000,
    "nonNegativeInteger": "0 -0 12",
    "positiveInteger": "1 +10",
    "nonPositiveInteger": "0 -1",
    "negativeInteger": "-10",
    "long": "-9223372036854775808",
    "byte": "-128 0000000000000000000000000127",
    "unsignedByte": "255",
    "date": "2024-02-29 2026-01-01Z 2026-01-01+14:00 -0044-03-15 12026-01-01 2000-02-29",
    "dateTime": "2026-01-01T10:00:00 2026-01-01T24:00:00Z 2026-01-01T10:00:00.123456789-05:30",
    "dateTimeStamp": "2026-01-01T10:00:00Z",
    "time": "24:00:00 10:00:00Z",
    "gYear": "2026 -0001",
    "gYearMonth": "2026-12",
    "gMonth": "--12",
    "gDay": "---31",
    "gMonthDay": "--02-29",
    "duration": "P1Y2M3DT4H5M6.7S -PT1S P1D PT5M",
    "yearMonthDuration": "P1Y2M P5M",
    "dayTimeDuration": "P1DT2H PT2H P3D",
    "hexBinary": "00fF",
    "base64Binary": "Zm9v Zg== Zm8=",
    "language": "en de-DE",
    "anyURI": "anything",
}
BAD = {
    "boolean": "maybe TRUE",
    "decimal": "1e5 abc . 1_0",
    "double": "inf nan 1e 0x1 infinity",
    "integer": "1.0 abc 1_000 ٣",
    "nonNegativeInteger": "-1",
    "positiveInteger": "0 -1",
    "nonPositiveInteger": "1",
    "negativeInteger": "0 1",
    "long": "9223372036854775808",
    "byte": "128 300",
    "unsignedByte": "-1 256",
    "date": "2026 2026-W01 20260101 2026-02-29 1900-02-29 9999999999-99-99 2026-1-1 2026-01-01T00:00:00",
    "dateTime": "2026-01-01 2026-01-01T10 2026-02-30T10:00:00 2026-01-01T25:00:00 2026-01-01T24:00:01",
    "dateTimeStamp": "2026-01-01T10:00:00",
    "time": "10:00 25:00:00",
    "gYear": "26 abc",
    "gYearMonth": "2026-13",
    "gMonthDay": "--02-30",
    "duration": "P PT P1DT 1D P1S",
    "yearMonthDuration": "P1D P",
    "dayTimeDuration": "P1Y P",
    "hexBinary": "0 zz",
    "base64Binary": "!! Zg= Z",
    "language": "x_y",
}


@pytest.mark.parametrize(("datatype", "forms"), list(GOOD.items()))
def test_forms_of_a_datatype_hold(datatype: str, forms: str):
    assert [form for form in forms.split() if not is_well_formed(form, str(XSD[datatype]))] == []


@pytest.mark.parametrize(("datatype", "forms"), list(BAD.items()))
def test_other_forms_do_not_hold(datatype: str, forms: str):
    assert [form for form in forms.split(" ") if is_well_formed(form, str(XSD[datatype]))] == []


@pytest.mark.parametrize(
    ("datatype", "form"), [(name, form) for found in (GOOD, BAD) for name, forms in found.items() for form in forms.split()]
)
def test_reading_never_makes_an_ill_formed_literal_of_what_was_written(datatype: str, form: str, caplog: pytest.LogCaptureFixture):
    """Before, "INF" became "inf", "maybe" became "false", and every refusal of a form was logged with a traceback."""
    with caplog.at_level(logging.DEBUG):
        (found,) = read_rdf(f'<urn:a> <urn:b> "{form}"^^<{XSD[datatype]}> .'.encode(), "text/turtle", base=BASE, limit=9999).objects()
    assert isinstance(found, Literal)
    was_good = is_well_formed(form, str(XSD[datatype]))
    assert is_well_formed(str(found), str(XSD[datatype])) == was_good
    assert was_good or str(found) == form
    assert caplog.records == []


def a_dataset(more: str) -> str:
    """Return a dataset in Turtle with something more."""
    return f"""{PREFIXES}<> a dcat:Dataset ; dct:title "Bees" ; dcat:version "1" ; dct:isPartOf <{BASE}/catalog/local> ;
  dcat:theme <http://example.org/bee> {more} ."""


@pytest.mark.parametrize(
    ("more", "status", "words"),
    [
        ('; dct:abstract "a\\u0000"', 400, "U+0000"),
        ('; dct:abstract "a\\u000b"', 400, "U+000B"),
        ('; dct:abstract "a\\uFFFF"', 400, "U+FFFF"),
        ('; dct:abstract "a\\uD800"', 400, "U+D800"),
        ('; dct:issued "not a date"^^xsd:dateTime', 422, "'not a date', the value of <http://purl.org/dc/terms/issued>"),
        ('; dct:issued "9999999999-99-99"^^xsd:date', 422, "dc/terms/issued"),
        ('; dct:extent "abc"^^xsd:integer', 422, "dc/terms/extent"),
        ('; dct:extent "x"^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#langString>', 422, "dc/terms/extent"),
        ("; dct:relation <http://example.org/a\\u0085b>", 400, "IRI"),
        ("; dct:relation <http://example.org/\\uFFFE>", 400, "IRI"),
    ],
)
def test_a_record_with_such_a_literal_is_refused_in_words(client: TestClient, bearer: Bearer, more: str, status: int, words: str):
    me = {**bearer("root@example.org"), "Content-Type": "text/turtle"}
    answer = client.post("/dataset", content=a_dataset(more), headers=me)
    assert (answer.status_code, words in answer.json()["title"]) == (status, True), answer.text
    draft = client.post("/dataset", content=a_dataset(""), headers=me).headers["location"]
    assert client.put(draft, content=a_dataset(more), headers=me).status_code == status
    many = client.post("/bulk", json={"records": [{"kind": "dataset", "body": a_dataset(more)}]}, headers=bearer("root@example.org"))
    assert (many.status_code, words in many.text) == (422, True)


@pytest.mark.parametrize("number", ["NaN", "1e999", "-Infinity"])
def test_numbers_that_json_does_not_have_are_refused(number: str):
    with pytest.raises(InvalidInput, match="not JSON"):
        read_rdf(f'{{"@id": "urn:a", "urn:b": {number}}}'.encode(), "application/ld+json", base=BASE, limit=999)


@pytest.mark.parametrize(
    "body",
    [
        b'{"@id": "urn:a", "urn:b": "\\ud800"}',
        b'{"@id": "urn:a", "urn:b": {"@value": "x", "@language": "en\\n"}}',
        b'{"@id": "_:a b", "urn:b": "x"}',
        b'{"@id": "_:a> .\\n<urn:x> <urn:y> <urn:z", "urn:b": "x"}',
        b'{"@id": "urn:a b", "urn:b": "x"}',
        b'{"@id": "urn:a", "urn:b\\n": "x"}',
    ],
)
def test_json_ld_that_no_other_syntax_could_say_is_refused(body: bytes):
    try:
        graph = read_rdf(body, "application/ld+json", base=BASE, limit=999)
    except InvalidInput:
        return
    assert len(graph) == len(read_rdf(graph.serialize(format="nt").encode(), "application/n-triples", base=BASE, limit=9999))


@pytest.mark.parametrize("path", ["/tokens", "/search", "/bulk", "/dataset/x/meta/state"])
@pytest.mark.parametrize("body", [b'{"%s": "\\ud800"}', b'{"%s": "\xed\xa0\x80"}', b"\xff\xfe{\x00}\x00", b'{"%s": NaN}', b"[" * 9999])
def test_no_json_of_a_stranger_is_a_mistake_of_ours(client: TestClient, bearer: Bearer, path: str, body: bytes):
    name = {"/tokens": b'email": "a@b.c", "password', "/search": b"query", "/bulk": b"records"}.get(path, b"current")
    method = "PUT" if path.endswith("state") else "POST"
    answer = client.request(method, path, content=body.replace(b"%s", name), headers=bearer())
    assert answer.status_code in (400, 404), answer.text
