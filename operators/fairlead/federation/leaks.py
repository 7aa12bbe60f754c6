"""Attacks on counts, as a person with one valid account could run them: what a centre's own policy is tried with.

Each takes an oracle (a definition in, the shown number or None out) and a target cell that is below the threshold, and returns
the best guess of its size. The published ones: complement and trackers (Denning 1979), averaging of fresh noise, sticky noise
seeded by phrasing, facet subtraction, shifted bounds, and linear reconstruction (Dinur and Nissim 2003).
"""

from __future__ import annotations

import random
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any, Final

import numpy as np

from fairlead.records import JsonObject, Scalar

type Ask = Callable[[JsonObject], int | None]

VARIANTS: Final = 25
SYSTEM: Final = 100
"""Questions for each of the two sides of the linear system: 200 together."""


@dataclass(frozen=True, slots=True)
class Target:
    """A small cell: the patients of ``base`` with one of ``values``, or, without values, those with none of the ``others``.

    ``others`` are large values of the field there, ``strata`` large unrelated groups.
    """

    base: JsonObject
    field: str
    values: tuple[Scalar, ...]
    others: tuple[Scalar, ...]
    strata: tuple[JsonObject, ...]
    size: int

    @property
    def cell(self) -> JsonObject:
        """The cell's own criterion."""
        if not self.values:
            return {"not": _either(*(_valued(self, value) for value in self.others))}
        return of_patient({"field": self.field, "op": "in", "value": list(self.values)})


def of_patient(where: JsonObject) -> JsonObject:
    """Return a criterion that holds for all records of a patient who has one for which ``where`` holds."""
    return {"has": "series", "same": "patient", "where": where}


def question(include: JsonObject) -> JsonObject:
    """Return a definition that counts patients."""
    return {"schemaVersion": "1", "title": "Patients", "unit": "patient", "include": include}


def _both(*parts: JsonObject) -> JsonObject:
    return {"all": list(parts)}


def _either(*parts: JsonObject) -> JsonObject:
    return {"any": list(parts)}


def _difference(ask: Ask, whole: JsonObject, rest: JsonObject) -> float | None:
    more, less = ask(question(whole)), ask(question(rest))
    return None if more is None or less is None else more - less


def complement(ask: Ask, target: Target) -> float | None:
    """Ask for everybody, and for everybody but the cell."""
    return _difference(ask, target.base, _both(target.base, {"not": target.cell}))


def repeats(ask: Ask, target: Target) -> float | None:
    """Ask the same two questions again and again, and average."""
    return _mean([complement(ask, target) for _ in range(VARIANTS)])


def padding(ask: Ask, target: Target) -> float | None:
    """Say the same in other words each time: terms that change nothing."""
    found = []
    for number in range(VARIANTS):
        pad: JsonObject = {"any": [{"field": "kind", "op": "exists"}, {"field": "series.instances", "op": ">", "value": -1 - number}]}
        found.append(_difference(ask, _both(target.base, pad), _both(pad, target.base, {"not": target.cell})))
    return _mean(found)


def supersets(ask: Ask, target: Target) -> float | None:
    """Hide the two questions in ever other larger groups."""
    found = []
    for number in range(VARIANTS):
        group = _some(target.strata, number)
        found.append(_difference(ask, _either(target.base, *group), _either(_both(target.base, {"not": target.cell}), *group)))
    return _mean(found)


def union_average(ask: Ask, target: Target) -> float | None:
    """Add the cell to many large groups, on one side of the subtraction only."""
    cell = _both(target.base, target.cell)
    found = []
    for number in range(SYSTEM):
        group = _some(target.strata, number)
        found.append(_difference(ask, _either(cell, *group), _either(*group)))
    return _mean(found)


def facet_subtraction(ask: Ask, target: Target) -> float | None:
    """Subtract all other rows of the table from its total."""
    total = ask(question(target.base))
    rows = [ask(question(_both(target.base, of_patient({"field": target.field, "op": "=", "value": value})))) for value in target.others]
    return None if total is None else total - sum(row or 0 for row in rows)


