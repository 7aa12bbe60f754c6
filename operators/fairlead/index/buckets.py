"""Facets of the embedded engine: series and exact patients of every bucket of a field from one pass over the members.

For each field every combination of a value and a patient that occurs is one *pair* with a number, and pairs are numbered by
value. Counting the members' pairs then gives the series of every bucket, and counting those that occur at all its patients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairlead.extract import FieldDeclaration
from fairlead.index.columns import Columns, Ints, positions
from fairlead.index.port import FacetValue
from fairlead.index.rows import UNKNOWN_LABEL, label_of
from fairlead.records import Scalar


@dataclass(frozen=True, slots=True)
class Buckets:
    """The buckets of one field. ``starts`` is the first pair of each value; None among the values is "not stated".

    ``pair_of`` is the pair by ordinal, for records with one value; ``more`` holds (ordinals, pairs) of all values beyond the first.
    """

    values: tuple[Scalar | None, ...]
    starts: Ints
    pair_of: NDArray[np.int32]
    more: tuple[Ints, NDArray[np.int32]]

    def count(self, ordinals: Ints) -> list[tuple[Scalar | None, int, int]]:
        """Return (value, patients, series) of every bucket that a member is in."""
        pairs = self.pair_of[ordinals]
        if len(self.more[0]):
            member = np.zeros(len(self.pair_of), dtype=np.bool_)
            member[ordinals] = True
            pairs = np.concatenate([pairs, self.more[1][member[self.more[0]]]])
        times = np.bincount(pairs, minlength=int(self.starts[-1]))
        series = np.add.reduceat(times, self.starts[:-1])
        patients = np.add.reduceat((times > 0).astype(np.int64), self.starts[:-1])
        return [(self.values[at], int(patients[at]), int(series[at])) for at in np.flatnonzero(series)]


def buckets_of(field: FieldDeclaration, columns: Columns) -> Buckets:
    """Return the buckets of one field over everybody alive, dates by year."""
    values: list[Scalar | None] = []
    codes, ordinals = _entries(field, columns, values)
    unstated = positions(columns.alive - columns.stated(field.id))
    values.append(None)
    codes = np.concatenate([codes, np.full(len(unstated), len(values) - 1, dtype=np.int64)])
    ordinals = np.concatenate([ordinals, unstated])
    patients = max(len(columns.patient.names), 1)
    keys, pairs = np.unique(codes * patients + columns.codes("patient")[ordinals], return_inverse=True)
    starts = np.searchsorted(keys, np.arange(len(values) + 1) * patients)
    kept = [value for value, some in zip(values, np.diff(starts), strict=True) if some]
    first, where = np.unique(ordinals, return_index=True)
    pair_of = np.zeros(len(columns.codes("patient")), dtype=np.int32)
    pair_of[first] = pairs[where]
    rest = np.ones(len(ordinals), dtype=np.bool_)
    rest[where] = False
    bounds = np.append(starts[:-1][np.diff(starts) > 0], len(keys)).astype(np.int64)
    return Buckets(tuple(kept), bounds, pair_of, (ordinals[rest], pairs[rest].astype(np.int32)))


def _entries(field: FieldDeclaration, columns: Columns, values: list[Scalar | None]) -> tuple[Ints, Ints]:
    """Return (codes, ordinals) of every stated value that is alive; append what the codes stand for to ``values``."""
    parts: list[tuple[Ints, Ints]] = []
    if field.id in columns.numbers:
        stated, ordinals = columns.derive("numbers", field.id, columns.numbers[field.id].sorted)
        alive = np.isin(ordinals, positions(columns.alive))
        distinct, codes = np.unique(stated[alive], return_inverse=True)
        values += [int(one) if field.type == "integer" else float(one) for one in distinct]
        parts.append((codes.astype(np.int64), ordinals[alive]))
    groups: dict[Scalar, list[Scalar]] = {}
    known = columns.values.get(field.id, {})
    for value in known:
        groups.setdefault(str(value)[:4] if field.type == "date" else value, []).append(value)
    for name, members in groups.items():
        found = positions(known[members[0]].union(*(known[one] for one in members[1:])) & columns.alive)
        parts.append((np.full(len(found), len(values), dtype=np.int64), found))
        values.append(name)
    empty = np.zeros(0, dtype=np.int64)
    return tuple(np.concatenate([empty, *(part[side] for part in parts)]) for side in (0, 1))  # type: ignore[return-value]  # two sides


def facet(field: FieldDeclaration, columns: Columns, ordinals: Ints) -> tuple[FacetValue, ...]:
    """Return the buckets of one field for the members, most series first, the unknown ones last."""
    counted = columns.derive("buckets", field.id, lambda: buckets_of(field, columns)).count(ordinals)
    known = [
        FacetValue(value, label_of(value, field.vocabulary), patients, series) for value, patients, series in counted if value is not None
    ]
    known.sort(key=lambda bucket: (-bucket.series, bucket.label))
    return (*known, *(FacetValue(None, UNKNOWN_LABEL, patients, series) for value, patients, series in counted if value is None))
