"""Series and instances in the ledger: recording, holding, settling. Every method is one transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, bindparam, delete, exists, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from fairlead.database import database_errors, utc_now
from fairlead.errors import Conflict
from fairlead.receive.completion import Ending, SeriesEvent, advance, generation_of, has_all, is_due
from fairlead.receive.recording import MustFlush, increase, queue, recording
from fairlead.receive.tables import audits, holds, instances, series
from fairlead.records import Instance, Route, SeriesState

logger = logging.getLogger(__name__)


class Stored(StrEnum):
    """What recording an instance changed."""

    ADDED = "added"
    UNCHANGED = "unchanged"
    NEW_VERSION = "new-version"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One durable object that wants its row.

    ``supersedes`` is false for a damaged copy: kept, but the present version stays. ``derivable`` says that the archive alone tells all
    of the row (the first version of its instance), so that a row lost with the power is made again at the next start.
    """

    instance: Instance
    study_uid: str
    series_uid: str
    route: Route
    holder: str | None = None
    supersedes: bool = True
    derivable: bool = False


class RelationConflict(Conflict):
    """The same SOP instance under another series, or the same series under another study, within one project."""

    code = "relation-conflict"
    default_remedy = "Compare the quarantined object with the archived one and correct the source."


TOUCH_EVERY: Final = timedelta(seconds=1)
_SAME_INSTANCE: Final = and_(
    instances.c.project == bindparam("project"),
    instances.c.center == bindparam("center"),
    instances.c.sop_instance_uid == bindparam("sop_instance_uid"),
)
_FIND_SERIES: Final = select(
    series.c.id, series.c.study_uid, series.c.state, series.c.last_received_at, exists().where(_SAME_INSTANCE).label("has_instance")
).where(series.c.project == bindparam("project"), series.c.center == bindparam("center"), series.c.series_uid == bindparam("series_uid"))
"""Built once, and no more columns than are looked at: this runs for every object."""
_PRESENT: Final = (
    select(func.count()).select_from(instances).where(instances.c.series_id == series.c.id, instances.c.current).scalar_subquery()
)
_FIND_VERSIONS: Final = select(
    instances.c.id, instances.c.series_id, instances.c.sha256, instances.c.version, instances.c.current, instances.c.path
).where(_SAME_INSTANCE)
_ADD_INSTANCE: Final = insert(instances).inline()
MOVING: Final = series.c.state.in_([SeriesState.RECEIVING.value, SeriesState.SETTLING.value])


def has_no_copy(place: str) -> ColumnElement[bool]:
    """Return the condition of an instance that has no verified copy in this place."""
    return instances.c.copied_to.is_distinct_from(place)


