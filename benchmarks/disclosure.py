"""P18: what attacks give back from counts under four kinds of protection, what that costs in accuracy, and how long it takes.

The peers are re-made from their published rules: a threshold alone; Leaf (noise seeded by the phrasing of the question, low
cells hidden); Samply Focus (Laplace noise kept per true count, rounding to 10).

    python benchmarks/disclosure.py [--index FOLDER/index.sqlite …] [--targets 8] [--seeds 1] [--only fairlead] [--idc] [--json]

Each index, and each seed, is a centre with secrets of its own; their cells are counted together, with the exact interval of
confidence. Without an index seeded tables are made; `--idc` takes the part of the public IDC table that the tests bring along.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import reduce
from operator import add, and_, or_
from pathlib import Path
from typing import Any

from pyroaring import BitMap

from fairlead.cohort import parse_definition
from fairlead.cohort.compile import compile_node, no_cohorts
from fairlead.cohort.nodes import AllOf, AnyOf, HasWhere, NotOf
from fairlead.database import open_database, utc_now
from fairlead.extract import FieldCatalogue, load_catalogue
from fairlead.federation.dates import widened
from fairlead.federation.leaks import ATTACKS, Ask, Recovery, Target, of_patient, question, recovery
from fairlead.federation.policy import Disclosure, Noise, Policy
from fairlead.federation.releasing import Releases
from fairlead.federation.secrets import new_keyring
from fairlead.federation.structure import effective
from fairlead.index import All, And, Index, Term
from fairlead.index.embedded import EmbeddedIndex
from fairlead.resources import configs_folder
from fairlead.settings import Settings

FIELDS = ("manufacturer", "modality", "body_part", "patient.sex", "model")
THRESHOLD = 10


class Bench:
    """One centre's index, with true sets remembered, so that attacks cost what protection costs."""

    def __init__(self, index: Index, catalogue: FieldCatalogue) -> None:
        self.index, self.catalogue = index, catalogue
        self.sets: dict[Any, BitMap] = {}
        self.releases: Releases | None = None

    def count(self, definition: Any) -> BitMap:
        """Return who is meant: the attacks ask about patients only, so groups are sets of patients."""
        found = self._tree(definition.include)
        for rule in definition.rules:
            found &= self._tree(rule.where)
        for rule in definition.exclude:
            found -= self._tree(rule.where)
        return found

    def _tree(self, node: Any) -> BitMap:
        match node:
            case AllOf(of):
                return reduce(and_, map(self._tree, of), self._leaf(All()))
            case AnyOf(of):
                return reduce(or_, map(self._tree, of), BitMap())
            case NotOf(of=inner):
                return self._leaf(All()) - self._tree(inner)
            case HasWhere(where=inner):
                return self._tree(inner)
            case _:
                return self._leaf(compile_node(node, no_cohorts))

    def _leaf(self, criterion: Any) -> BitMap:
        assert self.releases is not None
        if criterion not in self.sets:
            self.sets[criterion] = self.releases.bitmap(self.index.patients(criterion))  # type: ignore[attr-defined]
        return self.sets[criterion]

    def parse(self, document: dict[str, Any]) -> Any:
        """Return the parsed definition."""
        return parse_definition(document, self.catalogue)


def ours(bench: Bench, policy: Policy, spent: list[float]) -> Ask:
    """Return the stack of the gateway, as it stands in one transaction per answer."""

    def ask(document: dict[str, Any]) -> int | None:
        definition = widened(bench.parse(document), bench.catalogue, policy.disclosure.dates)
        asked = bench.count(definition)
        _, members = effective(definition, bench.count, policy.disclosure)
        releases = bench.releases
        assert releases is not None
        began = time.process_time()
        with releases.releasing() as connection:
            known = releases.known(asked, policy)
            if known is None:
                known = releases.release(connection, members, policy, at=utc_now())
                releases.remember(connection, asked, known.patients, policy=policy, at=utc_now())
        spent.append(time.process_time() - began)
        return known.patients

    return ask


def threshold_only(bench: Bench) -> Ask:
    """Return exact numbers from the threshold up."""

    def ask(document: dict[str, Any]) -> int | None:
        size = len(bench.count(bench.parse(document)))
        return size if size >= THRESHOLD else None

    return ask


def leaf(bench: Bench) -> Ask:
    """Return noise of ±10 seeded by the question's own words, low cells hidden."""

    def ask(document: dict[str, Any]) -> int | None:
        size = len(bench.count(bench.parse(document)))
        drawn = random.Random(hashlib.md5(json.dumps(document, sort_keys=True).encode()).hexdigest())  # noqa: S311, S324
        return max(size + drawn.randint(-10, 10), THRESHOLD) if size >= THRESHOLD else None

    return ask


