"""The same fair sample on every engine: each record has a fixed number of its own, a seed shuffles the numbers, the smallest win.

A record's number comes from its id, so a sample changes only where records come or go. The shuffle is the finaliser of
SplitMix64 (Steele, Lea and Flood, OOPSLA 2014); its upper 53 bits are kept, because OpenSearch sorts scripts as doubles.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import InvalidInput

FIRST: Final = 0xBF58476D1CE4E5B9
SECOND: Final = 0x94D049BB133111EB
LARGEST: Final = 10_000
"""What one answer of OpenSearch holds (``index.max_result_window``)."""

SCRIPT: Final = f"""
long x = doc['draw'].value ^ params.start;
x = (x ^ (x >>> 30)) * {FIRST - 2**64}L;
x = (x ^ (x >>> 27)) * {SECOND - 2**64}L;
return (x ^ (x >>> 31)) >>> 11;
"""
"""The shuffle in Painless, whose numbers are signed."""


def draw_of(record_id: str) -> int:
    """Return the fixed number of a record, 63 bits."""
    return int.from_bytes(hashlib.blake2b(record_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()) >> 1


def start_of(seed: int) -> int:
    """Return what a seed stands for, 63 bits."""
    return draw_of(f"seed {seed}")


def shuffled(draws: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """Return the place of each number under a seed: shape and order of the input, smaller is drawn earlier."""
    found = draws.astype(np.uint64) ^ np.uint64(start_of(seed))
    found = (found ^ (found >> np.uint64(30))) * np.uint64(FIRST)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(SECOND)
    return np.asarray((found ^ (found >> np.uint64(31))) >> np.uint64(11), dtype=np.uint64)


def smallest(places: NDArray[np.uint64], size: int) -> NDArray[np.int64]:
    """Return where the ``size`` smallest places are, smallest first."""
    within = np.argpartition(places, size - 1)[:size] if 0 < size < len(places) else np.arange(len(places))[: max(size, 0)]
    return np.asarray(within[np.argsort(places[within], kind="stable")], dtype=np.int64)


def script_sort(seed: int) -> dict[str, Any]:
    """Return the sort of OpenSearch that orders as :func:`shuffled` does."""
    return {
        "_script": {"type": "number", "order": "asc", "script": {"lang": "painless", "source": SCRIPT, "params": {"start": start_of(seed)}}}
    }


def checked_size(size: int) -> int:
    """Return the size of a sample; raise InvalidInput when it is negative or more than one answer holds."""
    if 0 <= size <= LARGEST:
        return size
    raise InvalidInput(f"A sample has between 0 and {LARGEST} records.", remedy="Freeze a cohort to get all of them.")
