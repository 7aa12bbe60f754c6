from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.catalog.negotiation import OFFERED, choose, is_fresh, parse_accept

CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        (None, "text/turtle"),
        ("", "text/turtle"),
        ("*/*", "text/turtle"),
        ("text/turtle", "text/turtle"),
        ("TEXT/TURTLE", "text/turtle"),
        ("application/ld+json", "application/ld+json"),
        ("application/rdf+xml", "application/rdf+xml"),
        ("application/n-triples", "application/n-triples"),
        (CHROME, "text/html"),
        ("text/*", "text/turtle"),
        ("application/*", "application/ld+json"),
        ("text/turtle;q=0.2, application/ld+json;q=0.9", "application/ld+json"),
        ("text/turtle;q=0, */*;q=0.1", "application/ld+json"),
        ("application/ld+json, application/json, */*;q=0.1", "application/ld+json"),
        ("image/png", None),
        ("text/turtle;q=0", None),
        ("text/turtle;q=often", None),
        ("nonsense", None),
    ],
)
def test_accept_chooses(accept: str | None, answer: str | None):
    assert choose(accept) == answer


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        ("ttl", "text/turtle"),
        ("jsonld", "application/ld+json"),
        ("rdf", "application/rdf+xml"),
        ("nt", "application/n-triples"),
        ("HTML", "text/html"),
        ("json", None),
        ("../x", None),
        ("", None),
    ],
)
def test_format_beats_accept(wanted: str, answer: str | None):
    assert choose("image/png", wanted) == answer


@given(st.text(max_size=200))
def test_no_header_breaks_it(header: str):
    assert choose(header) in (*OFFERED, None)
    assert all(0 <= item.quality <= 1 for item in parse_accept(header))


@given(st.sampled_from(OFFERED), st.lists(st.sampled_from(OFFERED), max_size=4))
def test_what_is_asked_for_alone_or_first_by_quality_is_given(best: str, others: list[str]):
    rest = [f"{name};q=0.5" for name in others if name != best]
    assert choose(", ".join([best, *rest])) == best


@pytest.mark.parametrize(
    ("header", "fresh"), [(None, False), ('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ('"b"', False)]
)
def test_if_none_match(header: str | None, fresh: bool):
    assert is_fresh(header, '"a"') is fresh
