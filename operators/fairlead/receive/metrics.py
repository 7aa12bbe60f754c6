"""What the node counts, in the Prometheus text format.

Labels are bounded: an AE title is a peer's word, so only the first few become labels.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain
from threading import Lock
from typing import Any, Final

TITLES: Final = 200
"""Distinct calling AE titles that get a label; the rest share "other"."""
SYNC_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
HELP: Final = {
    "fairlead_node_associations_total": "Associations that ended, by calling AE title and result.",
    "fairlead_node_instances_total": "Objects received, by calling AE title and result.",
    "fairlead_node_bytes_total": "Bytes of data sets that were stored, by calling AE title.",
    "fairlead_node_loop_failures_total": "Rounds of a loop beside the associations that failed and are repeated, by loop.",
    "fairlead_node_workers_lost_total": "Worker processes that died and were replaced.",
    "fairlead_node_copies_total": "Objects on their way to the archive bucket, by result.",
    "fairlead_node_commitments_total": "Storage commitment reports, by result.",
}

type Labels = tuple[tuple[str, str], ...]

type Gauge = tuple[str, str, Labels, float]
"""Name, help, labels, value."""


class NodeMetrics:
    """Counters of one process; safe to use from every association's thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[tuple[str, Labels]] = Counter()
        self._titles: set[str] = set()
        self._syncs: Counter[float] = Counter()
        self._sync_s = 0.0
        self._sync_count = 0
        self._stepped: dict[str, float] = {}
        self.more: Callable[[], Iterable[Gauge]] = tuple
        """Gauges of rooms that this one does not know."""

    def count(self, name: str, by: int = 1, **labels: str) -> None:
        """Add to a counter of :data:`HELP`."""
        with self._lock:
            if "calling_ae" in labels:
                labels["calling_ae"] = self._title(labels["calling_ae"])
            self._counts[f"fairlead_node_{name}_total", tuple(sorted(labels.items()))] += by

    def _title(self, title: str) -> str:
        if title in self._titles or len(self._titles) < TITLES:
            self._titles.add(title)
            return title
        return "other"

    def synced(self, seconds: float) -> None:
        """Note how long one object took from its last byte to being durable."""
        with self._lock:
            self._sync_s += seconds
            self._sync_count += 1
            for bound in SYNC_BOUNDS_S:
                self._syncs[bound] += seconds <= bound

    def take(self) -> dict[str, Any]:
        """Return what was counted since the last call, for :meth:`add` in another process; empty when nothing was."""
        with self._lock:
            if not self._counts and not self._sync_count:
                return {}
            taken = {
                "counts": [(name, labels, by) for (name, labels), by in self._counts.items()],
                "syncs": [(bound, number) for bound, number in self._syncs.items()],
                "sync_s": self._sync_s,
                "sync_count": self._sync_count,
            }
            self._counts, self._syncs, self._sync_s, self._sync_count = Counter(), Counter(), 0.0, 0
            return taken

    def add(self, taken: dict[str, Any]) -> None:
        """Add what another process counted."""
        for name, labels, by in taken["counts"]:
            self.count(name.removeprefix("fairlead_node_").removesuffix("_total"), by, **dict(labels))
        with self._lock:
            self._syncs.update(dict(taken["syncs"]))
            self._sync_s += taken["sync_s"]
            self._sync_count += taken["sync_count"]

    def stepped(self, loop: str) -> None:
        """Note that a loop has begun, or has ended a round well."""
        self._stepped[loop] = time.monotonic()

    def loop_ages(self) -> dict[str, float]:
        """Return how many seconds ago each loop last ended a round well; one that only fails grows old."""
        now = time.monotonic()
        return {loop: now - since for loop, since in sorted(self._stepped.copy().items())}

    def text(self, gauges: Iterable[Gauge]) -> str:
        """Return the exposition: our counters, and ``gauges`` as (name, help, labels, value)."""
        with self._lock:
            counts = sorted(self._counts.items())
            histogram = self._histogram()
        lines: list[str] = []
        for name, text in HELP.items():
            lines += [f"# HELP {name} {text}", f"# TYPE {name} counter"]
            lines += [_sample(name, labels, value) for (found, labels), value in counts if found == name]
        told = ""
        for name, text, labels, number in chain(gauges, self.more()):
            if name != told:
                lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
                told = name
            lines.append(_sample(name, labels, number))
        return "\n".join([*lines, *histogram]) + "\n"

    def _histogram(self) -> list[str]:
        name = "fairlead_node_sync_seconds"
        lines = [f"# HELP {name} From the last byte of an object to its durable row.", f"# TYPE {name} histogram"]
        lines += [_sample(f"{name}_bucket", (("le", str(bound)),), self._syncs[bound]) for bound in SYNC_BOUNDS_S]
        lines.append(_sample(f"{name}_bucket", (("le", "+Inf"),), self._sync_count))
        return [*lines, f"{name}_sum {self._sync_s:g}", f"{name}_count {self._sync_count}"]


def _sample(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    return f"{name}{{{inside}}} {value:g}" if inside else f"{name} {value:g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
