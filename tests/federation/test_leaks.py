"""Attacks over HTTP on a real gateway of the IDC split, with a valid account and no budget in the way: no small cell may come back."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from fairlead.federation import leaks
from fairlead.federation.leaks import Recovery, recovery
from federation.builders import Asker, a_center, a_hub, definition, running
from federation.idc_split import records, targets

CELLS = {
    "complement": 16, "repeats": 6, "padding": 6, "supersets": 6, "facet subtraction": 12, "tracker": 3, "ring": 8,
    "linear system": 1, "mixed system": 2,
}  # fmt: skip
"""How many cells each attack is tried on here; benchmarks/disclosure.py tries all on hundreds."""


@pytest.fixture(scope="module")
def attacker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    """Return an account at a gateway that runs as a process of its own."""
    hub = a_hub()
    settings = a_center(tmp_path_factory.mktemp("attacked"), "north", {"hub-a": hub}, records=records())
    with running(settings) as (address,), httpx.Client(base_url=address, timeout=60) as client:
        yield Asker(client, hub)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "VARIANTS", 3)  # more of them give the same: every variant is answered like the first
    monkeypatch.setattr(leaks, "SYSTEM", 40)


def no_better_than_guessing(found: Recovery) -> bool:
    """Return whether the exact interval (99.9 %, for noise is drawn anew in each run) holds the share of the blind guess."""
    return found.interval(0.999)[0] <= found.blind / found.cells


@pytest.mark.parametrize("attack", CELLS)
def test_no_attack_does_better_than_a_blind_guess(attacker, attack):
    found = recovery(attack, attacker.count, targets()[: CELLS[attack]])
    assert no_better_than_guessing(found), found


def test_two_hundred_adaptive_questions_for_one_cell_give_nothing_better_than_a_blind_guess(attacker, monkeypatch):
    monkeypatch.setattr(leaks, "SYSTEM", 100)
    asked = 0

    def count(document):
        nonlocal asked
        asked += 1
        return attacker.count(document)

    estimate = leaks.union_average(count, next(cell for cell in targets() if cell.size > 1))
    assert asked >= 200
    assert estimate == 0  # every question with the cell got the number of the question without it


def test_tables_less_their_rows_give_no_small_cell_back(attacker):
    tabulated = [cell for cell in targets() if cell.field in ("model", "modality")][:12]

    def subtracted(cell):
        answer = attacker.answer(definition(cell.base), "/v1/facets", (cell.field,))
        return answer["patients"] - sum(row["patients"] for row in answer["facets"][0]["cells"])

    sizes = [cell.size for cell in tabulated]
    commonest = max(sorted(set(sizes)), key=sizes.count)
    guesses = [leaks.guessed(subtracted(cell), threshold=10, commonest=commonest) for cell in tabulated]
    exact = sum(guess == size for guess, size in zip(guesses, sizes, strict=True))
    assert no_better_than_guessing(Recovery("tables", len(sizes), exact, sizes.count(commonest)))


def test_shifting_a_date_by_days_asks_nothing_new(attacker):
    def until(day):
        return definition({"field": "study_date", "op": "<=", "value": day})

    assert len({attacker.count(until(f"2004-05-{day:02d}")) for day in range(1, 32)}) == 1


def test_the_metrics_show_the_operator_that_somebody_asks(attacker):
    attacker.count(definition(targets()[0].base))
    metrics = attacker.client.get("/metrics").text
    assert 'fairlead_gateway_answers_total{state="answered"}' in metrics
