"""Charts as Vega-Lite 6 documents, each with the table of the same numbers for people and programs that see no picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fairlead.records import JsonObject, Scalar
from fairlead.workbench.cards import short_label
from fairlead.workbench.definition import definition_of
from fairlead.workbench.services import Bucket, Workbench
from fairlead.workbench.state import PageState

SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"
CROSSED: Final = (("body_part", "Body part"), ("manufacturer", "Manufacturer"))
MAX_ROWS: Final = 12
MAX_BARS: Final = 60
NICE_STEPS: Final = (1, 2, 5, 10)

type Cell = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture and its numbers."""

    title: str
    spec: JsonObject
    heads: tuple[str, ...]
    rows: tuple[tuple[str | int, ...], ...]
    wide: bool = False


def charts(state: PageState, workbench: Workbench) -> tuple[Chart, ...]:
    """Return the charts for which there is something to draw."""
    definition = definition_of(state)
    declared = workbench.catalogue.fields
    names = [name for name in ("study_date", "patient.age_years", "modality") if name in declared]
    facets = chosen(state, workbench.data.facets(definition, names))
    drawn = [
        years(facets.get("study_date", ())),
        histogram(facets.get("patient.age_years", ()), title="Patients by age", axis="Age (years)"),
        *(crossed(state, workbench, facets.get("modality", ()), field=name, title=title) for name, title in CROSSED if name in declared),
    ]
    return tuple(chart for chart in drawn if chart is not None)


def chosen(state: PageState, facets: Mapping[str, tuple[Bucket, ...]]) -> dict[str, tuple[Bucket, ...]]:
    """Return the buckets that the field's own filter leaves; facets are counted without it, charts show what is in."""
    return {name: tuple(bucket for bucket in found if _is_in(state, name, bucket)) for name, found in facets.items()}


def _is_in(state: PageState, name: str, bucket: Bucket) -> bool:
    asked = state.active.get(name)
    if asked is None:
        return True
    if bucket.value is None:
        return asked.unknown == "in" or not (asked.include or asked.is_range or asked.unknown)
    if asked.is_range:
        return _within(bucket.value, asked.low, asked.high)
    return bucket.value not in asked.exclude and (bucket.value in asked.include or not (asked.include or asked.unknown == "in"))


def _within(value: Scalar, low: Scalar | None, high: Scalar | None) -> bool:
    if isinstance(value, str):  # a year of a date: ISO texts compare by their common prefix
        return (low is None or value >= str(low)[: len(value)]) and (high is None or value <= str(high)[: len(value)])
    return (low is None or value >= float(low)) and (high is None or value <= float(high))


def years(buckets: Sequence[Bucket]) -> Chart | None:
    """Return patients per year of study, every year between the first and the last."""
    counts = {str(bucket.value)[:4]: 0 for bucket in buckets if bucket.value is not None}
    for bucket in buckets:
        if bucket.value is not None:
            counts[str(bucket.value)[:4]] += bucket.patients
    known = sorted(year for year in counts if year.isdigit())
    if not known:
        return None
    first, last = int(known[0]), int(known[-1])
    every = [f"{year:04}" for year in range(max(first, last - MAX_BARS), last + 1)]
    rows = [(year, counts.get(year, 0)) for year in every]
    return _bars("Patients by year of study", "Year", rows)


def histogram(buckets: Sequence[Bucket], *, title: str, axis: str) -> Chart | None:
    """Return patients per interval of a number; a patient with two values counts in both."""
    numbers = [(float(bucket.value), bucket.patients) for bucket in buckets if isinstance(bucket.value, int | float)]
    if not numbers:
        return None
    low, high = min(number for number, _ in numbers), max(number for number, _ in numbers)
    step = nice_step((high - low) / 12)
    start = int(low // step)
    tally = [0] * (int(high // step) - start + 1)
    for number, patients in numbers:
        tally[int(number // step) - start] += patients
    rows = [(f"{(start + place) * step:g}–{(start + place + 1) * step:g}", count) for place, count in enumerate(tally)]
    return _bars(title, axis, rows)


def nice_step(width: float) -> float:
    """Return the next larger 1, 2, 5 or 10 times a power of ten, 1 at least.

    >>> nice_step(0.3), nice_step(3.4), nice_step(11)
    (1, 5, 20)
    """
    scale = 1
    while True:
        for nice in NICE_STEPS:
            if nice * scale >= width:
                return nice * scale
        scale *= 10


def crossed(state: PageState, workbench: Workbench, modalities: Sequence[Bucket], *, field: str, title: str) -> Chart | None:
    """Return patients per modality and value of another field."""
    cells = _largest(list(_cells(state, workbench, modalities, field=field)))
    if not cells:
        return None
    spec: JsonObject = {
        "$schema": SCHEMA,
        "data": {"values": [{"modality": row, "value": column, "patients": count} for row, column, count in cells]},
        "mark": {"type": "rect", "tooltip": True},
        "width": "container",
        "height": max(80, 24 * len({column for _, column, _ in cells})),
        "autosize": {"type": "fit-x", "contains": "padding"},
        "encoding": {
            "x": {"field": "modality", "type": "nominal", "title": "Modality", "axis": {"labelAngle": -45}},
            "y": {"field": "value", "type": "nominal", "title": title, "sort": None},
            "color": {"field": "patients", "type": "quantitative", "title": "Patients", "scale": {"scheme": "viridis", "domainMin": 0}},
        },
    }
    return Chart(f"Patients by modality and {title.lower()}", spec, ("Modality", title, "Patients"), tuple(cells), wide=True)


def _cells(state: PageState, workbench: Workbench, modalities: Sequence[Bucket], *, field: str) -> Iterator[Cell]:
    base = definition_of(state)
    for modality in [bucket for bucket in modalities if bucket.value is not None][:MAX_ROWS]:
        narrowed = {**base, "include": {"all": [base["include"], {"field": "modality", "op": "in", "value": [modality.value]}]}}
        found = chosen(state, workbench.data.facets(narrowed, [field]))[field]
        name = short_label(modality.value, modality.label)
        yield from ((name, bucket.label, bucket.patients) for bucket in found)


def _largest(cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells of the values that most patients have, the commonest value first."""
    totals: Counter[str] = Counter()
    for _, value, patients in cells:
        totals[value] += patients
    rank = {value: place for place, (value, _) in enumerate(totals.most_common(MAX_ROWS))}
    return sorted((cell for cell in cells if cell[1] in rank), key=lambda cell: rank[cell[1]])


def _bars(title: str, axis: str, rows: Sequence[tuple[str, int]]) -> Chart:
    spec: JsonObject = {
        "$schema": SCHEMA,
        "data": {"values": [{"bin": name, "patients": count} for name, count in rows]},
        "mark": {"type": "bar", "tooltip": True},
        "width": "container",
        "autosize": {"type": "fit-x", "contains": "padding"},
        "height": 160,
        "encoding": {
            "x": {"field": "bin", "type": "ordinal", "title": axis, "sort": None, "axis": {"labelOverlap": True}},
            "y": {"field": "patients", "type": "quantitative", "title": "Patients", "axis": {"tickMinStep": 1}},
        },
    }
    return Chart(title, spec, (axis, "Patients"), tuple(rows))
