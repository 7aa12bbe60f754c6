"""The ends of a distribution: who states the least and the greatest values of a field, the same records on every engine.

Records of one value come by their fixed number (:mod:`fairlead.index.sampling`), so that no engine's own order shows.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from fairlead.errors import UnsupportedInput
from fairlead.extract import FieldDeclaration
from fairlead.index.columns import Columns, Ints, positions

ORDERED: Final = ("integer", "float", "date")


def ordered(field: FieldDeclaration) -> FieldDeclaration:
    """Return the field; raise UnsupportedInput when its values have no order that means something."""
    if field.type in ORDERED:
        return field
    raise UnsupportedInput(f"The field {field.id} has no least and greatest value.", remedy="Ask for a number or a date.")


def ends(field: FieldDeclaration, columns: Columns, chosen: BitMap, size: int) -> tuple[Ints, Ints]:
    """Return the ordinals of up to ``size`` of the chosen with the least values, least first, and with the greatest, greatest first."""
    ranks, ordinals = columns.derive("ranks", field.id, lambda: _ranks(field, columns))
    among = np.zeros(len(columns.codes("patient")), dtype=np.bool_)
    among[positions(chosen)] = True
    kept = among[ordinals]
    ranks, ordinals, draws = ranks[kept], ordinals[kept], columns.amounts("draws")
    return _first(ranks, ordinals, draws, size), _first(-ranks[::-1], ordinals[::-1], draws, size)


def _ranks(field: FieldDeclaration, columns: Columns) -> tuple[Ints, Ints]:
    """Return the rank of every stated value among all of the field, ascending, and whose it is; a record may state several."""
    if field.type != "date":
        if field.id not in columns.numbers:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        values, whose = columns.derive("numbers", field.id, columns.numbers[field.id].sorted)
        return np.unique(values, return_inverse=True)[1].astype(np.int64), whose.astype(np.int64)
    known = columns.values.get(field.id, {})
    found = [positions(known[day]) for day in sorted(known, key=str)]
    ranks = np.repeat(np.arange(len(found)), [len(one) for one in found])
    return ranks.astype(np.int64), np.concatenate([np.zeros(0, dtype=np.int64), *found]).astype(np.int64)


def _first(ranks: Ints, ordinals: Ints, draws: NDArray[np.int64], size: int) -> Ints:
    """Return the ordinals with the lowest of ascending ranks, each once and by its lowest."""
    distinct, where = np.unique(ordinals, return_index=True)
    order = np.lexsort((draws[distinct], ranks[where]))[:size]
    return np.asarray(distinct[order], dtype=np.int64)
