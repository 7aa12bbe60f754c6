"""The life of an export, as a table: what may follow what, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from fairlead.errors import IllegalTransition


class ExportState(StrEnum):
    """Where an export is. ``PUBLISHED``, ``REFUSED`` and ``FAILED`` are final."""

    REQUESTED = "requested"
    APPROVED = "approved"
    DEIDENTIFIED = "deidentified"
    CONVERTED = "converted"
    DESCRIBED = "described"
    PUBLISHED = "published"
    REFUSED = "refused"
    FAILED = "failed"


class ExportEvent(StrEnum):
    """What happens to an export."""

    APPROVE = "approve"
    REFUSE = "refuse"
    DEIDENTIFY = "deidentify"
    CONVERT = "convert"
    DESCRIBE = "describe"
    PUBLISH = "publish"
    FAIL = "fail"


TRANSITIONS: Final[Mapping[tuple[ExportState, ExportEvent], ExportState]] = {
    (ExportState.REQUESTED, ExportEvent.APPROVE): ExportState.APPROVED,
    (ExportState.REQUESTED, ExportEvent.REFUSE): ExportState.REFUSED,
    (ExportState.REQUESTED, ExportEvent.FAIL): ExportState.FAILED,
    (ExportState.APPROVED, ExportEvent.DEIDENTIFY): ExportState.DEIDENTIFIED,
    (ExportState.APPROVED, ExportEvent.FAIL): ExportState.FAILED,
    (ExportState.DEIDENTIFIED, ExportEvent.CONVERT): ExportState.CONVERTED,
    (ExportState.DEIDENTIFIED, ExportEvent.FAIL): ExportState.FAILED,
    (ExportState.CONVERTED, ExportEvent.DESCRIBE): ExportState.DESCRIBED,
    (ExportState.CONVERTED, ExportEvent.FAIL): ExportState.FAILED,
    (ExportState.DESCRIBED, ExportEvent.DESCRIBE): ExportState.DESCRIBED,  # again, under the next number, when another export was first
    (ExportState.DESCRIBED, ExportEvent.PUBLISH): ExportState.PUBLISHED,
    (ExportState.DESCRIBED, ExportEvent.FAIL): ExportState.FAILED,
}

WAY: Final = (
    ExportState.REQUESTED,
    ExportState.APPROVED,
    ExportState.DEIDENTIFIED,
    ExportState.CONVERTED,
    ExportState.DESCRIBED,
    ExportState.PUBLISHED,
)
"""The good way, in order."""


def advance(state: ExportState, event: ExportEvent) -> ExportState:
    """Return the next state.

    Raises
    ------
    IllegalTransition : the message names the events that are allowed.
    """
    if (found := TRANSITIONS.get((state, event))) is not None:
        return found
    allowed = sorted(known.value for at, known in TRANSITIONS if at == state)
    raise IllegalTransition(
        f"An export that is {state.value} cannot {event.value}.",
        remedy=f"Possible now: {', '.join(allowed)}." if allowed else "It is final; request a new export.",
    )


def is_past(state: ExportState, event: ExportEvent) -> bool:
    """Return whether the step was done before, so that repeating it changes nothing.

    >>> is_past(ExportState.CONVERTED, ExportEvent.DEIDENTIFY), is_past(ExportState.APPROVED, ExportEvent.CONVERT)
    (True, False)
    """
    reached = next(to for (_, known), to in TRANSITIONS.items() if known == event)
    return reached in WAY and state in WAY and WAY.index(state) >= WAY.index(reached)
