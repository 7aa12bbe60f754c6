"""Member lists of a frozen version, line by line: CSV and NDJSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Final

from fairlead.errors import NotFound, UnsupportedInput
from fairlead.index import Index, MembersOf
from fairlead.records import CohortVersion, Concept, ImagingRecord, Scalar

FORMATS: Final = ("csv", "ndjson")
COLUMNS: Final = (
    *("id", "kind", "project", "center", "patient", "study_uid", "series_uid", "modality", "body_part", "instances", "bytes"),
    *("revision", "state"),
)
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""First characters that make a spreadsheet run a cell; header values are other people's text."""

type MemberRow = dict[str, Scalar | None]


def export_members(version: CohortVersion, index: Index, format: str = "csv") -> Iterator[str]:
    """Yield the lines of the member list, without line ends.

    ``state`` is ``current``, ``revised`` (the record has other content now) or ``gone`` (it left the index).

    Raises
    ------
    UnsupportedInput : another format; parquet needs a library that Fairlead does not bring.
    """
    if format not in FORMATS:
        raise UnsupportedInput(f"Members cannot be written as {format[:20]!r}.", remedy=f"Supported: {', '.join(FORMATS)}.")
    return _csv(member_rows(version, index)) if format == "csv" else map(json.dumps, member_rows(version, index))


def member_rows(version: CohortVersion, index: Index) -> Iterator[MemberRow]:
    """Yield one row a member, in the order of ids."""
    for record_id, revision, now in zip(version.members, version.revisions, _present(version, index), strict=True):
        if now is None:
            yield dict.fromkeys(COLUMNS) | {"id": record_id, "revision": revision, "state": "gone"}
        else:
            yield _row(now[0]) | {"revision": revision, "state": "current" if now[1] == revision else "revised"}


def _present(version: CohortVersion, index: Index) -> Iterator[tuple[ImagingRecord, str] | None]:
    found = index.members(MembersOf(frozenset(version.members)))
    revisions = dict(zip(found.ids, found.revisions, strict=True))
    for record_id in version.members:
        try:
            yield (index.get(record_id), revisions[record_id]) if record_id in revisions else None
        except NotFound:  # removed since the question above
            yield None


def _row(record: ImagingRecord) -> MemberRow:
    core = record.core
    return {
        "id": core.id,
        "kind": core.kind,
        "project": core.project,
        "center": core.center,
        "patient": core.patient_key,
        "study_uid": core.study_uid,
        "series_uid": core.series_uid,
        "modality": _code(core.modality),
        "body_part": _code(core.body_part),
        "instances": core.instances,
        "bytes": core.size_bytes,
    }


def _code(concept: Concept | None) -> str | None:
    return None if concept is None else concept.curie or concept.raw


def _csv(rows: Iterator[MemberRow]) -> Iterator[str]:
    yield ",".join(COLUMNS)
    for row in rows:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow([_cell(row[name]) for name in COLUMNS])
        yield line.getvalue()


def _cell(value: Scalar | None) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
