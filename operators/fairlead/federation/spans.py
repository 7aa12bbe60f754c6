"""What can be computed from numbers that were released is computed from them, never drawn anew.

Comparing a question with earlier ones pair by pair (memory.py) leaves those who *combine* many: with more answers than unknowns,
least squares averages the noise away (Dinur and Nissim 2003). Here the released sets are the columns of a matrix, patients its rows.
A set that is a linear combination of released ones, but for what fewer patients than the threshold weigh, gets that combination of
the released numbers. So the drawn numbers stay linearly independent, and no combination of them speaks of fewer patients than the
threshold, as in a linear code of that minimum distance: whoever solves for a small cell has as many unknowns as numbers.

Whether there is such a combination shows in the patients' *leverage*, the diagonal of the projection onto the released sets: one
over it is the smallest sum of squares of a combination in which the patient weighs 1. The coefficients are then fitted to everybody
but the patients of high leverage, so that they tell nothing of the few. Large coefficients cost (ridge regression, Hoerl and Kennard
1970): they multiply the noise, which makes a combination as harmless to a patient as it is useless for an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

type Vector = NDArray[np.float64]
type Places = NDArray[np.int64]

MOST: Final = 1000
"""Independent numbers that are held together; then the older half is let go (the comparison pair by pair is for ever)."""

RIDGE: Final = 1.0
"""Patients that the square of a coefficient weighs as much as."""

EXACT: Final = 0.01
INDEPENDENT: Final = 0.5


@dataclass(frozen=True, slots=True)
class Fit:
    """A set as a combination of the released ones. Groups come twice: those of their patients who are in the set, then the others."""

    coefficients: Vector
    counts: Vector
    missed: Vector

    @property
    def apart(self) -> float:
        """Return what the set adds to the others, coefficients weighed in (the Schur complement of its overlap)."""
        return self.squares + RIDGE * (1 + float(self.coefficients @ self.coefficients))

    @property
    def squares(self) -> float:
        """Return how far the combination is from the set."""
        return float(self.counts @ self.missed**2)

    def speaks_of(self) -> float:
        """Return how many patients the misfit is about: its sum of squares in units of the largest."""
        largest = float(np.max(self.missed[self.counts > 0] ** 2, initial=0))
        return self.squares / largest if largest > EXACT**2 else 0.0


class ReleasedSpan:
    """The drawn numbers of one centre and the sets that they are about, by groups of patients who are alike in all of them."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._held: list[tuple[BitMap, int]] = []
        self._clear()

    def _clear(self) -> None:
        self._group: Places = np.zeros(0, dtype=np.int64)  # of a patient; group 0 is in no released set
        self._sizes: Vector = np.zeros(1)  # nobody is counted in group 0
        self._leverage: Vector = np.zeros(1)
        self._table: NDArray[np.float32] = np.zeros((256, 32), dtype=np.float32)  # with room to grow
        self._inverse: Vector = np.zeros((0, 0))  # of the sets' overlaps

    def __len__(self) -> int:
        return len(self._held)

    @property
    def _in(self) -> NDArray[np.float32]:
        """Which group is in which set."""
        return self._table[: len(self._sizes), : len(self._inverse)]

    # --- asking ------------------------------------------------------------------------------------------------------

    def computed(self, members: BitMap, threshold: int) -> float | None:
        """Return the combination of released numbers that is this set but for fewer patients than the threshold, None for a new set."""
        if not self._held:
            return None
        _, fit = self._fit(members)
        if fit.squares <= INDEPENDENT:
            fit = self._refined(fit, np.zeros(0, dtype=np.int64))
        else:
            leverage = self._leverage_with(fit)
            few = _highest(leverage, fit.counts, above=1 / (2 * threshold), most=3 * threshold)
            if not few.size:
                return None
            fits = self._without(fit, few), self._refined(self._without(fit, few), few)
            fit = min(fits, key=Fit.speaks_of)
            if fit.speaks_of() >= threshold:
                return None
        return float(fit.coefficients @ np.array([patients for _, patients in self._held], dtype=np.float64))

    def _fit(self, members: BitMap) -> tuple[Places, Fit]:
        """Return the members' ordinals, and the least-squares fit of their set."""
        ordinals = np.array(members.to_array(), dtype=np.int64)
        if len(ordinals) and ordinals[-1] >= len(self._group):
            self._group = np.concatenate([self._group, np.zeros(ordinals[-1] + 4096 - len(self._group), dtype=np.int64)])
        inside = np.bincount(self._group[ordinals], minlength=len(self._sizes)).astype(np.float64)
        counts = np.concatenate([inside, np.maximum(self._sizes - inside, 0)])
        return ordinals, self._combined(self._inverse @ (self._in.T @ inside.astype(np.float32)), counts)

    def _combined(self, coefficients: Vector, counts: Vector) -> Fit:
        said = (self._in @ coefficients.astype(np.float32)).astype(np.float64)
        return Fit(coefficients, counts, np.concatenate([1 - said, -said]))

    def _leverage_with(self, fit: Fit) -> Vector:
        """Return what the patients' leverage would be with one more set."""
        return np.where(fit.counts > 0, np.tile(self._leverage, 2) + fit.missed**2 / fit.apart, 0)

    def _without(self, fit: Fit, few: Places) -> Fit:
        """Return the fit to everybody but the few (the update of least squares for rows that are left out)."""
        rows = self._in[few % len(self._sizes)].astype(np.float64)
        reach = self._inverse @ rows.T
        shares = np.eye(len(few)) - (rows @ reach) * fit.counts[few]
        weights = np.linalg.lstsq(shares, fit.missed[few], rcond=None)[0]
        return self._combined(fit.coefficients - reach @ (fit.counts[few] * weights), fit.counts)

    def _refined(self, fit: Fit, few: Places) -> Fit:
        """Return the fit without most of what the ridge took from it (a step of iterated Tikhonov regularisation)."""
        left = fit.counts * fit.missed
        left[few] = 0
        inside, outside = np.split(left, 2)
        step = self._inverse @ (self._in.T @ (inside + outside).astype(np.float32))
        return self._combined(fit.coefficients + step, fit.counts)

    # --- remembering -------------------------------------------------------------------------------------------------

    def add(self, members: BitMap, patients: int) -> None:
        """Take in a number that was drawn; one that follows from the others is left out."""
        if len(self._held) >= self._most:
            kept, self._held = self._held[len(self._held) // 2 :], []
            self._clear()
            for one in kept:
                self.add(*one)
        ordinals, fit = self._fit(members)
        if fit.squares < INDEPENDENT:
            return
        self._held.append((members, patients))
        self._split(ordinals, fit)
        self._inverse = _bordered(self._inverse, fit)

    def _split(self, ordinals: Places, fit: Fit) -> None:
        """Part every group that the new set cuts, and add the set's column."""
        groups = len(self._sizes)
        inside, outside = fit.counts[:groups], fit.counts[groups:]
        leverage = np.tile(self._leverage, 2) + fit.missed**2 / fit.apart
        leverage[groups] = 0  # who is in no set
        cut = np.flatnonzero((inside > 0) & ((outside > 0) | (np.arange(groups) == 0)))
        whole = (inside > 0) & (outside == 0)
        whole[0] = False
        names = np.arange(groups)
        names[cut] = groups + np.arange(len(cut))
        self._group[ordinals] = names[self._group[ordinals]]
        self._table = _with_room(self._table, rows=groups + len(cut), columns=len(fit.coefficients) + 1)
        self._table[groups : groups + len(cut)] = self._table[cut]
        self._table[: groups + len(cut), len(fit.coefficients)] = np.concatenate([whole, np.ones(len(cut))])
        self._leverage = np.concatenate([np.where(whole, leverage[:groups], leverage[groups:]), leverage[cut]])
        self._sizes = np.concatenate([np.where(whole, inside, outside), inside[cut]])


def _with_room(table: NDArray[np.float32], *, rows: int, columns: int) -> NDArray[np.float32]:
    """Return the table with at least so many rows and columns."""
    if rows <= table.shape[0] and columns <= table.shape[1]:
        return table
    grown = np.zeros((max(table.shape[0], rows * 3 // 2), max(table.shape[1], columns * 3 // 2)), dtype=np.float32)
    grown[: table.shape[0], : table.shape[1]] = table
    return grown


def _bordered(inverse: Vector, fit: Fit) -> Vector:
    """Return the inverse of the sets' overlaps with one more set."""
    grown = np.empty((len(inverse) + 1, len(inverse) + 1))
    grown[:-1, :-1] = inverse + np.outer(fit.coefficients, fit.coefficients) / fit.apart
    grown[-1, :-1] = grown[:-1, -1] = -fit.coefficients / fit.apart
    grown[-1, -1] = 1 / fit.apart
    return grown


def _highest(leverage: Vector, counts: Vector, *, above: float, most: int) -> Places:
    """Return the groups whose patients have the highest leverage, ``most`` patients together."""
    chosen, patients = [], 0.0
    high = np.flatnonzero(leverage > above)
    for at in high[np.argsort(-leverage[high], kind="stable")]:
        if patients + counts[at] <= most:
            chosen.append(int(at))
            patients += counts[at]
    return np.array(chosen, dtype=np.int64)
