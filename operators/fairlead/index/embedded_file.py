"""The file of the embedded index: its tables, its transactions, and how an older file becomes a present one.

Records are looked up by a 64-bit hash of their id (``draw``), because a tree of the ids themselves is ten times as large and is
rewritten in full by every batch of a large load. What is read often (``records``) is apart from what is read seldom (``contents``).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import batched
from pathlib import Path
from typing import Final

from pyroaring import BitMap

from fairlead.database import write_ahead
from fairlead.errors import InvalidConfiguration, ServiceUnreachable, StorageFull
from fairlead.index.criteria import Tail
from fairlead.index.rows import Row
from fairlead.index.sampling import draw_of
from fairlead.index.tail import checked_path, long_tail_of

BUSY_S: Final = 30.0
PAGE: Final = 1_000
MANY: Final = 2
"""Above one in so many, members are named by walking through all records."""

LAYOUT: Final = 3
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS records (
    ord INTEGER PRIMARY KEY AUTOINCREMENT, draw INTEGER NOT NULL, id TEXT NOT NULL, revision TEXT NOT NULL, patient TEXT NOT NULL,
    study TEXT NOT NULL, images INTEGER NOT NULL, size_bytes INTEGER NOT NULL, catalogue TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS by_draw ON records (draw);
CREATE TABLE IF NOT EXISTS contents (ord INTEGER PRIMARY KEY, flat TEXT NOT NULL, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS identity (id TEXT NOT NULL);
INSERT INTO identity SELECT lower(hex(randomblob(16))) WHERE NOT EXISTS (SELECT 1 FROM identity);
CREATE TABLE IF NOT EXISTS removed (seq INTEGER PRIMARY KEY AUTOINCREMENT, ord INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, mark TEXT NOT NULL);
"""
"""``changes`` has a random mark for every transaction: it tells a reader that an older copy of the file took the place of what it read."""

FROM_LAYOUT_1: Final = """
ALTER TABLE records RENAME TO former;
DROP INDEX members;
{schema}
INSERT INTO records SELECT ord, draw(id), id, revision, patient, study, images, size_bytes, catalogue FROM former ORDER BY ord;
INSERT INTO contents SELECT ord, flat, document FROM former ORDER BY ord;
UPDATE sqlite_sequence SET seq = (SELECT max(seq) FROM sqlite_sequence WHERE name IN ('records', 'former')) WHERE name = 'records';
INSERT INTO sqlite_sequence SELECT 'records', seq FROM sqlite_sequence
    WHERE name = 'former' AND NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'records');
DROP TABLE former;
"""
MARK: Final = "INSERT INTO changes (mark) VALUES (lower(hex(randomblob(16))))"


