"""What a search asks for: a closed tree of frozen nodes that every engine compiles and one plain evaluator explains.

Truth has three values (Kleene). A comparison with a field that the record does not state is *unknown*, and so is its
negation: ``Not`` never takes in a record because something is missing. Only :class:`Missing`, :class:`Exists`, and a
leaf with ``or_missing`` look at absence itself. A record is a member when the whole tree is *true*.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from fairlead.records import Scalar

type Group = Literal["patient", "study", "frameOfReference"]
type Counted = Literal["study", "series", "image"]

FRAME: Final = "series.frame_of_reference"
"""The field that says which series share a coordinate system (PS3.3 C.7.4.1)."""


@dataclass(frozen=True, slots=True)
class All:
    """Every record."""


@dataclass(frozen=True, slots=True)
class Term:
    """The field states this value, alone or among others."""

    field: str
    value: Scalar
    or_missing: bool = False


@dataclass(frozen=True, slots=True)
class OneOf:
    """The field states at least one of these values."""

    field: str
    values: tuple[Scalar, ...]
    or_missing: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """The field states a number or an ISO 8601 date within the bounds; a bound of None is open."""

    field: str
    gte: Scalar | None = None
    gt: Scalar | None = None
    lte: Scalar | None = None
    lt: Scalar | None = None
    or_missing: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """One value of the field holds every word, whole words, letter case ignored."""

    field: str
    words: tuple[str, ...]
    or_missing: bool = False


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is stated."""

    field: str


@dataclass(frozen=True, slots=True)
class Missing:
    """The field is not stated."""

    field: str


@dataclass(frozen=True, slots=True)
class And:
    """Every part holds; true when there is no part."""

    of: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds; false when there is no part."""

    of: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part is false; unknown stays unknown."""

    of: Criterion


@dataclass(frozen=True, slots=True)
class AtLeast:
    """At least ``count`` of the parts hold."""

    count: int
    of: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Has:
    """The record's group has between ``minimum`` and ``maximum`` studies, series or images where ``where`` holds.

    ``same`` is the group: patient, study, or those of a patient that share a frame of reference (the least of several).

    Unknown when records whose ``where`` is unknown could decide it, and where a record states no frame of reference but one is
    asked for. Images of a series stand and fall together.
    """

    grain: Counted
    where: Criterion
    minimum: int = 1
    maximum: int | None = None
    same: Group = "patient"


@dataclass(frozen=True, slots=True)
class Latest:
    """The record is of the last day on which its patient has a record where ``where`` surely holds; ``by`` is a date field.

    A record on that day is a member whatever else it is: ``where`` decides which day, not who is taken of it. False where nobody
    of the patient's matches, or the record is of another day; unknown where the record states no day.
    """

    where: Criterion
    by: str = "study_date"


@dataclass(frozen=True, slots=True)
class MembersOf:
    """The record is one of these ids (a frozen cohort, or an explicit list), or of one of these patients, as ``center:project:key``."""

    ids: frozenset[str]
    patients: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Tail:
    """The record's long tail holds exactly this value under a path (:mod:`fairlead.index.tail`); unknown where the path is not stated."""

    path: str
    value: str


type Leaf = Term | OneOf | Range | Text | Exists | Missing
type Criterion = All | Term | OneOf | Range | Text | Exists | Missing | And | Or | Not | AtLeast | Has | Latest | MembersOf | Tail

LEAVES = (Term, OneOf, Range, Text, Exists, Missing)


def parts(criterion: Criterion) -> tuple[Criterion, ...]:
    """Return the direct children of a node, none for a leaf."""
    match criterion:
        case And(of) | Or(of) | AtLeast(_, of):
            return of
        case Not(of=child) | Has(where=child) | Latest(where=child):
            return (child,)
        case _:
            return ()


def leaves(criterion: Criterion) -> Iterator[Leaf]:
    """Yield every node that compares a field."""
    if isinstance(criterion, LEAVES):
        yield criterion
    for part in parts(criterion):
        yield from leaves(part)


def fields_of(criterion: Criterion) -> frozenset[str]:
    """Return the ids of all fields that the tree compares."""
    return frozenset({leaf.field for leaf in leaves(criterion)} | {node.by for node in _latest(criterion)})


def _latest(criterion: Criterion) -> Iterator[Latest]:
    if isinstance(criterion, Latest):
        yield criterion
    for part in parts(criterion):
        yield from _latest(part)


def within_bounds(value: Scalar, bounds: Range) -> bool:
    """Return whether a stated value lies within the bounds; dates compare as ISO 8601 text."""
    return not (
        (bounds.gte is not None and value < bounds.gte)  # type: ignore[operator]  # a field has one type, checked by the caller
        or (bounds.gt is not None and value <= bounds.gt)  # type: ignore[operator]
        or (bounds.lte is not None and value > bounds.lte)  # type: ignore[operator]
        or (bounds.lt is not None and value >= bounds.lt)  # type: ignore[operator]
    )


def without_field(criterion: Criterion, field: str) -> Criterion:
    """Return the tree without those conjuncts that speak of this field only: what the field's own facet is counted under.

    >>> without_field(And((Term("modality", "CT"), Term("patient.sex", "F"))), "modality")
    And(of=(Term(field='patient.sex', value='F', or_missing=False),))
    """
    if isinstance(criterion, And):
        return And(tuple(without_field(part, field) for part in criterion.of if fields_of(part) != {field} or _refers(part)))
    if fields_of(criterion) == {field} and not _refers(criterion):
        return All()
    return criterion


def _refers(criterion: Criterion) -> bool:
    """Return whether the tree asks for more than this record's own field: group quantifiers, member lists and the long tail stay."""
    return isinstance(criterion, Has | Latest | MembersOf | Tail) or any(_refers(part) for part in parts(criterion))