def tracker(ask: Ask, target: Target) -> float | None:
    """Count the cell joined with a large group, and joined with the rest: the sum less everybody is the cell (Denning's tracker)."""
    found = []
    cell = _both(target.base, target.cell)
    for group in target.strata:
        answers = [ask(question(one)) for one in (_either(cell, group), _either(cell, {"not": group}), {"field": "kind", "op": "exists"})]
        first, second, everybody = answers
        found.append(None if first is None or second is None or everybody is None else first + second - everybody)
    return _mean(found)


def linear_system(ask: Ask, target: Target, *, seed: int = 0) -> float | None:
    """Reconstruct the base and the base without the cell from 200 random unions with large groups, by least squares.

    The base without the cell is said positively and value by value, so that no part of a question is small.
    """
    rest = [_both(target.base, _valued(target, value)) for value in target.others]
    return _solved(ask, target, [target.base], rest, seed=seed)


def mixed_system(ask: Ask, target: Target, *, seed: int = 0) -> float | None:
    """Reconstruct one large value with the cell, and without it, from 200 random unions with large groups, by least squares.

    With the cell it is said as the base but the other large values, without it as that value alone: leaving a part out of either
    adds a large value, so no part is small, and no two questions are near.
    """
    if len(target.others) < 2:
        return linear_system(ask, target, seed=seed)
    with_cell, without = _beside(target)
    return _solved(ask, target, [with_cell], [without], seed=seed)


def _beside(target: Target) -> tuple[JsonObject, JsonObject]:
    """Return one large value with the cell, and that value alone."""
    own, *rest = target.others
    with_cell = _both(target.base, {"not": _either(*(_valued(target, value) for value in rest))}) if rest else target.base
    return with_cell, _both(target.base, _valued(target, own))


def cycle(ask: Ask, target: Target) -> float | None:
    """Join large groups in pairs, in a ring: with the cell one way round, without it the other; the sums differ by the cell many times.

    Until the ring closes, no number follows from the others.
    """
    with_cell, without = _beside(target)
    half = len(target.strata) // 2
    ones, others = target.strata[:half], target.strata[half : 2 * half]
    found = [
        _difference(ask, _either(with_cell, ones[at], others[at]), _either(without, ones[at], others[(at + 1) % half]))
        for at in range(half)
    ]
    return _mean(found)


def _valued(target: Target, value: Scalar) -> JsonObject:
    return of_patient({"field": target.field, "op": "=", "value": value})


def _solved(ask: Ask, target: Target, more: list[JsonObject], less: list[JsonObject], *, seed: int) -> float | None:
    """Return the difference of two unknowns, each of which is only ever asked for together with half of the large groups."""
    chance = random.Random(seed)  # noqa: S311  # an attack, no secret
    rows, answers = [], []
    for number in range(2 * SYSTEM):
        chosen = [chance.random() < 0.5 for _ in target.strata]
        if not any(chosen):
            continue
        group = [one for one, wanted in zip(target.strata, chosen, strict=True) if wanted]
        answer = ask(question(_either(*(more if number % 2 else less), *group)))
        if answer is not None:
            rows.append([number % 2, 1 - number % 2, *chosen])
            answers.append(answer)
    if len(rows) < len(target.strata) + 2:
        return None
    solved = np.linalg.lstsq(np.array(rows, dtype=float), np.array(answers, dtype=float), rcond=None)[0]
    return float(solved[0] - solved[1])


