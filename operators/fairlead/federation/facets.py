"""Tables of a cohort by the values of a field, every cell protected as if it were asked alone, and the table as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pyroaring import BitMap

from fairlead.extract import FieldCatalogue, FieldDeclaration
from fairlead.federation.policy import Policy
from fairlead.federation.releasing import Released
from fairlead.index import And, Criterion, Index, Range, Term, label_of
from fairlead.records import JsonObject, Scalar

MOST_CELLS = 60


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of a table before protection."""

    value: Scalar
    label: str
    members: BitMap


def cells_of(
    field: FieldDeclaration, within: Criterion, *, index: Index, policy: Policy, count: Callable[[Criterion], BitMap]
) -> tuple[Cell, ...]:
    """Return the cells that have patients, by value; a table has at most ``MOST_CELLS`` cells, those with most series."""
    wanted = list(_criteria(field, within, index=index, policy=policy))[:MOST_CELLS]
    found = (Cell(value, label, count(And((within, criterion)))) for value, label, criterion in wanted)
    return tuple(sorted((cell for cell in found if cell.members), key=lambda cell: str(cell.value)))


def _criteria(field: FieldDeclaration, within: Criterion, *, index: Index, policy: Policy) -> Iterator[tuple[Scalar, str, Criterion]]:
    width = policy.fields.bins.get(field.id)
    values = [bucket.value for bucket in index.facets(within, [field.id])[field.id] if bucket.value is not None]
    match field.type:
        case "integer" | "float" if width is not None:
            for begin in sorted({float(value) // width * width for value in values}):
                yield begin, f"{begin:g} to below {begin + width:g}", Range(field.id, gte=begin, lt=begin + width)
        case "date":
            for year in (str(value)[:4] for value in values):
                yield year, year, Range(field.id, gte=f"{year}-01-01", lte=f"{year}-12-31")
        case "keyword" | "boolean":
            for value in values:
                yield value, label_of(value, field.vocabulary), Term(field.id, value)


def table(cells: tuple[Cell, ...], *, release: Callable[[BitMap], Released], catalogue: FieldCatalogue, field: str) -> JsonObject:
    """Return the rows that may be shown. Values below the threshold are not even named.

    A single hidden cell would be the total less the others, so a second one is hidden with it (complementary suppression): the one
    that a tighter policy would hide first, by its first number and its patients, so that no later policy shows it and hides another.
    The largest cell comes last: where the cells make up the total, its number is computed from theirs, and their noise weighs least in it.
    """
    released = [(cell, release(cell.members)) for cell in sorted(cells, key=lambda cell: len(cell.members))]
    rows = [(cell, one) for cell, one in released if one.patients is not None]
    if len(released) - len(rows) == 1 and rows:
        rows.remove(min(rows, key=lambda row: (min(row[1].first or 0, len(row[0].members)), str(row[0].value))))
    shown = sorted(rows, key=lambda row: (-(row[1].patients or 0), row[0].label))
    return {
        "field": field,
        "title": catalogue.get(field).title,
        "cells": [
            {"value": cell.value, "label": cell.label, "patients": one.patients, "plus_minus": one.plus_minus} for cell, one in shown
        ],
    }
