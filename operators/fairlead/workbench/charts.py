"""Charts as Vega-Lite 6 documents, each with the table of the same numbers for people and programs that see no picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fairlead.records import JsonObject, Scalar
from fairlead.workbench.cards import short_label
from fairlead.workbench.definition import definition_of
from fairlead.workbench.services import Bucket, Workbench
from fairlead.workbench.state import PageState

SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"
CROSSED: Final = (("body_part", "Body part"), ("manufacturer", "Manufacturer"), ("center", "Centre"))
SIDES: Final = ("F", "M")
"""Left and right of the age pyramid; who states another sex or none is in no side of it, and the facet card counts them."""
SIDE_COLOURS: Final = ("#e69f00", "#56b4e9")
AGE: Final = "patient.age_years"
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
    brush: str = ""
    """The field whose bounds are set by drawing over the bars."""


def charts(state: PageState, workbench: Workbench) -> tuple[Chart, ...]:
    """Return the charts for which there is something to draw."""
    definition = definition_of(state)
    declared = workbench.catalogue.fields
    names = [name for name in ("study_date", AGE, "modality", "patient.sex", "center") if name in declared]
    facets = chosen(state, workbench.data.facets(definition, names))
    drawn = [
        years(facets.get("study_date", ())),
        pyramid(state, workbench, facets) or histogram(facets.get(AGE, ()), title="Patients by age", axis="Age (years)"),
        *crosses(state, workbench, facets),
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
    chart = _bars("Patients by year of study (draw over the years to choose them)", "Year", rows)
    chart.spec["params"] = [{"name": "brush", "select": {"type": "interval", "encodings": ["x"]}}]
    return replace(chart, brush="study_date")


def histogram(buckets: Sequence[Bucket], *, title: str, axis: str) -> Chart | None:
    """Return patients per interval of a number; a patient with two values counts in both."""
    numbers = _numbers(buckets)
    return _bars(title, axis, _tally(numbers, numbers)) if numbers else None


def _numbers(buckets: Sequence[Bucket]) -> list[tuple[float, int]]:
    return [(float(bucket.value), bucket.patients) for bucket in buckets if isinstance(bucket.value, int | float)]


def _tally(numbers: Sequence[tuple[float, int]], within: Sequence[tuple[float, int]]) -> list[tuple[str, int]]:
    """Return patients per interval of a round width that spans ``within``."""
    low, high = min(number for number, _ in within), max(number for number, _ in within)
    step = nice_step((high - low) / 12)
    start = int(low // step)
    tally = [0] * (int(high // step) - start + 1)
    for number, patients in numbers:
        tally[int(number // step) - start] += patients
    return [(f"{(start + place) * step:g}–{(start + place + 1) * step:g}", count) for place, count in enumerate(tally)]


def pyramid(state: PageState, workbench: Workbench, facets: Mapping[str, Sequence[Bucket]]) -> Chart | None:
    """Return patients by age, one sex to each side, the oldest on top; None where not both are stated with an age."""
    stated = {bucket.value for bucket in facets.get("patient.sex", ())}
    if not stated.issuperset(SIDES):
        return None
    base = definition_of(state)
    found = {sex: chosen(state, workbench.data.facets(_also(base, "patient.sex", sex), [AGE]))[AGE] for sex in SIDES}
    ages = {sex: _numbers(buckets) for sex, buckets in found.items()}
    if not all(ages.values()):
        return None
    sides = {sex: _tally(numbers, [*ages["F"], *ages["M"]]) for sex, numbers in ages.items()}
    rows = [(name, sex, count) for sex in SIDES for name, count in reversed(sides[sex])]
    return Chart("Patients by age and sex", _two_sided(rows), ("Age (years)", "Sex", "Patients"), tuple(rows))


def _two_sided(rows: Sequence[tuple[str, str, int]]) -> JsonObject:
    values = [{"bin": name, "sex": sex, "patients": count, "side": -count if sex == SIDES[0] else count} for name, sex, count in rows]
    shown = [{"field": field, "title": title} for field, title in (("bin", "Age"), ("sex", "Sex"), ("patients", "Patients"))]
    return {
        "$schema": SCHEMA,
        "data": {"values": values},
        "mark": "bar",
        "width": "container",
        "autosize": {"type": "fit-x", "contains": "padding"},
        "height": 160,
        "encoding": {
            "y": {"field": "bin", "type": "ordinal", "title": "Age (years)", "sort": None, "axis": {"labelOverlap": True}},
            "x": {
                "field": "side",
                "type": "quantitative",
                "title": "Patients",
                "axis": {"labelExpr": "abs(datum.value)", "tickMinStep": 1},
            },
            "color": {"field": "sex", "type": "nominal", "title": "Sex", "scale": {"domain": list(SIDES), "range": list(SIDE_COLOURS)}},
            "tooltip": shown,
        },
    }


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


def crosses(state: PageState, workbench: Workbench, facets: Mapping[str, Sequence[Bucket]]) -> Iterator[Chart | None]:
    """Return patients per modality and value of other fields; centres only where there are several."""
    several = len({bucket.value for bucket in facets.get("center", ())}) > 1
    fields = {name: title for name, title in CROSSED if name in workbench.catalogue.fields and (several or name != "center")}
    cells: dict[str, list[Cell]] = {name: [] for name in fields}
    for modality in [bucket for bucket in facets.get("modality", ()) if bucket.value is not None][:MAX_ROWS]:
        within = _also(definition_of(state), "modality", modality.value)
        found = chosen(state, workbench.data.facets(within, list(fields)))
        row = short_label(modality.value, modality.label)
        for name, buckets in found.items():
            cells[name] += [(row, bucket.label, bucket.patients) for bucket in buckets]
    return (_heat_map(_largest(cells[name]), title=title) for name, title in fields.items())


def _also(definition: JsonObject, field: str, value: Scalar | None) -> JsonObject:
    return {**definition, "include": {"all": [definition["include"], {"field": field, "op": "in", "value": [value]}]}}


def _heat_map(cells: Sequence[Cell], *, title: str) -> Chart | None:
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
