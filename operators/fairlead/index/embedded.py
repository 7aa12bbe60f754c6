"""The embedded index: records in one SQLite file, answers from Roaring bitmaps that catch up with it.

Several processes may read while one writes (write-ahead log). Ordinals grow with every write, removals have a log of
their own, so a reader takes in only what is new since its last question. Nothing is held open between calls.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import batched
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic_core import to_json
from pyroaring import BitMap

from fairlead.errors import NotFound
from fairlead.extract import FieldCatalogue, FieldDeclaration
from fairlead.files import private_file, usable_folder
from fairlead.index.buckets import facet
from fairlead.index.columns import Columns, Ints, positions
from fairlead.index.criteria import Criterion, Tail, without_field
from fairlead.index.embedded_file import PAGE, IndexFile, delete, documents_of, insert, known, named, ordinals_of, with_tail
from fairlead.index.extremes import ends, ordered
from fairlead.index.paging import checked_page, near, places
from fairlead.index.port import Facets, FacetValue, IndexStatus, Members, PutReport, Values
from fairlead.index.rows import ROW_LAYOUT, Row, countable, generation_of, row_of, rows_of
from fairlead.index.sampling import checked_size, shuffled, smallest
from fairlead.index.select import select
from fairlead.index.snapshot import Place, read_generation, read_snapshot, write_generation, write_snapshot
from fairlead.records import Counts, ImagingRecord, Refusal, Scalar

logger = logging.getLogger(__name__)

WORTH_A_SNAPSHOT: Final = 50_000
"""Rows whose reading takes seconds."""


class EmbeddedIndex:
    """Implements :class:`fairlead.index.Index` on one file."""

    backend: Final = "embedded"

    def __init__(self, file: Path, catalogue: FieldCatalogue) -> None:
        self._catalogue = catalogue
        self._snapshot = file.with_name(f"{file.name}-columns")
        self._kept_generation = file.with_name(f"{file.name}-generation")
        self._lock = threading.Lock()
        self._identity = ""
        self._stamp = f"{catalogue.sha256}-{ROW_LAYOUT}"
        self._forget()
        self._file = IndexFile(private_file(usable_folder(file.parent, "folder of the index") / file.name))

    def _forget(self) -> None:
        self._columns, self._ordinal, self._removal = Columns(self._ordinals, self._tailed), 0, 0
        self._change: tuple[int, str] = 0, ""
        self._generation: tuple[Place, str] | None = None

    # --- writing -----------------------------------------------------------------------------------------------------

    def put(self, records: Iterable[ImagingRecord]) -> PutReport:
        """Add or replace by id in one transaction; equal content keeps its ordinal."""
        tally = {"added": 0, "changed": 0, "unchanged": 0}
        refused: list[Refusal] = []
        with self._file.writing() as connection:
            for made in batched(rows_of(records, self._catalogue), PAGE):
                refused += [one for one in made if isinstance(one, Refusal)]
                for page in _without_repeats(one for one in made if isinstance(one, Row)):
                    self._put(connection, page, tally)
        return PutReport(**tally, refused=tuple(refused))

    def _put(self, connection: sqlite3.Connection, rows: Mapping[str, Row], tally: dict[str, int]) -> None:
        here = known(connection, {record_id: row.draw for record_id, row in rows.items()})
        old: list[int] = []
        new: list[Row] = []
        for record_id, row in rows.items():
            ordinal, revision, catalogue = here.get(record_id, (0, "", ""))
            same = revision == row.revision  # under a new catalogue only the columns are new
            tally["unchanged" if same else "changed" if ordinal else "added"] += 1
            if not (same and catalogue == self._stamp):
                old += [ordinal] if ordinal else []
                new.append(row)
        delete(connection, old)
        insert(connection, [(row, to_json(row.values, inf_nan_mode="constants").decode()) for row in new], self._stamp)

    def remove(self, ids: Iterable[str]) -> int:
        """Remove by id and return how many were there."""
        with self._file.writing() as connection:
            ordinals = ordinals_of(connection, dict.fromkeys(ids))
            delete(connection, ordinals)
        return len(ordinals)

    def clear(self) -> None:
        """Remove everything; readers notice at their next question."""
        with self._file.writing() as connection:
            connection.execute("INSERT INTO removed (ord) SELECT ord FROM records")
            connection.execute("DELETE FROM records")
            connection.execute("DELETE FROM contents")

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(self, record_id: str) -> ImagingRecord:
        """Return one record; raise NotFound."""
        for found in self.read([record_id]):
            return found
        raise NotFound("There is no such record in the index.", remedy="`fairlead index status` counts what it holds.")

    def read(self, ids: Iterable[str]) -> Iterator[ImagingRecord]:
        """Yield the records of those ids that are there, in the order of the ids."""
        for page in batched(ids, PAGE):
            with self._file.connection() as connection:
                documents = documents_of(connection, page)
            yield from (ImagingRecord.model_validate_json(documents[one]) for one in page if one in documents)

    def members(self, criterion: Criterion) -> Members:
        """Return who matches, sorted by id."""
        with self._current() as columns:
            return self._members(columns, self._ids(select(criterion, columns).sure))

    def described(self, criterion: Criterion, fields: Sequence[str]) -> tuple[Members, Values]:
        """Return who matches and the least stated value of each field; no document is read."""
        declared = {name: countable(self._catalogue.get(name)) for name in fields}
        with self._current() as columns:
            chosen = select(criterion, columns).sure
            found = self._ids(chosen)
            order = np.array([ordinal for _, _, ordinal in found], dtype=np.int64)
            values = {
                name: _as_declared(field, columns.firsts(field.id, chosen)[order].tolist()) if found else ()
                for name, field in declared.items()
            }
            return self._members(columns, found), values

    @staticmethod
    def _members(columns: Columns, found: Sequence[tuple[str, str, int]]) -> Members:
        ordinals = np.array([ordinal for _, _, ordinal in found], dtype=np.int64)
        patients, studies = columns.patient.names, columns.study.names
        return Members(
            ids=tuple([record_id for record_id, _, _ in found]),
            revisions=tuple([revision for _, revision, _ in found]),
            patients=tuple([patients[code] for code in columns.codes("patient")[ordinals].tolist()]),
            studies=tuple([studies[code] for code in columns.codes("study")[ordinals].tolist()]),
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
            return columns.answered("count", criterion, lambda: columns.counts(positions(select(criterion, columns).sure)))

    def facets(self, criterion: Criterion, fields: Sequence[str]) -> Facets:
        """Return the buckets per field, each counted without the field's own conditions; dates by year."""
        with self._current() as columns:
            chosen: dict[Criterion, Ints] = {}  # most fields leave the criterion as it is
            return {field: self._facet(field, without_field(criterion, field), columns, chosen) for field in fields}

    def _facet(self, field: str, others: Criterion, columns: Columns, chosen: dict[Criterion, Ints]) -> tuple[FacetValue, ...]:
        def counted() -> tuple[FacetValue, ...]:
            """Return the buckets of one facet; positions without its own filter are found once."""
            if others not in chosen:
                chosen[others] = positions(select(others, columns).sure)
            return facet(self._catalogue.get(field), columns, chosen[others])

        return columns.answered(f"facet {field}", others, counted)

    def missing(self, criterion: Criterion, fields: Sequence[str]) -> Mapping[str, int]:
        """Return how many matching records do not state each field."""
        with self._current() as columns:
            chosen = select(criterion, columns).sure
            return {field: len(chosen - columns.stated(field)) for field in fields}

    def sample(self, criterion: Criterion, size: int, *, seed: int = 0) -> tuple[ImagingRecord, ...]:
        """Return some of the matching records, drawn evenly."""
        with self._current() as columns:
            chosen = positions(select(criterion, columns).sure)
            drawn = chosen[smallest(shuffled(columns.amounts("draws")[chosen], seed), checked_size(size))]
            documents = [self._document(int(ordinal)) for ordinal in drawn]
        return tuple(ImagingRecord.model_validate_json(document) for document in documents)

    def extremes(self, criterion: Criterion, field: str, size: int) -> tuple[tuple[ImagingRecord, ...], tuple[ImagingRecord, ...]]:
        """Return the matching records with the least and with the greatest values of a field."""
        declared, asked = ordered(self._catalogue.get(field)), checked_size(size)
        with self._current() as columns:
            sides = ends(declared, columns, select(criterion, columns).sure, asked)
            least, greatest = ([self._document(int(ordinal)) for ordinal in side] for side in sides)
        return tuple(map(ImagingRecord.model_validate_json, least)), tuple(map(ImagingRecord.model_validate_json, greatest))

    def page(self, criterion: Criterion, *, offset: int, limit: int) -> tuple[ImagingRecord, ...]:
        """Return one page of the matching records, in the order of patient, study and id."""
        end = checked_page(offset, limit)
        with self._current() as columns:
            chosen = positions(select(criterion, columns).sure)
            place = places(columns)
            around, begin = near(place[chosen], offset, end)
            named_ = self._ids(BitMap(chosen[around].astype(np.uint32)))
            ordered = sorted((int(place[ordinal]), record_id, ordinal) for record_id, _, ordinal in named_)
            documents = [self._document(ordinal) for _, _, ordinal in ordered[begin : begin + limit]]
        return tuple(ImagingRecord.model_validate_json(document) for document in documents)

    def generation(self) -> str:
        """Return the hash of the content, computed once per change, of a large index once for all processes."""
        with self._current() as columns:
            place = self._place()
            if self._generation is None or self._generation[0] != place:
                kept = read_generation(self._kept_generation, place) if len(columns.alive) >= WORTH_A_SNAPSHOT else None
                self._generation = place, kept or self._computed(columns, place)
            return self._generation[1]

    def _computed(self, columns: Columns, place: Place) -> str:
        made = generation_of((record_id, revision) for record_id, revision, _ in self._ids(columns.alive))
        if len(columns.alive) >= WORTH_A_SNAPSHOT:
            write_generation(self._kept_generation, place, made)
        return made

    def _place(self) -> Place:
        return Place(self._identity, self._stamp, self._ordinal, self._removal, *self._change)

    def status(self) -> IndexStatus:
        """Return backend, number of records and generation."""
        generation = self.generation()
        with self._current() as columns:
            return IndexStatus(self.backend, len(columns.alive), generation)

    # --- catching up -------------------------------------------------------------------------------------------------

    @contextmanager
    def _current(self) -> Iterator[Columns]:
        with self._lock, self._file.connection() as connection:
            connection.execute("BEGIN")  # one snapshot for columns and ids, also while another process writes
            self._catch_up(connection)
            self._reading = connection
            yield self._columns
            connection.execute("COMMIT")

    def _ordinals(self, ids: Iterable[str]) -> Iterable[int]:
        return ordinals_of(self._reading, ids)

    def _tailed(self, node: Tail) -> tuple[Iterable[int], Iterable[int]]:
        return with_tail(self._reading, node)

    def _ids(self, chosen: BitMap) -> list[tuple[str, str, int]]:
        return named(self._reading, chosen, of=len(self._columns.alive))

    def _document(self, ordinal: int) -> str:
        return str(self._reading.execute("SELECT document FROM contents WHERE ord = ?", (ordinal,)).fetchone()[0])

    def _catch_up(self, connection: sqlite3.Connection) -> None:
        highest = connection.execute("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'records'), 0)").fetchone()[0]
        identity = connection.execute("SELECT id FROM identity").fetchone()[0]
        if identity != self._identity or not _holds(connection, self._change):  # the first look, or the file was replaced
            self._forget()
            self._identity = identity
        if not self._ordinal and highest >= WORTH_A_SNAPSHOT:
            self._resume(connection, identity, highest)
        began = self._ordinal
        if highest - began >= WORTH_A_SNAPSHOT:
            logger.info(
                "Reading the index (numbers up to %d) into columns, and keeping them for the next process; this may take minutes.", highest
            )
        for (ordinal,) in connection.execute("SELECT ord FROM removed WHERE seq > ?", (self._removal,)):
            self._columns.drop(ordinal)
        fresh = connection.execute(
            "SELECT ord, id, draw, revision, patient, study, images, size_bytes, flat, CASE catalogue WHEN ? THEN NULL ELSE document END"
            " FROM records JOIN contents USING (ord) WHERE ord > ? ORDER BY ord",
            (self._stamp, self._ordinal),
        )
        for ordinal, *rest in fresh:
            self._columns.add(ordinal, self._row(*rest))
        self._ordinal = highest
        self._removal = connection.execute("SELECT coalesce(max(seq), 0) FROM removed").fetchone()[0]
        self._change = connection.execute("SELECT seq, mark FROM changes ORDER BY seq DESC LIMIT 1").fetchone()
        if highest - began >= WORTH_A_SNAPSHOT:
            write_snapshot(self._snapshot, self._columns, self._place())

    def _resume(self, connection: sqlite3.Connection, identity: str, highest: int) -> None:
        place = read_snapshot(self._snapshot, self._columns, identity=identity, catalogue=self._stamp)
        if place is None or place.ordinal > highest or not _holds(connection, (place.change, place.mark)):
            self._forget()
        else:
            self._ordinal, self._removal = place.ordinal, place.removal

    def _row(self, *stored: Any) -> Row:
        record_id, draw, revision, patient, study, images, size_bytes, flat, document = stored
        if document is not None:  # written under another catalogue: the document is the truth
            return row_of(ImagingRecord.model_validate_json(document), self._catalogue)
        return Row(record_id, draw, revision, patient, study, images, size_bytes, json.loads(flat), "")


def _as_declared(field: FieldDeclaration, values: Iterable[Scalar | None]) -> tuple[Scalar | None, ...]:
    if field.type != "integer":
        return tuple(values)
    return tuple([None if value is None else int(value) for value in values])


def _holds(connection: sqlite3.Connection, change: tuple[int, str]) -> bool:
    """Return whether the file went through a change; an older copy of it that grew again has another one under the same number."""
    return not change[0] or connection.execute("SELECT 1 FROM changes WHERE seq = ? AND mark = ?", change).fetchone() is not None


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
