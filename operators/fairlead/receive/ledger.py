"""The ledger: one object over series, files, associations and quarantine; the truth about what is here and what is to do."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select

from fairlead.database import database_errors
from fairlead.receive.completion import Ending
from fairlead.receive.copy_ledger import CopyLedger
from fairlead.receive.refusals import Quarantined, note_refusal, quarantined_rows
from fairlead.receive.tables import associations, audits, counters, holds, quarantine
from fairlead.records import Refusal, Route


@dataclass(frozen=True, slots=True)
class OpenAssociation:
    """An association that the ledger holds as open."""

    key: str
    calling_ae: str
    called_ae: str
    peer: str
    opened_at: datetime


class Ledger(CopyLedger):
    """Every write is one transaction, so any line may be the last one before a crash."""

    def association_opened(self, key: str, route: Route) -> None:
        """Write down an association that was accepted."""
        values = {"id": key, "calling_ae": route.calling_ae, "called_ae": route.called_ae, "peer": route.peer, "opened_at": self.clock()}
        with database_errors(), self.engine.begin() as connection:
            connection.execute(insert(associations), values)

    def association_closed(self, key: str, ending: Ending) -> None:
        """Strike an association out; what it carried begins to settle."""
        with database_errors(), self.engine.begin() as connection:
            connection.execute(delete(associations).where(associations.c.id == key))
        self.sender_left(key, ending)

    def associations(self, prefix: str = "") -> tuple[OpenAssociation, ...]:
        """Return the associations that are open now, or those whose key begins with ``prefix``, oldest first."""
        mine = associations.c.id.startswith(prefix, autoescape=True)
        with database_errors(), self.engine.connect() as connection:
            rows = connection.execute(select(associations).where(mine).order_by(associations.c.opened_at, associations.c.id)).all()
        return tuple(OpenAssociation(row.id, row.calling_ae, row.called_ae, row.peer, row.opened_at) for row in rows)

    def associations_lost(self, alive: Collection[str] = ()) -> int:
        """At start: strike out what a dead node left open, but not imports that are ``alive``; return how many series lost their sender."""
        with database_errors(), self.engine.begin() as connection:
            connection.execute(delete(associations))
        return self.senders_lost(alive)

    def worker_lost(self, prefix: str) -> int:
        """Strike out what a dead worker process had open: every association whose key begins so; return how many."""
        mine, its_holds = associations.c.id.startswith(prefix, autoescape=True), holds.c.holder.startswith(prefix, autoescape=True)
        with database_errors(), self.engine.connect() as connection:
            keys = {
                *connection.scalars(select(associations.c.id).where(mine)),
                *connection.scalars(select(holds.c.holder).where(its_holds)),
            }
        for key in sorted(keys):
            self.association_closed(key, Ending.ABORTED)
        return len(keys)

    def open_associations(self) -> int:
        """Return how many associations are open now."""
        with database_errors(), self.engine.connect() as connection:
            return int(connection.scalar(select(func.count()).select_from(associations)) or 0)

    def refuse(self, refusal: Refusal, *, sha256: str = "", path: str | None = None, route: Route | None = None) -> None:
        """Write down what was not taken, where its bytes are kept, and where they would have belonged."""
        with database_errors(), self.engine.begin() as connection:
            note_refusal(connection, refusal, now=self.clock(), sha256=sha256, path=path, route=route)

    def quarantine(self) -> tuple[Refusal, ...]:
        """Return every refusal, oldest first."""
        wanted = select(quarantine.c.source, quarantine.c.code, quarantine.c.reason).order_by(quarantine.c.id)
        with database_errors(), self.engine.connect() as connection:
            return tuple(Refusal(source=row.source, code=row.code, reason=row.reason) for row in connection.execute(wanted))

    def quarantined(self) -> tuple[Quarantined, ...]:
        """Return every refusal with its number, bytes and route, oldest first."""
        with database_errors(), self.engine.connect() as connection:
            return quarantined_rows(connection)

    def release_quarantined(self, row: Quarantined) -> None:
        """Strike out a refusal that was mended; the audit table keeps that it was."""
        detail = {"source": row.source, "code": row.code, "reason": row.reason, "times": row.times}
        with database_errors(), self.engine.begin() as connection:
            connection.execute(delete(quarantine).where(quarantine.c.id == row.id))
            connection.execute(insert(audits), {"at": self.clock(), "event": "quarantine-released", "detail": detail})

    def counter(self, name: str) -> int:
        """Return a counter, 0 when nothing was counted."""
        with database_errors(), self.engine.connect() as connection:
            return int(connection.scalar(select(counters.c.value).where(counters.c.name == name)) or 0)

    @contextmanager
    def importing(self, key: str) -> Iterator[str]:
        """Hold what an import carries while it runs; its series are complete when it ends well, and wait when it does not."""
        try:
            yield key
        except BaseException:
            self.sender_left(key, Ending.ABORTED)
            raise
        self.sender_left(key, Ending.FINISHED)
