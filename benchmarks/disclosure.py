"""P18: what attacks give back from counts under four kinds of protection, what that costs in accuracy, and how long it takes.

The peers are re-made from their published rules: a threshold alone; Leaf (noise seeded by the phrasing of the question, low
cells hidden); Samply Focus (Laplace noise kept per true count, rounding to 10).

    python benchmarks/disclosure.py [--index FOLDER/index.sqlite] [--targets 12] [--json]

Without an index a seeded table of one centre is made. The public table of NCI IDC gives the figures of docs/performance.md.
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
from operator import and_, or_
from pathlib import Path
from typing import Any

from pyroaring import BitMap

from fairlead.cohort import parse_definition
from fairlead.cohort.compile import compile_node, no_cohorts
from fairlead.cohort.nodes import AllOf, AnyOf, HasWhere, NotOf
from fairlead.database import open_database, utc_now
from fairlead.extract import FieldCatalogue, load_catalogue
from fairlead.federation.dates import widened
from fairlead.federation.leaks import ATTACKS, Ask, Target, of_patient, question, recovery
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
        began = time.perf_counter()
        with releases.releasing() as connection:
            known = releases.known(asked, policy)
            if known is None:
                known = releases.release(connection, members, policy, at=utc_now())
                releases.remember(connection, asked, known.patients, policy=policy, at=utc_now())
        spent.append(time.perf_counter() - began)
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
            small = [row for row in rows if 0 < row[1] < THRESHOLD]
            others = tuple(value for value, size in rows if size >= THRESHOLD)
            rest = frozenset[str]().union(*(held[value] for value in others))
            small = [row for row in small if len(everybody) - len(rest) == row[1]]  # else "all but the others" is not the cell
            if others:
                document = of_patient({"field": "center", "op": "=", "value": base.value})
                found += [Target(document, field, value, others, strata, size) for value, size in small]
    random.Random(5).shuffle(found)  # noqa: S311
    return found[:wanted]


def utility(bench: Bench, ask: Ask, index: Index) -> dict[str, float]:
    """Return the mean error of cells of 100 patients and more."""
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
    return {
        "cells": len(errors),
        "mean_error": round(statistics.fmean(error for error, _ in errors), 2),
        "mean_error_percent": round(100 * statistics.fmean(error / size for error, size in errors), 2),
    }


def seeded_index(catalogue: FieldCatalogue) -> Index:
    """Return an index of forty seeded groups of some 150 patients, each with a rare model of 1 to 9 patients."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from index.builders import a_series

    index, chance = EmbeddedIndex(Path(tempfile.mkdtemp(prefix="fairlead-bench-")) / "index.sqlite", catalogue), random.Random(3)  # noqa: S311
    for group in range(40):
        rare = min(9, 1 + int(chance.expovariate(0.3)))
        index.put(
            a_series(
                f"{group}.{number}",
                patient=f"{group}x{number}",
                center=f"center-{group}",
                model="Rare" if number < rare else chance.choice(("Alpha", "Beta", "Gamma")),
                patient__sex=chance.choice("FM"),
            )
            for number in range(chance.randint(120, 180))
        )
    return index


def fresh(bench: Bench) -> None:
    """Forget every answer, and draw new secrets."""
    home = Path(tempfile.mkdtemp(prefix="fairlead-bench-"))
    bench.releases = Releases(open_database(Settings(home=home)), new_keyring())
    bench.sets = {}


def run(index: Index, catalogue: FieldCatalogue, *, wanted: int, noises: list[float], attacks: list[str]) -> dict[str, Any]:
    """Return the table."""
    bench, result, targets = Bench(index, catalogue), {}, targets_of(index, wanted)
    for noise in noises:
        spent: list[float] = []
        policy = Policy(version="bench", disclosure=Disclosure(noise=Noise(per_patient=noise)))
        result[f"fairlead (per patient {noise:g})"] = measure(bench, lambda p=policy, s=spent: ours(bench, p, s), targets, attacks)
        result[f"fairlead (per patient {noise:g})"]["control_ms"] = round(1000 * statistics.median(spent), 3)
    peers: dict[str, Callable[[Bench], Ask]] = {"threshold only": threshold_only, "Leaf-style": leaf, "Samply-style": samply}
    for name, make in peers.items():
        result[name] = measure(bench, lambda make=make: make(bench), targets, attacks)
    return {"targets": len(targets), "protections": result}


def measure(bench: Bench, make: Callable[[], Ask], targets: list[Target], attacks: list[str]) -> dict[str, Any]:
    """Return recovery by attack and the utility of one protection; every attack meets a gateway without a past."""
    rows = {}
    for name in attacks:
        fresh(bench)
        found = recovery(name, make(), targets, threshold=THRESHOLD)
        rows[name] = found.exact / found.cells
        rows["blind guess"] = found.blind / found.cells
    fresh(bench)
    return {"exact": rows, "utility": utility(bench, make(), bench.index)}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--index", type=Path)
    parser.add_argument("--targets", type=int, default=12)
    parser.add_argument("--noise", type=float, nargs="*", default=[0.5])
    parser.add_argument("--attacks", nargs="*", default=list(ATTACKS))
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    catalogue = load_catalogue(configs_folder() / "fields.yaml")
    index = EmbeddedIndex(given.index, catalogue) if given.index else seeded_index(catalogue)
    began = time.perf_counter()
    table = run(index, catalogue, wanted=given.targets, noises=given.noise, attacks=given.attacks)
    table["seconds"] = round(time.perf_counter() - began, 1)
    print(json.dumps(table) if given.json else text(table))


def text(table: dict[str, Any]) -> str:
    """Return the table for people."""
    names = list(table["protections"])
    lines = [f"{table['targets']} small cells; exact recovery in percent", " " * 20 + "  ".join(f"{name:>24}" for name in names)]
    for attack in next(iter(table["protections"].values()))["exact"]:
        row = (f"{100 * table['protections'][name]['exact'][attack]:>24.1f}" for name in names)
        lines.append(f"{attack:<20}" + "  ".join(row))
    lines += [f"{'error of cells >=100':<20}" + "  ".join(f"{table['protections'][name]['utility']['mean_error']:>24}" for name in names)]
    lines += [f"{'  in percent':<20}" + "  ".join(f"{table['protections'][name]['utility']['mean_error_percent']:>24}" for name in names)]
    lines += [
        f"{name}: disclosure control {row['control_ms']} ms per answer" for name, row in table["protections"].items() if "control_ms" in row
    ]
    return "\n".join([*lines, f"{table['seconds']} s"])


if __name__ == "__main__":
    main()