def samply(bench: Bench) -> Ask:
    """Return Laplace noise (epsilon 0.28) kept per true count, rounded to 10; below 10 shows 10."""
    kept: dict[int, float] = {}
    chance = random.Random(7)  # noqa: S311

    def ask(document: dict[str, Any]) -> int | None:
        size = len(bench.count(bench.parse(document)))
        if size not in kept:
            uniform = chance.random() - 0.5
            kept[size] = -math.copysign(1 / 0.28, uniform) * math.log(1 - 2 * abs(uniform))
        return max(round((size + kept[size]) / 10) * 10, 10) if size else 0

    return ask


def targets_of(index: Index, wanted: int) -> list[Target]:
    """Return small cells of collections, with every other value of the same field there, and other collections as strata."""
    buckets = [one for one in index.facets(All(), ["center"])["center"] if one.patients >= 100]
    found = []
    for base in buckets:
        strata = tuple(of_patient({"field": "center", "op": "=", "value": one.value}) for one in buckets if one is not base)[:14]
        within = Term("center", base.value or "")
        for field in FIELDS:
            values = [one.value for one in index.facets(within, [field])[field] if one.value is not None]
            held = {value: index.patients(And((within, Term(field, value)))) for value in values}  # type: ignore[attr-defined]
            everybody = index.patients(within)  # type: ignore[attr-defined]
            rows = [(value, len(patients)) for value, patients in held.items()]
            small = tuple(value for value, size in rows if 0 < size < THRESHOLD)
            others = tuple(value for value, size in rows if size >= THRESHOLD)
            rest = frozenset[str]().union(*(held[value] for value in others))
            cell = frozenset[str]().union(*(held[value] for value in small))
            if others and 0 < len(cell) < THRESHOLD and everybody - rest == cell:  # else "all but the others" is not the cell
                document = of_patient({"field": "center", "op": "=", "value": base.value})
                found.append(Target(document, field, small, others, strata, len(cell)))
    random.Random(5).shuffle(found)  # noqa: S311
    return found[:wanted]


def utility(bench: Bench, ask: Ask, index: Index) -> list[tuple[int, int]]:
    """Return error and size of cells of 100 patients and more."""
    errors = []
    for bucket in index.facets(All(), ["center"])["center"]:
        for field in (None, *FIELDS):
            rows = (
                [None]
                if field is None
                else [one.value for one in index.facets(Term("center", bucket.value or ""), [field])[field] if one.value is not None]
            )
            for value in rows[:6]:
                parts = [of_patient({"field": "center", "op": "=", "value": bucket.value})]
                parts += [] if value is None else [of_patient({"field": field, "op": "=", "value": value})]
                document = question({"all": parts})
                size = len(bench.count(bench.parse(document)))
                if size >= 100:
                    shown = ask(document)
                    errors.append((abs((shown or 0) - size), size))
    return errors


def accuracy(errors: list[tuple[int, int]]) -> dict[str, float]:
    """Return the mean error."""
    return {
        "cells": len(errors),
        "mean_error": round(statistics.fmean(error for error, _ in errors), 2),
        "mean_error_percent": round(100 * statistics.fmean(error / size for error, size in errors), 2),
    }


def seeded_index(catalogue: FieldCatalogue, seed: int) -> Index:
    """Return an index of forty seeded groups of some 150 patients, each with a rare model of 1 to 9 patients."""
    from index.builders import a_series

    index, chance = EmbeddedIndex(Path(tempfile.mkdtemp(prefix="fairlead-bench-")) / "index.sqlite", catalogue), random.Random(seed)  # noqa: S311
    for group in range(40):
        rare = min(9, 1 + int(chance.expovariate(0.3)))
        index.put(
            a_series(
                f"{group}.{number}",
                patient=f"{seed}x{group}x{number}",
                center=f"center-{group}",
                model="Rare" if number < rare else chance.choice(("Alpha", "Beta", "Gamma")),
                patient__sex=chance.choice("FM"),
            )
            for number in range(chance.randint(120, 180))
        )
    return index


def idc_split(catalogue: FieldCatalogue) -> tuple[Index, list[Target]]:
    """Return an index of sixteen public collections, and small cells in them."""
    from federation.idc_split import records, targets

    index = EmbeddedIndex(Path(tempfile.mkdtemp(prefix="fairlead-bench-")) / "index.sqlite", catalogue)
    index.put(records())
    return index, list(targets())


