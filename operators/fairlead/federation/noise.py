"""Noise that cannot be asked away: drawn from who is in a set, never from how or how often it was asked.

Two parts, both fixed by secrets of the centre:

*Of the set* (cell-key method: Fraser and Wooton 2005, the Australian Bureau of Statistics' TableBuilder, Eurostat's census
tables): each patient has a secret 64-bit key, the sum of the members' keys draws one number from ``-largest .. largest``.
*Of the patient*: each patient carries ``+s`` or ``-s`` into every number that counts them. Independent noise is beaten by
asking for enough overlapping sets (Dinur and Nissim 2003); what a patient carries is the same in all of them and stays.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from fairlead.federation.policy import Disclosure
from fairlead.federation.secrets import Keyring

ROUND: Final = 1 << 64


class PatientNoise:
    """The secret keys and signs of the patients, by ordinal."""

    def __init__(self, ring: Keyring) -> None:
        self._ring = ring
        self._keys: NDArray[np.uint64] = np.zeros(0, dtype=np.uint64)
        self._signs: NDArray[np.int8] = np.zeros(0, dtype=np.int8)

    def learn(self, tags: dict[int, str]) -> None:
        """Draw key and sign of new patients, ordinal by ordinal."""
        if not tags:
            return
        top = max(tags) + 1
        keys, signs = np.zeros(max(top, len(self._keys)), np.uint64), np.zeros(max(top, len(self._signs)), np.int8)
        keys[: len(self._keys)], signs[: len(self._signs)] = self._keys, self._signs
        for ordinal, tag in tags.items():
            keys[ordinal] = int.from_bytes(self._ring.active("record", tag)[:8], "big")
            signs[ordinal] = 1 if self._ring.forever("sign", tag)[0] & 1 else -1
        self._keys, self._signs = keys, signs

    def of(self, members: BitMap, rules: Disclosure) -> float:
        """Return the noise of a set of patients."""
        ordinals = np.array(members.to_array(), dtype=np.int64)
        key = int(self._keys[ordinals].sum(dtype=np.uint64)) % ROUND
        drawn = int.from_bytes(self._ring.active("cell", f"{key}:{len(members)}")[:8], "big")
        own = rules.noise.per_patient * float(self._signs[ordinals].sum(dtype=np.int64))
        return drawn % (2 * rules.noise.largest + 1) - rules.noise.largest + own


def rounded(value: float, step: int) -> int:
    """Return the nearest multiple of ``step``, halves upwards.

    >>> [rounded(value, 5) for value in (12, 12.5, 17)]
    [10, 15, 15]
    """
    return int((value + step / 2) // step * step)


def uncertainty(patients: int | None, rules: Disclosure) -> int:
    """Return the ± that is shown: from the released number alone, so that it tells nothing more.

    Noise of the set, half a rounding step, an earlier answer for nearly the same patients, and twice the standard
    deviation of what patients carry.
    """
    if patients is None:
        return rules.threshold - 1
    carried = 2 * rules.noise.per_patient * patients**0.5
    return int(np.ceil(rules.noise.largest + rules.rounding / 2 + rules.threshold - 1 + carried))


def shown(size: int, noise: float, rules: Disclosure) -> int | None:
    """Return the number that may be shown for a set of ``size`` patients, None for "below the threshold"."""
    if size == 0 and rules.reveal_zero:
        return 0
    number = rounded(size + noise, rules.rounding)
    return None if size < rules.threshold or number < rules.threshold else number
