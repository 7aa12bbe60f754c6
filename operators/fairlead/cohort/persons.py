"""A definition as a tree about persons: what networks understand that know persons and their properties, but no series.

Members are series, so several criteria beside each other speak of one series. About persons the same is said only by one such
criterion, by ``has``, or by a field of the patient (sex), which says the same of every series of hers; everything else is refused
by the name of its rule and never approximated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fairlead.cohort.nodes import AllOf, AnyOf, AtLeastOf, Compare, Definition, HasWhere, Node, NotOf, walk
from fairlead.cohort.values import is_term
from fairlead.errors import UnsupportedInput
from fairlead.extract import FieldCatalogue
from fairlead.records import Grain

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


def demands(definition: Definition, target: str, catalogue: FieldCatalogue) -> tuple[Demand, ...]:
    """Return what the definition demands of persons, in its order; the patients of the members are those who meet all of it.

    Raises
    ------
    UnsupportedInput : a rule speaks of series in a way that a network of persons has no words for, or names a value that has no code.
    """
    if definition.centers or definition.projects:
        raise cannot(target, "scope", "it knows no centres and projects of ours")
    found: list[Demand] = []
    of_series: tuple[str, str] | None = None
    for rule, node in _conjuncts(definition):
        _require_terms(node, target, rule, catalogue)
        reading = _Reading(target, rule, catalogue)
        if reading.is_of_series(node):
            if of_series:
                first, fields = of_series
                why = f"with {first!r} ({fields}) it speaks of one and the same series ({_fields(node)}); write each under `has: series`"
                raise cannot(target, rule, why)
            of_series = rule, _fields(node)
            found.append(Demand(rule, reading.having(node)))
        else:
            found.append(Demand(rule, reading.person(node)))
    return tuple(found)


def _fields(node: Node) -> str:
    return ", ".join(sorted({part.field for part in walk(node) if isinstance(part, Compare)}))


def _require_terms(node: Node, target: str, rule: str, catalogue: FieldCatalogue) -> None:
    """Refuse words where the network has codes: what our vocabularies do not know is known nowhere else, and may be anything."""
    for part in walk(node):
        if isinstance(part, Compare) and part.op == "in":
            declared = catalogue.get(part.field)
            unknown = next((value for value in part.values if not is_term(declared, value)), None)
            if unknown is not None:
                raise cannot(target, rule, f"{str(unknown)[:60]!r} is no term of {part.field}, which is told by codes")


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


@dataclass(frozen=True, slots=True)
class _Reading:
    """Reads one rule for one target."""

    target: str
    rule: str
    catalogue: FieldCatalogue

    def cannot(self, why: str) -> UnsupportedInput:
        """Return the refusal of this rule."""
        return cannot(self.target, self.rule, why)

    def is_of_series(self, node: Node) -> bool:
        """Return whether a node holds a criterion that is about one series, and not about its patient whichever the series."""
        match node:
            case Compare() | NotOf(of=Compare()):
                return not self.is_of_patient(node)
            case AllOf(of) | AnyOf(of):
                return any(self.is_of_series(part) for part in of)
            case _:
                return False

    def is_of_patient(self, node: Node) -> bool:
        """Return whether a comparison is of a field that all series of a patient share."""
        compared = node.of if isinstance(node, NotOf) else node
        return isinstance(compared, Compare) and self.catalogue.get(compared.field).grain is Grain.PATIENT

    def person(self, node: Node) -> Person:
        """Return what a criterion about patients says of a person."""
        match node:
            case HasWhere(grain="series", same="patient", where=where, minimum=1, maximum=None):
                return self.having(where)
            case HasWhere(grain="series", same="patient", where=where, minimum=0, maximum=0):
                return Denied(self.having(where))
            case HasWhere():
                raise self.cannot("it counts, or looks at one study or frame of reference")
            case AllOf(of):
                return Every(tuple(self.person(part) for part in of))
            case AnyOf(of):
                return Either(tuple(self.person(part) for part in of))
            case AtLeastOf(count, of):
                return Either(tuple(self.person(part) for part in of), count)
            case Compare() | NotOf(of=Compare()) if self.is_of_patient(node):
                return self.having(node)
            case NotOf(of=inner):
                return Denied(self.person(inner))
            case Compare():
                raise self.cannot(f"a criterion of one series ({node.field}) stands beside criteria of the patient")
            case _:
                raise self.cannot("it refers to a frozen cohort or to the latest study")

    def having(self, node: Node) -> Person:
        """Return what a criterion of one series says of its person: "one of" may be asked apart, "all of" may not."""
        match node:
            case Compare(or_missing=False):
                return Having(node)
            case NotOf(of=Compare(or_missing=False) as inner):
                return Having(inner, denied=True)
            case AnyOf(of):
                return Either(tuple(self.having(part) for part in of))
            case Compare():
                raise self.cannot("it takes in what is not stated")
            case _:
                raise self.cannot(f"it says several things of one series ({_fields(node)})")
