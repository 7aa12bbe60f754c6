"""The embedded engine's columns: one Roaring bitmap of ordinals per (field, value), and the keys that make counts exact.

Ordinals only grow: a revised record gets a new one and its old one leaves ``alive``, so readers catch up from where
they stopped. Bitmaps may hold dead ordinals; every answer is masked by ``alive``.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from fairlead.extract import FieldDeclaration
from fairlead.index.criteria import Range
from fairlead.index.port import FacetValue
from fairlead.index.rows import UNKNOWN_LABEL, Row, label_of
from fairlead.records import Counts, Scalar

WORD: Final = re.compile(r"\w+")


def words_of(text: str) -> frozenset[str]:
    """Return the whole words of a text, letter case folded.

    >>> sorted(words_of("Chest CT, B30f"))
    ['b30f', 'chest', 'ct']
    """
    return frozenset(WORD.findall(text.casefold()))


class Key:
    """A grouping key (patient, study) as a small code per ordinal."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._codes: dict[str, int] = {}
        self._of: array[int] = array("q", [0])

    def add(self, ordinal: int, name: str) -> None:
        """Note the name of one ordinal; ordinals come in growing order, with gaps."""
        code = self._codes.setdefault(name, len(self.names))
        if code == len(self.names):
            self.names.append(name)
        self._of.extend([0] * (ordinal + 1 - len(self._of)))
        self._of[ordinal] = code

    def codes(self) -> NDArray[np.int64]:
        """Return the code by ordinal, shape (highest ordinal + 1,); a copy, because the array may grow meanwhile."""
        return np.array(self._of, dtype=np.int64)


class Columns:
    """All columns of one index file up to an ordinal. Not thread-safe: the adapter holds its lock."""

    def __init__(self) -> None:
        self.alive = BitMap()
        self.patient, self.study = Key(), Key()
        self.ids: dict[int, tuple[str, str]] = {}
        self.ordinal_of: dict[str, int] = {}
        self._values: dict[str, dict[Scalar, BitMap]] = {}
        self._stated: dict[str, BitMap] = {}
        self._images: array[int] = array("q", [0])
        self._bytes: array[int] = array("q", [0])
        self._frozen: dict[str, NDArray[np.int64]] = {}

    def add(self, ordinal: int, row: Row) -> None:
        """Add one row under an ordinal higher than all before."""
        self._frozen.clear()
        self.alive.add(ordinal)
        self.ids[ordinal], self.ordinal_of[row.id] = (row.id, row.revision), ordinal
        self.patient.add(ordinal, row.patient)
        self.study.add(ordinal, row.study)
        for numbers, amount in ((self._images, row.images), (self._bytes, row.size_bytes)):
            numbers.extend([0] * (ordinal + 1 - len(numbers)))
            numbers[ordinal] = amount
        for field, values in row.values.items():
            self._stated.setdefault(field, BitMap()).add(ordinal)
            for value in values:
                self._values.setdefault(field, {}).setdefault(value, BitMap()).add(ordinal)

    def drop(self, ordinal: int) -> None:
        """Forget one ordinal."""
        self.alive.discard(ordinal)
        record_id, _ = self.ids.pop(ordinal, ("", ""))
        if self.ordinal_of.get(record_id) == ordinal:
            del self.ordinal_of[record_id]

    # --- selection ---------------------------------------------------------------------------------------------------

    def stated(self, field: str) -> BitMap:
        """Return who states the field."""
        return self._stated.get(field, BitMap()) & self.alive

    def equal(self, field: str, values: Iterable[Scalar]) -> BitMap:
        """Return who states one of the values."""
        known = self._values.get(field, {})
        return self._any(known[value] for value in values if value in known)

    def between(self, field: str, bounds: Range) -> BitMap:
        """Return who states a value within the bounds."""
        known = self._values.get(field, {})
        ordered = sorted(known)
        low = 0 if bounds.gte is None else bisect_left(ordered, bounds.gte)
        low = low if bounds.gt is None else max(low, bisect_right(ordered, bounds.gt))
        high = len(ordered) if bounds.lte is None else bisect_right(ordered, bounds.lte)
        high = high if bounds.lt is None else min(high, bisect_left(ordered, bounds.lt))
        return self._any(known[value] for value in ordered[low:high])

    def text(self, field: str, words: Iterable[str]) -> BitMap:
        """Return who states a value with all the words."""
        wanted = frozenset(word.casefold() for word in words)
        return self._any(found for value, found in self._values.get(field, {}).items() if wanted <= words_of(str(value)))

    def listed(self, ids: Iterable[str]) -> BitMap:
        """Return those of the ids that exist."""
        return BitMap([self.ordinal_of[record_id] for record_id in ids if record_id in self.ordinal_of])

    def _any(self, bitmaps: Iterable[BitMap]) -> BitMap:
        return BitMap().union(*bitmaps) & self.alive

    # --- counting ----------------------------------------------------------------------------------------------------

    def codes(self, group: str) -> NDArray[np.int64]:
        """Return the patient or study code by ordinal, cached until the next row."""
        if group not in self._frozen:
            self._frozen[group] = self.patient.codes() if group == "patient" else self.study.codes()
        return self._frozen[group]

    def numbers(self, which: str) -> NDArray[np.int64]:
        """Return images or bytes by ordinal, cached until the next row."""
        if which not in self._frozen:
            self._frozen[which] = np.array(self._images if which == "images" else self._bytes, dtype=np.int64)
        return self._frozen[which]

    def distinct(self, group: str, ordinals: NDArray[np.int64]) -> int:
        """Return how many patients or studies stand behind the ordinals, exactly."""
        key = self.patient if group == "patient" else self.study
        seen = np.zeros(len(key.names), dtype=np.bool_)
        seen[self.codes(group)[ordinals]] = True
        return int(seen.sum())

    def counts(self, chosen: BitMap) -> Counts:
        """Return exact numbers at the four grains."""
        ordinals = positions(chosen)
        return Counts(
            patients=self.distinct("patient", ordinals),
            studies=self.distinct("study", ordinals),
            series=len(chosen),
            images=int(self.numbers("images")[ordinals].sum()),
            size_bytes=int(self.numbers("bytes")[ordinals].sum()),
        )

    def facet(self, field: FieldDeclaration, chosen: BitMap) -> tuple[FacetValue, ...]:
        """Return the buckets of one field, most series first, the unknown ones last; dates by year."""
        buckets: dict[Scalar, BitMap] = {}
        for value, found in self._values.get(field.id, {}).items():
            name = str(value)[:4] if field.type == "date" else value
            buckets[name] = buckets[name] | found if name in buckets else found
        cut = {value: found & chosen for value, found in buckets.items()}
        shown = [self._bucket(value, label_of(value, field.vocabulary), hit) for value, hit in cut.items() if hit]
        shown.sort(key=lambda bucket: (-bucket.series, bucket.label))
        unknown = chosen - self.stated(field.id)
        return (*shown, *([self._bucket(None, UNKNOWN_LABEL, unknown)] if unknown else []))

    def _bucket(self, value: Scalar | None, label: str, hit: BitMap) -> FacetValue:
        return FacetValue(value, label, self.distinct("patient", positions(hit)), len(hit))


def positions(chosen: BitMap) -> NDArray[np.int64]:
    """Return the ordinals of a bitmap as an index array."""
    return np.array(chosen.to_array(), dtype=np.int64)