class IndexFile:
    """One SQLite file (write-ahead log: several processes read while one writes). Nothing is held open between calls."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with self.connection() as connection:
            connection.execute("PRAGMA page_size=8192")  # a record is a few kB; smaller pages would hold one each
            write_ahead(connection, wait_s=BUSY_S)
            _upgrade(connection, file)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one call, errors in our words."""
        try:
            with closing(sqlite3.connect(self._file, timeout=BUSY_S, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous=FULL")  # the ledger says "indexed" next, and that survives a power cut
                connection.execute("PRAGMA cache_size=-32768")  # KiB; the hashes of a million ids fit
                yield connection
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise StorageFull("There is no space left to write the index.") from error
            raise ServiceUnreachable(
                f"The index file {self._file.name} cannot be used: {error.sqlite_errorname}.",
                remedy="Another process may be writing, or the folder is not writable; repeat, nothing was lost.",
            ) from error
        except sqlite3.DatabaseError as error:
            raise InvalidConfiguration(
                f"The index file {self._file} is damaged or is no index.",
                remedy="Move it away and run `fairlead index rebuild`: everything is in the archive and the ledger.",
            ) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction that is there as a whole or not at all."""
        with self.connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            before = connection.total_changes
            try:
                yield connection
                if connection.total_changes > before:
                    connection.execute(MARK)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")


def _upgrade(connection: sqlite3.Connection, file: Path) -> None:
    (layout,) = connection.execute("PRAGMA user_version").fetchone()
    if layout == LAYOUT:
        return
    if layout > LAYOUT:
        raise InvalidConfiguration(
            f"The index file {file} was written by a newer Fairlead.",
            remedy="Use that version, or move the file away and run `fairlead index rebuild`.",
        )
    connection.create_function("draw", 1, draw_of, deterministic=True)
    former = "SELECT 1 FROM sqlite_schema WHERE name = 'records' AND NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'contents')"
    connection.execute("BEGIN IMMEDIATE")  # of several processes that meet an old file at once, one moves it
    here = connection.execute(former).fetchone()
    for statement in (FROM_LAYOUT_1.format(schema=SCHEMA) if here else SCHEMA).split(";"):
        connection.execute(statement)
    connection.execute(MARK)
    connection.execute(f"PRAGMA user_version={LAYOUT}")
    connection.execute("COMMIT")


def known(connection: sqlite3.Connection, draws: Mapping[str, int]) -> dict[str, tuple[int, str, str]]:
    """Return (ordinal, content hash, catalogue) by id, of those that are there; ``draws`` are the numbers of the ids."""
    asked = "SELECT id, ord, revision, catalogue FROM records WHERE draw IN (SELECT value FROM json_each(?))"
    found = connection.execute(asked, (json.dumps(list(draws.values())),)).fetchall()
    return {record_id: (ordinal, revision, catalogue) for record_id, ordinal, revision, catalogue in found if record_id in draws}


def ordinals_of(connection: sqlite3.Connection, ids: Iterable[str]) -> list[int]:
    """Return the ordinals of those ids that are there."""
    wanted = frozenset(ids)
    if len(wanted) > PAGE and len(wanted) * MANY > connection.execute("SELECT count(*) FROM records").fetchone()[0]:
        everybody = connection.execute("SELECT id, ord FROM records")  # one walk is cheaper than so many look-ups
        return [ordinal for record_id, ordinal in everybody if record_id in wanted]
    return [ordinal for page in batched(wanted, PAGE) for ordinal, _, _ in known(connection, {one: draw_of(one) for one in page}).values()]


def documents_of(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, str]:
    """Return the documents by id of those ids that are there."""
    asked = "SELECT id, document FROM records JOIN contents USING (ord) WHERE draw IN (SELECT value FROM json_each(?))"
    wanted = frozenset(ids)
    found = connection.execute(asked, (json.dumps([draw_of(one) for one in wanted]),))
    return {record_id: document for record_id, document in found if record_id in wanted}


def insert(connection: sqlite3.Connection, rows: Sequence[tuple[Row, str]], catalogue: str) -> None:
    """Add rows with their values as text, under ordinals higher than all before."""
    (last,) = connection.execute("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'records'), 0)").fetchone()
    connection.executemany(
        "INSERT INTO records VALUES (?,?,?,?,?,?,?,?,?)",
        [
            (ordinal, row.draw, row.id, row.revision, row.patient, row.study, row.images, row.size_bytes, catalogue)
            for ordinal, (row, _) in enumerate(rows, last + 1)
        ],
    )
    contents = [(ordinal, flat, row.document) for ordinal, (row, flat) in enumerate(rows, last + 1)]
    connection.executemany("INSERT INTO contents VALUES (?,?,?)", contents)


def delete(connection: sqlite3.Connection, ordinals: Sequence[int]) -> None:
    """Take ordinals out and note it for readers."""
    gone = [(ordinal,) for ordinal in ordinals]
    connection.executemany("DELETE FROM records WHERE ord = ?", gone)
    connection.executemany("DELETE FROM contents WHERE ord = ?", gone)
    connection.executemany("INSERT INTO removed (ord) VALUES (?)", gone)


def with_tail(connection: sqlite3.Connection, node: Tail) -> tuple[list[int], list[int]]:
    """Return the ordinals of records with the value under the path, and of those that state the path; every document is looked at."""
    name = json.dumps(checked_path(node.path).rpartition("/")[2], ensure_ascii=False)[1:]  # a key may hold a slash itself: this is its end
    found: list[int] = []
    stated: list[int] = []
    for ordinal, document in connection.execute("SELECT ord, document FROM contents WHERE instr(document, ?)", (name,)):
        values = long_tail_of(json.loads(document)).get(node.path)
        if values is not None:
            stated.append(ordinal)
            if node.value in values:
                found.append(ordinal)
    return found, stated


def named(connection: sqlite3.Connection, chosen: BitMap, *, of: int) -> list[tuple[str, str, int]]:
    """Return (id, content hash, ordinal) of everybody chosen among ``of`` records, sorted by id."""
    if len(chosen) * MANY > of:
        everybody = connection.execute("SELECT id, revision, ord FROM records")
        return sorted(one for one in everybody if one[2] in chosen)
    wanted = json.dumps(chosen.to_array().tolist())
    asked = "SELECT id, revision, ord FROM records WHERE ord IN (SELECT value FROM json_each(?))"
    return sorted(connection.execute(asked, (wanted,)))
