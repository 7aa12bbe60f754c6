"""Withdrawal of a patient's or a series' consent: every version that holds it is marked, and nothing frozen is changed.

A marked member stays in the version (what was frozen on the day is a fact), is left out of exports and of what is frozen from
now on, and later differences name the withdrawal as the cause. ``Withdrawn.versions`` says which datasets to look at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from fairlead.cohort.audit import TRIES, append
from fairlead.cohort.store import CohortStore
from fairlead.cohort.tables import cohort_versions, withdrawals, withdrawn_members
from fairlead.cohort.texts import MAX_WORDS, checked_text, is_broken
from fairlead.database import database_errors, utc_now
from fairlead.errors import Conflict, InvalidInput, NotFound
from fairlead.index import Index, MembersOf

type Subject = Literal["patient", "series"]
MAX_SUBJECT: Final = 512


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What a withdrawal touched: ``ID@N`` and the record ids in it."""

    versions: dict[str, tuple[str, ...]]


def withdraw_consent(
    store: CohortStore, kind: Subject, subject: str, *, reason: str, by: str, clock: Callable[[], datetime] = utc_now
) -> Withdrawn:
    """Write the withdrawal down and mark every version; doing it again marks what was frozen meanwhile and is otherwise nothing.

    Parameters
    ----------
    subject : a record id, or a patient as the index names it (``center:project:key``; ``fairlead cohort members`` lists the key).

    Raises
    ------
    InvalidInput : no subject, or no reason.
    """
    if not subject.strip() or len(subject) > MAX_SUBJECT or is_broken(subject) or kind not in ("patient", "series"):
        raise InvalidInput("A withdrawal names one patient or one series.", remedy="Give its id as `fairlead cohort members` writes it.")
    if not reason.strip():
        raise InvalidInput("A withdrawal needs a reason.", remedy="Say it in a few words, without names.")
    reason = checked_text(reason, "reason", maximum=MAX_WORDS)
    for _ in range(TRIES):
        held = {ref: found for ref in _every_version(store) if (found := store.holding(ref, {kind: (subject,)}))}
        try:
            with database_errors(), store.engine.begin() as connection:
                number = _withdrawal(connection, kind, subject, reason, by, clock())
                for ref, found in held.items():
                    _mark(connection, ref, found, number)
                append(connection, by, "withdraw", "", at=clock(), detail={"kind": kind, "versions": sorted(held)})
            return Withdrawn(held)
        except IntegrityError:  # somebody else withdrew, or was audited, at the same moment
            continue
    raise Conflict("The database is too busy.", remedy="Withdraw again; nothing was written.")


def require_known(store: CohortStore, index: Index, kind: Subject, subject: str) -> None:
    """Refuse a subject that neither the index nor a frozen version knows: a mistyped withdrawal must not pass for a done one.

    Raises
    ------
    NotFound : nothing is known under this id.
    """
    if subject_records(index, kind, subject) or any(store.holding(ref, {kind: (subject,)}) for ref in _every_version(store)):
        return
    column = "series_uid" if kind == "series" else "patient"
    raise NotFound(
        f"No record and no version holds this {kind}.",
        remedy=f"Join what `fairlead cohort members` lists as center, project and {column} with colons, or withdraw with --ahead.",
    )


def subject_records(index: Index, kind: Subject, subject: str) -> tuple[str, ...]:
    """Return the records of a subject that are in the index."""
    subjects = frozenset({checked_text(subject, kind, maximum=MAX_SUBJECT)})
    return index.members(MembersOf(subjects) if kind == "series" else MembersOf(frozenset(), patients=subjects)).ids


def _every_version(store: CohortStore) -> list[str]:
    with database_errors(), store.engine.connect() as connection:
        rows = connection.execute(select(cohort_versions.c.cohort_id, cohort_versions.c.version))
        return [f"{row.cohort_id}@{row.version}" for row in rows]


def _withdrawal(connection: Connection, kind: Subject, subject: str, reason: str, by: str, at: datetime) -> int:
    known = connection.execute(select(withdrawals.c.id).where(withdrawals.c.kind == kind, withdrawals.c.subject == subject)).scalar()
    if known is not None:
        return int(known)
    values = {"kind": kind, "subject": subject, "reason": reason, "withdrawn_by": by, "withdrawn_at": at}
    made = connection.execute(insert(withdrawals).values(**values)).inserted_primary_key
    return int(made[0]) if made is not None else 0


def _mark(connection: Connection, ref: str, found: tuple[str, ...], number: int) -> None:
    identity, _, version = ref.partition("@")
    here = {"cohort_id": identity, "version": int(version)}
    marked = select(withdrawn_members.c.record_id).filter_by(**here)
    known = set(connection.execute(marked).scalars())
    rows = [here | {"record_id": one, "withdrawal": number} for one in found if one not in known]
    if rows:
        connection.execute(insert(withdrawn_members), rows)
