"""The index on OpenSearch 2.19 and 3.x: one document a record, filters and exact counts on the server.

Writes are idempotent (``_id`` is the record's id), skip what has not changed by its content hash, and go against the version that
was read (``if_seq_no``). After a batch the index is refreshed once, so that who asks next sees it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import batched
from pathlib import Path
from typing import Any, Final, cast

from opensearchpy.exceptions import NotFoundError as Absent
from pyroaring import BitMap

from fairlead.errors import NotFound, ServiceUnreachable
from fairlead.extract import FieldCatalogue, FieldDeclaration
from fairlead.index.buckets import facet
from fairlead.index.columns import Columns, Ints, positions
from fairlead.index.criteria import All, Criterion, Has, without_field
from fairlead.index.extremes import ordered
from fairlead.index.opensearch_client import CHUNK_RECORDS, bulk, connect, opensearch_errors, point_in_time, read_each, scan, search
from fairlead.index.opensearch_codes import Codes
from fairlead.index.opensearch_counting import (
    TOTALS,
    amount_of,
    counts_of,
    days_body,
    facet_aggregations,
    facet_of,
    patients_body,
    tally_body,
)
from fairlead.index.opensearch_generations import Generations
from fairlead.index.opensearch_mapping import path_of
from fairlead.index.opensearch_mirror import Mirror, numbers
from fairlead.index.opensearch_query import Compiler, Query, none_of, stated
from fairlead.index.opensearch_writing import Writing, together
from fairlead.index.paging import ORDER, checked_page
from fairlead.index.port import Facets, FacetValue, IndexStatus, Members, PutReport, Values
from fairlead.index.rows import countable, generation_of
from fairlead.index.sampling import checked_size, script_sort
from fairlead.index.select import select
from fairlead.records import Counts, ImagingRecord, Scalar
from fairlead.settings import IndexSettings

DELETED: Final = 200
TRIES: Final = 5
KEYS: Final = ("id", "revision", "patient.key", "study.key")
REMEMBERED: Final = 512
READ_AT_ONCE: Final = 500
"""Whole documents in one answer: a few megabytes."""


class OpenSearchIndex:
    """Implements :class:`fairlead.index.Index` on one alias."""

    backend: Final = "opensearch"

    def __init__(self, settings: IndexSettings, catalogue: FieldCatalogue, *, columns: Path | None = None) -> None:
        self.catalogue = catalogue
        self.client = connect(settings)
        self._generations = Generations(self.client, settings.name, catalogue)
        self._alias = settings.name
        self.codes = Codes(self.client, self._generations.codes)
        self.mirror = Mirror(self.client, self._generations, catalogue, file=columns)
        self._compiler = Compiler(catalogue, self._tally, self._days)
        self._generation: tuple[str, str] | None = None
        self._remembered: tuple[str, dict[object, object]] = "", {}
        self._lock = threading.Lock()
        self._ensure()

    def _ensure(self) -> None:
        self.codes.forget()
        self._generations.ensure(self._fill)

    def _fill(self, index: str, records: Iterator[ImagingRecord]) -> None:
        for page in batched(records, CHUNK_RECORDS):
            Writing(self.client, index, self.catalogue, self.codes).put(page)
        with opensearch_errors():
            self.client.indices.refresh(index=index)

    # --- writing -----------------------------------------------------------------------------------------------------

    def put(self, records: Iterable[ImagingRecord]) -> PutReport:
        """Add or replace by id; what has the same content under the same catalogue is left alone."""
        complete = tuple(records)  # input that breaks off must leave nothing behind
        with self._lock:
            index = self._generations.check()
            report = PutReport()
            for page in batched(complete, CHUNK_RECORDS):
                report = together(report, Writing(self.client, index, self.catalogue, self.codes).put(page))
            self._refresh(report.added + report.changed)
            return report

    def remove(self, ids: Iterable[str]) -> int:
        """Remove by id and return how many were there."""
        wanted = [{"_op_type": "delete", "_id": record_id} for record_id in dict.fromkeys(ids)]
        with self._lock:
            removed = sum(gone.status == DELETED for gone in bulk(self.client, self._generations.check(), wanted)) if wanted else 0
            self._refresh(removed)
        return removed

    def clear(self) -> None:
        """Remove everything."""
        with self._lock:
            self._generations.drop()
            self._ensure()

    def _refresh(self, written: int) -> None:
        if written:
            with opensearch_errors():
                self.client.indices.refresh(index=self._alias)

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(self, record_id: str) -> ImagingRecord:
        """Return one record; raise NotFound."""
        with opensearch_errors():
            try:
                found = self.client.get(index=self._alias, id=record_id, params={"_source_includes": "document"})
            except Absent as error:
                if "found" not in (error.info if isinstance(error.info, dict) else {}):
                    raise
                raise NotFound("There is no such record in the index.", remedy="`fairlead index status` counts what it holds.") from error
        return ImagingRecord.model_validate_json(found["_source"]["document"])

    def read(self, ids: Iterable[str]) -> Iterator[ImagingRecord]:
        """Yield the records of those ids that are there, in the order of the ids."""
        for page in batched(ids, READ_AT_ONCE):
            found = read_each(self.client, self._alias, page, _source_includes="document")
            yield from (ImagingRecord.model_validate_json(one["_source"]["document"]) for one in found)

    def members(self, criterion: Criterion) -> Members:
        """Return who matches, sorted by id, all from one point in time."""
        return self.described(criterion, ())[0]

    def described(self, criterion: Criterion, fields: Sequence[str]) -> tuple[Members, Values]:
        """Return who matches and the least stated value of each field, all from one point in time; no document is read."""
        wanted = {name: path_of(countable(self.catalogue.get(name)).id) for name in fields}
        asked = {"query": self._sure(criterion), "_source": False, "docvalue_fields": [*KEYS, *dict.fromkeys(wanted.values())]}
        hits = (hit["fields"] for hit in scan(self.client, self._alias, asked))
        found = sorted((*(hit[name][0] for name in KEYS), *(_least(hit.get(path)) for path in wanted.values())) for hit in hits)
        ids, revisions, patients, studies, *values = zip(*found, strict=True) if found else [()] * (len(KEYS) + len(wanted))
        return Members(ids=ids, revisions=revisions, patients=patients, studies=studies), dict(zip(wanted, values, strict=True))

    def patients(self, criterion: Criterion) -> frozenset[str]:
        """Return the keys of the patients who have a matching record, without naming the records."""
        keys: set[str] = set()
        query, after = self._sure(criterion), None
        with point_in_time(self.client, self._alias) as pit:
            while True:
                page = search(self.client, None, patients_body(query, pit, after))["aggregations"]["keys"]
                keys.update(bucket["key"]["key"] for bucket in page["buckets"])
                after = page.get("after_key")
                if after is None:
                    return frozenset(keys)

    def count(self, criterion: Criterion) -> Counts:
        """Return exact numbers at the four grains."""
        token, answers = self._answers()
        if criterion not in answers:
            with self.mirror.at(token) as columns:
                chosen = self._chosen(criterion, columns)
                if columns is not None and chosen is not None:
                    answers[criterion] = columns.counts(chosen)
                else:
                    answers[criterion] = counts_of(self._search({"query": self._sure(criterion), "aggs": TOTALS}))
        return cast("Counts", answers[criterion])

    def facets(self, criterion: Criterion, fields: Sequence[str]) -> Facets:
        """Return the buckets per field, each counted without the field's own conditions; fields under one criterion share a question."""
        token, answers = self._answers()
        declared = {name: countable(self.catalogue.get(name)) for name in fields}
        wanted = {name: (without_field(criterion, field.id), field.id) for name, field in declared.items()}
        together: dict[Criterion, list[FieldDeclaration]] = {}
        for others, field_id in wanted.values():
            if (others, field_id) not in answers:
                together.setdefault(others, []).append(self.catalogue.get(field_id))
        with self.mirror.at(token) as columns:
            for others, asked in together.items():
                chosen = self._chosen(others, columns)
                if columns is not None and chosen is not None:
                    answers |= {(others, field.id): facet(field, columns, chosen) for field in asked}
                else:
                    answers |= {(others, name): found for name, found in self._asked(others, asked)}
        return {name: cast("tuple[FacetValue, ...]", answers[key]) for name, key in wanted.items()}

    def _asked(self, criterion: Criterion, fields: Sequence[FieldDeclaration]) -> Iterator[tuple[str, tuple[FacetValue, ...]]]:
        """Yield the buckets of fields as the server counts them."""
        aggregations = {key: one for field in fields for key, one in facet_aggregations(field).items()}
        found = self._search({"query": self._sure(criterion), "aggs": aggregations})["aggregations"]
        yield from ((field.id, facet_of(field, found)) for field in fields)

    def missing(self, criterion: Criterion, fields: Sequence[str]) -> Mapping[str, int]:
        """Return how many matching records do not state each field."""
        if not fields:
            return {}
        asked = {field: {"filter": none_of(stated(field))} for field in fields}
        found = self._search({"query": self._sure(criterion), "aggs": asked})["aggregations"]
        return {field: int(found[field]["doc_count"]) for field in fields}

    def sample(self, criterion: Criterion, size: int, *, seed: int = 0) -> tuple[ImagingRecord, ...]:
        """Return some of the matching records, drawn evenly."""
        return self._records(self._sure(criterion), [script_sort(seed), {"ord": "asc"}], size=checked_size(size))

    def extremes(self, criterion: Criterion, field: str, size: int) -> tuple[tuple[ImagingRecord, ...], tuple[ImagingRecord, ...]]:
        """Return the matching records with the least and with the greatest values of a field."""
        path, asked = path_of(ordered(self.catalogue.get(field)).id), checked_size(size)
        query = {"bool": {"filter": [self._sure(criterion), stated(self.catalogue.get(field).id)]}}
        least = self._records(query, [{path: {"order": "asc", "mode": "min"}}, {"draw": "asc"}], size=asked)
        return least, self._records(query, [{path: {"order": "desc", "mode": "max"}}, {"draw": "asc"}], size=asked)

    def page(self, criterion: Criterion, *, offset: int, limit: int) -> tuple[ImagingRecord, ...]:
        """Return one page of the matching records, in the order of patient, study and id."""
        checked_page(offset, limit)
        return self._records(self._sure(criterion), ORDER, size=limit, offset=offset)

    def generation(self) -> str:
        """Return the hash of the content, computed once per change."""
        for _ in range(TRIES):
            token = self._generations.change_token()
            if self._generation is not None and self._generation[0] == token:
                return self._generation[1]
            self._refresh(1)
            found = self.members(All())
            if self._generations.change_token() == token:
                self._generation = token, generation_of(zip(found.ids, found.revisions, strict=True))
                return self._generation[1]
        raise ServiceUnreachable("The index changes faster than it can be read.", remedy="Repeat when the present ingest is done.")

    def status(self) -> IndexStatus:
        """Return backend, number of records and generation."""
        return IndexStatus(self.backend, self.count(All()).series, self.generation())

    # --- inside ------------------------------------------------------------------------------------------------------

    def _answers(self) -> tuple[str, dict[object, object]]:
        """Return the change token, and what was answered since the index changed."""
        token = self._generations.change_token()
        if token != self._remembered[0] or len(self._remembered[1]) > REMEMBERED:
            self._refresh(1)  # what another process has written and not shown yet belongs to this token too
            self._remembered = token, {}
        return self._remembered

    def _chosen(self, criterion: Criterion, columns: Columns | None) -> Ints | None:
        """Return who matches among those that the columns hold; None when there are no columns, or when they are out of date."""
        if columns is None:
            return None
        if self.mirror.can_select(criterion):
            return positions(select(criterion, columns).sure)
        found = numbers(self.client, self._alias, self._sure(criterion))
        return positions(found) if self._generations.change_token() == self._remembered[0] else None

    def _sure(self, criterion: Criterion) -> Query:
        return {"bool": {"filter": [self._compiler.filters(criterion).sure]}}

    def _search(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return search(self.client, self._alias, {"size": 0, "track_total_hits": True, **body})

    def _records(self, query: Query, order: Sequence[Query], *, size: int, offset: int = 0) -> tuple[ImagingRecord, ...]:
        asked = {"query": query, "_source": ["document"], "sort": order, "from": offset, "size": size, "track_total_hits": False}
        return tuple(ImagingRecord.model_validate_json(hit["_source"]["document"]) for hit in self._search(asked)["hits"]["hits"])

    def _days(self, query: Query, path: str) -> Mapping[str, BitMap]:
        days: dict[str, BitMap] = {}
        after: Mapping[str, Any] | None = None
        while True:
            groups = self._search(days_body(query, path, after))["aggregations"]["groups"]
            for bucket in groups["buckets"]:
                if bucket["last"]["value"] is not None:
                    days.setdefault(bucket["last"]["value_as_string"], BitMap()).add(int(bucket["key"]["group"]))
            after = groups.get("after_key")
            if after is None:
                return days

    def _tally(self, query: Query, node: Has) -> Mapping[int, int]:
        numbers: dict[int, int] = {}
        after: Mapping[str, Any] | None = None
        while True:
            groups = self._search(tally_body(query, node, after))["aggregations"]["groups"]
            for bucket in groups["buckets"]:
                code = int(bucket["key"]["group"])
                numbers[code] = numbers.get(code, 0) + amount_of(bucket, node)
            after = groups.get("after_key")
            if after is None:
                return numbers


def _least(values: Sequence[Scalar] | None) -> Scalar | None:
    """Return the least of the stated values, as the columns of the embedded engine order them."""
    return min(values, key=lambda value: value if isinstance(value, int | float) else str(value)) if values else None
