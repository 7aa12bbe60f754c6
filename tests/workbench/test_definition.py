"""Filters as cohort definitions, and back."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.cohort import normal_form, parse_definition
from fairlead.records import JsonObject
from fairlead.workbench import Workbench, definition_of, state_of
from fairlead.workbench.definition import EVERYTHING, funnel_of
from fairlead.workbench.reading import read_state
from fairlead.workbench.state import PageState

CT, MR, SR = "DCM:CT", "DCM:MR", "DCM:SR"
LINKS: list[Any] = [
    pytest.param([], [EVERYTHING], 24, id="nothing asked"),
    pytest.param([("in.modality", CT)], [{"field": "modality", "op": "in", "value": [CT]}], 12, id="one value"),
    pytest.param([("in.modality", MR), ("in.modality", CT)], [{"field": "modality", "op": "in", "value": [CT, MR]}], 20, id="two values"),
    pytest.param(
        [("in.modality", CT), ("unknown.modality", "in")],
        [{"field": "modality", "op": "in", "value": [CT], "orMissing": True}],
        15,
        id="a value or unknown",
    ),
    pytest.param([("unknown.modality", "in")], [{"field": "modality", "op": "missing"}], 3, id="only unknown"),
    pytest.param([("unknown.modality", "out")], [{"field": "modality", "op": "exists"}], 21, id="not unknown"),
    pytest.param(
        [("not.modality", CT)],
        [{"any": [{"not": {"field": "modality", "op": "in", "value": [CT]}}, {"field": "modality", "op": "missing"}]}],
        12,
        id="without a value, unknown stays",
    ),
    pytest.param(
        [("not.modality", CT), ("unknown.modality", "out")],
        [{"not": {"field": "modality", "op": "in", "value": [CT]}}],
        9,
        id="without a value and without unknown",
    ),
    pytest.param([("from.patient.age_years", "50")], [{"field": "patient.age_years", "op": ">=", "value": 50.0}], 3, id="from an age"),
    pytest.param(
        [("to.patient.age_years", "30"), ("unknown.patient.age_years", "in")],
        [{"field": "patient.age_years", "op": "<=", "value": 30.0, "orMissing": True}],
        4,
        id="up to an age, unknown kept",
    ),
    pytest.param(
        [("from.study_date", "2016-01-01"), ("to.study_date", "2017-12-31")],
        [{"field": "study_date", "op": "between", "value": ["2016-01-01", "2017-12-31"]}],
        4,
        id="between two days",
    ),
    pytest.param(
        [("in.modality", CT), ("in.manufacturer", "Siemens Healthineers"), ("not.patient.sex", "F")],
        [
            {"field": "modality", "op": "in", "value": [CT]},
            {"any": [{"not": {"field": "patient.sex", "op": "in", "value": ["F"]}}, {"field": "patient.sex", "op": "missing"}]},
            {"field": "manufacturer", "op": "in", "value": ["Siemens Healthineers"]},
        ],
        3,
        id="several cards, in their order",
    ),
]


def state(pairs: list[tuple[str, str]], workbench: Workbench) -> PageState:
    return read_state(pairs, workbench.catalogue)


@pytest.mark.parametrize(("pairs", "criteria", "series"), LINKS)
def test_filters_become_criteria_that_select_what_they_say(
    workbench: Workbench, pairs: list[tuple[str, str]], criteria: list[JsonObject], series: int
) -> None:
    document = definition_of(state(pairs, workbench), title="T")
    assert document == {"schemaVersion": "1", "title": "T", "unit": "series", "include": {"all": criteria}}
    assert workbench.data.answer(document).counts.series == series


@pytest.mark.parametrize(("pairs", "criteria", "series"), LINKS)
def test_the_funnel_ends_with_the_members_of_the_definition(
    workbench: Workbench, pairs: list[tuple[str, str]], criteria: list[JsonObject], series: int
) -> None:
    asked = state(pairs, workbench)
    steps = workbench.data.answer(funnel_of(asked, workbench.catalogue)).attrition
    assert [step.series for step in (steps[0], steps[-1])] == [24, series]
    assert len(steps) == 1 + len(asked.filters)


@pytest.mark.parametrize(("pairs", "criteria", "series"), LINKS)
def test_a_frozen_definition_opens_as_the_filters_it_was_made_from(
    fresh: Workbench, pairs: list[tuple[str, str]], criteria: list[JsonObject], series: int
) -> None:
    asked = state(pairs, fresh)
    version = fresh.versions.freeze(definition_of(asked), author="a", title="t", purpose="")
    assert version.counts.series == series
    assert state_of(version.definition, fresh.catalogue) == asked


@pytest.mark.parametrize(
    "include",
    [
        pytest.param({"has": "series", "where": {"field": "modality", "op": "in", "value": [CT]}}, id="a grain quantifier"),
        pytest.param(
            {"any": [{"field": "modality", "op": "in", "value": [CT]}, {"field": "body_part", "op": "missing"}]}, id="an alternative"
        ),
        pytest.param({"field": "series.description", "op": "match", "value": "thorax"}, id="a field without a card"),
        pytest.param({"field": "patient.age_years", "op": "<", "value": 40}, id="an open bound"),
        pytest.param({"not": {"not": {"field": "modality", "op": "exists"}}}, id="a double negation"),
    ],
)
def test_a_definition_that_says_more_than_filters_can_gives_no_filters(workbench: Workbench, include: JsonObject) -> None:
    document = {"schemaVersion": "1", "title": "T", "unit": "series", "include": include}
    assert state_of(document, workbench.catalogue) is None


def test_another_unit_gives_no_filters(workbench: Workbench) -> None:
    document = definition_of(state([("in.modality", CT)], workbench)) | {"unit": "study"}
    assert state_of(document, workbench.catalogue) is None


def test_the_funnel_names_its_rules_in_words(workbench: Workbench) -> None:
    pairs = [
        ("in.modality", CT),
        ("in.modality", MR),
        ("not.body_part", "SCT:69536005"),
        ("to.patient.age_years", "45"),
        ("unknown.patient.age_years", "in"),
    ]
    rules = [step.rule for step in workbench.data.answer(funnel_of(state(pairs, workbench), workbench.catalogue)).attrition]
    assert rules == ["All records", "Modality: CT or MR", "Body part: not Head", "Age: up to 45; unknown too"]


def test_all_of_several_values_becomes_a_question_about_the_group_and_opens_again(workbench: Workbench) -> None:
    asked = state([("in.modality", CT), ("in.modality", MR), ("every.modality", "study")], workbench)
    document = definition_of(asked)
    assert document["include"]["all"] == [
        {"field": "modality", "op": "in", "value": [CT, MR]},
        {"has": "series", "same": "study", "where": {"field": "modality", "op": "in", "value": [CT]}},
        {"has": "series", "same": "study", "where": {"field": "modality", "op": "in", "value": [MR]}},
    ]
    frozen = normal_form(parse_definition(document, workbench.catalogue))
    assert [state_of(one, workbench.catalogue) for one in (document, frozen | {"schemaVersion": "1", "title": "T"})] == [asked, asked]