def fresh(bench: Bench) -> None:
    """Forget every answer, and draw new secrets."""
    home = Path(tempfile.mkdtemp(prefix="fairlead-bench-"))
    bench.releases = Releases(open_database(Settings(home=home)), new_keyring())
    bench.sets = {}


def run(centers: list[tuple[Bench, list[Target]]], kinds: Kinds, attacks: list[str]) -> dict[str, Any]:
    """Return the table over all centres."""
    result = {}
    for name, make in kinds.items():
        SPENT.clear()
        result[name] = measure(centers, make, attacks)
        if SPENT:
            result[name]["control_ms"] = round(1000 * statistics.median(SPENT), 3)
    return {"targets": sum(len(targets) for _, targets in centers), "centers": len(centers), "protections": result}


def measure(centers: list[tuple[Bench, list[Target]]], make: Callable[[Bench], Ask], attacks: list[str]) -> dict[str, Any]:
    """Return recovery by attack and the utility of one protection; every attack meets gateways without a past."""
    rows, errors = {}, []
    for name in attacks:
        found: list[Recovery] = []
        for bench, targets in centers:
            fresh(bench)
            found.append(recovery(name, make(bench), targets, threshold=THRESHOLD))
        rows[name] = reduce(add, found).as_json()
    for bench, _ in centers:
        fresh(bench)
        errors += utility(bench, make(bench), bench.index)
    return {"attacks": rows, "utility": accuracy(errors)}


SPENT: list[float] = []
type Kinds = dict[str, Callable[[Bench], Ask]]


def kinds_of(noises: list[float], only: str) -> Kinds:
    """Return the protections to compare."""

    def stack(noise: float) -> Callable[[Bench], Ask]:
        policy = Policy(version="bench", disclosure=Disclosure(noise=Noise(per_patient=noise)))
        return lambda bench: ours(bench, policy, SPENT)

    found: Kinds = {f"fairlead (per patient {noise:g})": stack(noise) for noise in noises}
    found |= {"threshold only": threshold_only, "Leaf-style": leaf, "Samply-style": samply}
    return {name: make for name, make in found.items() if only in name}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--index", type=Path, nargs="*", default=[])
    parser.add_argument("--targets", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--noise", type=float, nargs="*", default=[Noise().per_patient])
    parser.add_argument("--attacks", nargs="*", default=list(ATTACKS))
    parser.add_argument("--only", default="", help="Only protections with this in their name.")
    parser.add_argument("--idc", action="store_true", help="Attack the IDC table of the tests.")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    catalogue = load_catalogue(configs_folder() / "fields.yaml")
    if given.idc:
        index, targets = idc_split(catalogue)
        centers = [(Bench(index, catalogue), targets[: given.targets])] * given.seeds
    else:
        indexes: list[Index] = [EmbeddedIndex(file, catalogue) for file in given.index]
        indexes = indexes or [seeded_index(catalogue, 3 + seed) for seed in range(given.seeds)]
        centers = [(Bench(index, catalogue), targets_of(index, given.targets)) for index in indexes]
    began = time.process_time()
    table = run([one for one in centers if one[1]], kinds_of(given.noise, given.only), given.attacks)
    table["cpu_seconds"] = round(time.process_time() - began, 1)
    print(json.dumps(table) if given.json else text(table))


def text(table: dict[str, Any]) -> str:
    """Return the table for people."""
    kinds = table["protections"]
    lines = [f"{table['targets']} small cells of {table['centers']} centres; exact recovery in percent [95 %], rank correlation"]
    lines += [" " * 20 + "".join(f"{name:>30}" for name in kinds)]
    for attack in next(iter(kinds.values()))["attacks"]:
        lines.append(f"{attack:<20}" + "".join(f"{_cell(kind['attacks'][attack]):>30}" for kind in kinds.values()))
    blind = next(row["blind"] for kind in kinds.values() for row in kind["attacks"].values())
    lines += [f"{'blind guess':<20}{100 * blind:>30.1f}"]
    for label, key in (("error of cells >=100", "mean_error"), ("  in percent", "mean_error_percent"), ("  cells", "cells")):
        lines.append(f"{label:<20}" + "".join(f"{kind['utility'][key]:>30}" for kind in kinds.values()))
    lines += [
        f"{name}: disclosure control {kind['control_ms']} ms of processor time per answer"
        for name, kind in kinds.items()
        if "control_ms" in kind
    ]
    return "\n".join([*lines, f"{table['cpu_seconds']} s of processor time"])


def _cell(row: dict[str, Any]) -> str:
    return f"{100 * row['exact']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}] {row['follows']:+.2f}"


if __name__ == "__main__":
    main()
