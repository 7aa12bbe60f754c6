"""From a record to the flat row that an engine stores: keys for counting, values by field, and the content hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from fairlead.errors import InvalidInput, UnsupportedInput
from fairlead.extract import FieldCatalogue, FieldDeclaration, concept_label, vocabulary
from fairlead.index.criteria import FRAME
from fairlead.index.sampling import draw_of
from fairlead.records import ImagingRecord, JsonObject, Refusal, Scalar

SOURCE_FIELD: Final = "@source"
"""Hidden field: the path of a record that is read in place, so that a file's older records are found without the ledger."""

ROW_LAYOUT: Final = 2
"""Number of what this module makes of a record; rows of another one are made anew from their documents."""

CANONICAL: Final = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), check_circular=False)
UNKNOWN_LABEL: Final = "Unknown"
"""What people read for records that do not state a field."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record as engines see it. Patient and study keys hold centre and project: ids are unique only there.

    ``draw`` is the fixed number that samples and look-ups go by. A study is its Study Instance UID (PS3.3 C.7.2.1), so one that stands
    under two patients by somebody's mistake counts once.
    """

    id: str
    draw: int
    revision: str
    patient: str
    study: str
    images: int
    size_bytes: int
    values: Mapping[str, tuple[Scalar, ...]]
    document: str
    record: ImagingRecord | None = None


def revision_of(document: str) -> str:
    """Return the content hash of a canonical document."""
    return hashlib.sha256(document.encode()).hexdigest()


def _flat_values(record: ImagingRecord, stated: JsonObject, catalogue: FieldCatalogue) -> Mapping[str, tuple[Scalar, ...]]:
    """Return the stated values by field id, and the source of a record that is read in place."""
    source, flat = record.core.source, catalogue.values_of(stated, record.core.project)
    return {**flat, SOURCE_FIELD: source.paths} if source.place == "file" else flat


def label_of(value: Scalar, vocabulary_name: str | None) -> str:
    """Return what people read for a value: the label of a concept, else the value itself."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    known = {} if vocabulary_name is None else vocabulary(vocabulary_name).labels
    return known.get(str(value)) or (concept_label(str(value)) if ":" in str(value) else None) or str(value)


def row_of(record: ImagingRecord, catalogue: FieldCatalogue) -> Row:
    """Return the row of one record; its document has sorted keys and only what is stated, so equal records give equal text."""
    core, stated = record.core, record.model_dump(mode="json", exclude_none=True)
    document = CANONICAL.encode(stated)
    return Row(
        id=core.id,
        draw=draw_of(core.id),
        revision=revision_of(document),
        patient=f"{core.center}:{core.project}:{core.patient_key}",
        study=f"{core.center}:{core.project}:{core.study_uid}",
        images=core.instances,
        size_bytes=core.size_bytes,
        values=_flat_values(record, stated, catalogue),
        document=document,
        record=record,
    )


def frame_of(row: Row) -> str | None:
    """Return the key of the coordinate system that a row shares with others of its patient: the least that it states, None if none."""
    stated = row.values.get(FRAME)
    return f"{row.patient}\n{min(map(str, stated))}" if stated else None


def rows_of(records: Iterable[ImagingRecord], catalogue: FieldCatalogue) -> Iterator[Row | Refusal]:
    """Yield the row of each record, or why it cannot have one: text that is no UTF-8 (half of a surrogate pair) has no hash."""
    for record in records:
        try:
            yield row_of(record, catalogue)
        except UnicodeEncodeError:
            yield Refusal(source=record.id, code=InvalidInput.code, reason="The record holds text that is not Unicode.")


def generation_of(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the sha256 over (id, revision) pairs that come sorted by id."""
    digest = hashlib.sha256()
    for record_id, revision in pairs:
        digest.update(f"{record_id}\t{revision}\n".encode())
    return digest.hexdigest()


def countable(field: FieldDeclaration) -> FieldDeclaration:
    """Return the field; raise UnsupportedInput when it is a text, which no engine keeps in columns."""
    if field.type == "text":
        raise UnsupportedInput(f"The text {field.id} has no buckets.", remedy="Ask for a keyword, number, date or yes/no field.")
    return field
