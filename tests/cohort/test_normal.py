"""Definitions that say the same have the same hash; those that do not, have not."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cohort.conftest import Define
from fairlead.cohort import definition_sha256, parse_definition
from fairlead.cohort.normal import canonical_bytes, normal_form
from fairlead.extract import FieldCatalogue

CT = {"field": "modality", "op": "=", "value": "CT"}
THIN = {"field": "series.slice_thickness_mm", "op": "<=", "value": 2.5}
FEMALE = {"field": "patient.sex", "op": "=", "value": "F"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"all": [CT, THIN]}, {"all": [THIN, CT]}, id="order"),
        pytest.param({"all": [CT, CT, THIN]}, {"all": [CT, THIN]}, id="said twice"),
        pytest.param({"all": [CT, {"all": [THIN, FEMALE]}]}, {"all": [CT, THIN, FEMALE]}, id="group in a group"),
        pytest.param({"any": [CT]}, CT, id="group of one"),
        pytest.param({"not": {"not": CT}}, CT, id="twice not"),
        pytest.param({"atLeast": 2, "of": [CT, THIN]}, {"all": [CT, THIN]}, id="all of two"),
        pytest.param({"atLeast": 1, "of": [CT, THIN]}, {"any": [THIN, CT]}, id="one of two"),
        pytest.param({"atLeast": 2, "of": [CT, THIN, FEMALE]}, {"atLeast": 2, "of": [FEMALE, CT, THIN]}, id="order of at least"),
        pytest.param(CT, {"concept": "DCM:CT", "field": "modality"}, id="concept"),
        pytest.param(CT, {"field": "modality", "op": "in", "value": ["ct", "DCM:CT"]}, id="spellings"),
        pytest.param(CT, {"field": "modality", "op": "in", "value": ["Computed Tomography", "computed tomography"]}, id="labels"),
        pytest.param(THIN, {"field": "slice_thickness", "op": "<=", "value": 0.25, "unit": "UCUM:cm"}, id="alias and unit"),
        pytest.param(THIN, {**THIN, "orMissing": False}, id="default"),
        pytest.param(
            {"has": "series", "where": CT}, {"has": "series", "count": {"min": 1}, "same": "patient", "where": CT}, id="defaults of has"
        ),
        pytest.param(
            {"field": "patient.age_years", "op": "<", "value": 40},
            {"field": "patient.age_years", "op": "<", "value": 40.0},
            id="40 and 40.0",
        ),
    ],
)
def test_cosmetic_edits_keep_the_hash(define: Define, one: Any, other: Any) -> None:
    assert definition_sha256(define(one)) == definition_sha256(define(other, title="Another title", description="words"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"all": [CT, THIN]}, {"any": [CT, THIN]}, id="all and any"),
        pytest.param(THIN, {**THIN, "orMissing": True}, id="or missing"),
        pytest.param(THIN, {**THIN, "op": "<"}, id="at most and below"),
        pytest.param({"not": {"field": "patient.sex", "op": "exists"}}, {"field": "patient.sex", "op": "exists"}, id="not"),
        pytest.param({"has": "series", "where": CT}, {"has": "series", "same": "study", "where": CT}, id="same"),
        pytest.param({"has": "series", "where": CT}, {"has": "series", "count": {"min": 1, "max": 9}, "where": CT}, id="maximum"),
    ],
)
def test_edits_of_meaning_change_the_hash(define: Define, one: Any, other: Any) -> None:
    assert definition_sha256(define(one)) != definition_sha256(define(other))


def test_unit_scope_and_rules_are_part_of_the_meaning(define: Define) -> None:
    rule, other = {"name": "thin", "where": THIN}, {"name": "women", "where": FEMALE}
    variants = [
        define(CT),
        define(CT, unit="patient"),
        define(CT, scope={"centers": ["a"]}),
        define(CT, scope={"projects": ["a"]}),
        define(CT, rules=[rule, other]),
        define(CT, rules=[other, rule]),
        define(CT, exclude=[rule]),
    ]
    assert len({definition_sha256(variant) for variant in variants}) == len(variants)


def test_the_hash_of_a_definition_is_this_one_for_ever(define: Define) -> None:
    expected = '{"include":{"field":"modality","op":"in","value":["DCM:CT"]},"schemaVersion":"1","unit":"series"}'
    assert canonical_bytes(normal_form(define(CT))) == expected.encode()
    assert definition_sha256(define(CT)) == "9f9dead7c0c9d967fb15b8d0b4d3ed894da458275a8f1f9842b75dbb92d326a6"


LEAVES = st.sampled_from(
    [
        CT,
        THIN,
        FEMALE,
        {"field": "study_date", "op": "in", "value": ["2019", "2020"]},
        {"field": "sex", "op": "!=", "value": "M", "orMissing": True},
    ]
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
        inner.map(lambda part: {"not": part}),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: {"atLeast": 2, "of": parts}),
        inner.map(lambda part: {"has": "series", "same": "study", "count": {"min": 2}, "where": part}),
    ),
    max_leaves=6,
)
QUIET = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much])


def depth(tree: Any) -> int:
    parts = [*tree.get("all", ()), *tree.get("any", ()), *tree.get("of", ()), *(tree[key] for key in ("not", "where") if key in tree)]
    return 1 + max(map(depth, parts), default=0)


def shuffled(tree: Any, random: random.Random) -> Any:
    """Return the same tree with every commutative list in another order."""
    if not isinstance(tree, dict):
        return tree
    copy = {key: shuffled(value, random) for key, value in tree.items()}
    for key in ("all", "any", "of"):
        if key in copy:
            copy[key] = random.sample([shuffled(part, random) for part in copy[key]], len(copy[key]))
    return copy


def independently(value: Any) -> str:
    """Return RFC 8785 JSON worked out from its text alone: sections 3.2.2.2 (strings), 3.2.2.3 (numbers) and 3.2.3 (order)."""
    match value:
        case dict():
            inner = sorted(value.items(), key=lambda pair: pair[0].encode("utf-16-be"))
            return "{" + ",".join(f"{independently(key)}:{independently(one)}" for key, one in inner) + "}"
        case list():
            return "[" + ",".join(map(independently, value)) + "]"
        case float():
            return as_ecmascript(value)
        case _:
            return json.dumps(value, ensure_ascii=False)


def as_ecmascript(number: float) -> str:
    """Return a number as ECMAScript's Number::toString does, from the shortest digits that Python finds too."""
    if number == 0:
        return "0"
    _, digits, exponent = Decimal(repr(abs(number))).normalize().as_tuple()
    text, point = "".join(map(str, digits)), len(digits) + int(exponent)
    if len(text) <= point <= 21:
        shown = text + "0" * (point - len(text))
    elif 0 < point <= 21:
        shown = f"{text[:point]}.{text[point:]}"
    elif -6 < point <= 0:
        shown = "0." + "0" * -point + text
    else:
        shown = text[0] + (f".{text[1:]}" if text[1:] else "") + f"e{point - 1:+d}"
    return shown if number > 0 else f"-{shown}"


SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@QUIET
@given(st.recursive(SCALARS | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=12))
def test_canonical_bytes_are_what_another_reading_of_the_rfc_gives(document: Any) -> None:
    assert canonical_bytes(document).decode() == independently(document)


def test_a_double_negation_behind_a_repetition_is_none(define: Define) -> None:
    twice = {"not": {"atLeast": 2, "of": [{"not": CT}, {"not": CT}]}}
    assert normal_form(define(twice)) == normal_form(define(CT))


@QUIET
@given(tree=TREES.filter(lambda tree: depth(tree) <= 6), seed=st.integers(0, 9))
def test_order_never_shows_and_the_normal_form_is_its_own_normal_form(catalogue: FieldCatalogue, tree: Any, seed: int) -> None:
    head = {"schemaVersion": "1", "title": "t", "unit": "series"}
    definition = parse_definition({**head, "include": tree}, catalogue)
    form = normal_form(definition)
    assert normal_form(parse_definition({**head, "include": shuffled(tree, random.Random(seed))}, catalogue)) == form  # noqa: S311  # an order, no secret
    assert normal_form(parse_definition({**form, "title": "t"}, catalogue)) == form
