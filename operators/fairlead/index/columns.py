"""The embedded engine's columns: who states which value, and the keys that make counts exact.

Words and dates are one Roaring bitmap of ordinals per value; numbers are sorted arrays, because nearly every record has its
own. Ordinals only grow: a revised record gets a new one and its old one leaves ``alive``, so readers catch up from where
they stopped. Columns may hold dead ordinals; every answer is masked by ``alive``. What is derived (sorted values, buckets
of facets) is worked out at first need and thrown away at the next change.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from fairlead.index.criteria import Criterion, Leaf, MembersOf, OneOf, Range, Tail, Term, leaves, parts
from fairlead.index.rows import Row
from fairlead.records import Counts, Scalar

WORD: Final = re.compile(r"\w+")
AMOUNTS: Final = {"images": "images", "bytes": "sizes", "draws": "draws"}

REMEMBERED: Final = 64
"""Comparisons whose answers are kept until the next change."""

ANSWERS: Final = 2_000
"""Counts and facets that are kept until the next change: a page of 20 cards asks for some 50."""

ANSWERED: Final = 1_000_000
HEAVY: Final = 100_000
"""Ids, values and buckets in all questions and answers that are kept, and in one: lists of members come anew with every request."""

type Ints = NDArray[np.int64]


def words_of(text: str) -> frozenset[str]:
    """Return the whole words of a text, letter case folded.

    >>> sorted(words_of("Chest CT, B30f"))
    ['b30f', 'chest', 'ct']
    """
    return frozenset(WORD.findall(text.casefold()))


def positions(chosen: BitMap) -> Ints:
    """Return the ordinals of a bitmap as an index array."""
    return np.array(chosen.to_array(), dtype=np.int64)


def is_number(value: Scalar) -> bool:
    """Return whether a value is kept as a number; yes/no is not one."""
    return isinstance(value, int | float) and not isinstance(value, bool)


class Key:
    """A grouping key (patient, study) as a small code per ordinal."""

    def __init__(self, names: list[str] | None = None, of: array[int] | None = None) -> None:
        self.names: list[str] = names or []
        self.of: array[int] = array("q", [0]) if of is None else of
        self._codes = {name: code for code, name in enumerate(self.names)}

    def add(self, ordinal: int, name: str) -> None:
        """Note the name of one ordinal; ordinals come in growing order, with gaps."""
        code = self._codes.setdefault(name, len(self.names))
        if code == len(self.names):
            self.names.append(name)
        self.of.extend([0] * (ordinal + 1 - len(self.of)))
        self.of[ordinal] = code

    def code(self, name: str) -> int | None:
        """Return the code of a name, None where nobody has it."""
        return self._codes.get(name)

    def codes(self) -> Ints:
        """Return the code by ordinal, shape (highest ordinal + 1,); a copy, because the array may grow meanwhile."""
        return np.array(self.of, dtype=np.int64)


class Numbers:
    """The stated numbers of one field as parallel columns of values and ordinals."""

    def __init__(self, values: array[float] | None = None, ordinals: array[int] | None = None) -> None:
        self.values: array[float] = array("d") if values is None else values
        self.ordinals: array[int] = array("q") if ordinals is None else ordinals

    def add(self, ordinal: int, value: float) -> None:
        """Note one value."""
        self.values.append(value)
        self.ordinals.append(ordinal)

    def sorted(self) -> tuple[NDArray[np.float64], Ints]:
        """Return values in growing order, and the ordinal of each."""
        values, ordinals = np.array(self.values, dtype=np.float64), np.array(self.ordinals, dtype=np.int64)
        order = np.argsort(values, kind="stable")
        return values[order], ordinals[order]


class Columns:
    """All columns of one index file up to an ordinal. Not thread-safe: the adapter holds its lock.

    ``listed`` finds the ordinals of record ids, ``tailed`` those of (records with the value, records with the path); both stay in the file.
    """

    def __init__(
        self,
        listed: Callable[[Iterable[str]], Iterable[int]] = lambda ids: (),
        tailed: Callable[[Tail], tuple[Iterable[int], Iterable[int]]] = lambda node: ((), ()),
    ) -> None:
        self.alive = BitMap()
        self.patient, self.study = Key(), Key()
        self._listed, self._tailed = listed, tailed
        self.values: dict[str, dict[Scalar, BitMap]] = {}
        self.numbers: dict[str, Numbers] = {}
        self.present: dict[str, BitMap] = {}
        self.images: array[int] = array("q", [0])
        self.sizes: array[int] = array("q", [0])
        self.draws: array[int] = array("q", [0])
        self._derived: dict[tuple[str, str], Any] = {}
        self._selected: dict[tuple[Leaf, tuple[type, ...]], BitMap] = {}
        self._tails: dict[Tail, tuple[BitMap, BitMap]] = {}
        self._answers: dict[tuple[str, Criterion, tuple[type, ...]], Any] = {}
        self._answered = 0

    def add(self, ordinal: int, row: Row) -> None:
        """Add one row under an ordinal higher than all before."""
        self._changed()
        self.alive.add(ordinal)
        self.patient.add(ordinal, row.patient)
        self.study.add(ordinal, row.study)
        for numbers, amount in ((self.images, row.images), (self.sizes, row.size_bytes), (self.draws, row.draw)):
            numbers.extend([0] * (ordinal + 1 - len(numbers)))
            numbers[ordinal] = amount
        for field, values in row.values.items():
            self.present.setdefault(field, BitMap()).add(ordinal)
            for value in values:
                if is_number(value):
                    self.numbers.setdefault(field, Numbers()).add(ordinal, float(value))
                else:
                    self.values.setdefault(field, {}).setdefault(value, BitMap()).add(ordinal)

    def drop(self, ordinal: int) -> None:
        """Forget one ordinal."""
        self._changed()
        self.alive.discard(ordinal)

    def _changed(self) -> None:
        self._derived.clear()
        self._selected.clear()
        self._tails.clear()
        self._answers.clear()
        self._answered = 0

    def keep(self, here: BitMap) -> None:
        """Forget everybody who is not here any more."""
        if self.alive != here:
            self._changed()
            self.alive &= here

    def derive[T](self, what: str, name: str, make: Callable[[], T]) -> T:
        """Return what follows from the columns, made once until the next change."""
        key = (what, name)
        if key not in self._derived:
            self._derived[key] = make()
        return cast("T", self._derived[key])

    def selected(self, node: Leaf, make: Callable[[], BitMap]) -> BitMap:
        """Return what one comparison finds; a page asks it once for each of its facets. Nobody may change the bitmap."""
        key = node, tuple(map(type, _values(node)))  # 1 and True are equal for Python, not for a search
        if key not in self._selected:
            if len(self._selected) >= REMEMBERED:
                self._selected.clear()
            self._selected[key] = make()
        return self._selected[key]

    def answered[T](self, what: str, criterion: Criterion, make: Callable[[], T]) -> T:
        """Return an answer that was given since the last change: going back, or to another tab of a page, asks the same again."""
        key = what, criterion, tuple(type(value) for leaf in leaves(criterion) for value in _values(leaf))
        if key not in self._answers:
            answer = make()
            weight = _weight(criterion) + (len(answer) if isinstance(answer, tuple) else 1)
            if weight > HEAVY:
                return answer
            if len(self._answers) >= ANSWERS or self._answered + weight > ANSWERED:
                self._answers.clear()
                self._answered = 0
            self._answers[key] = answer
            self._answered += weight
        return cast("T", self._answers[key])

    # --- selection ---------------------------------------------------------------------------------------------------

    def stated(self, field: str) -> BitMap:
        """Return who states the field."""
        return self.present.get(field, BitMap()) & self.alive

    def equal(self, field: str, values: Iterable[Scalar]) -> BitMap:
        """Return who states one of the values."""
        asked, known = list(values), self.values.get(field, {})
        found = self._any(known[value] for value in asked if not is_number(value) and value in known)
        for value in asked:
            if is_number(value) and field in self.numbers:
                found |= self._between_numbers(field, Range(field, gte=value, lte=value))
        return found

    def between(self, field: str, bounds: Range) -> BitMap:
        """Return who states a value within the bounds."""
        if field in self.numbers:
            return self._between_numbers(field, bounds)
        known = self.values.get(field, {})
        ordered = self.derive("sorted", field, lambda: sorted(known))
        low = 0 if bounds.gte is None else bisect_left(ordered, bounds.gte)
        low = low if bounds.gt is None else max(low, bisect_right(ordered, bounds.gt))
        high = len(ordered) if bounds.lte is None else bisect_right(ordered, bounds.lte)
        high = high if bounds.lt is None else min(high, bisect_left(ordered, bounds.lt))
        return self._any(known[value] for value in ordered[low:high])

    def _between_numbers(self, field: str, bounds: Range) -> BitMap:
        values, ordinals = self.derive("numbers", field, self.numbers[field].sorted)
        low, high = 0, len(values)
        for bound, side, is_low in (
            (bounds.gte, "left", True),
            (bounds.gt, "right", True),
            (bounds.lte, "right", False),
            (bounds.lt, "left", False),
        ):
            if bound is not None:
                at = int(np.searchsorted(values, float(bound), side=cast("Any", side)))
                low, high = (max(low, at), high) if is_low else (low, min(high, at))
        return BitMap(np.unique(ordinals[low:high]).astype(np.uint32)) & self.alive

    def text(self, field: str, words: Iterable[str]) -> BitMap:
        """Return who states a value with all the words."""
        wanted = frozenset(word.casefold() for word in words)
        known = self.values.get(field, {})
        if not wanted:
            return self.stated(field)
        places = self.derive("words", field, lambda: _places(list(known)))
        found = set.intersection(*(places.get(word, set()) for word in wanted))
        return self._any(known[value] for value in found)

    def listed(self, ids: Iterable[str]) -> BitMap:
        """Return those of the ids that exist."""
        return BitMap(self._listed(ids)) & self.alive

    def of_patients(self, names: Iterable[str]) -> BitMap:
        """Return everybody of the named patients."""
        codes = [code for name in names if (code := self.patient.code(name)) is not None]
        return BitMap(np.flatnonzero(np.isin(self.codes("patient"), codes)).astype(np.uint32)) & self.alive if codes else BitMap()

    def tail(self, node: Tail) -> tuple[BitMap, BitMap]:
        """Return who has the value in the long tail, and who states the path."""
        if node not in self._tails:
            if len(self._tails) >= REMEMBERED:
                self._tails.clear()
            with_value, with_path = self._tailed(node)
            self._tails[node] = BitMap(with_value), BitMap(with_path)
        found, stated = self._tails[node]
        return found & self.alive, stated & self.alive

    def _any(self, bitmaps: Iterable[BitMap]) -> BitMap:
        return BitMap().union(*bitmaps) & self.alive

    def firsts(self, field: str, chosen: BitMap) -> NDArray[np.object_]:
        """Return one value by ordinal (the least of several) for who is chosen, None where nothing is stated."""
        found: NDArray[np.object_] = np.full(len(self.codes("patient")), None, dtype=object)
        if field in self.numbers:
            values, ordinals = self.derive("numbers", field, self.numbers[field].sorted)
            found[ordinals[::-1]] = values[::-1]
        for value in sorted(self.values.get(field, {}), key=str, reverse=True):
            found[positions(self.values[field][value] & chosen)] = value
        return found

    # --- counting ----------------------------------------------------------------------------------------------------

    def codes(self, group: str) -> Ints:
        """Return the patient or study code by ordinal."""
        return self.derive("codes", group, (self.patient if group == "patient" else self.study).codes)

    def amounts(self, which: str) -> Ints:
        """Return images, bytes or draws by ordinal."""
        return self.derive("amounts", which, lambda: np.array(getattr(self, AMOUNTS[which]), dtype=np.int64))

    def counts(self, ordinals: Ints) -> Counts:
        """Return exact numbers at the four grains."""
        return Counts(
            patients=self._distinct("patient", ordinals),
            studies=self._distinct("study", ordinals),
            series=len(ordinals),
            images=int(self.amounts("images")[ordinals].sum()),
            size_bytes=int(self.amounts("bytes")[ordinals].sum()),
        )

    def _distinct(self, group: str, ordinals: Ints) -> int:
        seen = np.zeros(len((self.patient if group == "patient" else self.study).names), dtype=np.bool_)
        seen[self.codes(group)[ordinals]] = True
        return int(np.count_nonzero(seen))


def _values(node: Leaf) -> tuple[Scalar, ...]:
    return node.values if isinstance(node, OneOf) else (node.value,) if isinstance(node, Term) else ()


def _weight(criterion: Criterion) -> int:
    """Return how many ids and values a tree names."""
    match criterion:
        case MembersOf(ids, patients):
            return len(ids) + len(patients)
        case OneOf(values=values):
            return len(values)
        case _:
            return 1 + sum(map(_weight, parts(criterion)))


def _places(texts: list[Scalar]) -> dict[str, set[Scalar]]:
    found: dict[str, set[Scalar]] = {}
    for text in texts:
        for word in words_of(str(text)):
            found.setdefault(word, set()).add(text)
    return found
