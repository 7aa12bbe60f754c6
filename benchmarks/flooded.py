"""P18: what an attacker gains who asks so much that numbers fall out of those that are guarded together.

    python benchmarks/flooded.py [--cells 100] [--rounds 1 4] [--per-patient 0.5] [--json]

Per cell a centre of its own: sixty unions of fourteen large groups a round, half of them with the cell. Between two rounds
*everything* that combinations were computed from is forgotten, which is more than a flood of other questions can do (it pushes out
the older half). The cell is estimated by least squares, then named in two ways: rounded, and by an attacker who knows how estimates
and sizes go together in all other cells (kernel vote, the best of three widths).
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from pyroaring import BitMap

from fairlead.federation.leaks import guessed
from fairlead.federation.memory import Release, ReleaseMemory
from fairlead.federation.noise import PatientNoise, shown
from fairlead.federation.policy import Disclosure, Noise
from fairlead.federation.secrets import new_keyring
from fairlead.federation.spans import ReleasedSpan

THRESHOLD = 10
QUESTIONS = 60
GROUPS = 14
OWN = 60
WIDTHS = (0.5, 1, 2)


class Center:
    """The rules for one number (fairlead.federation.releasing) without a database."""

    def __init__(self, rules: Disclosure) -> None:
        self.rules, self.memory, self.span, self.noise = rules, ReleaseMemory(), ReleasedSpan(), PatientNoise(new_keyring())
        self.noise.learn({ordinal: str(ordinal) for ordinal in range(1, 1 + GROUPS * 180 + OWN + THRESHOLD)})

    def ask(self, members: BitMap) -> int | None:
        """Return what is said about a set."""
        earlier = self.memory.nearest(members, THRESHOLD)
        if earlier is not None:
            return earlier.patients
        computed = self.span.computed(members, THRESHOLD)
        noise = self.noise.of(members, self.rules) if computed is None else computed - len(members)
        patients = shown(len(members), noise, self.rules)
        self.memory.add(Release(len(self.memory), members, patients))
        if computed is None and patients is not None:
            self.span.add(members, patients)
        return patients


def estimate(seed: int, rounds: int, rules: Disclosure) -> tuple[float, int]:
    """Return the attacker's estimate of one cell, and its size."""
    chance, center = random.Random(seed), Center(rules)  # noqa: S311
    size = min(9, 1 + int(chance.expovariate(0.3)))
    ends = np.cumsum([1, *(chance.randint(120, 180) for _ in range(GROUPS))]).tolist()
    groups = [BitMap(range(begin, end)) for begin, end in pairwise(ends)]
    own, cell = BitMap(range(ends[-1], ends[-1] + OWN)), BitMap(range(ends[-1] + OWN, ends[-1] + OWN + size))
    rows, answers = [], []
    for number in range(rounds * QUESTIONS):
        if number % QUESTIONS == 0:
            center.span = ReleasedSpan()
        chosen = [chance.random() < 0.5 for _ in groups]
        asked = BitMap.union(own, *(one for one, wanted in zip(groups, chosen, strict=True) if wanted))
        answer = center.ask(asked | cell if number % 2 else asked)
        if answer is not None:
            rows.append([1, number % 2, *chosen])
            answers.append(answer)
    solved = np.linalg.lstsq(np.array(rows, dtype=float), np.array(answers, dtype=float), rcond=None)[0]
    return float(solved[1]), size


def voted(estimates: Any, sizes: Any, width: float) -> Iterator[int]:
    """Yield the size that the other cells with like estimates vote for."""
    for at, one in enumerate(estimates):
        weights = np.exp(-(((estimates - one) / width) ** 2) / 2)
        weights[at] = 0
        yield 1 + int(np.argmax([weights[sizes == size].sum() for size in range(1, THRESHOLD)]))


def run(cells: int, rounds: int, rules: Disclosure) -> dict[str, Any]:
    """Return the shares that each attacker names, and that of the guess."""
    found = [estimate(1000 * rounds + seed, rounds, rules) for seed in range(cells)]
    estimates, sizes = np.array([one for one, _ in found]), np.array([size for _, size in found])
    commonest = int(np.argmax(np.bincount(sizes)))
    rounded = sum(guessed(one, threshold=THRESHOLD, commonest=commonest) == size for one, size in found)
    calibrated = max(sum(np.array(list(voted(estimates, sizes, width))) == sizes) for width in WIDTHS)
    return {
        "rounds": rounds,
        "cells": cells,
        "exact": round(float(rounded / cells), 3),
        "calibrated": round(float(calibrated / cells), 3),
        "guess": round(float(np.mean(sizes == commonest)), 3),
        "correlation": round(float(np.corrcoef(estimates, sizes)[0, 1]), 2),
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=100)
    parser.add_argument("--rounds", type=int, nargs="*", default=[1, 4])
    parser.add_argument("--per-patient", type=float, default=Noise().per_patient)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rules, began = Disclosure(noise=Noise(per_patient=given.per_patient)), time.process_time()
    table = [run(given.cells, rounds, rules) for rounds in given.rounds]
    seconds = round(time.process_time() - began, 1)
    document = {"per_patient": given.per_patient, "attacks": table, "cpu_seconds": seconds}
    print(json.dumps(document) if given.json else "\n".join([*map(str, table), f"{seconds} s of processor time"]))


if __name__ == "__main__":
    main()
