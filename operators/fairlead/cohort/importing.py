"""Lists of series that other tools wrote (CSV, TCIA manifests, Kaapana datasets) as a definition that names its members.

Such a list says who, not why, so it comes with a reason. Series that the index does not hold are told, never dropped in silence.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

from fairlead.cohort.leaves import MAX_REASON, MAX_VALUES, RECORD
from fairlead.cohort.manifest import bucket_of
from fairlead.cohort.texts import checked_text
from fairlead.errors import InvalidInput, NotFound, UnsupportedInput
from fairlead.index import All, Index, MembersOf
from fairlead.records import JsonObject

UID: Final = re.compile(r"[0-9]+(\.[0-9]+)+")
MAX_UID: Final = 64
MAX_BYTES: Final = 64 * 1024**2
"""Larger files are no list of series: 65,536 of them, the most one definition holds, are 4 MB."""
HEADS: Final = frozenset({"seriesinstanceuid", "seriesuid", "series"})
TCIA: Final = "ListOfSeriesToDownload="
COPY: Final = re.compile(r"cp\s.*?[\"']?(s3://[^\s\"']+)")
"""A line of an s5cmd manifest; what is copied comes before where it goes."""


@dataclass(frozen=True, slots=True)
class Imported:
    """Record ids of the listed series, and the UIDs or addresses that the index does not hold."""

    ids: tuple[str, ...]
    absent: tuple[str, ...]

    def definition(self, *, title: str, reason: str) -> JsonObject:
        """Return the definition that names just these.

        Raises
        ------
        InvalidInput : there is no reason, one of the two is no text of its length, or nobody was found.
        """
        if not reason.strip():
            raise InvalidInput("A list of series needs a reason.", remedy="Say who chose them and what for: --reason.")
        title, reason = checked_text(title, "title"), checked_text(reason, "reason", maximum=MAX_REASON)
        if not self.ids:
            raise InvalidInput("The index holds none of the listed series.", remedy="Ingest them first.")
        return {"schemaVersion": "1", "title": title, "unit": "series", "include": {"ids": list(self.ids), "reason": reason}}


def read_list(file: Path) -> str:
    """Return the text of a list; spreadsheets write UTF-16 where others write UTF-8.

    Raises
    ------
    NotFound : there is no such file; InvalidInput : it is a folder, larger than any list, or no text.
    """
    if file.is_dir():
        raise InvalidInput(f"{file.name} is a folder.", remedy="Give the list that was exported.")
    if not file.is_file():
        raise NotFound(f"There is no file {file.name}.", remedy="Give the list that was exported.")
    with file.open("rb") as handle:
        content = handle.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise InvalidInput(f"The list {file.name} is larger than {MAX_BYTES // 1024**2} MiB.", remedy="Give the list of series alone.")
    try:
        return content.decode("utf-16" if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig", errors="replace")
    except UnicodeError as error:
        raise InvalidInput(f"The list {file.name} is no text.") from error


def listed_uids(text: str) -> tuple[str, ...]:
    """Return the series instance UIDs of a list, sorted and once.

    Raises
    ------
    UnsupportedInput : an ``s5cmd`` manifest, which names objects; InvalidInput : no list of series is recognised, an entry is no UID
    (PS3.5 section 9.1), or there are more than a definition holds.
    """
    entries = [entry for entry in _uids(text.removeprefix("\ufeff")) if entry]
    wrong = [place for place, entry in enumerate(entries, 1) if len(entry) > MAX_UID or not UID.fullmatch(entry)]
    if len(wrong) == len(entries):
        raise InvalidInput("No series instance UIDs are recognised.", remedy="Give a CSV with SeriesInstanceUID, a .tcia or Kaapana list.")
    if wrong:  # what they say instead may name a patient
        raise InvalidInput(
            f"{len(wrong)} of {len(entries)} entries of the list are no series instance UIDs, the first of them entry {wrong[0]}.",
            remedy="Correct or remove them.",
        )
    return _few(sorted(set(entries)))


def listed_ids(text: str) -> tuple[str, ...]:
    """Return the record ids of a list of ours (column ``id`` of ``fairlead cohort members``, or one a line), sorted and once; else nothing.

    Raises
    ------
    InvalidInput : an id is none, or there are more than a definition holds.
    """
    rows = _rows(text.removeprefix("\ufeff"))
    heads = [head.strip().casefold() for head in rows[0]] if rows else []
    place = heads.index("id") if "id" in heads else None
    if place is None and not (len(heads) == 1 and RECORD.fullmatch(heads[0])):
        return ()
    entries = [row[place or 0].strip() for row in rows[place is not None :] if len(row) > (place or 0)]
    wrong = [number for number, entry in enumerate(entries, 1) if not RECORD.fullmatch(entry)]
    if len(wrong) == len(entries):  # ids of somebody else
        return ()
    if wrong:
        raise InvalidInput(
            f"{len(wrong)} of {len(entries)} entries of the list are no record ids, the first of them entry {wrong[0]}.",
            remedy="Give them as `fairlead cohort members` writes them.",
        )
    return _few(sorted(set(entries)))


def _few(found: list[str]) -> tuple[str, ...]:
    if len(found) > MAX_VALUES:
        raise InvalidInput(f"The list names {len(found)} series; {MAX_VALUES} are the most.", remedy="Freeze parts, and unite them.")
    return tuple(found)


def _uids(text: str) -> Iterator[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if text.lstrip().startswith(("{", "[")):
        yield from _of_json(text)
    elif TCIA in lines:
        yield from lines[lines.index(TCIA) + 1 :]
    elif any(COPY.match(line) for line in lines):
        raise UnsupportedInput("An s5cmd manifest names objects, not series.", remedy="Look its addresses up with import_addresses.")
    else:
        yield from _of_table(text)


def _of_json(text: str) -> Iterator[str]:
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("The list is no JSON.") from error
    listed = document.get("identifiers") if isinstance(document, dict) else document
    yield from (str(one) for one in listed) if isinstance(listed, list) else ()


def _rows(text: str) -> list[list[str]]:
    """Return the rows of a table with comma, semicolon or tab, without comments."""
    told = [line for each in text.splitlines() if (line := each.strip()) and not line.startswith("#")]
    cut = next((one for one in "\t;," if told and one in told[0]), ",")
    try:
        return list(csv.reader(io.StringIO("\n".join(told)), delimiter=cut))
    except csv.Error as error:  # a cell beyond any sense
        raise InvalidInput("The list is no table.") from error


def _of_table(text: str) -> Iterator[str]:
    """Yield the column of series; a table without heads is one UID a line."""
    rows = _rows(text)
    heads = [re.sub(r"[^a-z]", "", head.casefold()) for head in rows[0]] if rows else []
    place = next((at for at, head in enumerate(heads) if head in HEADS), None)
    yield from (row[place or 0].strip() for row in rows[place is not None :] if len(row) > (place or 0))


def listed_addresses(text: str) -> tuple[str, ...]:
    """Return what an ``s5cmd`` manifest copies, sorted and once; nothing for a list of another kind.

    Raises
    ------
    InvalidInput : a line copies something else than from a bucket, or there are more than a definition holds.
    """
    lines = [line.strip() for line in text.removeprefix("\ufeff").splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found = [COPY.match(line) for line in lines]
    if not any(found):
        return ()
    if None in found:
        raise InvalidInput(f"Line {found.index(None) + 1} of the manifest, comments apart, copies nothing from a bucket.")
    return _few(sorted({one[1] for one in found if one is not None}))


def import_addresses(addresses: Iterable[str], index: Index) -> Imported:
    """Return which of the addresses records of the index state; every record is read, because no engine searches by address."""
    wanted = frozenset(addresses)
    found: dict[str, set[str]] = {}
    for record in index.read(index.members(All()).ids):
        address = bucket_of(record)
        if address in wanted:
            found.setdefault(str(address), set()).add(record.id)
    return Imported(tuple(sorted(set().union(*found.values()))), tuple(sorted(wanted - set(found))))


def import_records(ids: Iterable[str], index: Index) -> Imported:
    """Return which of the records the index holds."""
    wanted = frozenset(ids)
    found = index.members(MembersOf(wanted)).ids
    return Imported(found, tuple(sorted(wanted.difference(found))))


def import_list(text: str, index: Index) -> Imported:
    """Return the series of a list in any of the forms that are read: record ids, addresses, or series instance UIDs.

    Raises
    ------
    InvalidInput : no list of series is recognised, it is too long, or an entry is wrong.
    """
    if addresses := listed_addresses(text):
        return import_addresses(addresses, index)
    ids = () if text.lstrip("\ufeff \t\r\n").startswith(("{", "[")) else listed_ids(text)
    return import_records(ids, index) if ids else import_series(listed_uids(text), index)


def import_series(uids: Iterable[str], index: Index) -> Imported:
    """Return which of the series the index holds, at whatever centre and in whatever project."""
    wanted = sorted(set(uids))
    facets = index.facets(All(), ["center", "project"])
    centers, projects = ([str(bucket.value) for bucket in facets[name] if bucket.value is not None] for name in ("center", "project"))
    ids: list[str] = []
    for center, project in product(centers, projects):  # one place at a time: all at once would be every UID at every place
        ids += index.members(MembersOf(frozenset(f"{center}:{project}:{uid}" for uid in wanted))).ids
    held = {record_id.split(":", 2)[2] for record_id in ids}
    return Imported(tuple(sorted(ids)), tuple(uid for uid in wanted if uid not in held))