class SeriesLedger:
    """The part of the ledger that the doors write to."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime] = utc_now) -> None:
        self.engine = engine
        self.clock = clock
        self._held: dict[str, set[str]] = {}
        """Series that a holder's rows name already, so that each is written once; one key per holder, so threads never share one."""

    def record_instance(self, instance: Instance, *, study_uid: str, series_uid: str, route: Route) -> Stored:
        """Give one durable object its row; raise RelationConflict when it contradicts what is known."""
        (outcome,) = self.record([Arrival(instance, study_uid, series_uid, route)])
        if isinstance(outcome, RelationConflict):
            raise outcome
        return outcome

    def record(self, arrivals: Sequence[Arrival]) -> list[Stored | RelationConflict]:
        """Record several objects in one transaction, so that one flush serves them all; a conflict refuses only its own object."""
        try:
            outcomes = self._record_all(arrivals, flushed=not all(arrival.derivable for arrival in arrivals))
        except MustFlush:
            outcomes = self._record_all(arrivals, flushed=True)
        written = (Stored.ADDED, Stored.NEW_VERSION)  # an exact resend holds nothing: it must not look as if it did
        for arrival, outcome in zip(arrivals, outcomes, strict=True):
            if arrival.holder is not None and outcome in written:
                self._held.setdefault(arrival.holder, set()).add(arrival.series_uid)
        return outcomes

    def _record_all(self, arrivals: Sequence[Arrival], *, flushed: bool) -> list[Stored | RelationConflict]:
        with database_errors(), recording(self.engine, flushed=flushed) as connection:
            outcomes = [self._record(connection, arrival) for arrival in arrivals]
            if Stored.NEW_VERSION in outcomes and not flushed:  # its first version has a row and no file any more
                raise MustFlush
            return outcomes

    def _record(self, connection: Connection, arrival: Arrival) -> Stored | RelationConflict:
        uids = {"sop_instance_uid": arrival.instance.sop_instance_uid, "series_uid": arrival.series_uid}
        where = {"project": arrival.route.project, "center": arrival.route.center} | uids
        row = connection.execute(_FIND_SERIES, where).one_or_none()
        is_new = row is not None and not row.has_instance
        known = () if is_new else connection.execute(_FIND_VERSIONS, where).all()
        if row is not None and row.study_uid != arrival.study_uid:
            return RelationConflict("The series is known under another study.")
        if known and (row is None or known[0].series_id != row.id):
            return RelationConflict("The SOP instance is known under another series.")
        if any(version.sha256 == arrival.instance.sha256 for version in known):
            increase(connection, "instances_unchanged")
            return Stored.UNCHANGED
        now = self.clock()
        series_id = self._new_series(connection, arrival, now) if row is None else self._touch(connection, row, arrival.holder, now)
        self._insert(connection, arrival, series_id, known, now)
        is_moving = row is not None and row.state == SeriesState.RECEIVING  # else a manifest may have ended the hold, in another process
        if arrival.holder is not None and not (is_moving and arrival.series_uid in self._held.get(arrival.holder, ())):
            self._hold(connection, arrival.holder, series_id)
        return Stored.NEW_VERSION if known else Stored.ADDED

    def _new_series(self, connection: Connection, arrival: Arrival, now: datetime) -> int:
        values = {
            "project": arrival.route.project,
            "center": arrival.route.center,
            "study_uid": arrival.study_uid,
            "series_uid": arrival.series_uid,
            "state": SeriesState.RECEIVING.value,
            "ending": Ending.OPEN.value,
            "generation_number": 0,
            "route": arrival.route.model_dump(mode="json"),
            "first_received_at": now,
            "last_received_at": now,
            "last_event_at": now,
        }
        key = connection.execute(insert(series), values).inserted_primary_key
        return int(key[0])  # type: ignore[index]  # an INSERT of one row always has a key

    def _touch(self, connection: Connection, row: Row[Any], holder: str | None, now: datetime) -> int:
        state = advance(SeriesState(row.state), SeriesEvent.OBJECT_ARRIVED)
        if holder is not None and state == row.state and now - row.last_received_at < TOUCH_EVERY:
            return int(row.id)  # held open by its association, so the quiet time does not run: one write a second is enough
        values = {"state": state.value, "ending": Ending.OPEN.value, "last_received_at": now, "last_event_at": now}
        connection.execute(update(series).where(series.c.id == row.id), values | {"claimant": None, "claimed_until": None})
        return int(row.id)

    def _insert(self, connection: Connection, arrival: Arrival, series_id: int, known: Sequence[Any], now: datetime) -> None:
        current = not known or arrival.supersedes
        if known and current:
            connection.execute(update(instances).where(instances.c.id.in_([v.id for v in known])), {"current": False})
        if known:
            increase(connection, "instance_versions")
            detail = {
                "sop_instance_uid": arrival.instance.sop_instance_uid,
                "before": [v.sha256 for v in known],
                "after": arrival.instance.sha256,
                "current": current,
                "route": arrival.route.model_dump(mode="json"),
            }
            connection.execute(insert(audits), {"at": now, "event": "instance-version", "detail": detail})
        values: dict[str, Any] = {name: getattr(arrival.instance, name) for name in Instance.model_fields} | {
            "project": arrival.route.project,
            "center": arrival.route.center,
        }
        values |= {"series_id": series_id, "version": len(known) + 1, "current": current, "received_at": now}
        connection.execute(_ADD_INSTANCE, values)

    def _hold(self, connection: Connection, holder: str, series_id: int) -> None:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        connection.execute(dialect.insert(holds).values(holder=holder, series_id=series_id).on_conflict_do_nothing())

    def known_versions(self, route: Route, sop_instance_uid: str) -> dict[str, str]:
        """Return sha256 to archive path of every version of an instance in the route's project and centre."""
        where = {"project": route.project, "center": route.center, "sop_instance_uid": sop_instance_uid}
        with database_errors(), self.engine.connect() as connection:
            return {row.sha256: row.path for row in connection.execute(_FIND_VERSIONS, where)}

    def present_path(self, route: Route, sop_instance_uid: str) -> str | None:
        """Return the archive path of the present version of an instance, None when there is none."""
        where = {"project": route.project, "center": route.center, "sop_instance_uid": sop_instance_uid}
        with database_errors(), self.engine.connect() as connection:
            return next((str(row.path) for row in connection.execute(_FIND_VERSIONS, where) if row.current), None)

    def sender_left(self, holder: str, ending: Ending) -> int:
        """End an association or import: its series begin to settle; return how many."""
        self._held.pop(holder, None)
        with database_errors(), self.engine.begin() as connection:
            queue(connection)
            held = list(connection.scalars(select(holds.c.series_id).where(holds.c.holder == holder)))
            connection.execute(delete(holds).where(holds.c.holder == holder))
            self._settle(connection, held, ending)
        if held:
            logger.info("a sender left its series", extra={"association": holder, "series": held, "ending": ending.value})
        return len(held)

    def _settle(self, connection: Connection, held: Sequence[int], ending: Ending) -> None:
        now = self.clock()
        for series_id in held:
            row = connection.execute(select(series.c.state, series.c.ending).where(series.c.id == series_id)).one()
            state = SeriesState(row.state)
            if row.ending == Ending.FINISHED and state is SeriesState.SETTLING:
                continue  # the manifest was the last word
            if state in (SeriesState.RECEIVING, SeriesState.SETTLING):
                values = {"state": advance(state, SeriesEvent.SENDER_LEFT).value, "ending": ending.value, "last_event_at": now}
                connection.execute(update(series).where(series.c.id == series_id), values)

    def senders_lost(self, alive: Collection[str] = ()) -> int:
        """At start: whoever was sending when the node died has aborted, but for imports that are ``alive``; return how many series."""
        dead = holds.c.holder.not_in(alive)
        with database_errors(), self.engine.begin() as connection:
            held = list(connection.scalars(select(holds.c.series_id).where(dead).distinct()))
            connection.execute(delete(holds).where(dead))
            self._settle(connection, held, Ending.ABORTED)
            return len(held)

    def settle(self, *, settle_after_s: float, quiet_after_s: float, copied_to: str | None = None) -> int:
        """Complete every series whose quiet time is over and that no open association carries; return how many.

        With ``copied_to`` each of its present objects must have a verified copy in that place too.
        """
        now = self.clock()
        ready = and_(MOVING, ~exists().where(holds.c.series_id == series.c.id))
        if copied_to is not None:
            ready = and_(ready, ~exists().where(instances.c.series_id == series.c.id, instances.c.current, has_no_copy(copied_to)))
        with database_errors(), self.engine.connect() as connection:  # asked twice a second: senders wait only when something moves
            if connection.scalar(select(series.c.id).where(ready).limit(1)) is None:
                return 0
        with database_errors(), self.engine.begin() as connection:
            queue(connection)
            rows = connection.execute(select(series, _PRESENT.label("present")).where(ready)).all()
            due = [
                row
                for row in rows
                if is_due(Ending(row.ending), row.last_event_at, now=now, settle_after_s=settle_after_s, quiet_after_s=quiet_after_s)
                or has_all(Ending(row.ending), present=row.present, expected=row.expected)
            ]
            complete = [(row.id, self._complete(connection, row, now)) for row in due]
        for series_id, generation in complete:
            logger.info("a series is complete", extra={"series": [series_id], "generation": generation})
        return len(due)

    def expect(self, announced: Callable[[str], int]) -> int:
        """Ask ``announced(path)`` once for every moving series how many instances its headers announce; return how many were asked."""
        held = exists().where(holds.c.series_id == series.c.id)
        unknown = and_(series.c.state == SeriesState.SETTLING.value, series.c.expected.is_(None), ~held)
        one = select(series.c.id, func.min(instances.c.path).label("path")).join(instances, instances.c.series_id == series.c.id)
        with database_errors(), self.engine.connect() as connection:
            rows = connection.execute(one.where(unknown, instances.c.current).group_by(series.c.id)).all()
        if not rows:
            return 0  # asked twice a second, and most of the time nothing moves: nobody has to wait for that
        found = [(row.id, announced(row.path)) for row in rows]
        with database_errors(), self.engine.begin() as connection:
            for series_id, number in found:
                connection.execute(update(series).where(series.c.id == series_id), {"expected": number})
        return len(found)

    def expect_of(self, route: Route, series_uid: str, number: int) -> None:
        """Note how many instances a peer says that a series has (Number of Series Related Instances); it overrules the headers."""
        here = and_(series.c.project == route.project, series.c.center == route.center, series.c.series_uid == series_uid)
        with database_errors(), self.engine.begin() as connection:
            connection.execute(update(series).where(here), {"expected": number})

    def _complete(self, connection: Connection, row: Row[Any], now: datetime) -> str:
        """Close the generation and return it."""
        number = row.generation_number + 1
        mine = instances.c.series_id == row.id
        connection.execute(
            update(instances).where(mine, instances.c.current, instances.c.generation_from.is_(None)), {"generation_from": number}
        )
        superseded = and_(mine, ~instances.c.current, instances.c.generation_from.is_not(None), instances.c.generation_until.is_(None))
        connection.execute(update(instances).where(superseded), {"generation_until": number})
        pairs = connection.execute(select(instances.c.sop_instance_uid, instances.c.sha256).where(mine, instances.c.current)).all()
        generation = generation_of((uid, sha) for uid, sha in pairs)
        state = advance(SeriesState(row.state), SeriesEvent.QUIET)
        values: dict[str, Any] = {"state": state.value, "generation_number": number, "generation": generation, "completed_at": now}
        if generation == row.indexed_generation:  # only a damaged copy came: nothing that counts has changed
            values["state"] = advance(state, SeriesEvent.INDEXED).value
        connection.execute(update(series).where(series.c.id == row.id), values)
        return generation
