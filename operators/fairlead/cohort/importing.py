"""Lists of series that other tools wrote (CSV, TCIA manifests, Kaapana datasets) as a definition that names its members.

Such a list says who, not why, so it comes with a reason. Series that the index does not hold are told, never dropped in silence.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fairlead.errors import InvalidInput, UnsupportedInput
from fairlead.index import All, Index, MembersOf
from fairlead.records import JsonObject

UID: Final = re.compile(r"[0-9]+(\.[0-9]+)+")
MAX_UID: Final = 64
HEADS: Final = frozenset({"seriesinstanceuid", "seriesuid", "series"})
TCIA: Final = "ListOfSeriesToDownload="


@dataclass(frozen=True, slots=True)
class Imported:
    """Record ids of the listed series, and the UIDs that the index does not hold."""

    ids: tuple[str, ...]
    absent: tuple[str, ...]

    def definition(self, *, title: str, reason: str) -> JsonObject:
        """Return the definition that names just these.

        Raises
        ------
        InvalidInput : there is no reason, or nobody was found.
        """
        if not reason.strip():
            raise InvalidInput("A list of series needs a reason.", remedy="Say who chose them and what for: --reason.")
        if not self.ids:
            raise InvalidInput("The index holds none of the listed series.", remedy="Ingest them first.")
        return {"schemaVersion": "1", "title": title, "unit": "series", "include": {"ids": list(self.ids), "reason": reason.strip()}}


def listed_uids(text: str) -> tuple[str, ...]:
    """Return the series instance UIDs of a list, sorted and once.

    Raises
    ------
    UnsupportedInput : an ``s5cmd`` manifest, which names objects; InvalidInput : no list of series is recognised.
    """
    found = sorted({uid for uid in _uids(text.removeprefix("\ufeff")) if len(uid) <= MAX_UID and UID.fullmatch(uid)})
    if not found:
        raise InvalidInput("No series instance UIDs are recognised.", remedy="Give a CSV with SeriesInstanceUID, a .tcia or Kaapana list.")
    return tuple(found)


def _uids(text: str) -> Iterator[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if text.lstrip().startswith(("{", "[")):
        yield from _of_json(text)
    elif TCIA in lines:
        yield from lines[lines.index(TCIA) + 1 :]
    elif any(line.startswith("cp ") and "s3://" in line for line in lines):
        raise UnsupportedInput("An s5cmd manifest names objects, not series.", remedy="Download the CSV manifest of the same cohort.")
    else:
        yield from _of_table(lines)


def _of_json(text: str) -> Iterator[str]:
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("The list is no JSON.") from error
    listed = document.get("identifiers") if isinstance(document, dict) else document
    yield from (one for one in listed if isinstance(one, str)) if isinstance(listed, list) else ()


def _of_table(lines: Sequence[str]) -> Iterator[str]:
    """Yield the column of series of a table with comma, semicolon or tab; a table without heads is one UID a line."""
    told = [line for line in lines if not line.startswith("#")]
    cut = next((one for one in "\t;," if told and one in told[0]), ",")
    rows = list(csv.reader(io.StringIO("\n".join(told)), delimiter=cut))
    heads = [re.sub(r"[^a-z]", "", head.casefold()) for head in rows[0]] if rows else []
    place = next((at for at, head in enumerate(heads) if head in HEADS), None)
    yield from (row[place or 0].strip() for row in rows if len(row) > (place or 0))


def import_series(uids: Iterable[str], index: Index) -> Imported:
    """Return which of the series the index holds, at whatever centre and in whatever project."""
    wanted = frozenset(uids)
    facets = index.facets(All(), ["center", "project"])
    centers, projects = ([str(bucket.value) for bucket in facets[name] if bucket.value is not None] for name in ("center", "project"))
    candidates = frozenset(f"{center}:{project}:{uid}" for center in centers for project in projects for uid in wanted)
    ids = index.members(MembersOf(candidates)).ids
    held = {record_id.split(":", 2)[2] for record_id in ids}
    return Imported(ids, tuple(sorted(wanted - held)))
