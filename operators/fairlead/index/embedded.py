"""The embedded index: records in one SQLite file, answers from Roaring bitmaps that catch up with it.

Several processes may read while one writes (write-ahead log). Ordinals grow with every write, removals have a log of
their own, so a reader takes in only what is new since its last question. Nothing is held open between calls.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import batched
from pathlib import Path
from typing import Any, Final

import numpy as np
from pyroaring import BitMap

from fairlead.errors import InvalidConfiguration, NotFound, ServiceUnreachable, StorageFull
from fairlead.extract import FieldCatalogue
from fairlead.files import private_file, usable_folder
from fairlead.index.buckets import facet
from fairlead.index.columns import Columns, Ints, positions
from fairlead.index.criteria import Criterion, without_field
from fairlead.index.port import Facets, IndexStatus, Members, PutReport
from fairlead.index.rows import ROW_LAYOUT, Row, generation_of, row_of, rows_of
from fairlead.index.sampling import checked_size, shuffled, smallest
from fairlead.index.select import select
from fairlead.index.snapshot import Place, read_snapshot, write_snapshot
from fairlead.records import Counts, ImagingRecord, Refusal

BUSY_S: Final = 30.0
PAGE: Final = 1_000
WORTH_A_SNAPSHOT: Final = 50_000
"""Rows whose reading takes seconds."""

FLAT: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False)
MANY: Final = 5
"""Above one in so many, members are named by walking through all ids in order."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS records (
    ord INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, revision TEXT NOT NULL, patient TEXT NOT NULL, study TEXT NOT NULL,
    images INTEGER NOT NULL, size_bytes INTEGER NOT NULL, catalogue TEXT NOT NULL, flat TEXT NOT NULL, document TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS members ON records (id, revision);
