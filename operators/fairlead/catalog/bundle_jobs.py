"""Bundles that are stored later: who asks for that gets an address that tells how far it is (FDP 2.0 draft, BLK-09).

The report is written in the transaction that stores the records, so that a crash leaves both or neither; the bundle itself is kept in
memory only, and one that a crash took away is told as failed.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from queue import Full, Queue
from threading import Lock, Thread
from typing import Any, Final

from sqlalchemy import Connection, Engine, delete, insert, select, update

from fairlead.catalog.accounts import User
from fairlead.catalog.bundle_writing import Outcome, Wanted
from fairlead.catalog.tables import bundles
from fairlead.database import utc_now
from fairlead.errors import FairleadError, NotFound, ServiceUnreachable
from fairlead.publish.store import store_errors
from fairlead.records import JsonObject

logger = logging.getLogger(__name__)
MAX_WAITING: Final = 8
LOST_AFTER: Final = timedelta(minutes=15)
"""A bundle that nobody finished by then was taken away by a crash: the largest one takes a minute."""
KEPT_FOR: Final = timedelta(days=7)
type Store = Callable[[Wanted, Callable[[Connection, Outcome], None]], Outcome]


class BundleJobs:
    """Stores bundles one after the other, in a thread of its own."""

    def __init__(self, engine: Engine, store: Store, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._engine, self._store, self._clock = engine, store, clock
        self._waiting: Queue[tuple[str, Wanted]] = Queue(MAX_WAITING)
        self._lock = Lock()
        self._worker: Thread | None = None

    def later(self, wanted: Wanted) -> str:
        """Return the id under which a bundle will be stored; raise ServiceUnreachable when too many wait."""
        name, now = str(uuid.uuid4()), self._clock()
        row = {"id": name, "owner": wanted.user.email, "state": "running", "report": "", "created_at": now, "changed_at": now}
        with store_errors(), self._engine.begin() as connection:
            connection.execute(delete(bundles).where(bundles.c.created_at < now - KEPT_FOR))
            connection.execute(insert(bundles).values(row))
        with self._lock:
            try:
                self._waiting.put_nowait((name, wanted))
            except Full as error:
                self._finish(name, "failed", _problem(ServiceUnreachable("Too many bundles are waiting.", remedy="Repeat later.")))
                raise ServiceUnreachable("Too many bundles are waiting.", remedy="Repeat later.") from error
            if self._worker is None:
                self._worker = Thread(target=self._work, name="bundles", daemon=True)
                self._worker.start()
        return name

    def status(self, name: str, user: User) -> JsonObject:
        """Return how far a bundle is, with the report when it is done; raise NotFound for anybody but its sender and administrators."""
        with store_errors(), self._engine.connect() as connection:
            row = connection.execute(select(bundles).where(bundles.c.id == name)).first()
        if row is None or not (user.is_admin or row.owner == user.email):
            raise NotFound("There is no bundle of that id.")
        if row.state == "running" and self._clock() - row.created_at > LOST_AFTER:
            lost = ServiceUnreachable("The server was stopped before the bundle was stored.", remedy="Send it again: nothing was stored.")
            return {"state": "failed", "result": _problem(lost)}
        names = {"running": "in progress", "done": "succeeded"}
        return {"state": names.get(row.state, row.state), "result": json.loads(row.report) if row.report else None}

    @property
    def is_idle(self) -> bool:
        """Whether every bundle that was sent has been judged."""
        return not self._waiting.unfinished_tasks

    def _work(self) -> None:
        while True:
            name, wanted = self._waiting.get()
            try:
                self._run(name, wanted)
            except FairleadError as error:
                logger.warning("a bundle's end was not noted: %s", error.code)
            finally:
                self._waiting.task_done()

    def _run(self, name: str, wanted: Wanted) -> None:
        """Store one bundle and say what became of it, whatever that is: the worker outlives it."""
        try:
            outcome = self._store(wanted, lambda connection, made: self._settle(connection, name, made))
            if not outcome.stored:
                self._finish(name, "failed", outcome.report())
        except FairleadError as error:
            self._finish(name, "failed", _problem(error))
        except Exception as error:  # a mistake of ours must not leave a bundle "in progress" for ever
            logger.error("a bundle failed: %s", type(error).__name__)
            self._finish(name, "failed", {"code": "internal", "title": "The server made a mistake.", "detail": ""})

    def _settle(self, connection: Connection, name: str, outcome: Outcome) -> None:
        """Write the report with the records, unless the sender has been told by now that nothing was stored."""
        now = self._clock()
        in_time = bundles.c.created_at >= now - LOST_AFTER
        if connection.scalar(select(bundles.c.id).where(bundles.c.id == name, in_time)) is None:
            raise ServiceUnreachable("The bundle waited too long, so nothing was stored.", remedy="Send it again.")
        _note(connection, name, now, "done", outcome.report())

    def _finish(self, name: str, state: str, report: JsonObject) -> None:
        with store_errors(), self._engine.begin() as connection:
            _note(connection, name, self._clock(), state, report)


def _note(connection: Connection, name: str, now: datetime, state: str, report: JsonObject) -> None:
    values: dict[str, Any] = {"state": state, "report": json.dumps(report, ensure_ascii=False), "changed_at": now}
    connection.execute(update(bundles).where(bundles.c.id == name).values(values))


def _problem(error: FairleadError) -> JsonObject:
    return {"code": error.code, "title": error.message, "detail": error.remedy}
