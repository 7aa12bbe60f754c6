"""Attacks on a real gateway over HTTP, with a person's valid account and no budget in the way: no small cell may come back."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from fairlead.federation import leaks
from fairlead.federation.leaks import recovery
from federation.builders import Asker, a_center, a_hub, definition, running, small_cells

CHEAP = ("complement", "repeats", "padding", "supersets", "facet subtraction", "tracker")


@pytest.fixture(scope="module")
def attacker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    """Return an account at a gateway that runs as a process of its own."""
    hub = a_hub()
    settings = a_center(tmp_path_factory.mktemp("attacked"), "north", {"hub-a": hub})
    with running(settings) as (address,), httpx.Client(base_url=address, timeout=60) as client:
        yield Asker(client, hub)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "VARIANTS", 3)  # more of them give the same: every variant is answered like the first


@pytest.mark.parametrize("attack", CHEAP)
def test_no_attack_does_better_than_a_blind_guess(attacker, attack):
    found = recovery(attack, attacker.count, small_cells()[:4])
    assert found.exact <= found.blind, found


def test_two_hundred_adaptive_questions_for_one_cell_give_nothing_better_than_a_blind_guess(attacker):
    cells = [cell for cell in small_cells() if cell.size != 1][:1]
    asked = 0

    def count(document):
        nonlocal asked
        asked += 1
        return attacker.count(document)

    estimate = leaks.union_average(count, cells[0])
    assert asked >= 200
    assert estimate == 0  # every question with the cell got the number of the question without it


def test_shifting_a_date_by_days_asks_nothing_new(attacker):
    def until(day):
        return definition({"field": "study_date", "op": "<=", "value": day})

    assert len({attacker.count(until(f"2004-05-{day:02d}")) for day in range(1, 32)}) == 1


def test_the_metrics_show_the_operator_that_somebody_asks(attacker):
    attacker.count(definition(small_cells()[0].base))
    metrics = attacker.client.get("/metrics").text
    assert 'fairlead_gateway_answers_total{state="answered"}' in metrics
