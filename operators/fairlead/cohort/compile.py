"""From a definition to the criterion that every index engine answers, step by step as attrition tells it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from fairlead.cohort.nodes import (
    AllOf,
    AnyOf,
    AtLeastOf,
    CohortRef,
    Compare,
    Definition,
    HasWhere,
    LatestWhere,
    Listed,
    Node,
    NotOf,
    TailIs,
)
from fairlead.errors import UnsupportedInput
from fairlead.index import All, And, AtLeast, Criterion, Exists, Has, Latest, MembersOf, Missing, Not, OneOf, Or, Range, Tail, Term, Text
from fairlead.records import Scalar

type Resolve = Callable[[str], frozenset[str]]
"""Gives the record ids of a frozen version, ``ID@N``; raises NotFound."""

IN_SCOPE: Final = "in scope"
INCLUDE: Final = "include"


@dataclass(frozen=True, slots=True)
class Step:
    """One conjunct of the definition, with the name that attrition shows."""

    rule: str
    criterion: Criterion


def no_cohorts(ref: str) -> frozenset[str]:
    """Refuse a reference where no store of cohorts is at hand."""
    raise UnsupportedInput(f"The definition refers to the cohort {ref}, and no store of cohorts is at hand.")


def steps(definition: Definition, resolve: Resolve = no_cohorts) -> tuple[Step, ...]:
    """Return scope, include, every rule and the negation of every exclusion, in the order of the definition."""
    found = [Step(IN_SCOPE, scope_of(definition)), Step(INCLUDE, compile_node(definition.include, resolve))]
    found += [Step(rule.name, compile_node(rule.where, resolve)) for rule in definition.rules]
    found += [Step(rule.name, Not(compile_node(rule.where, resolve))) for rule in definition.exclude]
    return tuple(found)


def compile_definition(definition: Definition, resolve: Resolve = no_cohorts) -> Criterion:
    """Return the one criterion whose members are the cohort."""
    return And(tuple(step.criterion for step in steps(definition, resolve) if step.criterion != All()))


def scope_of(definition: Definition) -> Criterion:
    """Return the centres and projects that the definition looks at."""
    named: Mapping[str, tuple[str, ...]] = {"center": definition.centers, "project": definition.projects}
    parts = tuple(OneOf(name, names) for name, names in named.items() if names)
    return And(parts) if parts else All()


def compile_node(node: Node, resolve: Resolve) -> Criterion:
    """Return the criterion of one node."""
    match node:
        case AllOf(of):
            return And(tuple(compile_node(part, resolve) for part in of))
        case AnyOf(of):
            return Or(tuple(compile_node(part, resolve) for part in of))
        case NotOf(of=inner):
            return Not(compile_node(inner, resolve))
        case AtLeastOf(count, of):
            return AtLeast(count, tuple(compile_node(part, resolve) for part in of))
        case HasWhere():
            return Has(node.grain, compile_node(node.where, resolve), node.minimum, node.maximum, node.same)
        case LatestWhere(where):
            return Latest(compile_node(where, resolve))
        case Listed() | CohortRef():
            return MembersOf(frozenset(node.ids) if isinstance(node, Listed) else resolve(node.ref))
        case TailIs(path, values):
            tails = tuple(Tail(path, value) for value in values)
            return tails[0] if len(tails) == 1 else Or(tails)
        case Compare():
            return _compare(node)
        case _:
            assert_never(node)


def _compare(node: Compare) -> Criterion:
    name, keep = node.field, node.or_missing
    first: Scalar | None = node.values[0] if node.values else None
    match node.op:
        case "in":
            return Term(name, node.values[0], keep) if len(node.values) == 1 else OneOf(name, node.values, keep)
        case "<":
            return Range(name, lt=first, or_missing=keep)
        case "<=":
            return Range(name, lte=first, or_missing=keep)
        case ">":
            return Range(name, gt=first, or_missing=keep)
        case ">=":
            return Range(name, gte=first, or_missing=keep)
        case "between":
            return Range(name, gte=first, lte=node.values[1], or_missing=keep)
        case "match":
            return Text(name, tuple(str(word) for word in node.values), keep)
        case "exists":
            return Exists(name)
        case "missing":
            return Missing(name)
        case _:
            assert_never(node.op)