def _some(strata: Sequence[JsonObject], number: int) -> list[JsonObject]:
    chance = random.Random(number)  # noqa: S311  # an attack, no secret
    return chance.sample(list(strata), max(1, len(strata) // 2))


def _mean(found: Sequence[float | None]) -> float | None:
    known = [one for one in found if one is not None]
    return sum(known) / len(known) if known else None


ATTACKS: Final[Mapping[str, Callable[[Ask, Target], float | None]]] = {
    "complement": complement,
    "repeats": repeats,
    "padding": padding,
    "supersets": supersets,
    "union average": union_average,
    "facet subtraction": facet_subtraction,
    "tracker": tracker,
    "linear system": linear_system,
    "mixed system": mixed_system,
    "ring": cycle,
}


@dataclass(frozen=True, slots=True)
class Recovery:
    """How many cells an attack gave back exactly, against guessing the commonest size every time.

    ``follows`` is the correlation of the estimates with the true sizes: what is left for whoever guesses better than by rounding.
    """

    attack: str
    cells: int
    exact: int
    blind: int
    follows: float = 0.0

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return the exact confidence interval of the share of cells given back (Clopper and Pearson 1934)."""
        tail = (1 - confidence) / 2
        low = _share(lambda share: 1 - _at_most(self.exact - 1, self.cells, share) < tail) if self.exact else 0.0
        high = _share(lambda share: _at_most(self.exact, self.cells, share) > tail) if self.exact < self.cells else 1.0
        return low, high

    def __add__(self, other: Recovery) -> Recovery:
        """Return both together, the correlation weighed by cells."""
        cells = self.cells + other.cells
        follows = (self.follows * self.cells + other.follows * other.cells) / cells
        return Recovery(self.attack, cells, self.exact + other.exact, self.blind + other.blind, follows)

    def as_json(self) -> dict[str, Any]:
        """Return the shares."""
        low, high = self.interval()
        shares = {"exact": self.exact / self.cells, "low": round(low, 4), "high": round(high, 4), "blind": self.blind / self.cells}
        return {"attack": self.attack, "cells": self.cells, **shares, "follows": round(self.follows, 3)}


def _at_most(most: int, cells: int, share: float) -> float:
    """Return the probability of at most so many successes (binomial)."""
    return sum(comb(cells, number) * share**number * (1 - share) ** (cells - number) for number in range(most + 1))


def _share(below: Callable[[float], bool]) -> float:
    """Return where a condition that holds for small shares ends, by halving."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return low


def guessed(estimate: float | None, *, threshold: int, commonest: int) -> int:
    """Return the attacker's guess: the estimate where it says something, else the commonest size of small cells."""
    if estimate is None or round(estimate) == 0:  # the same number twice says only "below the threshold", as the table did
        return commonest
    return min(max(round(estimate), 1), threshold - 1)


def recovery(name: str, ask: Ask, targets: Sequence[Target], *, threshold: int = 10) -> Recovery:
    """Return how an attack fares on the targets."""
    sizes = [target.size for target in targets]
    commonest = max(sorted(set(sizes)), key=sizes.count)
    estimates = [ATTACKS[name](ask, target) for target in targets]
    guesses = [guessed(estimate, threshold=threshold, commonest=commonest) for estimate in estimates]
    exact = sum(guess == size for guess, size in zip(guesses, sizes, strict=True))
    return Recovery(name, len(targets), exact, sizes.count(commonest), _correlation(estimates, sizes))


def _correlation(estimates: Sequence[float | None], sizes: Sequence[int]) -> float:
    """Return the rank correlation of estimates and sizes (Spearman), 0 where the estimates say nothing."""
    known = [(estimate, size) for estimate, size in zip(estimates, sizes, strict=True) if estimate is not None]
    if len({estimate for estimate, _ in known}) < 2 or len({size for _, size in known}) < 2:
        return 0.0
    ranks = [_ranks(column) for column in zip(*known, strict=True)]
    return statistics.correlation(*ranks)


def _ranks(values: Sequence[float]) -> list[float]:
    """Return ranks, equal values sharing theirs."""
    ordered = sorted(values)
    return [(bisect_left(ordered, value) + bisect_right(ordered, value)) / 2 for value in values]
