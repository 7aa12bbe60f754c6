"""Numbers that follow from released ones are computed from them, so that no number of questions averages the noise away."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from fairlead.federation.policy import Budget
from fairlead.federation.spans import MOST, ReleasedSpan

K = 10
A, B, C = (BitMap(range(begin, begin + 150)) for begin in (0, 200, 400))
FEW, OTHER_FEW = BitMap(range(150, 157)), BitMap(range(190, 194))


def span_of(*released: tuple[BitMap, int]) -> ReleasedSpan:
    """Return a span with drawn numbers."""
    span = ReleasedSpan()
    for members, patients in released:
        span.add(members, patients)
    return span


def test_a_new_set_is_not_computed():
    assert ReleasedSpan().computed(A, K) is None
    assert span_of((A, 155)).computed(B, K) is None
    assert span_of((A, 155)).computed(BitMap(range(75)), K) is None


@pytest.mark.parametrize(
    ("asked", "number"), [(A | B, 300), (A | B | C, 455), (C, 155), (B, 145)], ids=["sum", "sum of three", "itself", "difference"]
)
def test_a_combination_of_released_sets_gets_the_combination_of_their_numbers(asked, number):
    span = span_of((A, 155), (A | B, 300), (C, 155))
    assert span.computed(asked, K) == pytest.approx(number, abs=0.1)


def test_a_few_patients_more_or_less_change_nothing_and_tell_nothing_of_how_few():
    span = span_of((A, 155), (A | B, 300), (C, 155))
    plain = span.computed(B | C, K)
    assert span.computed(B | C | FEW, K) == pytest.approx(plain, abs=0.5)
    assert span.computed((B | C) - BitMap(range(400, 406)), K) == pytest.approx(plain, abs=2.5)
    assert span.computed(B | C | BitMap(range(150, 162)), K) is None  # twelve patients are something new


def test_a_number_that_says_nothing_new_takes_no_place():
    span = span_of((A, 155), (B, 150))
    before = len(span)
    span.add(BitMap(), 0)
    assert len(span) == before


def test_the_older_half_is_let_go_when_too_many_are_held():
    span = ReleasedSpan(most=6)
    for at in range(30):
        span.add(BitMap(range(1000 * at, 1000 * at + 100)), 100)
        assert len(span) <= 6
    assert span.computed(BitMap(range(29_000, 29_100)), K) == pytest.approx(100, abs=0.1)
    assert span.computed(BitMap(range(100)), K) is None


def test_the_default_budget_of_a_project_pushes_a_number_out_no_more_often_than_was_measured():
    assert Budget().project_questions <= 4 * MOST // 2  # benchmarks/flooded.py: four rounds of drawing beat no blind guess


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), few=st.integers(1, 9), groups=st.integers(4, 12))
def test_however_many_unions_are_asked_no_more_numbers_are_drawn_than_there_are_unknowns(seed, few, groups):
    chance = random.Random(seed)  # noqa: S311
    large = [BitMap(range(1000 * at, 1000 * at + chance.randint(100, 200))) for at in range(1, groups + 1)]
    own, cell, span, drawn = BitMap(range(60)), BitMap(range(500, 500 + few)), ReleasedSpan(), 0
    for number in range(80):
        asked = BitMap.union(own, *(one for one in large if chance.random() < 0.5)) | (cell if number % 2 else BitMap())
        if span.computed(asked, K) is None:
            span.add(asked, 5 * round((len(asked) + chance.randint(-5, 5)) / 5))
            drawn += 1
    assert drawn <= 1.4 * (groups + 1) + 2  # what the cell would add is never one of them


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), few=st.integers(1, 6), half=st.integers(4, 20))
def test_a_ring_that_closes_on_a_small_cell_never_has_all_its_numbers_drawn(seed, few, half):
    chance = random.Random(seed)  # noqa: S311
    large = [BitMap(range(1000 * at, 1000 * at + chance.randint(100, 200))) for at in range(1, 2 * half + 1)]
    own, cell, span = BitMap(range(60)), BitMap(range(500, 500 + few)), ReleasedSpan()
    ring = []
    for at in range(half):
        ring += [own | cell | large[at] | large[half + at], own | large[at] | large[half + (at + 1) % half]]
    for asked in ring:
        if span.computed(asked, K) is None:
            span.add(asked, len(asked))  # even without any noise
    assert len(span) < len(ring)  # the ring has one relation, which is the cell many times over; one of its numbers is computed
