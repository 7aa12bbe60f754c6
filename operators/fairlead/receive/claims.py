"""The ledger as a work list: complete series and stable files are claimed, done, and marked; a stale claim returns by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select, update

from fairlead.database import database_errors
from fairlead.errors import NotFound
from fairlead.receive.completion import SeriesEvent, advance
from fairlead.receive.refusals import note_refusal
from fairlead.receive.series_ledger import SeriesLedger
from fairlead.receive.tables import files, instances, series
from fairlead.records import Instance, ReceivedSeries, Refusal, Route, SeriesState

BATCH = 500


def received(connection: Connection, row: Row[Any]) -> ReceivedSeries:
    """Return the newest complete generation of a series row; a generation that is still arriving does not show."""
    number = row.generation_number
    members = connection.execute(
        select(instances)
        .where(
            instances.c.series_id == row.id,
            instances.c.generation_from <= number,
            or_(instances.c.generation_until.is_(None), instances.c.generation_until > number),
        )
        .order_by(instances.c.sop_instance_uid)
    )
    return ReceivedSeries(
        study_uid=row.study_uid,
        series_uid=row.series_uid,
        generation=row.generation,
        instances=tuple(Instance(**{name: getattr(member, name) for name in Instance.model_fields}) for member in members),
        route=Route.model_validate(row.route),
        first_received_at=row.first_received_at,
        last_received_at=row.last_received_at,
    )


class SeriesClaims(SeriesLedger):
    """Series that are complete, on their way into the index."""

    def waiting(self) -> int:
        """Return how many complete series and stable files wait for the index."""
        return self.waiting_series() + self.waiting_files()

    def waiting_series(self) -> int:
        """Return how many complete series wait for the index; a level trigger polls this."""
        ready = select(func.count()).select_from(series).where(series.c.state == SeriesState.COMPLETE.value)
        with database_errors(), self.engine.connect() as connection:
            return int(connection.scalar(ready) or 0)

    def waiting_files(self) -> int:
        """Return how many stable files wait for the index; a level trigger polls this."""
        stable = select(func.count()).select_from(files).where(files.c.state == "stable")
        with database_errors(), self.engine.connect() as connection:
            return int(connection.scalar(stable) or 0)

    def queue_age_s(self) -> float:
        """Return how many seconds the oldest complete series has waited for the index, 0 when none does."""
        oldest = select(func.min(series.c.completed_at)).where(series.c.state == SeriesState.COMPLETE.value)
        with database_errors(), self.engine.connect() as connection:
            since = connection.scalar(oldest)
        return 0.0 if since is None else max((self.clock() - since).total_seconds(), 0.0)

    def claim_series(self, limit: int, *, claimant: str, lease_s: float = 600) -> tuple[ReceivedSeries, ...]:
        """Take up to ``limit`` complete series for ``lease_s`` seconds, oldest first."""
        now = self.clock()
        free = or_(series.c.claimed_until.is_(None), series.c.claimed_until < now)
        wanted = (
            select(series)
            .where(and_(series.c.state == SeriesState.COMPLETE.value, free))
            .order_by(series.c.completed_at, series.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        with database_errors(), self.engine.begin() as connection:
            rows = connection.execute(wanted).all()
            lease = {"claimant": claimant, "claimed_until": now + timedelta(seconds=lease_s)}
            connection.execute(update(series).where(series.c.id.in_([row.id for row in rows])), lease)
            return tuple(received(connection, row) for row in rows)

    def is_newest(self, found: ReceivedSeries) -> bool:
        """Return whether no newer generation of the series is complete; ask before putting a record into the index."""
        with database_errors(), self.engine.connect() as connection:
            return bool(self._row(connection, found.route.project, found.route.center, found.series_uid).generation == found.generation)

    def series_indexed(self, done: ReceivedSeries) -> None:
        """Mark a generation as indexed; one that was overtaken sends the series back to be indexed again."""
        self._finish(done, SeriesEvent.INDEXED, {"indexed_generation": done.generation})

    def series_quarantined(self, done: ReceivedSeries, *, code: str, reason: str) -> None:
        """Take a series that cannot be indexed out of the work list, with the reason."""
        self._finish(done, SeriesEvent.REFUSED, {})
        with database_errors(), self.engine.begin() as connection:
            refusal = Refusal(source=f"series {done.series_uid}", code=code, reason=reason)
            note_refusal(connection, refusal, now=self.clock(), sha256=done.generation, route=done.route)

    def _finish(self, done: ReceivedSeries, event: SeriesEvent, values: dict[str, Any]) -> None:
        with database_errors(), self.engine.begin() as connection:
            row = self._row(connection, done.route.project, done.route.center, done.series_uid)
            state = SeriesState(row.state)
            overtaken = row.generation != done.generation
            if overtaken:
                values, event = {}, SeriesEvent.OVERTAKEN
            if state is (SeriesState.INDEXED if overtaken else SeriesState.COMPLETE):
                values = values | {"state": advance(state, event).value, "claimant": None, "claimed_until": None}
            if values:
                connection.execute(update(series).where(series.c.id == row.id), values)

    def retry_series(self, project: str, center: str, series_uid: str) -> None:
        """Give a quarantined series back to the work list; raise IllegalTransition when it is not quarantined."""
        with database_errors(), self.engine.begin() as connection:
            row = self._row(connection, project, center, series_uid)
            state = advance(SeriesState(row.state), SeriesEvent.RETRIED)
            connection.execute(update(series).where(series.c.id == row.id), {"state": state.value})

    def demanded_profile(self, project: str, center: str, series_uid: str) -> str | None:
        """Return the de-identification profile that the route of a series demands, None when it demands none or no such series is here."""
        here = and_(series.c.project == project, series.c.center == center, series.c.series_uid == series_uid)
        with database_errors(), self.engine.connect() as connection:
            route = connection.scalar(select(series.c.route).where(here))
        return None if route is None else Route.model_validate(route).deidentify_profile

    def series_of(self, project: str, center: str, series_uid: str) -> ReceivedSeries:
        """Return the newest complete generation of a series; raise NotFound when there is none."""
        with database_errors(), self.engine.connect() as connection:
            row = self._row(connection, project, center, series_uid)
            if not row.generation_number:
                raise NotFound("The series is still arriving; no generation of it is complete.", remedy="Wait for it to settle.")
            return received(connection, row)

    def _row(self, connection: Connection, project: str, center: str, series_uid: str) -> Row[Any]:
        here = and_(series.c.project == project, series.c.center == center, series.c.series_uid == series_uid)
        row = connection.execute(select(series).where(here)).one_or_none()
        if row is None:
            raise NotFound(f"The project {project} of {center} has no such series.")
        return row

    def indexed_series(self) -> Iterator[ReceivedSeries]:
        """Yield every series that was indexed, as it is now, for a rebuild of the index; holds one batch at a time."""
        last = 0
        while rows := self._indexed_after(last):
            last = rows[-1][0]
            yield from (found for _, found in rows)

    def _indexed_after(self, last: int) -> Sequence[tuple[int, ReceivedSeries]]:
        wanted = select(series).where(series.c.id > last, series.c.indexed_generation.is_not(None)).order_by(series.c.id).limit(BATCH)
        with database_errors(), self.engine.connect() as connection:
            return [(row.id, received(connection, row)) for row in connection.execute(wanted).all()]

    def counts(self) -> dict[SeriesState, int]:
        """Return how many series are in each state; states without a series are 0."""
        with database_errors(), self.engine.connect() as connection:
            rows = connection.execute(select(series.c.state, func.count()).group_by(series.c.state)).all()
        return {state: dict((name, n) for name, n in rows).get(state.value, 0) for state in SeriesState}
