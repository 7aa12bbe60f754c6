"""Dates of a question widened to whole months or years, so that shifting a bound by a day asks nothing new."""

from __future__ import annotations

import calendar
from dataclasses import replace
from typing import Literal

from fairlead.cohort import Definition
from fairlead.cohort.nodes import AllOf, AnyOf, AtLeastOf, Compare, HasWhere, LatestWhere, Node, NotOf, Rule
from fairlead.extract import FieldCatalogue
from fairlead.records import Scalar

type Step = Literal["day", "month", "year"]


def widened(definition: Definition, catalogue: FieldCatalogue, step: Step) -> Definition:
    """Return the definition with every date bound moved outwards to the beginning or end of its month or year."""
    if step == "day":
        return definition

    def wide(node: Node) -> Node:
        """Return the node with every date range widened to whole spans."""
        match node:
            case AllOf(of) | AnyOf(of):
                return type(node)(tuple(wide(part) for part in of))
            case AtLeastOf(count, of):
                return AtLeastOf(count, tuple(wide(part) for part in of))
            case NotOf(of=inner):
                return NotOf(wide(inner))
            case HasWhere(where=inner) | LatestWhere(where=inner):
                return replace(node, where=wide(inner))
            case Compare(field=name) if catalogue.get(name).type == "date":
                return _bounded(node, step)
            case _:
                return node

    def rules(given: tuple[Rule, ...]) -> tuple[Rule, ...]:
        """Return rules with their ranges widened."""
        return tuple(Rule(rule.name, wide(rule.where)) for rule in given)

    return replace(definition, include=wide(definition.include), rules=rules(definition.rules), exclude=rules(definition.exclude))


def _bounded(node: Compare, step: Step) -> Node:
    match node.op, node.values:
        case (("<" | "<="), (last,)):
            return replace(node, op="<=", values=(_end(last, step),))
        case ((">" | ">="), (first,)):
            return replace(node, op=">=", values=(_begin(first, step),))
        case "between", (first, last):
            return replace(node, values=(_begin(first, step), _end(last, step)))
        case "in", days:
            periods = sorted({(_begin(day, step), _end(day, step)) for day in days})
            spans = tuple(Compare(node.field, "between", period, node.or_missing) for period in periods)
            return spans[0] if len(spans) == 1 else AnyOf(spans)
        case _:
            return node


def _begin(day: Scalar, step: Step) -> str:
    return str(day)[:4] + "-01-01" if step == "year" else str(day)[:7] + "-01"


def _end(day: Scalar, step: Step) -> str:
    year, month = int(str(day)[:4]), 12 if step == "year" else int(str(day)[5:7])
    return f"{year:04d}-{month:02d}-{calendar.monthrange(year, month)[1]:02d}"
