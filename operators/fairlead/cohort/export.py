"""Member lists of a frozen version: CSV and NDJSON line by line, and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Final

from fairlead.errors import InvalidConfiguration, NotFound, UnsupportedInput
from fairlead.index import Index, Members, MembersOf
from fairlead.records import CohortVersion, Concept, ImagingRecord, Scalar

FORMATS: Final = ("csv", "ndjson")
COLUMNS: Final = (
    *("id", "kind", "project", "center", "patient", "study_uid", "series_uid", "modality", "body_part", "instances", "bytes"),
    *("revision", "state"),
)
FIELDS: Final = {
    "kind": "kind",
    "modality": "modality",
    "body_part": "body_part",
    "instances": "series.instances",
    "bytes": "series.size_bytes",
}
"""Columns that are fields of the catalogue."""
NUMBERS: Final = ("instances", "bytes")
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""First characters that make a spreadsheet run a cell; header values are other people's text."""

type MemberRow = dict[str, Scalar | None]


def export_members(version: CohortVersion, index: Index, format: str = "csv") -> Iterator[str]:
    """Yield the lines of the member list, without line ends.

    ``state`` is ``current``, ``revised`` (the record has other content now) or ``gone`` (it left the index).

    Raises
    ------
    UnsupportedInput : another format; ``parquet`` is no text, :func:`members_parquet` gives it.
    """
    if format not in FORMATS:
        raise UnsupportedInput(f"Members cannot be written as {format[:20]!r}.", remedy=f"Supported: {', '.join((*FORMATS, 'parquet'))}.")
    return _csv(member_rows(version, index)) if format == "csv" else map(json.dumps, member_rows(version, index))


def members_parquet(version: CohortVersion, index: Index) -> bytes:
    """Return the member list as a Parquet file.

    Raises
    ------
    InvalidConfiguration : pyarrow is not installed.
    """
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise InvalidConfiguration("Parquet needs pyarrow, which is not installed.", remedy="Install fairlead[parquet].") from error
    schema = arrow.schema([(name, arrow.int64() if name in NUMBERS else arrow.string()) for name in COLUMNS])
    told = {b"cohort": version.ref.encode(), b"members_sha256": version.members_sha256.encode()}
    out = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(list(member_rows(version, index)), schema=schema.with_metadata(told)), out)
    return out.getvalue()


def member_rows(version: CohortVersion, index: Index) -> Iterator[MemberRow]:
    """Yield one row a member, in the order of ids."""
    here = MembersOf(frozenset(version.members))
    found = index.members(here)
    many = getattr(index, "values", None)  # an engine that keeps columns gives them without reading a document
    columns = many(here, tuple(FIELDS.values())) if many is not None else None
    rows = {record_id: place for place, record_id in enumerate(found.ids)}
    for record_id, revision in zip(version.members, version.revisions, strict=True):
        place = rows.get(record_id)
        row = None if place is None else _row(index, found, place, columns)
        if row is None or place is None:
            yield dict.fromkeys(COLUMNS) | {"id": record_id, "revision": revision, "state": "gone"}
        else:
            yield row | {"revision": revision, "state": "current" if found.revisions[place] == revision else "revised"}


def _row(index: Index, found: Members, place: int, columns: Mapping[str, tuple[Scalar | None, ...]] | None) -> MemberRow | None:
    record_id = found.ids[place]
    if columns is None:
        try:
            return _of_record(index.get(record_id))
        except NotFound:  # removed since the question above
            return None
    center, project, name = record_id.split(":", 2)
    beyond = len(center) + len(project) + 2
    named = {"id": record_id, "project": project, "center": center, "series_uid": name}
    keys = {"patient": found.patients[place][beyond:], "study_uid": found.studies[place].rpartition(":")[2]}
    values = {column: columns[field][place] for column, field in FIELDS.items()}
    return named | keys | {column: int(value) if column in NUMBERS and value is not None else value for column, value in values.items()}


def _of_record(record: ImagingRecord) -> MemberRow:
    core = record.core
    return {
        "id": core.id,
        "kind": core.kind,
        "project": core.project,
        "center": core.center,
        "patient": core.patient_key,
        "study_uid": core.study_uid,
        "series_uid": core.id.split(":", 2)[2],
        "modality": _code(core.modality),
        "body_part": _code(core.body_part),
        "instances": core.instances,
        "bytes": core.size_bytes,
    }


def _code(concept: Concept | None) -> str | None:
    return None if concept is None else concept.curie or concept.raw


class _Echo:
    """What a csv writer writes to: it gives the line back."""

    def write(self, line: str) -> str:
        """Return the line."""
        return line


def _csv(rows: Iterator[MemberRow]) -> Iterator[str]:
    yield ",".join(COLUMNS)
    writer = csv.writer(_Echo(), lineterminator="")
    for row in rows:
        yield str(writer.writerow([_cell(row[name]) for name in COLUMNS]))


def _cell(value: Scalar | None) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
