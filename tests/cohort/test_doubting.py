"""A value that nobody states and no vocabulary knows is questioned, with what may have been meant."""

from __future__ import annotations

from typing import Any

import pytest

from cohort.conftest import Define
from fairlead.cohort import doubts
from fairlead.extract import FieldCatalogue
from fairlead.index import All, Index, Not, Term


@pytest.mark.parametrize(
    ("include", "words"),
    [
        pytest.param({"concept": "NOPE:1"}, ["'NOPE:1' as modality or body_part or organism or imaging_method, and no"], id="no concept"),
        pytest.param({"field": "body_part", "op": "=", "value": "Nirvana"}, ["'Nirvana' as body_part"], id="no word"),
        pytest.param({"field": "body_part", "op": "=", "value": "Chestt"}, ["mean 'Chest'"], id="misspelt"),
        pytest.param(
            {"field": "ome.channel_name", "op": "in", "value": ["DAPI", "GPF"]},
            ["'GPF' as ome.channel_name, and no vocabulary knows it; did you mean 'GFP'"],
            id="a stated value",
        ),
        pytest.param(
            {"not": {"has": "series", "where": {"field": "modality", "op": "=", "value": "CTT"}}}, ["'CTT' as modality"], id="deeper"
        ),
        pytest.param({"field": "modality", "op": "=", "value": "NM"}, [], id="known and not stated"),
        pytest.param({"field": "organism", "op": "=", "value": "SCT:69536005"}, [], id="a concept of another field"),
        pytest.param({"field": "series.instances", "op": "=", "value": 4711}, [], id="a number"),
    ],
)
def test_a_value_that_nobody_has_is_questioned(
    define: Define, index: Index, catalogue: FieldCatalogue, include: Any, words: list[str]
) -> None:
    found = [doubt.words for doubt in doubts(define(include), index, catalogue, All())]
    assert len(found) == len(words)
    assert all(expected in said for expected, said in zip(words, found, strict=True))


def test_a_misspelt_centre_is_questioned_and_what_may_not_be_counted_is_not_there(
    define: Define, index: Index, catalogue: FieldCatalogue
) -> None:
    (doubt,) = doubts(define(scope={"centers": ["lokal"]}), index, catalogue, All())
    assert (doubt.fields, doubt.nearest) == (("center",), ("local",))
    asked = define({"field": "ome.channel_name", "op": "=", "value": "GFP"})
    assert doubts(asked, index, catalogue, All()) == ()
    (hidden,) = doubts(asked, index, catalogue, Not(Term("kind", "ome-image")))
    assert (hidden.value, hidden.nearest) == ("GFP", ())


def test_of_a_long_list_some_are_looked_up(define: Define, index: Index, catalogue: FieldCatalogue) -> None:
    asked = define({"field": "model", "op": "in", "value": [f"model {number}" for number in range(100)]})
    assert len(doubts(asked, index, catalogue, All())) == 20
