"""Texts that no database, page or terminal can hold are refused by name wherever somebody gives one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cohort.conftest import EVERYTHING, Define
from fairlead.cohort import CohortStore, explain, import_series, in_one_line, parse_definition, require_known, withdraw_consent
from fairlead.cohort.texts import is_broken
from fairlead.errors import InvalidDefinition, InvalidInput
from fairlead.extract import FieldCatalogue
from fairlead.index import Index

BROKEN = ["a\x00b", "a\x1b[2Jb", "\ud800", "a\udc80b"]


@pytest.mark.parametrize("text", BROKEN)
@pytest.mark.parametrize(
    "place",
    [
        pytest.param(lambda text: {"title": text}, id="title"),
        pytest.param(lambda text: {"purpose": text}, id="purpose"),
        pytest.param(lambda text: {"include": {"field": "model", "op": "in", "value": ["a", text]}}, id="value"),
        pytest.param(lambda text: {"rules": [{"name": text, "where": EVERYTHING}]}, id="rule"),
        pytest.param(lambda text: {"scope": {"centers": [text]}}, id="scope"),
        pytest.param(lambda text: {"include": {"tail": "dicom/00181030", "value": text}}, id="tail"),
        pytest.param(lambda text: {"include": {"ids": [f"a:b:{text}"], "reason": "r"}}, id="list"),
        pytest.param(lambda text: {"conceptSets": {text: [{"id": "DCM:CT"}]}}, id="key"),
    ],
)
def test_a_definition_holds_whole_characters_only(define: Define, place: Callable[[str], dict[str, Any]], text: str) -> None:
    with pytest.raises(InvalidDefinition, match="holds a control character or half of a character"):
        define(**place(text))


def test_a_text_of_several_lines_is_one_and_depth_does_no_harm(define: Define, catalogue: FieldCatalogue) -> None:
    assert define(description="one\n\ttwo\r\n", purpose="Größe 🫁").purpose == "Größe 🫁"
    deep: Any = "\ud800"
    for _ in range(100_000):
        deep = [deep]
    assert is_broken(deep)
    with pytest.raises(InvalidDefinition):
        parse_definition({"schemaVersion": "1", "title": "T", "unit": "series", "include": deep}, catalogue)
    while isinstance(deep, list):  # taking it apart all at once would be as deep
        deep = deep[0]


@pytest.mark.parametrize("text", [*BROKEN, "x" * 10_001])
def test_what_is_said_beside_a_definition_is_a_text_too(
    define: Define, index: Index, catalogue: FieldCatalogue, store: CohortStore, text: str
) -> None:
    asked = {"index": index, "catalogue": catalogue}
    for what in ("title", "author", "purpose"):
        with pytest.raises(InvalidInput, match=f"The {what} is no text of up to"):
            store.freeze(define(), **asked, **({"author": "ada"} | {what: text}))  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="The title is no text of up to 200"):
        store.freeze(define(), **asked, author="ada", title="x" * 201)
    for given in ({"title": text, "reason": "r"}, {"title": "t", "reason": text}):
        with pytest.raises(InvalidInput, match="is no text of up to"):
            import_series(["1.2.1"], index).definition(**given)
    with pytest.raises(InvalidInput, match="reason is no text"):
        withdraw_consent(store, "series", "local:default:1.2.1", reason=text, by="ada")
    with pytest.raises(InvalidInput, match="one patient or one series"):
        withdraw_consent(store, "series", text, reason="r", by="ada")
    with pytest.raises(InvalidInput, match="series is no text"):
        require_known(store, index, "series", text)
    with pytest.raises(InvalidInput, match="id is no text"):
        explain(define(), text, **asked)
    assert store.list() == ()


def test_a_terminal_is_shown_no_control_characters_of_a_header() -> None:
    assert in_one_line("ACME\x1b]0;owned\x07\n – Größe") == "ACME�]0;owned�� – Größe"
