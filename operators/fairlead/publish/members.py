"""The members table: one line a published image, pseudonyms only. CSV with its CSVW description, and Parquet where pyarrow is installed.

Sources: RFC 4180; CSV on the Web (https://www.w3.org/TR/tabular-metadata/).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from fairlead.files import atomic_write, write_text
from fairlead.publish.staging import StagedStore
from fairlead.publish.vocabulary import concept_iri
from fairlead.records import Concept, ImagingRecord

TABLE: Final = "members.csv"
PARQUET: Final = "members.parquet"
CSVW_FILE: Final = "members.csv-metadata.json"
"""The name under which CSVW processors look for the description (Metadata vocabulary, section 5.3)."""

COLUMN_WORDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "image": ("Image", "string", "Pseudonym of the image, stable over the versions of this dataset."),
    "subject": ("Subject", "string", "Pseudonym of the subject; images of one subject share it within this dataset only."),
    "kind": ("Kind", "string", "dicom-series or ome-image."),
    "modality": ("Modality", "string", "Modality or imaging method, as a word."),
    "modality_iri": ("Modality, IRI", "anyURI", "The same as a concept of DICOM or FBbi."),
    "body_part": ("Body part", "string", "Body part, as a word."),
    "body_part_iri": ("Body part, IRI", "anyURI", "The same as a concept of SNOMED CT."),
    "organism": ("Organism", "string", "Organism, as a word."),
    "organism_iri": ("Organism, IRI", "anyURI", "The same as a concept of NCBITaxon."),
    "store": ("Store", "string", "Path of the OME-Zarr store, relative to this table."),
    "shape": ("Shape", "string", "Voxels along each axis, joined by x."),
    "dtype": ("Data type", "string", "Data type of the voxels, as NumPy names it."),
}
"""Title, CSVW datatype and meaning of every column, in their order."""
COLUMNS: Final = tuple(COLUMN_WORDS)


def write_members(folder: Path, stores: Sequence[StagedStore], records: Mapping[str, ImagingRecord]) -> None:
    """Write the table and its description into the dataset's folder."""
    rows = member_rows(stores, records)
    with atomic_write(folder / TABLE) as handle:
        handle.write(_as_csv(rows).encode())
    write_text(folder / CSVW_FILE, json.dumps(csvw(), indent=2) + "\n")
    if find_spec("pyarrow") is not None:
        _write_parquet(folder / PARQUET, rows)


def member_rows(stores: Sequence[StagedStore], records: Mapping[str, ImagingRecord]) -> list[tuple[str, ...]]:
    """Return the rows, sorted by image; words of headers appear only where they have a meaning with an IRI."""
    return [_row(item, records[item.record_id]) for item in sorted(stores, key=lambda store: store.store.path)]


def _row(item: StagedStore, record: ImagingRecord) -> tuple[str, ...]:
    core = record.core
    meanings = (core.modality or core.imaging_method, core.body_part, core.organism)
    words = [word for concept in meanings for word in _meaning(concept)]
    return (item.pseudonym, item.subject, core.kind, *words, item.store.path, "x".join(map(str, item.store.shape)), item.store.dtype)


def _as_csv(rows: Sequence[tuple[str, ...]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue()


def _write_parquet(file: Path, rows: Sequence[tuple[str, ...]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [pa.array([row[number] for row in rows], type=pa.string()) for number in range(len(COLUMNS))]
    with atomic_write(file) as handle:
        pq.write_table(pa.table(columns, names=list(COLUMNS)), handle, compression="zstd")


def csvw() -> dict[str, object]:
    """Return the table's description in CSVW JSON."""
    columns = [
        {"name": name, "titles": title, "datatype": kind, "dc:description": words} for name, (title, kind, words) in COLUMN_WORDS.items()
    ]
    return {
        "@context": ["http://www.w3.org/ns/csvw", {"@language": "en"}],
        "url": TABLE,
        "dc:title": "Images and subjects",
        "dialect": {"header": True, "encoding": "utf-8"},
        "tableSchema": {"columns": columns, "primaryKey": "image"},
    }


def _meaning(concept: Concept | None) -> tuple[str, str]:
    iri = concept_iri(concept.curie) if concept else None
    return (concept.label or concept.raw, iri) if concept and iri else ("", "")
