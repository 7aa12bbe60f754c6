"""How many may be in: every open connection of the node, whichever process serves it, and which of them count as associations."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from typing import Final

SPARE: Final = 64
"""Connections beyond the association limits that are still heard (health checks, peers to be told no); more are closed at once."""


@dataclass(slots=True)
class _Visitor:
    peer: str
    server: str
    counted: bool = False
    title: str = ""


class Places:
    """The one list of visitors; safe to use from many threads. A visitor has a number; a ``server`` is the process that serves it."""

    def __init__(self, *, most: int, most_per_peer: int) -> None:
        self._most, self._most_per_peer = most, most_per_peer
        self._lock = threading.Lock()
        self._visitors: dict[int, _Visitor] = {}
        self._numbers = itertools.count(1)

    def enter(self, peer: str, *, server: str = "") -> int | None:
        """Return the number of a new connection, None when the node or its peer has more than can be heard."""
        with self._lock:
            of_peer = sum(visitor.peer == peer for visitor in self._visitors.values())
            if len(self._visitors) >= self._most + SPARE or of_peer >= self._most_per_peer + SPARE:
                return None
            number = next(self._numbers)
            self._visitors[number] = _Visitor(peer, server)
            return number

    def admit(self, number: int, *, title: str = "", most_per_title: int | None = None) -> bool:
        """Count an association in, unless the node, its peer or its calling AE title has all it may have."""
        with self._lock:
            visitor = self._visitors.get(number)
            if visitor is None:
                return False
            counted = [other for other in self._visitors.values() if other.counted]
            of_peer = sum(other.peer == visitor.peer for other in counted)
            of_title = sum(other.title == title for other in counted)
            free = len(counted) < self._most and of_peer < self._most_per_peer
            visitor.title = title
            visitor.counted = free and (most_per_title is None or of_title < most_per_title)
            return visitor.counted

    def leave(self, number: int) -> None:
        """Give a place back; a number that is not there any more is no news."""
        with self._lock:
            self._visitors.pop(number, None)

    def abandon(self, server: str) -> None:
        """Give back every place of a process that died."""
        with self._lock:
            self._visitors = {number: visitor for number, visitor in self._visitors.items() if visitor.server != server}

    def served_by(self, server: str) -> int:
        """Return how many connections a process has."""
        with self._lock:
            return sum(visitor.server == server for visitor in self._visitors.values())

    def __len__(self) -> int:
        """Return how many connections are open."""
        with self._lock:
            return len(self._visitors)
