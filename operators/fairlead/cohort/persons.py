"""A definition as a tree about persons: what networks understand that know persons and their properties, but no series.

Members are series, so several criteria beside each other speak of one series. About persons the same is said only by one such
criterion, or by ``has``; everything else is refused by the name of its rule and never approximated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fairlead.cohort.nodes import AllOf, AnyOf, AtLeastOf, Compare, Definition, HasWhere, Node, NotOf
from fairlead.errors import UnsupportedInput

INCLUDE = "include"


@dataclass(frozen=True, slots=True)
class Having:
    """The person has a series for which the comparison holds; ``denied``: one that is known to be otherwise."""

    where: Compare
    denied: bool = False


@dataclass(frozen=True, slots=True)
class Every:
    """Every part holds for the person."""

    of: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least ``count`` of the parts hold."""

    of: tuple[Person, ...]
    count: int = 1


@dataclass(frozen=True, slots=True)
class Denied:
    """The part is known not to hold."""

    of: Person


type Person = Having | Every | Either | Denied


@dataclass(frozen=True, slots=True)
class Demand:
    """One rule of the definition, about persons."""

    rule: str
    person: Person


def cannot(target: str, rule: str, why: str) -> UnsupportedInput:
    """Return the refusal that names the rule."""
    return UnsupportedInput(
        f"{target} cannot express the rule {rule!r}: {why}.", remedy="Share the definition itself, or leave the rule out."
    )


def demands(definition: Definition, target: str) -> tuple[Demand, ...]:
    """Return what the definition demands of persons, in its order; the patients of the members are those who meet all of it.

    Raises
    ------
    UnsupportedInput : a rule speaks of series in a way that a network of persons has no words for.
    """
    if definition.centers or definition.projects:
        raise cannot(target, "scope", "it knows no centres and projects of ours")
    found, of_series = [], ""
    for rule, node in _conjuncts(definition):
        if _is_of_series(node):
            if of_series:
                raise cannot(target, rule, f"with {of_series!r} it speaks of one and the same series; write each under `has: series`")
            of_series = rule
            found.append(Demand(rule, _having(node, target, rule)))
        else:
            found.append(Demand(rule, _person(node, target, rule)))
    return tuple(found)


def _conjuncts(definition: Definition) -> Iterator[tuple[str, Node]]:
    named = [(INCLUDE, definition.include), *((rule.name, rule.where) for rule in definition.rules)]
    named += [(rule.name, NotOf(rule.where)) for rule in definition.exclude]
    for rule, node in named:
        yield from ((rule, part) for part in _flat(node) if part != Compare("kind", "exists"))


def _flat(node: Node) -> Iterator[Node]:
    if isinstance(node, AllOf):
        for part in node.of:
            yield from _flat(part)
    else:
        yield node


def _is_of_series(node: Node) -> bool:
    match node:
        case Compare() | NotOf(of=Compare()):
            return True
        case AllOf(of) | AnyOf(of):
            return any(_is_of_series(part) for part in of)
        case _:
            return False


def _person(node: Node, target: str, rule: str) -> Person:
    match node:
        case HasWhere(grain="series", same="patient", where=where, minimum=1, maximum=None):
            return _having(where, target, rule)
        case HasWhere(grain="series", same="patient", where=where, minimum=0, maximum=0):
            return Denied(_having(where, target, rule))
        case HasWhere():
            raise cannot(target, rule, "it counts, or looks at one study or frame of reference")
        case AllOf(of):
            return Every(tuple(_person(part, target, rule) for part in of))
        case AnyOf(of):
            return Either(tuple(_person(part, target, rule) for part in of))
        case AtLeastOf(count, of):
            return Either(tuple(_person(part, target, rule) for part in of), count)
        case NotOf(of=inner):
            return Denied(_person(inner, target, rule))
        case Compare():
            raise cannot(target, rule, "a criterion of one series stands beside criteria of the patient")
        case _:
            raise cannot(target, rule, "it refers to a frozen cohort or to the latest study")


def _having(node: Node, target: str, rule: str) -> Person:
    """Return what a criterion of one series says of its person: "one of" may be asked apart, "all of" may not."""
    match node:
        case Compare(or_missing=False):
            return Having(node)
        case NotOf(of=Compare(or_missing=False) as inner):
            return Having(inner, denied=True)
        case AnyOf(of):
            return Either(tuple(_having(part, target, rule) for part in of))
        case Compare():
            raise cannot(target, rule, "it takes in what is not stated")
        case _:
            raise cannot(target, rule, "it says several things of one series")
