"""A definition after parsing: a closed typed tree whose fields, values and units are those of the catalogue already."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from fairlead.index import FRAME
from fairlead.records import Grain, Scalar

type Op = Literal["in", "<", "<=", ">", ">=", "between", "exists", "missing", "match"]
type Counted = Literal["study", "series", "image"]
type Group = Literal["patient", "study", "frameOfReference"]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds."""

    of: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    of: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class NotOf:
    """The part is known not to hold."""

    of: Node


@dataclass(frozen=True, slots=True)
class AtLeastOf:
    """At least ``count`` of the parts hold."""

    count: int
    of: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class HasWhere:
    """The same patient, study or frame of reference has between ``minimum`` and ``maximum`` things for which ``where`` holds."""

    grain: Counted
    same: Group
    where: Node
    minimum: int = 1
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class LatestWhere:
    """The record is of the last day on which its patient has something for which ``where`` holds."""

    where: Node


@dataclass(frozen=True, slots=True)
class Compare:
    """One field compared: ``values`` are in the catalogue's unit and spelling; ``in`` holds them sorted and once."""

    field: str
    op: Op
    values: tuple[Scalar, ...] = ()
    or_missing: bool = False


@dataclass(frozen=True, slots=True)
class CohortRef:
    """The record is a member of a frozen version, ``ID@N`` (``ID@latest`` in drafts)."""

    ref: str


@dataclass(frozen=True, slots=True)
class TailIs:
    """The record's long tail, what no field holds, has one of these values under a path; ``values`` are sorted and once."""

    path: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """The record is one of these ids, which somebody chose for a stated reason; ``ids`` are sorted and once."""

    ids: tuple[str, ...]
    reason: str


type Node = AllOf | AnyOf | NotOf | AtLeastOf | HasWhere | LatestWhere | Compare | CohortRef | TailIs | Listed


@dataclass(frozen=True, slots=True)
class Rule:
    """One named step."""

    name: str
    where: Node


@dataclass(frozen=True, slots=True)
class Definition:
    """A parsed definition. Members are the records for which ``include`` and every rule hold and no exclusion can hold."""

    title: str
    unit: Grain
    include: Node
    rules: tuple[Rule, ...] = ()
    exclude: tuple[Rule, ...] = ()
    centers: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    id: str | None = None
    version: int | None = None
    parent: str | None = None
    description: str = ""
    purpose: str = ""

    @property
    def trees(self) -> tuple[Node, ...]:
        """Every tree of the definition, in order."""
        return (self.include, *(rule.where for rule in (*self.rules, *self.exclude)))


def children(node: Node) -> tuple[Node, ...]:
    """Return the direct parts of a node."""
    match node:
        case AllOf(of) | AnyOf(of) | AtLeastOf(_, of):
            return of
        case NotOf(of=child) | HasWhere(where=child) | LatestWhere(where=child):
            return (child,)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and everything below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def fields_used(definition: Definition) -> tuple[str, ...]:
    """Return the fields that the definition compares or groups by, sorted."""
    nodes = [node for tree in definition.trees for node in walk(tree)]
    framed = {FRAME for node in nodes if isinstance(node, HasWhere) and node.same == "frameOfReference"}
    return tuple(sorted(framed | {node.field for node in nodes if isinstance(node, Compare)}))


def cohorts_used(definition: Definition) -> tuple[str, ...]:
    """Return the references to other cohorts, sorted."""
    return tuple(sorted({node.ref for tree in definition.trees for node in walk(tree) if isinstance(node, CohortRef)}))


def tails_used(definition: Definition) -> tuple[str, ...]:
    """Return the paths of the long tail that the definition compares, sorted."""
    return tuple(sorted({node.path for tree in definition.trees for node in walk(tree) if isinstance(node, TailIs)}))


def lists_used(definition: Definition) -> int:
    """Return how many records the definition names one by one."""
    return sum(len(node.ids) for tree in definition.trees for node in walk(tree) if isinstance(node, Listed))
