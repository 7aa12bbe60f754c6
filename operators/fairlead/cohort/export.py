"""Member lists of a frozen version: CSV and NDJSON line by line, and Parquet."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import batched
from typing import Any, Final

from fairlead.cohort.cells import csv_lines
from fairlead.errors import InvalidConfiguration, UnsupportedInput
from fairlead.index import Index, Members, MembersOf
from fairlead.records import CohortVersion, Scalar

FORMATS: Final = ("csv", "ndjson")
COLUMNS: Final = (
    *("id", "kind", "project", "center", "patient", "study_uid", "series_uid", "modality", "body_part", "instances", "bytes"),
    *("revision", "state"),
)
FIELDS: Final = ("kind", "modality", "body_part", "series.instances", "series.size_bytes")
"""Fields of the catalogue that are columns of the list."""
NUMBERS: Final = ("instances", "bytes")
ROW_GROUP: Final = 50_000
"""Rows of a Parquet file that are written at once."""

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
    """Return the member list as a Parquet file; raise as :func:`parquet_parts` does."""
    return b"".join(parquet_parts(version, index))


def parquet_parts(version: CohortVersion, index: Index) -> Iterator[bytes]:
    """Yield the Parquet file of the member list in parts.

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
    told = {
        b"withdrawn": str(version.counts.series - len(version.members)).encode(),
        b"cohort": version.ref.encode(),
        b"members_sha256": version.members_sha256.encode(),
    }
    yield from _row_groups(member_rows(version, index), schema.with_metadata(told), parquet.ParquetWriter)


def _row_groups(rows: Iterator[MemberRow], schema: Any, writer: Callable[..., Any]) -> Iterator[bytes]:
    """Yield what the writer wrote after each row group, and the footer: a version of a million members is never whole in memory."""
    import pyarrow as arrow

    out = io.BytesIO()
    with writer(out, schema) as file:
        for part in batched(rows, ROW_GROUP):
            file.write_table(arrow.Table.from_pylist(list(part), schema=schema))
            yield _taken(out)
    yield _taken(out)


def _taken(out: io.BytesIO) -> bytes:
    """Return what was written since; the writer counts its own place."""
    written = out.getvalue()
    out.seek(0)
    out.truncate()
    return written


def member_rows(version: CohortVersion, index: Index) -> Iterator[MemberRow]:
    """Yield one row a member, in the order of ids."""
    here = MembersOf(frozenset(version.members))
    found, columns = index.described(here, FIELDS)
    rows = {record_id: place for place, record_id in enumerate(found.ids)}
    for record_id, revision in zip(version.members, version.revisions, strict=True):
        place = rows.get(record_id)
        if place is None:
            yield dict.fromkeys(COLUMNS) | {"id": record_id, "revision": revision, "state": "gone"}
        else:
            state = "current" if found.revisions[place] == revision else "revised"
            row = _row(found, place, columns)
            row["revision"], row["state"] = revision, state
            yield row


def _row(found: Members, place: int, columns: Mapping[str, tuple[Scalar | None, ...]]) -> MemberRow:
    record_id = found.ids[place]
    center, project, name = record_id.split(":", 2)
    return {  # in the order of COLUMNS; revision and state follow
        "id": record_id,
        "kind": columns["kind"][place],
        "project": project,
        "center": center,
        "patient": found.patients[place][len(center) + len(project) + 2 :],
        "study_uid": found.studies[place].rpartition(":")[2],
        "series_uid": name,
        "modality": columns["modality"][place],
        "body_part": columns["body_part"][place],
        "instances": columns["series.instances"][place],
        "bytes": columns["series.size_bytes"][place],
    }


def _csv(rows: Iterator[MemberRow]) -> Iterator[str]:
    yield ",".join(COLUMNS)
    yield from csv_lines(row.values() for row in rows)
