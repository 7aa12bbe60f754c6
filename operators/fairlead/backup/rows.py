"""Rows of every table, out of one database and into another, also from SQLite to PostgreSQL and back.

Tables are read as the database declares them, so no room has to be known here.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import batched, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    DateTime,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    func,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError

from fairlead.backup.manifest import TABLES, UNREADABLE, as_line, gzip_lines
from fairlead.database import database_errors, upgrade
from fairlead.errors import Conflict, InvalidInput, UnsupportedInput

if TYPE_CHECKING:
    from alembic.config import Config

REVISIONS: Final = "alembic_version"
BATCH: Final = 500


@contextmanager
def one_moment(engine: Engine) -> Iterator[Connection]:
    """Yield a connection that sees the database as it is now, whatever others write meanwhile."""
    options = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    with database_errors(), engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


def tables_of(connection: Connection) -> list[Table]:
    """Return every table but Alembic's, referenced ones first."""
    found = MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name != REVISIONS]


def revision_of(connection: Connection) -> str | None:
    """Return the newest migration of the database, None when it has no schema."""
    if not inspect(connection).has_table(REVISIONS):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {REVISIONS}")).scalar_one_or_none()  # noqa: S608  a constant
    return None if found is None else str(found)


def dump(connection: Connection, snapshot: Path) -> dict[str, int]:
    """Write the rows of every table and return how many each has."""
    counts: dict[str, int] = {}
    with gzip_lines(snapshot / TABLES) as lines:
        for table in tables_of(connection):
            lines.write(as_line({"table": table.name, "columns": [column.name for column in table.columns]}))
            counts[table.name] = 0
            query = select(table).order_by(*table.primary_key.columns)
            for row in connection.execution_options(stream_results=True, yield_per=BATCH).execute(query):
                lines.write(as_line([_encoded(column, value) for column, value in zip(table.columns, row, strict=True)]))
                counts[table.name] += 1
    return counts


def _encoded(column: Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(column.type, DateTime):
        aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return aware.isoformat()
    return base64.b64encode(value).decode() if isinstance(column.type, LargeBinary) else value


def _decoded(column: Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, str | int | float) and not isinstance(column.type, JSON):
        raise TypeError("no value of a column")
    if isinstance(column.type, DateTime):
        found = datetime.fromisoformat(value)
        return found if column.type.timezone else found.replace(tzinfo=None)
    return base64.b64decode(value) if isinstance(column.type, LargeBinary) else value


def prepare(engine: Engine, snapshot: Path, *, revision: str, moved: tuple[str, str]) -> bool:
    """Bring an empty database to the schema of the snapshot; return False when the snapshot's rows are there already.

    Raises
    ------
    Conflict : the database holds other rows, or another schema.
    UnsupportedInput : the snapshot is of a newer program.
    """
    with database_errors(), _sound_rows(), engine.connect() as connection:
        present, filled = revision_of(connection), _has_rows(connection)
        if filled and _holds(connection, snapshot, moved):
            return False
    if filled:
        raise Conflict("The database is not empty.", remedy="Restore into an empty home and an empty database; nothing was changed.")
    if present is None:
        _upgrade_to(engine, revision)
    elif present != revision:
        raise Conflict(
            f"The database has schema {present}, the backup has {revision}.", remedy="Give an empty database; restore upgrades it itself."
        )
    return True


def _has_rows(connection: Connection) -> bool:
    return any(connection.execute(select(table).limit(1)).first() is not None for table in tables_of(connection))


def _holds(connection: Connection, snapshot: Path, moved: tuple[str, str]) -> bool:
    """Tell whether the database holds exactly the rows of the snapshot; as many others are not enough."""
    tables = {table.name: table for table in tables_of(connection)}
    for table, rows in _rows(snapshot, tables):
        names = list(table.columns.keys())
        query = select(table).order_by(*table.primary_key.columns)
        found = connection.execution_options(stream_results=True, yield_per=BATCH).execute(query)
        for row, present in zip_longest(rows, found):
            if row is None or present is None:
                return False
            wanted = _placed(table, row, moved)
            if any(
                _encoded(table.columns[name], present[names.index(name)]) != _encoded(table.columns[name], wanted[name]) for name in wanted
            ):
                return False
    return True


def _migrations() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "fairlead:migrations")
    return config


