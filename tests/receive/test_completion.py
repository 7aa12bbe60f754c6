from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import IllegalTransition
from fairlead.receive.completion import TRANSITIONS, Ending, SeriesEvent, advance, generation_of, is_due, wait_s
from fairlead.records import SeriesState

LEGAL = {
    ("receiving", "object-arrived"): "receiving",
    ("receiving", "sender-left"): "settling",
    ("receiving", "quiet"): "complete",
    ("settling", "object-arrived"): "receiving",
    ("settling", "sender-left"): "settling",
    ("settling", "quiet"): "complete",
    ("complete", "object-arrived"): "receiving",
    ("complete", "indexed"): "indexed",
    ("complete", "refused"): "quarantined",
    ("indexed", "overtaken"): "complete",
    ("indexed", "object-arrived"): "receiving",
    ("quarantined", "object-arrived"): "receiving",
    ("quarantined", "retried"): "complete",
}


@pytest.mark.parametrize("state", SeriesState)
@pytest.mark.parametrize("event", SeriesEvent)
def test_every_pair_of_state_and_event_is_legal_as_listed_or_refused_with_the_alternatives(state, event):
    expected = LEGAL.get((state.value, event.value))
    if expected is not None:
        assert advance(state, event) == expected
    else:
        with pytest.raises(IllegalTransition, match="allowed: "):
            advance(state, event)


def test_the_table_has_no_row_that_is_not_tested_here():
    assert len(TRANSITIONS) == len(LEGAL) == 13


@pytest.mark.parametrize(("ending", "seconds"), [(Ending.FINISHED, 0), (Ending.RELEASED, 5), (Ending.ABORTED, 60), (Ending.OPEN, 60)])
def test_a_release_shortens_the_wait_and_an_abort_lengthens_it(ending, seconds):
    assert wait_s(ending, settle_after_s=5, quiet_after_s=60) == seconds
    now = datetime(2026, 1, 1, tzinfo=UTC)
    times = {"settle_after_s": 5, "quiet_after_s": 60}
    assert is_due(ending, now, now=now + timedelta(seconds=seconds), **times)
    assert not is_due(ending, now + timedelta(seconds=1), now=now + timedelta(seconds=seconds), **times)


PAIRS = st.lists(st.tuples(st.from_regex(r"1(\.[0-9]){1,4}", fullmatch=True), st.from_regex(r"[0-9a-f]{8}", fullmatch=True)))


@given(PAIRS, st.randoms())
def test_a_generation_does_not_depend_on_order_or_repetition(pairs, random):
    again = pairs + pairs[: len(pairs) // 2]
    random.shuffle(again)
    assert generation_of(again) == generation_of(pairs)


@given(PAIRS, st.tuples(st.just("2.1"), st.just("ab")))
def test_a_further_instance_makes_another_generation(pairs, late):
    assert generation_of([*pairs, late]) != generation_of(pairs)
