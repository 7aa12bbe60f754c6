"""Rows of harvested records, written many at a time: one transaction each would spend most of its time waiting for the disk.

No lock is held while a server is asked. What a crash takes is as if it had not been seen: the old row is there with its old entity tag,
and the next harvest goes on from it. What is not written yet is known here all the same.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from fairlead.catalog.tables import harvested
from fairlead.publish.store import store_errors

AT_ONCE: Final = 50
"""Records of one transaction."""
WAIT_S: Final = 5.0
"""A record of a slow source is written with the next one after this time."""
TICK: Final = timedelta(microseconds=1)
LATEST: Final = select(func.max(harvested.c.changed_at))
COLUMNS: Final = tuple(column.name for column in harvested.columns)
ONE: Final = select(harvested).where(harvested.c.iri == bindparam("iri"))
CHANGE: Final = update(harvested).where(harvested.c.iri == bindparam("of"), harvested.c.sha256 == bindparam("before"))
"""Only of a row that is still what it was: another harvest's newer content and its entity tag belong together."""


@dataclass(slots=True)
class HarvestedRows:
    """The table as one harvest sees it."""

    engine: Engine
    _waiting: dict[str, dict[str, Any]] = field(default_factory=dict)
    _before: dict[str, str | None] = field(default_factory=dict)
    """Digests of what the database has of the waiting rows; None for new ones."""
    _since: float = 0.0

    def get(self, iri: str) -> Mapping[str, Any] | None:
        """Return a record's row, None when there is none."""
        if iri in self._waiting:
            return self._waiting[iri]
        with store_errors(), self.engine.connect() as connection:
            row = connection.execute(ONE, {"iri": iri}).mappings().one_or_none()
        return None if row is None else dict(row)

    def put(self, iri: str, known: Mapping[str, Any] | None, values: Mapping[str, Any]) -> None:
        """Change what is ``known`` of a record, or make its row; it is written later."""
        self._before.setdefault(iri, None if known is None else known["sha256"])
        self._waiting[iri] = {"iri": iri, "etag": "", "last_modified": "", **(known or {}), **values}
        self._since = self._since or time.monotonic()
        if len(self._waiting) >= AT_ONCE or time.monotonic() - self._since > WAIT_S:
            self.flush()

    def flush(self) -> None:
        """Write what waits, all or nothing."""
        if self._waiting:
            with store_errors(), self.engine.begin() as connection:
                self._order(connection)
                rows = self._waiting.items()
                changed = [{"of": iri, "before": self._before[iri], **row} for iri, row in rows if self._before[iri] is not None]
                new = [{name: row[name] for name in COLUMNS} for iri, row in rows if self._before[iri] is None]
                if changed:
                    connection.execute(CHANGE, changed)
                if new:  # another harvest may have been faster
                    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
                    connection.execute(dialect.insert(harvested).on_conflict_do_nothing(index_elements=["iri"]), new)
        self._waiting.clear()
        self._before.clear()
        self._since = 0.0

    def _order(self, connection: Connection) -> None:
        """Date what changed after everything that is there, whatever this machine's clock says: readers tell by the latest date."""
        latest = connection.scalar(LATEST)
        for iri, row in self._waiting.items():
            if latest is not None and row["sha256"] != self._before[iri] and row["changed_at"] <= latest:
                row["changed_at"] = latest + TICK

    def remove(self, iri: str) -> int:
        """Delete a record and return how many that were."""
        self.flush()
        with store_errors(), self.engine.begin() as connection:
            return connection.execute(delete(harvested).where(harvested.c.iri == iri)).rowcount

    def of_source(self, source: str) -> list[str]:
        """Return the records whose own documents a source led to, by address."""
        self.flush()
        own = (harvested.c.source == source, harvested.c.document == harvested.c.iri)
        with store_errors(), self.engine.connect() as connection:
            return list(connection.scalars(select(harvested.c.iri).where(*own).order_by(harvested.c.iri)))
