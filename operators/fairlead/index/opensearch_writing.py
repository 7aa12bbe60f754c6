"""The way of records into an OpenSearch index: create, and look again at what was there already."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from opensearchpy import OpenSearch

from fairlead.errors import InvalidInput, ServiceUnreachable
from fairlead.extract import FieldCatalogue
from fairlead.index.opensearch_client import Outcome, bulk, read_each
from fairlead.index.opensearch_codes import Codes
from fairlead.index.opensearch_mapping import GroupCodes, document_of
from fairlead.index.port import PutReport
from fairlead.index.rows import Row, frame_of, rows_of
from fairlead.records import ImagingRecord, Refusal

CREATED: Final = 201
CONFLICT: Final = 409
TRIES: Final = 5


class Writing:
    """One page of a batch on its way in: create, and look again at what was there already."""

    def __init__(self, client: OpenSearch, index: str, catalogue: FieldCatalogue, codes: Codes) -> None:
        self._client, self._index, self._catalogue, self._codes = client, index, catalogue, codes
        self._tally = {"added": 0, "changed": 0, "unchanged": 0}
        self._refused: list[Refusal] = []
        self._left: list[Row] = []

    def put(self, records: Iterable[ImagingRecord]) -> PutReport:
        """Return what the page did."""
        rows: list[Row] = []
        for made in rows_of(records, self._catalogue):
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
        wanted = [row.id for row in rows]
        present = {one["_id"]: one for one in read_each(self._client, self._index, wanted, _source_includes="revision")}
        same = [row for row in rows if row.id in present and present[row.id]["_source"]["revision"] == row.revision]
        self._tally["unchanged"] += len(same)
        done = {row.id for row in same}
        self._write([row for row in rows if row.id not in done], present)

    def _write(self, rows: Sequence[Row], present: Mapping[str, Mapping[str, Any]]) -> None:
        now = {row.id: row for row in reversed(rows)}  # of two with one id the first; the other is looked at in the next round
        self._left += [row for row in rows if now[row.id] is not row]
        if not now:
            return
        actions = []
        first, groups = self._codes.reserve("record", len(now)), self._groups(now.values())
        for ordinal, (row, codes) in enumerate(zip(now.values(), groups, strict=True), first):  # of one version: mirrors rely on it
            document = document_of(row, self._catalogue, ordinal=ordinal, codes=codes)
            actions.append({"_id": row.id, "_source": document} | _against(present.get(row.id)))
        for outcome in bulk(self._client, self._index, actions):
            self._note(now[outcome.id], outcome)

    def _groups(self, rows: Collection[Row]) -> Iterator[GroupCodes]:
        """Yield the codes of the groups that each row belongs to, made where nobody was of that group yet."""
        frames = [frame_of(row) for row in rows]
        patients = self._codes.of("patient", (row.patient for row in rows))
        studies = self._codes.of("study", (row.study for row in rows))
        known = self._codes.of("frame", (frame for frame in frames if frame is not None))
        for row, frame in zip(rows, frames, strict=True):
            yield GroupCodes(patients[row.patient], studies[row.study], None if frame is None else known[frame])

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


def together(one: PutReport, other: PutReport) -> PutReport:
    """Return both reports as one."""
    return PutReport(
        added=one.added + other.added,
        changed=one.changed + other.changed,
        unchanged=one.unchanged + other.unchanged,
        refused=one.refused + other.refused,
    )
