"""The index on OpenSearch 2.19 and 3.x: one document a record, filters and exact counts on the server.

Writes are idempotent (``_id`` is the record's id), skip what has not changed by its content hash, and go against the version that
was read (``if_seq_no``). After a batch the index is refreshed once, so that who asks next sees it.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import batched
from typing import Any, Final, cast

from opensearchpy.exceptions import NotFoundError as Absent

from fairlead.errors import InvalidInput, NotFound, ServiceUnreachable
from fairlead.extract import FieldCatalogue
from fairlead.index.criteria import All, Criterion, Has, without_field
from fairlead.index.opensearch_client import CHUNK_RECORDS, Outcome, bulk, connect, opensearch_errors, scan, search
from fairlead.index.opensearch_codes import Codes
from fairlead.index.opensearch_counting import TOTALS, amount_of, counts_of, facet_aggregations, facet_of, tally_body
from fairlead.index.opensearch_generations import Generations
from fairlead.index.opensearch_mapping import document_of
from fairlead.index.opensearch_query import Compiler, Query, none_of, stated
from fairlead.index.port import Facets, FacetValue, IndexStatus, Members, PutReport
from fairlead.index.rows import Row, generation_of, rows_of
from fairlead.index.sampling import checked_size, script_sort
from fairlead.records import Counts, ImagingRecord, Refusal
from fairlead.settings import IndexSettings

CREATED: Final = 201
DELETED: Final = 200
CONFLICT: Final = 409
TRIES: Final = 5
KEYS: Final = ("id", "revision", "patient.key", "study.key")
REMEMBERED: Final = 512


class OpenSearchIndex:
    """Implements :class:`fairlead.index.Index` on one alias."""

    backend: Final = "opensearch"

    def __init__(self, settings: IndexSettings, catalogue: FieldCatalogue) -> None:
        self.catalogue = catalogue
        self.client = connect(settings)
        self._generations = Generations(self.client, settings.name, catalogue)
        self._alias = settings.name
        self.codes = Codes(self.client, self._generations.codes)
        self._compiler = Compiler(catalogue, self._tally)
        self._generation: tuple[str, str] | None = None
        self._remembered: tuple[str, dict[object, object]] = "", {}
        self._lock = threading.Lock()
        self._ensure()

    def _ensure(self) -> None:
        self._generations.ensure(self._fill)

    def _fill(self, index: str, records: Iterator[ImagingRecord]) -> None:
        for page in batched(records, CHUNK_RECORDS):
            _Writing(self, index).put(page)
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
                report = _sum(report, _Writing(self, index).put(page))
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

    def members(self, criterion: Criterion) -> Members:
        """Return who matches, sorted by id, all from one point in time."""
        asked = {"query": self._sure(criterion), "_source": False, "docvalue_fields": list(KEYS)}
        found = sorted(tuple(hit["fields"][name][0] for name in KEYS) for hit in scan(self.client, self._alias, asked))
        ids, revisions, patients, studies = zip(*found, strict=True) if found else ((), (), (), ())
        return Members(ids=ids, revisions=revisions, patients=patients, studies=studies)

    def count(self, criterion: Criterion) -> Counts:
        """Return exact numbers at the four grains."""
        answers = self._answers()
        if criterion not in answers:
            answers[criterion] = counts_of(self._search({"query": self._sure(criterion), "aggs": TOTALS}))
        return cast("Counts", answers[criterion])

    def facets(self, criterion: Criterion, fields: Sequence[str]) -> Facets:
        """Return the buckets per field, each counted without the field's own conditions; fields under one criterion share a question."""
        answers, together = self._answers(), dict[Criterion, list[str]]()
        wanted = {field: (without_field(criterion, field), field) for field in fields}
        for others, field in wanted.values():
            if (others, field) not in answers:
                together.setdefault(others, []).append(field)
        for others, names in together.items():
            declared = [self.catalogue.get(name) for name in names]
            aggregations = {key: one for field in declared for key, one in facet_aggregations(field).items()}
            found = self._search({"query": self._sure(others), "aggs": aggregations})["aggregations"]
            answers |= {(others, name): facet_of(field, found) for name, field in zip(names, declared, strict=True)}
        return {field: cast("tuple[FacetValue, ...]", answers[key]) for field, key in wanted.items()}

    def missing(self, criterion: Criterion, fields: Sequence[str]) -> Mapping[str, int]:
        """Return how many matching records do not state each field."""
        if not fields:
            return {}
        asked = {field: {"filter": none_of(stated(field))} for field in fields}
        found = self._search({"query": self._sure(criterion), "aggs": asked})["aggregations"]
        return {field: int(found[field]["doc_count"]) for field in fields}

    def sample(self, criterion: Criterion, size: int, *, seed: int = 0) -> tuple[ImagingRecord, ...]:
        """Return some of the matching records, drawn evenly."""
        asked = {"query": self._sure(criterion), "_source": ["document"], "sort": [script_sort(seed), {"ord": "asc"}]}
        hits = self._search({**asked, "size": checked_size(size), "track_total_hits": False})["hits"]["hits"]
        return tuple(ImagingRecord.model_validate_json(hit["_source"]["document"]) for hit in hits)

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

    def _answers(self) -> dict[object, object]:
        """Return what was asked since the last change of the index; whole-index facets are the slow case, and the usual one."""
        token = self._generations.change_token()
        if token != self._remembered[0] or len(self._remembered[1]) > REMEMBERED:
            self._refresh(1)  # what another process has written and not shown yet belongs to this token too
            self._remembered = token, {}
        return self._remembered[1]

    def _sure(self, criterion: Criterion) -> Query:
        return {"bool": {"filter": [self._compiler.filters(criterion).sure]}}

    def _search(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return search(self.client, self._alias, {"size": 0, "track_total_hits": True, **body})

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


class _Writing:
    """One page of a batch on its way in: create, and look again at what was there already."""

    def __init__(self, owner: OpenSearchIndex, index: str) -> None:
        self._owner, self._index = owner, index
        self._tally = {"added": 0, "changed": 0, "unchanged": 0}
        self._refused: list[Refusal] = []
        self._left: list[Row] = []

    def put(self, records: Iterable[ImagingRecord]) -> PutReport:
        """Return what the page did."""
        rows: list[Row] = []
        for made in rows_of(records, self._owner.catalogue):
            if isinstance(made, Row):
                rows.append(made)
            else:
                self._refused.append(made)
        self._write(rows, {})
        for _ in range(TRIES):
            if not self._left:
                return PutReport(**self._tally, refused=tuple(self._refused))
            left, self._left = self._left, []
            self._compare(left)
        raise ServiceUnreachable("Another process keeps writing the same records.", remedy="Repeat; nothing was lost.")

    def _compare(self, rows: Sequence[Row]) -> None:
        """Leave alone what has the same content, and replace the rest if nobody else did meanwhile."""
        with opensearch_errors():
            wanted = {"ids": [row.id for row in rows]}
            docs = self._owner.client.mget(index=self._index, body=wanted, params={"_source_includes": "revision,ord"})["docs"]
        present = {one["_id"]: one for one in docs if one.get("found")}
        same = [row for row in rows if row.id in present and present[row.id]["_source"]["revision"] == row.revision]
        self._tally["unchanged"] += len(same)
        done = {row.id for row in same}
        self._write([row for row in rows if row.id not in done], present)

    def _write(self, rows: Sequence[Row], present: Mapping[str, Mapping[str, Any]]) -> None:
        now = {row.id: row for row in reversed(rows)}  # of two with one id the first; the other is looked at in the next round
        self._left += [row for row in rows if now[row.id] is not row]
        if not now:
            return
        owner = self._owner
        patients = owner.codes.of("patient", (row.patient for row in now.values()))
        studies = owner.codes.of("study", (row.study for row in now.values()))
        fresh = sum(record_id not in present for record_id in now)
        ordinals = itertools.count(owner.codes.reserve("record", fresh) if fresh else 0)
        actions = []
        for row in now.values():
            known = present.get(row.id)
            ordinal = next(ordinals) if known is None else int(known["_source"]["ord"])
            document = document_of(row, owner.catalogue, ordinal=ordinal, patient=patients[row.patient], study=studies[row.study])
            actions.append({"_id": row.id, "_source": document} | _against(known))
        for outcome in bulk(owner.client, self._index, actions):
            self._note(now[outcome.id], outcome)

    def _note(self, row: Row, outcome: Outcome) -> None:
        if outcome.status == CONFLICT:
            self._left.append(row)
        elif outcome.error:
            reason = f"The index does not take the record: {outcome.error}."
            self._refused.append(Refusal(source=row.id, code=InvalidInput.code, reason=reason))
        else:
            self._tally["added" if outcome.status == CREATED else "changed"] += 1


def _against(known: Mapping[str, Any] | None) -> dict[str, Any]:
    if known is None:
        return {"_op_type": "create"}
    return {"_op_type": "index", "if_seq_no": known["_seq_no"], "if_primary_term": known["_primary_term"]}


def _sum(one: PutReport, other: PutReport) -> PutReport:
    return PutReport(
        added=one.added + other.added,
        changed=one.changed + other.changed,
        unchanged=one.unchanged + other.unchanged,
        refused=one.refused + other.refused,
    )
