"""Columns of an OpenSearch index beside the process that asks: exact counts and facets of a million series in some milliseconds.

OpenSearch has no exact count of patients per bucket but a script that runs for every series and bucket. So the values that are
counted are held here too, as the embedded engine holds them (:class:`fairlead.index.columns.Columns`), and brought up to date
whenever the server's change token is another one: a number (``ord``) belongs to one version of one record and is never given
again, so the set of numbers that are there now tells what to read and what to forget. What is searched but not counted (texts,
the long tail, ids) stays on the server, which answers such a selection with the set of its numbers.

The columns are a cache, never the truth: while there are more new records than are read at once, the server answers alone.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from opensearchpy import OpenSearch
from pyroaring import BitMap

from fairlead.errors import FairleadError
from fairlead.extract import FieldCatalogue
from fairlead.index.columns import Columns
from fairlead.index.criteria import Criterion, MembersOf, Tail, Text, leaves, parts
from fairlead.index.opensearch_client import scan, search
from fairlead.index.opensearch_generations import Generations
from fairlead.index.opensearch_query import Query, coded
from fairlead.index.rows import SOURCE_FIELD, Row
from fairlead.index.snapshot import Place, read_snapshot, write_snapshot
from fairlead.records import Scalar

logger = logging.getLogger(__name__)

READ_AT_ONCE: Final = 5_000
"""New records that a question waits for; more are read beside it."""

WORTH_A_SNAPSHOT: Final = 50_000
PAGE: Final = 5_000
SOURCE: Final = ["ord", "patient.code", "study.code", "images", "bytes", "stated", "values"]
NUMBERS: Final[Query] = {
    "scripted_metric": {
        "init_script": "state.seen = new BitSet()",
        "map_script": "state.seen.set((int) doc['ord'].value)",
        "combine_script": "return state.seen.toLongArray()",
        "reduce_script": """
BitSet all = new BitSet();
for (s in states) { if (s != null) { all.or(BitSet.valueOf(s)) } }
return all.toLongArray()
""",
    }
}


def numbers(client: OpenSearch, index: str, query: Query) -> BitMap:
    """Return the numbers of everybody who matches."""
    found = search(client, index, {"size": 0, "track_total_hits": False, "query": query, "aggs": {"numbers": NUMBERS}})
    words = np.array(found["aggregations"]["numbers"]["value"] or [], dtype=np.int64)
    return BitMap(np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")).astype(np.uint32))


class Mirror:
    """The columns of one alias in this process, and on disk where ``file`` is given."""

    def __init__(self, client: OpenSearch, generations: Generations, catalogue: FieldCatalogue, *, file: Path | None = None) -> None:
        self._client, self._generations, self._catalogue, self._file = client, generations, catalogue, file
        self._alias = generations.alias
        self._columns, self._token = Columns(), ""
        self._unsaved = 0
        self._lock = threading.Lock()
        self._reader: threading.Thread | None = None

    @contextmanager
    def at(self, token: str) -> Iterator[Columns | None]:
        """Give the columns as they are at a change token; None while too much of them is still to be read."""
        with self._lock:
            if token != self._token:
                self._catch_up(token)
            if token == self._token:
                yield self._columns
                return
        yield None  # without the lock: what the server answers alone takes long, and others ask meanwhile

    def wait(self) -> None:
        """Wait until the reader beside the questions, if one is at work, has come to its end."""
        reader = self._reader
        if reader is not None:
            reader.join()

    def is_current(self) -> bool:
        """Return whether the last question was answered from the columns."""
        return self._token == self._generations.change_token()

    def can_select(self, criterion: Criterion) -> bool:
        """Return whether the columns alone tell who matches; texts, sources and lists of ids are on the server."""
        return not _asks_for_ids(criterion) and all(self._is_held(leaf.field) and not isinstance(leaf, Text) for leaf in leaves(criterion))

    # --- inside ------------------------------------------------------------------------------------------------------

    def _is_held(self, field: str) -> bool:
        declared = self._catalogue.fields.get(field)
        return field != SOURCE_FIELD and declared is not None and declared.type != "text"

    def _catch_up(self, token: str) -> None:
        if _index_of(token) != _index_of(self._token):
            self._columns, self._unsaved = self._resumed(_index_of(token)), 0
            self._token = _index_of(token)
        here = numbers(self._client, self._alias, {"match_all": {}})
        new = here - self._columns.alive
        if len(new) > READ_AT_ONCE:
            self._read_beside(_index_of(token), here)
            return
        self._read(self._columns, new)
        self._columns.keep(here)
        if self._generations.change_token() == token:  # else something came while we read, and the server answers this once
            self._token = token
        if self._unsaved >= WORTH_A_SNAPSHOT:
            self._save(self._columns, _index_of(token))

    def _read(self, columns: Columns, new: BitMap) -> None:
        if not new:
            return
        query = {"bool": {"filter": [coded("ord", new)]}}
        for hit in scan(self._client, self._alias, {"query": query, "_source": SOURCE}, page=PAGE):
            columns.add(int(hit["_source"]["ord"]), _row(hit["_source"]))
        self._unsaved += len(new)

    def _read_beside(self, index: str, here: BitMap) -> None:
        """Begin to read a large index in a thread of its own; questions go to the server until it is done."""
        if self._reader is None or not self._reader.is_alive():
            self._reader = threading.Thread(target=self._fill, args=(index, here), name="fairlead-columns", daemon=True)
            self._reader.start()

    def _fill(self, index: str, here: BitMap) -> None:
        columns = Columns()
        try:
            self._read(columns, here)
        except FairleadError as error:
            logger.warning("The columns of the index could not be read: %s", error.message)
            return
        with self._lock:
            if _index_of(self._token) == index:
                self._columns = columns
                self._save(columns, index)

    def _resumed(self, index: str) -> Columns:
        columns = Columns()
        if self._file is None:
            return columns
        found = read_snapshot(self._file, columns, identity=index, catalogue=self._catalogue.sha256)
        return columns if found is not None else Columns()

    def _save(self, columns: Columns, index: str) -> None:
        self._unsaved = 0
        if self._file is not None:
            write_snapshot(self._file, columns, Place(index, self._catalogue.sha256, 0, 0))


def _index_of(token: str) -> str:
    """Return the id of the concrete index, with which a change token begins."""
    return token.partition(":")[0]


def _asks_for_ids(criterion: Criterion) -> bool:
    return isinstance(criterion, MembersOf | Tail) or any(_asks_for_ids(part) for part in parts(criterion))


def _row(source: Mapping[str, Any]) -> Row:
    values: dict[str, tuple[Scalar, ...]] = {field: () for field in source["stated"]}
    values |= dict(_flat(source["values"], ""))
    patient, study = str(source["patient"]["code"]), str(source["study"]["code"])
    return Row("", 0, "", patient, study, int(source["images"]), int(source["bytes"]), values, "")


def _flat(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, tuple[Scalar, ...]]]:
    for name, below in tree.items():
        if isinstance(below, dict):
            yield from _flat(below, f"{prefix}{name}.")
        else:
            yield prefix + name, tuple(below)
