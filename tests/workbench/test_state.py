"""The page's state in a link: read, written, refused."""

from __future__ import annotations

from datetime import date
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import FairleadError, UnknownField
from fairlead.extract import FieldCatalogue, load_catalogue
from fairlead.resources import configs_folder
from fairlead.workbench.reading import read_state
from fairlead.workbench.state import MAX_PARAMETERS, Filter, InvalidQuery, PageState

CATALOGUE: FieldCatalogue = load_catalogue(configs_folder() / "fields.yaml")

words = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20).map(str.strip).filter(bool)
unknown = st.sampled_from(["", "in", "out"])
chosen = st.lists(words, max_size=4, unique=True).map(lambda values: tuple(sorted(values, key=str)))


@st.composite
def states(draw: st.DrawFn) -> PageState:
    """Return a state with a keyword, a number and a date filter."""
    include, exclude = draw(chosen), draw(chosen)
    years = sorted(draw(st.tuples(st.floats(0, 120), st.floats(0, 120))))
    days = sorted(draw(st.tuples(st.dates(date(1990, 1, 1)), st.dates(date(1990, 1, 1)))))
    every = draw(st.sampled_from(["", "patient", "study"])) if len(include) > 1 else ""
    filters = {
        "modality": Filter(include, tuple(value for value in exclude if value not in include), unknown=draw(unknown), every=every),
        "study_date": Filter(low=days[0].isoformat(), high=draw(st.sampled_from([None, days[1].isoformat()])), unknown=draw(unknown)),
        "patient.age_years": Filter(low=draw(st.sampled_from([None, years[0]])), high=years[1], unknown=draw(unknown)),
    }
    kept = {name: asked for name, asked in filters.items() if asked and draw(st.booleans())}
    order = tuple(draw(st.permutations(list(kept))))
    off = tuple(name for name in kept if draw(st.booleans()))
    view = draw(st.sampled_from(["funnel", "charts", "table"]))
    return PageState(kept, tab=view, page=draw(st.integers(1, 50)), order=order if order != tuple(kept) else (), off=off)


@given(states())
def test_a_link_gives_back_the_state_it_was_made_from(state: PageState) -> None:
    assert read_state(parse_qsl(state.query(), keep_blank_values=True), CATALOGUE) == state


def test_the_order_of_parameters_and_repetition_do_not_show_in_the_canonical_link() -> None:
    one = read_state([("in.modality", "MR"), ("in.modality", "CT"), ("in.modality", "CT"), ("to.study_date", "")], CATALOGUE)
    other = read_state([("in.modality", "CT"), ("in.modality", "MR")], CATALOGUE)
    assert one.query() == other.query() == "in.modality=CT&in.modality=MR"


def test_an_alias_of_a_field_is_the_field() -> None:
    assert read_state([("in.bodyPart", "Chest")], CATALOGUE).filters == {"body_part": Filter(include=("Chest",))}


def test_taking_one_filter_away_keeps_the_others() -> None:
    state = read_state([("in.modality", "CT"), ("from.patient.age_years", "40"), ("page", "3")], CATALOGUE)
    assert state.without("modality") == "./?from.patient.age_years=40"


def test_a_rule_is_moved_and_switched_by_links_and_the_cards_own_order_is_not_written() -> None:
    pairs = [("in.modality", "CT"), ("in.patient.sex", "F"), ("from.patient.age_years", "40")]
    state = read_state(pairs, CATALOGUE)
    assert state.rules == ("modality", "patient.age_years", "patient.sex")
    filters = "in.modality=CT&from.patient.age_years=40&in.patient.sex=F"
    up = state.moved("patient.sex", -1)
    assert up == f"./?{filters}&order=modality&order=patient.sex&order=patient.age_years"
    again = read_state(parse_qsl(up.removeprefix("./?")), CATALOGUE)
    assert again.moved("patient.sex", 1) != state.link()  # says the order of the cards
    assert read_state(parse_qsl(again.moved("patient.sex", 1).removeprefix("./?")), CATALOGUE) == state
    off = read_state(parse_qsl(state.switched("modality").removeprefix("./?")), CATALOGUE)
    assert (off.off, tuple(off.active)) == (("modality",), ("patient.age_years", "patient.sex"))
    assert off.switched("modality") == state.link()


def test_a_rule_whose_filter_is_gone_leaves_no_trace_in_the_link() -> None:
    state = read_state([("order", "patient.sex"), ("off", "manufacturer"), ("in.modality", "CT"), ("every.modality", "study")], CATALOGUE)
    assert state.query() == "in.modality=CT"


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        pytest.param([("foo", "1")], "no parameter 'foo'", id="parameter"),
        pytest.param([("in.modality", "")], "empty", id="empty value"),
        pytest.param([("in.modality", "a\x00b")], "control characters", id="control characters"),
        pytest.param([("in.modality", "x" * 257)], "too long", id="long value"),
        pytest.param([("drop.modality", "CT")], "'drop' cannot be asked", id="verb"),
        pytest.param([("from.modality", "A")], "'from' cannot be asked of modality", id="range of a keyword"),
        pytest.param([("from.patient.age_years", "old")], "not of type float", id="number"),
        pytest.param([("from.patient.age_years", "nan")], "not of type float", id="not a number"),
        pytest.param([("to.patient.age_years", "1e999")], "not of type float", id="infinite"),
        pytest.param([("from.study_date", "2019-02-30")], "not of type date", id="date"),
        pytest.param([("from.study_date", "2020-01-01"), ("to.study_date", "2019-01-01")], "above the second", id="reversed"),
        pytest.param([("in.modality", "CT"), ("not.modality", "CT")], "included and excluded", id="both"),
        pytest.param([("unknown.modality", "maybe")], "not 'maybe'", id="unknown"),
        pytest.param([("every.modality", "centre")], "not of 'centre'", id="every"),
        pytest.param([("every.study_date", "patient")], "cannot be asked of study_date", id="every of a date"),
        pytest.param([("tab", "../x")], "no tab", id="tab"),
        pytest.param([("page", "0")], "no page", id="page zero"),
        pytest.param([("page", "٣")], "no page", id="page in other digits"),
        pytest.param([("page", "9" * 5000)], "no page", id="huge page"),
        pytest.param([("version", "x';--")], "not a cohort version", id="version"),
        pytest.param([("in.modality", "CT")] * (MAX_PARAMETERS + 1), "are the most", id="too many"),
    ],
)
def test_a_hostile_link_is_refused_with_the_reason(pairs: list[tuple[str, str]], says: str) -> None:
    with pytest.raises(InvalidQuery, match=says):
        read_state(pairs, CATALOGUE)


def test_an_unknown_field_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(UnknownField, match="Did you mean 'modality'"):
        read_state([("in.modalty", "CT")], CATALOGUE)


def test_a_field_without_a_card_is_refused() -> None:
    with pytest.raises(UnknownField, match="not a facet of this page"):
        read_state([("in.series.description", "x")], CATALOGUE)


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), max_size=5))
def test_any_link_gives_a_state_or_a_refusal(pairs: list[tuple[str, str]]) -> None:
    try:
        state = read_state(pairs, CATALOGUE)
    except FairleadError:
        return
    assert read_state(state.parameters(), CATALOGUE) == state
