from __future__ import annotations

from itertools import product

import pytest

from fairlead.errors import IllegalTransition
from fairlead.publish.states import TRANSITIONS, ExportEvent, ExportState, advance, is_past

FORBIDDEN = [pair for pair in product(ExportState, ExportEvent) if pair not in TRANSITIONS]


@pytest.mark.parametrize(("state", "event"), TRANSITIONS, ids=lambda value: str(value))
def test_every_step_of_the_table_is_taken(state: ExportState, event: ExportEvent):
    assert advance(state, event) == TRANSITIONS[state, event]


@pytest.mark.parametrize(("state", "event"), FORBIDDEN, ids=lambda value: str(value))
def test_every_other_step_is_refused(state: ExportState, event: ExportEvent):
    with pytest.raises(IllegalTransition, match=f"An export that is {state.value} cannot {event.value}"):
        advance(state, event)


def test_the_refusal_names_what_is_possible():
    with pytest.raises(IllegalTransition) as caught:
        advance(ExportState.APPROVED, ExportEvent.PUBLISH)
    assert caught.value.remedy == "Possible now: deidentify, fail."


@pytest.mark.parametrize("state", [ExportState.PUBLISHED, ExportState.REFUSED, ExportState.FAILED])
def test_final_states_lead_nowhere(state: ExportState):
    assert not any(at == state for at, _ in TRANSITIONS)


@pytest.mark.parametrize("state", [ExportState.REFUSED, ExportState.FAILED])
def test_nothing_is_past_on_the_wrong_way(state: ExportState):
    assert not any(is_past(state, event) for event in ExportEvent)


def test_a_published_export_is_past_every_step():
    assert all(is_past(ExportState.PUBLISHED, ExportEvent(name)) for name in ("approve", "deidentify", "convert", "describe", "publish"))
