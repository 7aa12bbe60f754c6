"""When a series is complete: one state machine as a table, the settle rule, and the generation that a set of instances has.

A release is a sender saying "that was all I had", so it shortens the wait; an abort says the opposite. Nothing here
does I/O: the ledger stores what these functions decide.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from fairlead.errors import IllegalTransition
from fairlead.records import SeriesState


class SeriesEvent(StrEnum):
    """What can happen to a series."""

    OBJECT_ARRIVED = "object-arrived"
    SENDER_LEFT = "sender-left"
    QUIET = "quiet"
    INDEXED = "indexed"
    REFUSED = "refused"
    RETRIED = "retried"
    OVERTAKEN = "overtaken"
    """An older generation was put into the index after a newer one."""


class Ending(StrEnum):
    """How the last sender of a series left; it decides how long the node waits."""

    OPEN = "open"
    RELEASED = "released"
    ABORTED = "aborted"
    FINISHED = "finished"
    """The sender stated the whole set (a finished import, a storage-commitment manifest): no wait at all."""


_ARRIVED, _LEFT, _QUIET = SeriesEvent.OBJECT_ARRIVED, SeriesEvent.SENDER_LEFT, SeriesEvent.QUIET
_S = SeriesState

TRANSITIONS: Final[Mapping[tuple[SeriesState, SeriesEvent], SeriesState]] = {
    (_S.RECEIVING, _ARRIVED): _S.RECEIVING,
    (_S.RECEIVING, _LEFT): _S.SETTLING,
    (_S.RECEIVING, _QUIET): _S.COMPLETE,  # no sender ever said it was done (a door without associations)
    (_S.SETTLING, _ARRIVED): _S.RECEIVING,
    (_S.SETTLING, _LEFT): _S.SETTLING,  # a second association that had carried the series
    (_S.SETTLING, _QUIET): _S.COMPLETE,
    (_S.COMPLETE, _ARRIVED): _S.RECEIVING,  # late, before anybody indexed
    (_S.COMPLETE, SeriesEvent.INDEXED): _S.INDEXED,
    (_S.COMPLETE, SeriesEvent.REFUSED): _S.QUARANTINED,
    (_S.INDEXED, SeriesEvent.OVERTAKEN): _S.COMPLETE,  # the index holds the older one now: index the newer one again
    (_S.INDEXED, _ARRIVED): _S.RECEIVING,  # opens the next generation; the old one stays readable
    (_S.QUARANTINED, _ARRIVED): _S.RECEIVING,  # the missing or repaired instance may heal the series
    (_S.QUARANTINED, SeriesEvent.RETRIED): _S.COMPLETE,
}
"""Every legal step; a pair that is not here raises."""


def advance(state: SeriesState, event: SeriesEvent) -> SeriesState:
    """Return the next state; raise IllegalTransition, naming the events that are allowed.

    >>> advance(SeriesState.SETTLING, SeriesEvent.QUIET)
    <SeriesState.COMPLETE: 'complete'>
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        allowed = ", ".join(sorted(e for s, e in TRANSITIONS if s is state))
        raise IllegalTransition(f"A series that is {state} cannot take the event {event}; allowed: {allowed}.") from None


def wait_s(ending: Ending, *, settle_after_s: float, quiet_after_s: float) -> float:
    """Return how many seconds without an object make a series complete, given how its last sender left."""
    match ending:
        case Ending.FINISHED:
            return 0.0
        case Ending.RELEASED:
            return settle_after_s
        case Ending.OPEN | Ending.ABORTED:
            return max(quiet_after_s, settle_after_s)


def is_due(ending: Ending, last_event_at: datetime, *, now: datetime, settle_after_s: float, quiet_after_s: float) -> bool:
    """Return whether the quiet time of a series is over."""
    wait = wait_s(ending, settle_after_s=settle_after_s, quiet_after_s=quiet_after_s)
    return last_event_at + timedelta(seconds=wait) <= now


def has_all(ending: Ending, *, present: int, expected: int | None) -> bool:
    """Return whether a series that its last sender has left holds what its headers announce, so that no wait is needed.

    >>> has_all(Ending.ABORTED, present=32, expected=32), has_all(Ending.OPEN, present=32, expected=32)
    (True, False)
    """
    return ending is not Ending.OPEN and bool(expected) and present >= (expected or 0)


def generation_of(instances: Iterable[tuple[str, str]]) -> str:
    """Return the sha256 over the sorted ``(SOPInstanceUID, sha256)`` pairs; order and repetition do not matter.

    >>> generation_of([("1.2", "b"), ("1.1", "a")]) == generation_of([("1.1", "a"), ("1.2", "b"), ("1.1", "a")])
    True
    """
    lines = sorted({f"{uid} {sha256}\n" for uid, sha256 in instances})
    return hashlib.sha256("".join(lines).encode()).hexdigest()
