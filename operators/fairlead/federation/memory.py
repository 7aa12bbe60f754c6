"""What was answered before: a set that differs from an answered one by fewer patients than the threshold gets that answer.

A refusal would tell that the difference is small, and a fresh number would tell how small; the earlier number tells nothing.
One memory serves all hubs and projects of a centre, so that two askers who compare notes learn no more than one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass

from pyroaring import BitMap


@dataclass(frozen=True, slots=True)
class Release:
    """One answered set: what was said of it, and when in the order of answers."""

    number: int
    members: BitMap
    patients: int | None


class ReleaseMemory:
    """Every answered set, found by size first: sets whose sizes differ by the threshold cannot be near."""

    def __init__(self) -> None:
        self._by_size: list[tuple[int, int]] = []
        self._releases: dict[int, Release] = {}

    def __len__(self) -> int:
        return len(self._releases)

    def add(self, release: Release) -> None:
        """Remember one answer; numbers grow with time."""
        self._releases[release.number] = release
        insort(self._by_size, (len(release.members), release.number))

    def nearest(self, members: BitMap, threshold: int) -> Release | None:
        """Return the answer for the nearest set within the threshold: the smallest difference, then the oldest."""
        near = ((members.symmetric_difference_cardinality(one.members), one.number, one) for one in self._of_like_size(members, threshold))
        found = min((one for one in near if one[0] < threshold), default=None, key=lambda one: one[:2])
        return None if found is None else found[2]

    def _of_like_size(self, members: BitMap, threshold: int) -> Iterator[Release]:
        size = len(members)
        low, high = bisect_right(self._by_size, (size - threshold, 1 << 62)), bisect_left(self._by_size, (size + threshold, 0))
        return (self._releases[number] for _, number in self._by_size[low:high])
