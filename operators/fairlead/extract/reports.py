"""What a structured report measures: its NUM content items (PS3.3 C.17.3) as coded concept, number and UCUM unit; never its texts.

Measurements are kept by concept and unit, in the long tail (``dicom/measurements/SCT:118565006/mm3``), and in those fields of the
catalogue that name a concept as their source.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pydicom import Dataset

from fairlead.extract.headers import decoded, values_of
from fairlead.extract.identity import Scrubber
from fairlead.extract.readings import as_number
from fairlead.extract.tagpaths import Coded, coded
from fairlead.extract.vocabulary import curie_of
from fairlead.records import JsonObject

CONTENT_TREE: Final = 0x0040A730
MAX_DEPTH: Final = 12
MAX_MEASURED: Final = 256
"""Measurements of one report that are looked at."""

MAX_KEPT: Final = 1000
"""Distinct measurements of one series that are kept."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One numeric content item; ``value`` is None where the report gives a reason instead of a number, or no UCUM unit."""

    concept: Coded
    value: float | None = None
    unit: str = ""


def measurements(dataset: Dataset, *, depth: int = 0) -> Iterator[Measurement]:
    """Yield every numeric content item with a coded name, in the order of the tree; deeper than 12 levels nothing is looked for."""
    if CONTENT_TREE not in dataset or depth > MAX_DEPTH:
        return
    for item in values_of(decoded(dataset, CONTENT_TREE)):
        if not isinstance(item, Dataset):
            continue
        kind = decoded(item, "ValueType")
        if kind is not None and str(kind.value) == "NUM":
            yield from _measured(item)
        yield from measurements(item, depth=depth + 1)


def _measured(item: Dataset) -> Iterator[Measurement]:
    concept = _code(item, "ConceptNameCodeSequence")
    if concept is None:
        return
    for measured in values_of(decoded(item, "MeasuredValueSequence"))[:1]:  # PS3.3 Table C.18.1-1: none or one item
        unit = _code(measured, "MeasurementUnitsCodeSequence") if isinstance(measured, Dataset) else None
        value = as_number(next(iter(values_of(decoded(measured, "NumericValue"))), None)) if unit is not None else None
        if unit is not None and unit.scheme == "UCUM" and value is not None:
            yield Measurement(concept, value, unit.code)
            return
    yield Measurement(concept)


def _code(item: Dataset, keyword: str) -> Coded | None:
    found = next(iter(values_of(decoded(item, keyword))), None)
    return coded(found) if isinstance(found, Dataset) else None


def by_concept(measured: Iterable[Measurement], scrubber: Scrubber) -> JsonObject:
    """Return the numbers by CURIE of the concept and by unit, sorted; a number that is an identity of the source is left out."""
    found: dict[str, dict[str, set[float]]] = {}
    for one in measured:
        concept = curie_of(one.concept.code, one.concept.scheme)
        if concept is not None and one.value is not None and not scrubber.equals(one.value):
            found.setdefault(concept, {}).setdefault(one.unit, set()).add(one.value)
    return {concept: {unit: sorted(units[unit]) for unit in sorted(units)} for concept, units in sorted(found.items())}
