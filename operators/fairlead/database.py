"""The ledger's database: SQLAlchemy 2, SQLite on a laptop, PostgreSQL in production, Alembic migrations from the first day.

Tables belong to rooms (``receive/tables.py``, ``cohort/tables.py``, ``publish/tables.py``) and share :data:`metadata`.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

from sqlalchemy import URL, Connection, DateTime, Dialect, Engine, MetaData, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.types import TypeDecorator

from fairlead.errors import FairleadError, InvalidConfiguration, ServiceUnreachable, StorageFull
from fairlead.files import private_file, usable_folder
from fairlead.settings import Settings, prepare_home

LOG: Final = logging.getLogger(__name__)
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
SOON_S: Final = 0.01
WRITES: Final = "fairlead_writes"
POSTGRES_DISK_FULL: Final = "53100"
NO_DATABASE: Final = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})

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
    """Return an engine; SQLite with write-ahead log, foreign keys, full sync and a 30 s busy timeout, PostgreSQL pinged before use.

    ``engine.begin()`` is for writing, ``engine.connect()`` for reading: on SQLite only the first takes the write lock.

    Raises
    ------
    InvalidConfiguration : the URL is none, names a database without a driver here, or a file that cannot be used.
    """
    parsed = database_address(url)
    try:
        engine = _open_sqlite(parsed) if parsed.get_backend_name() == "sqlite" else create_engine(parsed, pool_pre_ping=True)
    except (ArgumentError, ModuleNotFoundError) as error:
        raise _no_address() from error
    _engines.add(engine)
    return engine


def database_address(url: str) -> URL:
    """Return the parsed URL; raise InvalidConfiguration, without repeating it (it may hold a password), when it is none."""
    try:
        address = make_url(url)
        address.get_dialect()
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, ValueError) as error:
        raise _no_address() from error
    return address


def _no_address() -> InvalidConfiguration:
    return InvalidConfiguration(
        "The database address FAIRLEAD_DATABASE_URL (database_url) is not one that can be used here.",
        remedy="Write postgresql+psycopg://user:password@host/name or sqlite:////path/to/file, or leave it out.",
    )


def _open_sqlite(url: URL) -> Engine:
    if url.database and not url.database.startswith((":memory:", "file:")):
        file = Path(url.database)
        usable_folder(file.parent, "folder of the database")
        private_file(file)
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_MS / 1000})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin)
    engine.begin = lambda: _writing(engine)  # type: ignore[method-assign]  # SQLAlchemy has no event that tells the two apart
    return engine


@contextmanager
def _writing(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection, connection.execution_options(**{WRITES: True}).begin():
        yield connection


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
    write_ahead(connection, wait_s=SQLITE_BUSY_MS / 1000)
    for pragma in ("foreign_keys=ON", "synchronous=FULL", f"busy_timeout={SQLITE_BUSY_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def write_ahead(connection: sqlite3.Connection, *, wait_s: float) -> None:
    """Give the file a write-ahead log. Processes that meet a new file at once lock each other out, and SQLite does not wait then."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(SOON_S)
        else:
            return


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITES) else "BEGIN")


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn what says nothing about the statement (no connection, locked for too long, full, damaged) into an error of ours."""
    try:
        yield
    except IntegrityError:
        raise
    except (OperationalError, InterfaceError, DatabaseError) as error:
        if (ours := _explained(error)) is None:
            raise
        raise ours from error


def _explained(error: DatabaseError | InterfaceError) -> FairleadError | None:
    """Return our error for one of the driver's; None for a statement that is wrong, which is a defect."""
    if isinstance(error.orig, sqlite3.Error):
        return _explained_sqlite(error.orig)
    if getattr(error.orig, "sqlstate", None) == POSTGRES_DISK_FULL:
        return StorageFull("The database server has no space left.")
    if not isinstance(error, OperationalError | InterfaceError):
        return None
    return ServiceUnreachable("The database does not answer.", remedy="Check FAIRLEAD_DATABASE_URL and the server, then repeat.")


def _explained_sqlite(error: sqlite3.Error) -> FairleadError | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StorageFull("There is no space left to write the database file.")
    if code in NO_DATABASE:
        return InvalidConfiguration(
            "The database file (fairlead.sqlite in FAIRLEAD_HOME, or the one of FAIRLEAD_DATABASE_URL) is damaged or is no database.",
            remedy="Move it away and restore it from a backup, or choose another FAIRLEAD_HOME.",
        )
    if not isinstance(error, sqlite3.OperationalError):
        return None
    return ServiceUnreachable(
        f"The database file does not answer ({getattr(error, 'sqlite_errorname', 'SQLITE_ERROR')}).",
        remedy="Another process may be writing, or the file or its folder is not writable; repeat, nothing was lost.",
    )


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest migration; safe to call by several processes at once and when nothing is to do.

    A schema that a newer program made is left as it is.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "fairlead:migrations")
    scripts = ScriptDirectory.from_config(config)
    head = scripts.get_current_head()
    with database_errors(), engine.connect() as connection:  # most of the time nothing is to do, and nobody has to wait
        present = MigrationContext.configure(connection).get_current_revision()
    if present == head:
        return
    if present is not None and present not in {script.revision for script in scripts.walk_revisions()}:
        # One step back after an upgrade: migrations only add, so the program before goes on with the newer schema.
        LOG.warning("the database has a schema of a newer program", extra={"revision": present})
        return
    with database_errors(), engine.begin() as connection:
        if MigrationContext.configure(connection).get_current_revision() == head:
            return
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def open_database(settings: Settings) -> Engine:
    """Return an engine on the configured database with its schema up to date."""
    if settings.database_url is None:
        prepare_home(settings)
    engine = open_engine(settings.database)
    upgrade(engine)
    return engine
