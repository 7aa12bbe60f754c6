"""One page of a table: records in the order of patient, study and id, found without naming or sorting everybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import InvalidInput
from fairlead.index.columns import Columns, Ints

FARTHEST: Final = 10_000
"""Where one answer of OpenSearch ends (``index.max_result_window``)."""

ORDER: Final[list[dict[str, Any]]] = [{"patient.key": "asc"}, {"study.key": "asc"}, {"id": "asc"}]
"""The sort of OpenSearch; its keywords compare as UTF-8, which is the order of code points that Python sorts by."""


def checked_page(offset: int, limit: int) -> int:
    """Return where the page ends; raise InvalidInput for one that begins before the first record or ends beyond the farthest."""
    if offset < 0 or limit < 1 or offset + limit > FARTHEST:
        raise InvalidInput(
            f"A page lies within the first {FARTHEST} records.", remedy="Narrow the definition, or freeze it to list all members."
        )
    return offset + limit


def places(columns: Columns) -> Ints:
    """Return the place of each ordinal by patient and study; records of one study share it."""

    def made() -> Ints:
        """Return the order of every record by patient, then study."""
        study = _ranks(columns.study.names)[columns.codes("study")]
        return _ranks(columns.patient.names)[columns.codes("patient")] * max(len(columns.study.names), 1) + study

    return columns.derive("places", "", made)


def _ranks(names: Sequence[str]) -> Ints:
    ranks = np.zeros(max(len(names), 1), dtype=np.int64)
    ranks[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return ranks


def near(found: Ints, offset: int, end: int) -> tuple[NDArray[np.int64], int]:
    """Return who may stand on the page from ``offset`` to ``end``, and where among them it begins: it may break within a study.

    >>> near(np.array([7, 3, 3, 9, 3]), 1, 2)
    (array([1, 2, 4]), 1)
    """
    last = min(end, len(found)) - 1
    if last < offset:
        return np.zeros(0, dtype=np.int64), 0
    ordered = np.partition(found, (offset, last))
    low, high = ordered[offset], ordered[last]
    return np.flatnonzero((found >= low) & (found <= high)), offset - int(np.count_nonzero(found < low))
