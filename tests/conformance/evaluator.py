"""The truth about a criterion, in plain Python and without any cleverness: engines must agree with it on every input."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.index.criteria import (
    FRAME,
    All,
    And,
    AtLeast,
    Criterion,
    Exists,
    Group,
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
    within_bounds,
)
from fairlead.index.rows import Row
from fairlead.index.tail import long_tail

type Truth = bool | None
"""None is unknown."""


def members(criterion: Criterion, rows: Sequence[Row]) -> set[str]:
    """Return the ids for which the criterion is true."""
    return {row.id for row in rows if truth(criterion, row, rows) is True}


def truth(node: Criterion, row: Row, rows: Sequence[Row]) -> Truth:  # noqa: C901  # one flat match, a case a node kind
    """Return true, false or unknown for one record among all records."""
    match node:
        case All():
            return True
        case Exists(name):
            return name in row.values
        case Missing(name):
            return name not in row.values
        case Tail(path, value):
            assert row.record is not None
            values = long_tail(row.record).get(path)
            return None if values is None else value in values
        case MembersOf(ids, patients):
            return row.id in ids or row.patient in patients
        case And(of):
            return conjunction([truth(part, row, rows) for part in of])
        case Or(of):
            return negation(conjunction([negation(truth(part, row, rows)) for part in of]))
        case Not(part):
            return negation(truth(part, row, rows))
        case AtLeast(count, of):
            verdicts = [truth(part, row, rows) for part in of]
            return between(verdicts.count(True), verdicts.count(True) + verdicts.count(None), count, None)
        case Has():
            return has(node, row, rows)
        case Latest(where, by):
            if by not in row.values:
                return None
            mine = [other for other in rows if other.patient == row.patient and by in other.values and truth(where, other, rows)]
            return bool(mine) and max(row.values[by]) == max(max(other.values[by]) for other in mine)
        case Term() | OneOf() | Range() | Text():
            if node.field not in row.values:
                return True if node.or_missing else None
            return any(compare(node, value) for value in row.values[node.field])


def compare(node: Term | OneOf | Range | Text, value: object) -> bool:
    """Return whether one stated value satisfies the leaf."""
    match node:
        case Term():
            return value == node.value
        case OneOf():
            return value in node.values
        case Range():
            return within_bounds(value, node)
        case Text():
            words = "".join(letter if letter.isalnum() or letter == "_" else " " for letter in str(value).casefold()).split()
            return all(word.casefold() in words for word in node.words)


def has(node: Has, row: Row, rows: Sequence[Row]) -> Truth:
    """Count the records of the same patient or study for which ``where`` surely and possibly holds."""
    if node.same == "frameOfReference" and FRAME not in row.values:
        return None
    group = [other for other in rows if group_of(other, node.same) == group_of(row, node.same)]
    verdicts = [(other, truth(node.where, other, rows)) for other in group]
    sure = [other for other, verdict in verdicts if verdict is True]
    possible = [other for other, verdict in verdicts if verdict is not False]
    return between(amount(node, sure), amount(node, possible), node.minimum, node.maximum)


def group_of(row: Row, same: Group) -> object:
    """Return what records of one group share."""
    match same:
        case "patient":
            return row.patient
        case "study":
            return row.study
        case "frameOfReference":
            return row.patient, min(row.values.get(FRAME, ()), default=None)


def amount(node: Has, rows: Sequence[Row]) -> int:
    """Return how many things of the counted grain the records hold."""
    match node.grain:
        case "study":
            return len({row.study for row in rows})
        case "image":
            return sum(row.images for row in rows)
        case "series":
            return len(rows)


def between(fewest: int, most: int, minimum: int, maximum: int | None) -> Truth:
    """Return whether a number somewhere in [fewest, most] lies in [minimum, maximum]: surely, surely not, or unknown."""
    if fewest >= minimum and (maximum is None or most <= maximum):
        return True
    return None if most >= minimum and (maximum is None or fewest <= maximum) else False


def negation(verdict: Truth) -> Truth:
    """Return Kleene's not."""
    return None if verdict is None else not verdict


def conjunction(verdicts: Sequence[Truth]) -> Truth:
    """Return Kleene's and."""
    if False in verdicts:
        return False
    return None if None in verdicts else True
