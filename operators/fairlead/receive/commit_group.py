"""One flush for many: rows that associations submit at the same moment share a transaction.

The first thread that gets the writer's lock takes every row that waits; the others find theirs done when it is their
turn. A single sender never waits for company, and eight senders pay for one database flush instead of eight.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from fairlead.errors import FairleadError
from fairlead.receive.series_ledger import Arrival, RelationConflict, Stored

type Outcome = Stored | BaseException


class _Ticket:
    """One row on its way, and what became of it."""

    __slots__ = ("arrival", "outcome")

    def __init__(self, arrival: Arrival) -> None:
        self.arrival = arrival
        self.outcome: Outcome | None = None


class CommitGroup:
    """Hands rows to ``record`` in groups; each submitter gets its own answer, and returns only after the commit."""

    def __init__(self, record: Callable[[Sequence[Arrival]], list[Stored | RelationConflict]], *, largest: int = 64) -> None:
        self._record = record
        self._largest = largest
        self._waiting: list[_Ticket] = []
        self._queue = threading.Lock()
        self._writer = threading.Lock()

    def submit(self, arrival: Arrival) -> Stored:
        """Return what the row changed, once it is durable; raise what the transaction raised."""
        ticket = _Ticket(arrival)
        with self._queue:
            self._waiting.append(ticket)
        while ticket.outcome is None:
            with self._writer:
                if ticket.outcome is None:
                    self._write()
        if isinstance(ticket.outcome, BaseException):
            raise ticket.outcome
        return ticket.outcome

    def _write(self) -> None:
        with self._queue:
            taken, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
        try:
            outcomes: Sequence[Outcome] = self._record([ticket.arrival for ticket in taken])
        except FairleadError as error:
            outcomes = [error] * len(taken)
        except Exception as error:  # one row that the database refuses must not take the others with it
            outcomes = [error] if len(taken) == 1 else [self._alone(ticket.arrival) for ticket in taken]
        for ticket, outcome in zip(taken, outcomes, strict=True):
            ticket.outcome = outcome

    def _alone(self, arrival: Arrival) -> Outcome:
        try:
            (outcome,) = self._record([arrival])
        except Exception as error:
            return error
        return outcome