def is_known(revision: str) -> bool:
    """Return whether this program has the migration that a schema is at."""
    from alembic.script import ScriptDirectory

    return revision in {script.revision for script in ScriptDirectory.from_config(_migrations()).walk_revisions()}


def require_restorable(revision: str | None) -> None:
    """Raise when this program could not restore what it would back up: after one step back a newer program's schema is there.

    Raises
    ------
    UnsupportedInput : the schema is not known here.
    """
    if revision is not None and not is_known(revision):
        raise UnsupportedInput(
            f"The database has the schema {revision} of a newer Fairlead; this program could not restore a backup of it.",
            remedy="Take it with the newer program, and restore it with that.",
        )


def _upgrade_to(engine: Engine, revision: str) -> None:
    from alembic import command

    if not is_known(revision):
        raise UnsupportedInput(f"The backup has schema {revision}, which this program does not know.", remedy="Use a newer Fairlead.")
    config = _migrations()
    with database_errors(), engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def load(engine: Engine, snapshot: Path, *, moved: tuple[str, str]) -> None:
    """Insert all rows in one transaction, then bring the schema to the newest; ``moved`` is the watched folder, before and now."""
    with database_errors(), _sound_rows(), engine.begin() as connection:
        tables = {table.name: table for table in tables_of(connection)}
        for table, rows in _rows(snapshot, tables):
            for batch in batched(rows, BATCH):
                connection.execute(insert(table), [_placed(table, row, moved) for row in batch])
        if engine.dialect.name == "postgresql":
            _set_sequences(connection, tables.values())
    upgrade(engine)


@contextmanager
def _sound_rows() -> Iterator[None]:
    """Refuse rows that are no JSON, too short, or of other types than their columns, whoever wrote them; nothing is loaded then."""
    try:
        yield
    except (*UNREADABLE, ValueError, TypeError, KeyError, StatementError) as error:
        if isinstance(error, DBAPIError) and not isinstance(error, DataError | IntegrityError):
            raise  # of the database, not of the rows
        raise InvalidInput("The rows of the backup do not fit the database.", remedy="Do not use this backup.") from error


def _rows(snapshot: Path, tables: dict[str, Table]) -> Iterator[tuple[Table, Iterator[dict[str, Any]]]]:
    """Yield each table with an iterator over its rows, which must be used up before the next table."""
    with gzip.open(snapshot / TABLES, "rt", encoding="utf-8") as lines:
        head = next(lines, None)
        while head is not None:
            declared = json.loads(head)
            try:
                table, following = tables[declared["table"]], _Following(lines)
                columns = [table.columns[name] for name in declared["columns"]]
            except KeyError as error:
                raise InvalidInput("The backup holds rows of a table that its schema has not.", remedy="Do not use this backup.") from error
            yield table, ({c.name: _decoded(c, value) for c, value in zip(columns, row, strict=True)} for row in following)
            head = following.head


class _Following:
    """Rows (lists) up to the next table's head (an object), which is kept."""

    def __init__(self, lines: Any) -> None:
        self._lines = lines
        self.head: str | None = None

    def __iter__(self) -> Iterator[list[Any]]:
        for line in self._lines:
            if line.startswith("{"):
                self.head = line
                return
            yield json.loads(line)


def _placed(table: Table, row: dict[str, Any], moved: tuple[str, str]) -> dict[str, Any]:
    """Return the row with the path of a watched file as it is now."""
    before, now = moved
    path = row.get("path")
    if table.name == "files" and before != now and isinstance(path, str) and path.startswith(f"{before}/"):
        return row | {"path": now + path[len(before) :]}
    return row


def _set_sequences(connection: Connection, tables: Any) -> None:
    """Let PostgreSQL go on counting after the highest number that was given."""
    for table in tables:
        keys = list(table.primary_key.columns)
        if len(keys) != 1 or not isinstance(keys[0].type, Integer):
            continue
        name = connection.execute(func.pg_get_serial_sequence(table.name, keys[0].name).select()).scalar_one_or_none()
        highest = connection.execute(select(func.max(keys[0]))).scalar_one_or_none()
        if name and highest is not None:
            connection.execute(select(func.setval(name, highest)))
