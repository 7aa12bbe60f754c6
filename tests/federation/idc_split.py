"""The public IDC table split by collection: records, small cells as targets of attacks, and large groups around them."""

from __future__ import annotations

import csv
import gzip
import random
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path

from fairlead.federation.leaks import Target, of_patient
from fairlead.records import ImagingRecord, JsonObject
from index.builders import a_series

FILE = Path(__file__).parent / "idc" / "collections.tsv.gz"
FIELDS = {"model": "model", "modality": "modality", "sex": "patient.sex"}
SEXES = ("F", "M")
THRESHOLD = 10
SMALLEST_BASE = 60


@cache
def rows() -> tuple[dict[str, str], ...]:
    """Return the lines of the table."""
    with gzip.open(FILE, "rt", encoding="utf-8", newline="") as handle:
        return tuple(csv.DictReader(handle, delimiter="\t"))


def split(parts: int) -> list[frozenset[str]]:
    """Return the collections shared out among so many centres, of about the same size."""
    names = sorted({row["collection"] for row in rows()})
    return [frozenset(names[at::parts]) for at in range(parts)]


def patients_who(collections: frozenset[str], column: str, value: str) -> int:
    """Return how many patients of some collections have a value in a line."""
    return len({(row["collection"], row["patient"]) for row in rows() if row["collection"] in collections and row[column] == value})


def records(collections: frozenset[str] | None = None) -> Iterator[ImagingRecord]:
    """Yield a series for each line, or for those of some collections, the collection as its centre."""
    for number, row in enumerate(rows()):
        if collections is not None and row["collection"] not in collections:
            continue
        patient = f"{row['collection']}x{row['patient']}"
        told: dict[str, str] = {name: row[name] for name in ("manufacturer", "model") if row[name]}
        if row["sex"] in SEXES:
            told["patient__sex"] = row["sex"]
        if row["month"]:
            told["study_date"] = f"{row['month']}-{1 + number % 28:02d}"
        yield a_series(f"{number}", modality=row["modality"], center=row["collection"], patient=patient, study=patient, **told)


def of_collection(name: str) -> JsonObject:
    """Return the criterion of one collection."""
    return of_patient({"field": "center", "op": "=", "value": name})


@cache
def targets() -> tuple[Target, ...]:
    """Return cells of 1 to 9 patients, each a large group less the large values of a field in it, in an order of chance."""
    collections: dict[str, set[str]] = defaultdict(set)
    held: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for row in rows():
        collections[row["collection"]].add(row["patient"])
        for column in FIELDS:
            if row[column] and (column != "sex" or row[column] in SEXES):
                held[row["collection"], column, row[column]].add(row["patient"])
    bases = [(name, "", "", patients) for name, patients in collections.items()]
    bases += [(name, column, value, patients) for (name, column, value), patients in held.items()]
    found = []
    for (name, column, value, patients), of in product(sorted(bases, key=lambda one: one[:3]), FIELDS):
        large = {other: some for (where, what, other), some in sorted(held.items()) if (where, what) == (name, of)}
        large = {other: some & patients for other, some in large.items() if len(some & patients) >= THRESHOLD}
        cell = patients - set[str]().union(*large.values())
        if large and of != column and len(patients) >= SMALLEST_BASE and 0 < len(cell) < THRESHOLD:
            base = of_collection(name)
            if column:
                base = {"all": [base, of_patient({"field": FIELDS[column], "op": "=", "value": value})]}
            strata = tuple(of_collection(other) for other in sorted(collections) if other != name)[:14]
            found.append(Target(base, FIELDS[of], (), tuple(large), strata, len(cell)))
    random.Random(11).shuffle(found)  # noqa: S311
    return tuple(found)
