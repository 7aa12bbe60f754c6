"""Compile a criterion to bitmaps: for every node, who surely matches and who possibly does (Kleene's two bounds)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce, singledispatch
from operator import and_, or_

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from fairlead.errors import UnsupportedInput
from fairlead.index.columns import Columns, positions
from fairlead.index.criteria import (
    FRAME,
    All,
    And,
    AtLeast,
    Criterion,
    Exists,
    Has,
    Latest,
    MembersOf,
    Missing,
    Not,
    OneOf,
    Or,
    Range,
    Tail,
    Term,
    Text,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """``sure`` is who is true, ``possible`` adds who is unknown; ``sure`` lies within ``possible``."""

    sure: BitMap
    possible: BitMap


def exactly(found: BitMap) -> Answer:
    """Return an answer without unknowns."""
    return Answer(found, found)


def _compared(node: Term | OneOf | Range | Text, columns: Columns, compare: Callable[[], BitMap]) -> Answer:
    found = columns.selected(node, compare)
    either = found | (columns.alive - columns.stated(node.field))
    return exactly(either) if node.or_missing else Answer(found, either)


@singledispatch
def select(node: Criterion, columns: Columns) -> Answer:
    """Return who matches one node; raise UnsupportedInput for a node kind without a rule."""
    raise UnsupportedInput(f"The embedded index has no rule for {type(node).__name__}.")


@select.register
def _(node: All, columns: Columns) -> Answer:
    return exactly(columns.alive.copy())


@select.register
def _(node: Term, columns: Columns) -> Answer:
    return _compared(node, columns, lambda: columns.equal(node.field, (node.value,)))


@select.register
def _(node: OneOf, columns: Columns) -> Answer:
    return _compared(node, columns, lambda: columns.equal(node.field, node.values))


@select.register
def _(node: Range, columns: Columns) -> Answer:
    return _compared(node, columns, lambda: columns.between(node.field, node))


@select.register
def _(node: Text, columns: Columns) -> Answer:
    return _compared(node, columns, lambda: columns.text(node.field, node.words))


@select.register
def _(node: Exists, columns: Columns) -> Answer:
    return exactly(columns.stated(node.field))


@select.register
def _(node: Missing, columns: Columns) -> Answer:
    return exactly(columns.alive - columns.stated(node.field))


@select.register
def _(node: MembersOf, columns: Columns) -> Answer:
    return exactly(columns.listed(node.ids) | columns.of_patients(node.patients))


@select.register
def _(node: Tail, columns: Columns) -> Answer:
    found, stated = columns.tail(node)
    return Answer(found, found | (columns.alive - stated))


@select.register
def _(node: And, columns: Columns) -> Answer:
    answers = [select(part, columns) for part in node.of]
    return Answer(
        reduce(and_, (answer.sure for answer in answers), columns.alive),
        reduce(and_, (answer.possible for answer in answers), columns.alive),
    )


@select.register
def _(node: Or, columns: Columns) -> Answer:
    answers = [select(part, columns) for part in node.of]
    return Answer(
        reduce(or_, (answer.sure for answer in answers), BitMap()),
        reduce(or_, (answer.possible for answer in answers), BitMap()),
    )


@select.register
def _(node: Not, columns: Columns) -> Answer:
    inner = select(node.of, columns)
    return Answer(columns.alive - inner.possible, columns.alive - inner.sure)


@select.register
def _(node: AtLeast, columns: Columns) -> Answer:
    answers = [select(part, columns) for part in node.of]
    return Answer(
        _reached([answer.sure for answer in answers], node.count, columns),
        _reached([answer.possible for answer in answers], node.count, columns),
    )


def _reached(found: list[BitMap], count: int, columns: Columns) -> BitMap:
    # reached[k] holds who is in at least k of the bitmaps seen so far; going down keeps one bitmap from counting twice.
    reached = [columns.alive, *(BitMap() for _ in range(count))]
    for bitmap in found:
        for level in range(count, 0, -1):
            reached[level] = reached[level] | (reached[level - 1] & bitmap)
    return reached[count] & columns.alive


@select.register
def _(node: Has, columns: Columns) -> Answer:
    inner = select(node.where, columns)
    fewest, most = _per_group(inner.sure, node, columns), _per_group(inner.possible, node, columns)
    ceiling = np.iinfo(np.int64).max if node.maximum is None else node.maximum
    found = Answer(
        _everyone((fewest >= node.minimum) & (most <= ceiling), node, columns),
        _everyone((most >= node.minimum) & (fewest <= ceiling), node, columns),
    )
    if node.same != "frameOfReference":
        return found
    framed = columns.stated(FRAME)
    return Answer(found.sure & framed, found.possible | (columns.alive - framed))


@select.register
def _(node: Latest, columns: Columns) -> Answer:
    inner = select(node.where, columns).sure
    patients = columns.codes("patient")
    last = np.zeros(len(columns.patient.names), dtype=np.int64)
    days = columns.derive("days", node.by, lambda: _days(node.by, columns))
    matching = positions(inner)
    np.maximum.at(last, patients[matching], days[matching])
    everyone = positions(columns.alive)
    on_it = (days[everyone] > 0) & (days[everyone] == last[patients[everyone]])
    found = BitMap(everyone[on_it].astype(np.uint32))
    return Answer(found, found | (columns.alive - columns.stated(node.by)))


def _days(field: str, columns: Columns) -> NDArray[np.int64]:
    """Return the rank of the last day that each ordinal states, by ordinal; 0 where none is stated."""
    found = np.zeros(len(columns.codes("patient")), dtype=np.int64)
    known = columns.values.get(field, {})
    for rank, day in enumerate(sorted(known, key=str), 1):
        found[positions(known[day] & columns.alive)] = rank
    return found


def _per_group(found: BitMap, node: Has, columns: Columns) -> NDArray[np.int64]:
    """Return the number of matching studies, series or images per group code."""
    groups = _groups(node, columns)
    size = int(groups.max(initial=0)) + 1
    ordinals = positions(found)
    if node.grain == "study":  # one representative of each study in each group
        _, first = np.unique(groups[ordinals] * len(columns.study.names) + columns.codes("study")[ordinals], return_index=True)
        ordinals = ordinals[first]
    tally = np.zeros(size, dtype=np.int64)
    np.add.at(tally, groups[ordinals], columns.amounts("images")[ordinals] if node.grain == "image" else 1)
    return tally


def _everyone(chosen: NDArray[np.bool_], node: Has, columns: Columns) -> BitMap:
    everyone = positions(columns.alive)
    return BitMap(everyone[chosen[_groups(node, columns)[everyone]]].astype(np.uint32))


def _groups(node: Has, columns: Columns) -> NDArray[np.int64]:
    """Return the number of the group by ordinal; who states no frame of reference is in group 0, whose answer is not used."""
    return columns.derive("frames", FRAME, lambda: _frames(columns)) if node.same == "frameOfReference" else columns.codes(node.same)


def _frames(columns: Columns) -> NDArray[np.int64]:
    """Return a number by ordinal for each frame of reference of each patient (the least of several), 0 where none is stated."""
    known = columns.values.get(FRAME, {})
    frames = np.zeros(len(columns.codes("patient")), dtype=np.int64)
    for number, name in enumerate(sorted(known, key=str, reverse=True), 1):
        frames[positions(known[name])] = number
    _, numbers = np.unique(columns.codes("patient") * (len(known) + 1) + frames, return_inverse=True)
    return np.where(frames > 0, numbers.astype(np.int64) + 1, 0)
