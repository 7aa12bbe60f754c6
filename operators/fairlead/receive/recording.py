"""How rows of objects are written: one writer at a time, and flushed where the archive could not give them back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.dialects import postgresql, sqlite

from fairlead.database import WRITES
from fairlead.receive.tables import counters

RECORD_LOCK: Final = 0x0FA1_41EB


def increase(connection: Connection, name: str, by: int = 1) -> None:
    """Add to a counter of the ledger, making it at first use."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(counters).values(name=name, value=by)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": counters.c.value + by}))


def queue(connection: Connection) -> None:
    """Let no other writer of series in before the end of the transaction: on SQLite every writer is the only one anyway."""
    if connection.dialect.name != "sqlite":
        connection.execute(select(func.pg_advisory_xact_lock(RECORD_LOCK)))


class MustFlush(Exception):
    """A row that was taken for derivable is none: the group is written again, flushed."""


@contextmanager
def recording(engine: Engine, *, flushed: bool) -> Iterator[Connection]:
    """Yield a transaction for rows of objects that are durable already; writers queue, nobody fails half-way.

    Rows that say more than the archive does (which copy is the present one) must survive a power cut and are flushed. Of the others a
    cut can only take the last ones, in order: any later flushed transaction keeps them, and the sweep makes them again. PostgreSQL
    flushes every row: it may die while the node goes on, and then no sweep would follow.
    """
    sqlite_file = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if sqlite_file and not flushed:
            connection.connection.driver_connection.execute("PRAGMA synchronous=NORMAL")  # type: ignore[union-attr]
        try:
            with connection.execution_options(**{WRITES: True}).begin():
                queue(connection)
                yield connection
        finally:
            if sqlite_file and not flushed:
                connection.connection.driver_connection.execute("PRAGMA synchronous=FULL")  # type: ignore[union-attr]
