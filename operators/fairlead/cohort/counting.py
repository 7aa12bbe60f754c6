"""Answers about a definition that is not frozen: exact counts, attrition, missing values, facets."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fairlead.cohort.cells import csv_lines
from fairlead.cohort.compile import Resolve, compile_definition, no_cohorts, scope_of, steps
from fairlead.cohort.nodes import Definition, fields_used
from fairlead.cohort.sentence import sentence
from fairlead.extract import FieldCatalogue
from fairlead.index import All, And, Criterion, Facets, Index, Term
from fairlead.records import Counts, JsonObject

EVERYBODY: Final = All()


@dataclass(frozen=True, slots=True)
class Attrition:
    """What is left after one step of the definition."""

    rule: str
    patients: int
    series: int

    def as_json(self) -> JsonObject:
        """Return the step as the contract writes it."""
        return {"rule": self.rule, "patients": self.patients, "series": self.series}


@dataclass(frozen=True, slots=True)
class CohortCount:
    """Everything `fairlead cohort count` says. ``unknown`` counts, per field used, series in scope that do not state it."""

    counts: Counts
    unknown: dict[str, int]
    attrition: tuple[Attrition, ...]
    sentence: str

    def as_json(self) -> JsonObject:
        """Return the document of the contract."""
        return {
            "patients": self.counts.patients,
            "studies": self.counts.studies,
            "series": self.counts.series,
            "images": self.counts.images,
            "bytes": self.counts.size_bytes,
            "unknown": self.unknown,
            "attrition": [step.as_json() for step in self.attrition],
            "sentence": self.sentence,
        }


@dataclass(frozen=True, slots=True)
class CohortFacets:
    """Buckets per field, each field counted without its own conditions."""

    facets: Facets
    took_ms: float

    def as_json(self) -> JsonObject:
        """Return the document of the contract; a bucket with ``value`` null holds what does not state the field."""
        return {
            "facets": {
                field: [
                    {"value": bucket.value, "label": bucket.label, "patients": bucket.patients, "series": bucket.series}
                    for bucket in buckets
                ]
                for field, buckets in self.facets.items()
            },
            "took_ms": self.took_ms,
        }


def count_definition(
    definition: Definition, *, index: Index, catalogue: FieldCatalogue, cohorts: Resolve = no_cohorts, within: Criterion = EVERYBODY
) -> CohortCount:
    """Return exact numbers, the attrition of every named step, and how much the fields in use leave open.

    ``within`` is who may be counted at all: :meth:`CohortStore.consenting` leaves out who was withdrawn.
    """
    table, counts = attrition(definition, index, cohorts, within=within)
    return CohortCount(
        counts=counts,
        unknown=dict(index.missing(And((scope_of(definition), within)), fields_used(definition))),
        attrition=table,
        sentence=sentence(definition, catalogue),
    )


def attrition(
    definition: Definition, index: Index, cohorts: Resolve = no_cohorts, *, within: Criterion = EVERYBODY
) -> tuple[tuple[Attrition, ...], Counts]:
    """Return what is left after each step, and the counts after the last."""
    held: tuple[Criterion, ...] = () if within == EVERYBODY else (within,)
    table: list[Attrition] = []
    for step in steps(definition, cohorts):
        held = (*held, step.criterion)
        counts = index.count(And(held))
        table.append(Attrition(step.rule, counts.patients, counts.series))
    return tuple(table), counts


def attrition_by_center(
    definition: Definition, index: Index, cohorts: Resolve = no_cohorts, *, within: Criterion = EVERYBODY
) -> dict[str, tuple[Attrition, ...]]:
    """Return what is left after each step at each centre that the definition looks at, by its name."""
    (found,) = index.facets(narrowed(scope_of(definition), within), ["center"]).values()
    asked = definition.centers  # the facet of a field is counted without its own condition
    names = sorted(str(bucket.value) for bucket in found if bucket.value is not None and (not asked or bucket.value in asked))
    return {name: attrition(definition, index, cohorts, within=narrowed(Term("center", name), within))[0] for name in names}


def attrition_lines(together: Sequence[Attrition], apart: Mapping[str, Sequence[Attrition]]) -> Iterator[str]:
    """Yield the attrition of everybody and of each centre as CSV lines; ``center`` is empty for everybody."""
    yield "center,step,rule,patients,series"
    tables = {"": together, **apart}.items()
    yield from csv_lines(
        (center, number, step.rule, step.patients, step.series) for center, table in tables for number, step in enumerate(table, 1)
    )


def facet_definition(
    definition: Definition,
    *,
    index: Index,
    catalogue: FieldCatalogue,
    fields: Sequence[str] = (),
    cohorts: Resolve = no_cohorts,
    within: Criterion = EVERYBODY,
) -> CohortFacets:
    """Return multi-select facets of the named fields, or of all that the catalogue offers as facets."""
    named = [catalogue.get(name).id for name in fields] or [field.id for field in catalogue.fields.values() if field.facetable]
    began = time.monotonic()
    found = index.facets(narrowed(compile_definition(definition, cohorts), within), named)
    return CohortFacets(found, round((time.monotonic() - began) * 1000, 1))


def narrowed(criterion: Criterion, within: Criterion) -> Criterion:
    """Return the criterion among those who may be counted."""
    return criterion if within == EVERYBODY else And((criterion, within))


def last_step_before_nothing(table: Sequence[Attrition]) -> str:
    """Return the rule that removed the last patients."""
    return next(step.rule for step in table if step.series == 0)
