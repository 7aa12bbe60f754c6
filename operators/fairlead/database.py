"""The ledger's database: SQLAlchemy 2, SQLite on a laptop, PostgreSQL in production, Alembic migrations from the first day.

Tables belong to rooms (``receive/tables.py``, ``cohort/tables.py``, ``publish/tables.py``) and share :data:`metadata`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

from sqlalchemy import URL, DateTime, Dialect, Engine, MetaData, create_engine, event, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.types import TypeDecorator

from fairlead.errors import ServiceUnreachable
from fairlead.settings import Settings

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
SQLITE_BUSY_MS: Final = 30_000

# Two things need to find every engine: a forked child (Airflow runs each task in one), which must not share its parent's
# connections, and the end of a command.
_engines: Final[WeakSet[Engine]] = WeakSet()


class UtcDateTime(TypeDecorator[datetime]):
    """A timezone-aware UTC time; SQLite would otherwise hand back naive ones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: nobody knows what they mean."""
        if value is not None and value.tzinfo is None:
            raise ValueError("A time without a zone was given to the database.")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Attach UTC where the engine dropped it."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def utc_now() -> datetime:
    """Return the present time; the one clock that code takes as its default parameter."""
    return datetime.now(UTC)


def open_engine(url: str) -> Engine:
    """Return an engine; SQLite with write-ahead log, foreign keys, full sync and a 30 s busy timeout, PostgreSQL pinged before use."""
    parsed = make_url(url)
    engine = _open_sqlite(parsed) if parsed.get_backend_name() == "sqlite" else create_engine(parsed, pool_pre_ping=True)
    _engines.add(engine)
    return engine


def _open_sqlite(url: URL) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_MS / 1000})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def close_engines() -> None:
    """Close the pooled connections of every engine of this process."""
    for engine in list(_engines):
        engine.dispose()


def _forget_connections() -> None:
    for engine in list(_engines):
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_connections)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own BEGIN is deferred: two writers would then fail half-way, not wait
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL", f"busy_timeout={SQLITE_BUSY_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn "cannot connect" and "locked for too long" into :class:`ServiceUnreachable`."""
    try:
        yield
    except OperationalError as error:
        raise ServiceUnreachable(
            "The database does not answer.", remedy="Check FAIRLEAD_DATABASE_URL and the server, then repeat."
        ) from error


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest migration; safe to call by several processes at once and when nothing is to do."""
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "fairlead:migrations")
    head = ScriptDirectory.from_config(config).get_current_head()
    with database_errors(), engine.begin() as connection:
        if MigrationContext.configure(connection).get_current_revision() == head:
            return
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def open_database(settings: Settings) -> Engine:
    """Return an engine on the configured database with its schema up to date."""
    engine = open_engine(settings.database)
    upgrade(engine)
    return engine
