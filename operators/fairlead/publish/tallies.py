"""Distributions of a dataset, in shares that single nobody out: what its datasheet draws.

A cell of people is shown when at least the governance threshold of them are in it, and so are all whom the other cells leave over:
a single hidden cell would be the whole less the others. Shares are multiples of five percent, so two versions of a cohort do not
tell who joined, unless a share was at the edge of a step. Shares of image series, which the record lists one by one
anyway, are exact to the percent.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from fairlead.publish.vocabulary import LICENCES, concept_iri
from fairlead.records import Concept, ImagingRecord, Tally, Value

UNSTATED: Final = "not stated"
FEW: Final = "others"
SEVERAL: Final = "several"
STEP: Final = 5
"""Percent that shares of people are rounded to."""
OLDEST: Final = 90
"""Years from which on ages are one group (HIPAA Safe Harbor, 45 CFR 164.514(b)(2)(i)(C))."""
LONGEST: Final = 80
SEXES: Final[Mapping[str, str]] = {"F": "female", "M": "male", "O": "other"}


def tallies(records: Sequence[ImagingRecord], *, threshold: int) -> tuple[Tally, ...]:
    """Return how people and series of a dataset are distributed."""
    people = {
        "Age at the study": lambda record: _age(_attribute(record, "patient.age_years")),
        "Sex": lambda record: SEXES.get(str(_attribute(record, "patient.sex") or ""), UNSTATED),
        "Manufacturer": lambda record: _word(_attribute(record, "manufacturer")),
        "Centre": lambda record: record.core.center,
    }
    series = {
        "Modality": lambda record: _label(record.core.modality or record.core.imaging_method),
        "Body part": lambda record: _label(record.core.body_part),
        "Organism": lambda record: _label(record.core.organism),
        "Quality of the source": lambda record: _word(_attribute(record, "quality.verdict")),
        "Licence stated by the source": lambda record: _licence(record.core.licence),
    }
    return (
        *(of_people(name, records, value, threshold=threshold) for name, value in people.items()),
        *(_of_series(name, map(value, records)) for name, value in series.items()),
    )


def of_people(name: str, records: Sequence[ImagingRecord], value: Callable[[ImagingRecord], str], *, threshold: int) -> Tally:
    """Return the shares of subjects by a value; one with several values is in a cell of its own."""
    found: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for record in records:
        found[(record.core.center, record.core.project, record.core.patient_key)].add(value(record))
    counts = Counter(values.pop() if len(values) == 1 else SEVERAL for values in found.values())
    shown = disclosed(counts, threshold=threshold)
    total = len(found)
    cells = tuple((label, round(100 * number / total / STEP) * STEP) for label, number in shown.items())
    return Tally(name=name, unit="subjects", cells=cells, hidden_below=0 if cells else threshold)


def disclosed(counts: Mapping[str, int], *, threshold: int) -> dict[str, int]:
    """Return the cells that may be shown, and the others in one; nothing when there are too few people for any.

    >>> disclosed({"F": 95, "M": 3}, threshold=10), disclosed({"F": 60, "M": 40, "O": 3}, threshold=10)
    ({}, {'F': 60, 'others': 43})
    """
    shown = {label: number for label, number in sorted(counts.items()) if number >= threshold}
    rest = sum(counts.values()) - sum(shown.values())
    while 0 < rest < threshold and shown:
        smallest = min(shown, key=lambda label: (shown[label], label))
        rest += shown.pop(smallest)
    if rest and not shown:
        return {}
    return shown | ({FEW: rest} if rest else {})


def _of_series(name: str, values: Iterable[str]) -> Tally:
    counts = Counter(values)
    total = counts.total()
    cells = tuple((label, round(100 * number / total)) for label, number in sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    return Tally(name=name, unit="series", cells=cells)


def _age(value: Value | None) -> str:
    if not isinstance(value, int | float):
        return UNSTATED
    decade = int(value) // 10 * 10
    return f"{OLDEST} and over" if value >= OLDEST else f"{decade:02d} to {decade + 9:02d}"


def _attribute(record: ImagingRecord, name: str) -> Value | None:
    community = record.community.dicom or record.community.ome
    return community.attributes.get(name) if community is not None else None


def _word(value: Value | None) -> str:
    words = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value or "")
    return words.replace("_", " ") if 0 < len(words) <= LONGEST else UNSTATED


def _licence(text: str | None) -> str:
    """Return the name of a licence that is known; what else stands in a file's licence may be anything."""
    if not text:
        return UNSTATED
    return next((name for name, iri in LICENCES.items() if text.casefold() in (name.casefold(), iri)), FEW)


def _label(concept: Concept | None) -> str:
    """Return a concept's name; words of headers without a meaning stay in the house."""
    return (concept.label or concept.raw) if concept is not None and concept_iri(concept.curie) else UNSTATED
