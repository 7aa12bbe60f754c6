"""Bytes in flight: what all senders together may have sent of objects that are not durable yet.

The low-water mark is looked at when an object begins. Without a cap, associations that all begin above it could still fill the disk
together; with one, whoever would exceed it is told to come again (A700), and the others finish.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fairlead.errors import StorageFull


class TooMuchInFlight(StorageFull):
    """All objects under way are together larger than the node allows (PS3.4 Table B.2-1: out of resources)."""

    code = "too-much-in-flight"
    default_remedy = "Send again later, or raise node.max_bytes_in_flight."


class Flight:
    """One object under way; one thread at a time."""

    __slots__ = ("_all", "taken")

    def __init__(self, everything: InFlight) -> None:
        self._all = everything
        self.taken = 0

    def add(self, count: int) -> None:
        """Count further bytes of this object; raise TooMuchInFlight when they are too many beside those of others."""
        self._all.take(self, count)


class InFlight:
    """The sum over all objects under way in this process; safe to use from many threads. An object that is alone is never too much."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self.total = 0

    @contextmanager
    def one(self) -> Iterator[Flight]:
        """Yield the count of one object, given back when it is durable or refused."""
        flight = Flight(self)
        try:
            yield flight
        finally:
            with self._lock:
                self.total -= flight.taken

    def take(self, flight: Flight, count: int) -> None:
        """Add to one object's bytes; what others have under way decides."""
        with self._lock:
            if self.total + count > self._most and self.total > flight.taken:
                raise TooMuchInFlight("Too many bytes are under way at this moment.")
            self.total += count
            flight.taken += count