CREATE TABLE IF NOT EXISTS identity (id TEXT NOT NULL);
INSERT INTO identity SELECT lower(hex(randomblob(16))) WHERE NOT EXISTS (SELECT 1 FROM identity);
CREATE TABLE IF NOT EXISTS removed (seq INTEGER PRIMARY KEY AUTOINCREMENT, ord INTEGER NOT NULL);
"""


class EmbeddedIndex:
    """Implements :class:`fairlead.index.Index` on one file."""

    backend: Final = "embedded"

    def __init__(self, file: Path, catalogue: FieldCatalogue) -> None:
        self._file, self._catalogue = file, catalogue
        self._snapshot = file.with_name(f"{file.name}-columns")
        self._lock = threading.Lock()
        self._identity = ""
        self._stamp = f"{catalogue.sha256}-{ROW_LAYOUT}"
        self._forget()
        private_file(usable_folder(file.parent, "folder of the index") / file.name)
        with self._connection() as connection:
            connection.execute("PRAGMA page_size=8192")  # a record is a few kB; smaller pages would hold one each
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(SCHEMA)

    def _forget(self) -> None:
        self._columns, self._ordinal, self._removal = Columns(self._ordinals), 0, 0
        self._generation: tuple[tuple[int, int], str] | None = None

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._file, timeout=BUSY_S, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous=FULL")  # the ledger says "indexed" next, and that survives a power cut
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
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    # --- writing -----------------------------------------------------------------------------------------------------

    def put(self, records: Iterable[ImagingRecord]) -> PutReport:
        """Add or replace by id in one transaction; equal content keeps its ordinal."""
        tally = {"added": 0, "changed": 0, "unchanged": 0}
        refused: list[Refusal] = []
        with self._writing() as connection:
            for made in batched(rows_of(records, self._catalogue), PAGE):
                refused += [one for one in made if isinstance(one, Refusal)]
                for page in _without_repeats(one for one in made if isinstance(one, Row)):
                    self._put(connection, page, tally)
        return PutReport(**tally, refused=tuple(refused))

    def _put(self, connection: sqlite3.Connection, rows: Mapping[str, Row], tally: dict[str, int]) -> None:
        known = {record_id: (ordinal, revision, catalogue) for record_id, ordinal, revision, catalogue in _known(connection, rows)}
        old: list[int] = []
        new: list[Row] = []
        for record_id, row in rows.items():
            ordinal, revision, catalogue = known.get(record_id, (0, "", ""))
            same = revision == row.revision  # under a new catalogue only the columns are new
            tally["unchanged" if same else "changed" if ordinal else "added"] += 1
            if not (same and catalogue == self._stamp):
                old += [ordinal] if ordinal else []
                new.append(row)
        _delete(connection, old)
        connection.executemany(
            "INSERT INTO records (id, revision, patient, study, images, size_bytes, catalogue, flat, document) VALUES (?,?,?,?,?,?,?,?,?)",
            [(*_columns_of(row), self._stamp, FLAT.encode(row.values), row.document) for row in new],
        )

    def remove(self, ids: Iterable[str]) -> int:
        """Remove by id and return how many were there."""
        with self._writing() as connection:
            ordinals = [ordinal for page in batched(dict.fromkeys(ids), PAGE) for _, ordinal, _, _ in _known(connection, page)]
            _delete(connection, ordinals)
        return len(ordinals)

    def clear(self) -> None:
        """Remove everything; readers notice at their next question."""
        with self._writing() as connection:
            connection.execute("INSERT INTO removed (ord) SELECT ord FROM records")
            connection.execute("DELETE FROM records")

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(self, record_id: str) -> ImagingRecord:
        """Return one record; raise NotFound."""
        with self._connection() as connection:
            found = connection.execute("SELECT document FROM records WHERE id = ?", (record_id,)).fetchone()
        if found is None:
            raise NotFound("There is no such record in the index.", remedy="`fairlead index status` counts what it holds.")
        return ImagingRecord.model_validate_json(found[0])

    def members(self, criterion: Criterion) -> Members:
        """Return who matches, sorted by id."""
        with self._current() as columns:
            chosen = select(criterion, columns).sure
            patients, studies = columns.codes("patient"), columns.codes("study")
            named = self._ids(chosen)
            return Members(
                ids=tuple(record_id for record_id, _, _ in named),
                revisions=tuple(revision for _, revision, _ in named),
                patients=tuple(columns.patient.names[patients[ordinal]] for _, _, ordinal in named),
                studies=tuple(columns.study.names[studies[ordinal]] for _, _, ordinal in named),
            )

    def patients(self, criterion: Criterion) -> frozenset[str]:
        """Return the keys of the patients who have a matching record, without naming the records."""
        with self._current() as columns:
            codes = columns.codes("patient")[positions(select(criterion, columns).sure)]
            seen = np.zeros(len(columns.patient.names), dtype=np.bool_)
            seen[codes] = True
            return frozenset(columns.patient.names[code] for code in np.flatnonzero(seen))

    def count(self, criterion: Criterion) -> Counts:
        """Return exact numbers at the four grains."""
        with self._current() as columns:
            return columns.counts(positions(select(criterion, columns).sure))

    def facets(self, criterion: Criterion, fields: Sequence[str]) -> Facets:
        """Return the buckets per field, each counted without the field's own conditions; dates by year."""
        with self._current() as columns:
            chosen: dict[Criterion, Ints] = {}  # most fields leave the criterion as it is
            found = {}
            for field in fields:
                others = without_field(criterion, field)
                if others not in chosen:
                    chosen[others] = positions(select(others, columns).sure)
                found[field] = facet(self._catalogue.get(field), columns, chosen[others])
            return found

    def missing(self, criterion: Criterion, fields: Sequence[str]) -> Mapping[str, int]:
        """Return how many matching records do not state each field."""
        with self._current() as columns:
            chosen = select(criterion, columns).sure
            return {field: len(chosen - columns.stated(field)) for field in fields}

    def sample(self, criterion: Criterion, size: int, *, seed: int = 0) -> tuple[ImagingRecord, ...]:
        """Return some of the matching records, drawn evenly."""
        asked = "SELECT document FROM records WHERE ord = ?"
        with self._current() as columns:
            chosen = positions(select(criterion, columns).sure)
            drawn = chosen[smallest(shuffled(columns.amounts("draws")[chosen], seed), checked_size(size))]
            documents = [self._reading.execute(asked, (int(ordinal),)).fetchone()[0] for ordinal in drawn]
        return tuple(ImagingRecord.model_validate_json(document) for document in documents)

    def generation(self) -> str:
        """Return the hash of the content, computed once per change."""
        with self._current() as columns:
            if self._generation is None or self._generation[0] != (self._ordinal, self._removal):
                named = self._ids(columns.alive)
                self._generation = (self._ordinal, self._removal), generation_of((record_id, revision) for record_id, revision, _ in named)
            return self._generation[1]

    def status(self) -> IndexStatus:
        """Return backend, number of records and generation."""
        generation = self.generation()
        with self._current() as columns:
            return IndexStatus(self.backend, len(columns.alive), generation)

    # --- catching up -------------------------------------------------------------------------------------------------

    @contextmanager
    def _current(self) -> Iterator[Columns]:
        with self._lock, self._connection() as connection:
            connection.execute("BEGIN")  # one snapshot for columns and ids, also while another process writes
            self._catch_up(connection)
            self._reading = connection
            yield self._columns
            connection.execute("COMMIT")

    def _ordinals(self, ids: Iterable[str]) -> Iterable[int]:
        asked = "SELECT ord FROM records WHERE id IN (SELECT value FROM json_each(?))"
        pages = (json.dumps(page) for page in batched(sorted(ids), PAGE))  # sorted: neighbours share pages of the file
        return [ordinal for page in pages for (ordinal,) in self._reading.execute(asked, (page,))]

    def _ids(self, chosen: BitMap) -> list[tuple[str, str, int]]:
        """Return (id, content hash, ordinal) of everybody chosen, sorted by id."""
        if len(chosen) * MANY > len(self._columns.alive):
            everybody = self._reading.execute("SELECT id, revision, ord FROM records ORDER BY id")
            return [one for one in everybody if one[2] in chosen]
        wanted = json.dumps(chosen.to_array().tolist())
        asked = "SELECT id, revision, ord FROM records WHERE ord IN (SELECT value FROM json_each(?)) ORDER BY id"
        return self._reading.execute(asked, (wanted,)).fetchall()

    def _catch_up(self, connection: sqlite3.Connection) -> None:
        highest = connection.execute("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'records'), 0)").fetchone()[0]
        identity = connection.execute("SELECT id FROM identity").fetchone()[0]
        if identity != self._identity:  # the first look, or the file was replaced
            self._forget()
            self._identity = identity
        if not self._ordinal and highest >= WORTH_A_SNAPSHOT:
            self._resume(identity, highest)
        began = self._ordinal
        for (ordinal,) in connection.execute("SELECT ord FROM removed WHERE seq > ?", (self._removal,)):
            self._columns.drop(ordinal)
        fresh = connection.execute(
            "SELECT ord, id, revision, patient, study, images, size_bytes, flat, CASE catalogue WHEN ? THEN NULL ELSE document END"
            " FROM records WHERE ord > ? ORDER BY ord",
            (self._stamp, self._ordinal),
        )
        for ordinal, *rest in fresh:
            self._columns.add(ordinal, self._row(*rest))
        self._ordinal = highest
        self._removal = connection.execute("SELECT coalesce(max(seq), 0) FROM removed").fetchone()[0]
        if highest - began >= WORTH_A_SNAPSHOT:
            write_snapshot(self._snapshot, self._columns, Place(identity, self._stamp, self._ordinal, self._removal))

    def _resume(self, identity: str, highest: int) -> None:
        place = read_snapshot(self._snapshot, self._columns, identity=identity, catalogue=self._stamp)
        if place is None or place.ordinal > highest:
            self._forget()
        else:
            self._ordinal, self._removal = place.ordinal, place.removal

    def _row(self, *stored: Any) -> Row:
        record_id, revision, patient, study, images, size_bytes, flat, document = stored
        if document is not None:  # written under another catalogue: the document is the truth
            return row_of(ImagingRecord.model_validate_json(document), self._catalogue)
        return Row(record_id, revision, patient, study, images, size_bytes, json.loads(flat), "")


def _columns_of(row: Row) -> tuple[str | int, ...]:
    """Return what both tables and readers take from a row as it is."""
    return row.id, row.revision, row.patient, row.study, row.images, row.size_bytes


def _known(connection: sqlite3.Connection, ids: Iterable[str]) -> Iterator[tuple[str, int, str, str]]:
    wanted = json.dumps(list(ids))
    yield from connection.execute(
        "SELECT id, ord, revision, catalogue FROM records WHERE id IN (SELECT value FROM json_each(?))", (wanted,)
    ).fetchall()


def _delete(connection: sqlite3.Connection, ordinals: Sequence[int]) -> None:
    gone = [(ordinal,) for ordinal in ordinals]
    connection.executemany("DELETE FROM records WHERE ord = ?", gone)
    connection.executemany("INSERT INTO removed (ord) VALUES (?)", gone)


def _without_repeats(rows: Iterable[Row]) -> Iterator[Mapping[str, Row]]:
    """Yield the rows by id in their order; an id that comes again begins another page."""
    page: dict[str, Row] = {}
    for row in rows:
        if row.id in page:
            yield page
            page = {}
        page[row.id] = row
    if page:
        yield page
