"""Storage commitment in the ledger: what a sender wants us to answer for, until its report has been taken.

Source: DICOM PS3.4 Annex J. The request is durable before it is answered; the verdict is made anew for each report,
from rows and files as they are then. A manifest is also the sender's own word on what a series holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from fairlead.database import database_errors
from fairlead.receive.completion import Ending, SeriesEvent, advance
from fairlead.receive.file_ledger import FileLedger
from fairlead.receive.tables import commitments, holds, instances, series
from fairlead.records import Route, SeriesState

BATCH: Final = 500
RETRY_LIMIT_S: Final = 3600.0
PROCESSING_FAILURE, NO_SUCH_OBJECT, CLASS_CONFLICT = 0x0110, 0x0112, 0x0119


class CommitmentState(StrEnum):
    """Life of a request."""

    PENDING = "pending"
    REPORTED = "reported"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Commitment:
    """One request: the transaction, who gets the report, and the (SOP class, SOP instance) pairs it lists."""

    id: int
    transaction_uid: str
    calling_ae: str
    project: str
    center: str
    holder: str
    manifest: tuple[tuple[str, str], ...]
    attempts: int
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """What we answer for, and what we do not, with the failure reason of PS3.3 C.14."""

    committed: tuple[tuple[str, str], ...]
    failed: tuple[tuple[str, str, int], ...]


def _commitment(row: Row[Any]) -> Commitment:
    names = ("id", "transaction_uid", "calling_ae", "project", "center", "holder", "attempts", "requested_at")
    return Commitment(manifest=tuple((str(a), str(b)) for a, b in row.manifest), **{name: getattr(row, name) for name in names})


class CommitmentLedger(FileLedger):
    """Requests for storage commitment, durable until reported."""

    def request_commitment(self, transaction_uid: str, manifest: Sequence[tuple[str, str]], *, route: Route, holder: str) -> None:
        """Write a request down; the same transaction of the same sender again starts over."""
        now = self.clock()
        values: dict[str, Any] = {
            "project": route.project,
            "center": route.center,
            "holder": holder,
            "manifest": [list(pair) for pair in manifest],
        }
        values |= {"state": CommitmentState.PENDING.value, "attempts": 0, "requested_at": now, "next_at": now}
        key = {"calling_ae": route.calling_ae, "transaction_uid": transaction_uid}
        with database_errors(), self.engine.begin() as connection:
            dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
            statement = dialect.insert(commitments).values(values | key)
            connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))

    def due_commitments(self) -> tuple[Commitment, ...]:
        """Return the requests whose report is to be sent now, oldest first."""
        due = and_(commitments.c.state == CommitmentState.PENDING.value, commitments.c.next_at <= self.clock())
        with database_errors(), self.engine.connect() as connection:
            return tuple(_commitment(row) for row in connection.execute(select(commitments).where(due).order_by(commitments.c.id)))

    def commitments_by_state(self) -> dict[str, int]:
        """Return how many requests are in each state."""
        with database_errors(), self.engine.connect() as connection:
            found = connection.execute(select(commitments.c.state, func.count()).group_by(commitments.c.state)).all()
        return {state.value: dict((name, n) for name, n in found).get(state.value, 0) for state in CommitmentState}

    def postpone_commitment(self, commitment: Commitment, wait_s: float) -> None:
        """Look at a request again later, without counting an attempt."""
        self._change(commitment, {"next_at": self.clock() + timedelta(seconds=wait_s)})

    def commitment_reported(self, commitment: Commitment) -> None:
        """Close a request whose report the peer has taken."""
        self._change(commitment, {"state": CommitmentState.REPORTED.value, "attempts": commitment.attempts + 1})

    def commitment_missed(self, commitment: Commitment, *, retry_s: float, for_s: float) -> CommitmentState:
        """Plan the next attempt, twice as late as the last one, or give up after ``for_s`` seconds."""
        now = self.clock()
        over = commitment.requested_at + timedelta(seconds=for_s) <= now
        state = CommitmentState.ABANDONED if over else CommitmentState.PENDING
        wait_s = min(retry_s * 2.0 ** min(commitment.attempts, 32), RETRY_LIMIT_S)
        values = {"state": state.value, "attempts": commitment.attempts + 1, "next_at": now + timedelta(seconds=wait_s)}
        self._change(commitment, values)
        return state

    def _change(self, commitment: Commitment, values: dict[str, Any]) -> None:
        with database_errors(), self.engine.begin() as connection:
            connection.execute(update(commitments).where(commitments.c.id == commitment.id), values)

    def judge(self, commitment: Commitment, is_there: Callable[[str, int], bool]) -> Verdict:
        """Return what of the manifest is in the ledger and, by ``is_there(path, size)``, on the disk."""
        committed, failed = [], []
        with database_errors(), self.engine.begin() as connection:
            known = {row.sop_instance_uid: row for row in _listed(connection, commitment)}
        for sop_class, sop_instance in commitment.manifest:
            row = known.get(sop_instance)
            if row is None:
                failed.append((sop_class, sop_instance, NO_SUCH_OBJECT))
            elif row.sop_class_uid != sop_class:
                failed.append((sop_class, sop_instance, CLASS_CONFLICT))
            elif not is_there(row.path, row.size_bytes):
                failed.append((sop_class, sop_instance, PROCESSING_FAILURE))
            else:
                committed.append((sop_class, sop_instance))
        return Verdict(tuple(committed), tuple(failed))

    def manifest_completes(self, commitment: Commitment) -> int:
        """End the wait of every series whose instances the manifest all lists; return how many.

        The sender has said what there is, so its own association no longer holds the series; another one still does.
        """
        with database_errors(), self.engine.begin() as connection:
            listed = Counter(row.series_id for row in _listed(connection, commitment))
            whole = [number for number, count in listed.items() if count == _size(connection, number)]
            return sum(self._manifest_ends(connection, commitment, number) for number in whole)

    def _manifest_ends(self, connection: Connection, commitment: Commitment, series_id: int) -> bool:
        row = connection.execute(select(series).where(series.c.id == series_id)).one()
        state = SeriesState(row.state)
        if state not in (SeriesState.RECEIVING, SeriesState.SETTLING):
            return False
        connection.execute(delete(holds).where(holds.c.holder == commitment.holder, holds.c.series_id == series_id))
        self._held.get(commitment.holder, set()).discard(row.series_uid)
        values = {"state": advance(state, SeriesEvent.SENDER_LEFT).value, "ending": Ending.FINISHED.value, "last_event_at": self.clock()}
        connection.execute(update(series).where(series.c.id == series_id), values)
        return True


def _listed(connection: Connection, commitment: Commitment) -> Iterator[Any]:
    """Yield the current instances of the sender's project that a manifest lists."""
    uids = sorted({uid for _, uid in commitment.manifest})
    columns = (instances.c.sop_instance_uid, instances.c.sop_class_uid, instances.c.path, instances.c.size_bytes, instances.c.series_id)
    here = and_(instances.c.project == commitment.project, instances.c.center == commitment.center, instances.c.current)
    for at in range(0, len(uids), BATCH):
        yield from connection.execute(select(*columns).where(here, instances.c.sop_instance_uid.in_(uids[at : at + BATCH])))


def _size(connection: Connection, series_id: int) -> int:
    mine = and_(instances.c.series_id == series_id, instances.c.current)
    return int(connection.scalar(select(func.count()).select_from(instances).where(mine)) or 0)
