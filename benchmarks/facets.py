"""P7: one refresh of the cohort page: totals at four grains, eight multi-select facets and a year histogram, exact patients everywhere.

python benchmarks/facets.py [--json] [--rows 50000] [--rounds 20] [--table idc_index.parquet] [--index index.sqlite] [--opensearch URL]

Peer: DuckDB in memory with typed columns, exact distinct, one query a facet (where the package duckdb is installed). --index and
--opensearch take what is already loaded (``fairlead index load-idc``) and run in turn; with --table DuckDB reads the whole table, as a peer
of theirs. --columns is the file where the OpenSearch adapter keeps its columns. Growth: 1x, 4x the rows.

Budget at 1 million series: embedded p95 at most 30 ms; OpenSearch p95 at most 150 ms.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from index_records import records

from fairlead.extract import FieldCatalogue, load_catalogue
from fairlead.index import All, And, Criterion, Index, OneOf, Range, Term
from fairlead.index.embedded import EmbeddedIndex
from fairlead.records import ImagingRecord
from fairlead.resources import configs_folder
from fairlead.settings import IndexSettings

FIELDS = (
    *("modality", "body_part", "manufacturer", "model", "licence", "patient.sex", "sop_class", "series.photometric"),
    "study_date",
)


def criterion(turn: int) -> Criterion:
    """Return the page's filter: CT and MR of the chest in some years under CC BY; another first day each turn, so nothing is remembered."""
    return And(
        (
            OneOf("modality", ("DCM:CT", "DCM:MR")),
            OneOf("manufacturer_raw", ("SIEMENS", "GE MEDICAL SYSTEMS")),
            Term("body_part", "SCT:816094009"),
            Range("study_date", gte=f"1999-01-{turn % 28 + 1:02}", lte=f"2005-12-{31 - turn // 28:02}"),
            OneOf("licence", ("CC BY 3.0", "CC BY 4.0")),
        )
    )


def refresh(index: Index, turn: int) -> None:
    """Do what the page does."""
    index.count(criterion(turn))
    index.facets(criterion(turn), FIELDS)


def times(work: Callable[[int], object], rounds: int) -> dict[str, float]:
    """Return milliseconds of wall and processor time after two rounds of warm-up."""
    walls, processors = [], []
    for turn in range(rounds + 2):
        wall, processor = time.perf_counter(), time.process_time()
        work(turn)
        walls.append(1000 * (time.perf_counter() - wall))
        processors.append(1000 * (time.process_time() - processor))
    return {
        "p50_ms": round(statistics.median(walls[2:]), 1),
        "p95_ms": round(statistics.quantiles(walls[2:], n=20)[-1], 1),
        "cpu_p50_ms": round(statistics.median(processors[2:]), 1),
        "cpu_p95_ms": round(statistics.quantiles(processors[2:], n=20)[-1], 1),
    }


def filled(found: Sequence[ImagingRecord], catalogue: FieldCatalogue, folder: str) -> Index:
    """Return an embedded index that holds the records."""
    index = EmbeddedIndex(Path(folder) / f"{len(found)}.sqlite", catalogue)
    index.put(found)
    return index


def peer(found: Sequence[ImagingRecord], catalogue: FieldCatalogue) -> Callable[[int], None] | None:
    """Return the same page asked of DuckDB, or None where it is not installed."""
    try:
        import duckdb  # type: ignore[import-not-found, unused-ignore]
    except ModuleNotFoundError:
        return None
    names = (*FIELDS, "manufacturer_raw")
    columns = ", ".join(f'"{name}" VARCHAR' for name in names)
    database = duckdb.connect()
    database.execute(f"CREATE TABLE t (patient VARCHAR, study VARCHAR, images BIGINT, bytes BIGINT, {columns})")
    rows = []
    for record in found:
        values, core = catalogue.values(record), record.core
        keys = [f"{core.center}|{core.patient_key}", core.study_uid, core.instances, core.size_bytes]
        rows.append([*keys, *(values[name][0] if name in values else None for name in names)])
    for begin in range(0, len(rows), 1000):
        marks = ", ".join(f"({', '.join('?' * len(rows[0]))})" for _ in rows[begin : begin + 1000])
        database.execute(f"INSERT INTO t VALUES {marks}", [value for row in rows[begin : begin + 1000] for value in row])  # noqa: S608  # marks only
    for name in ("patient", *names[:-2]):
        database.execute(f'CREATE TYPE "e_{name}" AS ENUM (SELECT DISTINCT "{name}" FROM t WHERE "{name}" IS NOT NULL)')  # noqa: S608  # our own names
        database.execute(f'ALTER TABLE t ALTER "{name}" TYPE "e_{name}"')

    def ask(turn: int) -> None:
        conditions = {
            "modality": "modality IN ('DCM:CT', 'DCM:MR')",
            "manufacturer_raw": "manufacturer_raw IN ('SIEMENS', 'GE MEDICAL SYSTEMS')",
            "body_part": "body_part = 'SCT:816094009'",
            "study_date": f"study_date BETWEEN '1999-01-{turn % 28 + 1:02}' AND '2005-12-{31 - turn // 28:02}'",
            "licence": "licence IN ('CC BY 3.0', 'CC BY 4.0')",
        }
        whole = " AND ".join(conditions.values())
        database.execute(f"SELECT count(DISTINCT patient), count(DISTINCT study), count(*), sum(images), sum(bytes) FROM t WHERE {whole}")  # noqa: S608
        for name in FIELDS:
            others = " AND ".join(one for field, one in conditions.items() if field != name)
            group = "left(study_date, 4)" if name == "study_date" else f'"{name}"'
            database.execute(f"SELECT {group}, count(*), count(DISTINCT patient) FROM t WHERE {others} GROUP BY 1").fetchall()  # noqa: S608

    return ask


COLUMNS = {
    "modality": "Modality",
    "body_part": "BodyPartExamined",
    "manufacturer": "Manufacturer",
    "model": "ManufacturerModelName",
    "licence": "license_short_name",
    "patient.sex": "PatientSex",
    "sop_class": "SOPClassUID",
    "series.photometric": "PhotometricInterpretation",
}


def peer_at_scale(table: Path) -> Callable[[int], None] | None:
    """Return the page asked of DuckDB over the whole table with the words of its headers, or None where it is not installed."""
    try:
        import duckdb
    except ModuleNotFoundError:
        return None
    database = duckdb.connect()
    database.execute("SET threads = 1")  # as ours: the other core belongs to the next question
    typed = ", ".join(f'{column} AS "{name}"' for name, column in COLUMNS.items())
    keys = "collection_id || '|' || PatientID AS patient, StudyInstanceUID AS study, instanceCount AS images, series_size_MB AS bytes"
    database.execute(f"CREATE TABLE t AS SELECT {keys}, {typed}, StudyDate::DATE AS study_date FROM read_parquet('{table}')")  # noqa: S608  # our own names
    for name in ("patient", "study", *COLUMNS):
        database.execute(f'CREATE TYPE "e_{name}" AS ENUM (SELECT DISTINCT "{name}" FROM t WHERE "{name}" IS NOT NULL)')  # noqa: S608  # our own names
        database.execute(f'ALTER TABLE t ALTER "{name}" TYPE "e_{name}"')

    def ask(turn: int) -> None:
        conditions = {
            "modality": "modality IN ('CT', 'MR')",
            "own": "manufacturer IN ('SIEMENS', 'GE MEDICAL SYSTEMS')",
            "body_part": "body_part = 'CHEST'",
            "study_date": f"study_date BETWEEN DATE '1999-01-{turn % 28 + 1:02}' AND DATE '2005-12-{31 - turn // 28:02}'",
            "licence": "licence IN ('CC BY 3.0', 'CC BY 4.0')",
        }
        whole = " AND ".join(conditions.values())
        totals = "count(DISTINCT patient), count(DISTINCT study), count(*), sum(images), sum(bytes)"
        database.execute(f"SELECT {totals} FROM t WHERE {whole}").fetchall()  # noqa: S608  # our own names
        for name in FIELDS:
            others = " AND ".join(one for field, one in conditions.items() if field != name)
            group = "year(study_date)" if name == "study_date" else f'"{name}"'
            database.execute(f"SELECT {group}, count(*), count(DISTINCT patient) FROM t WHERE {others} GROUP BY 1").fetchall()  # noqa: S608

    return ask


def loaded(given: argparse.Namespace, catalogue: FieldCatalogue) -> dict[str, object]:
    """Return what is already loaded, all in turn and twice; the second half is what counts."""
    figures: dict[str, object] = {}
    asked: dict[str, Callable[[int], None]] = {}
    if given.index:
        index: Index = EmbeddedIndex(given.index, catalogue)
        figures["rows"], asked["embedded"] = index.count(All()).series, lambda turn: refresh(index, turn)
    if given.opensearch:
        from fairlead.index.opensearch import OpenSearchIndex

        server = OpenSearchIndex(IndexSettings(backend="opensearch", url=given.opensearch), catalogue, columns=given.columns)
        server.count(All())
        server.mirror.wait()
        figures["rows, opensearch"], asked["opensearch"] = server.count(All()).series, lambda turn: refresh(server, turn)
    at_scale = peer_at_scale(given.table) if given.table else None
    if at_scale is not None:
        asked["duckdb"] = at_scale
    for begin in (0, 300):  # other first and last days, so that nothing is remembered
        figures |= {name: times(lambda turn, work=work, begin=begin: work(begin + turn), given.rounds) for name, work in asked.items()}  # type: ignore[misc]
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--index", type=Path)
    parser.add_argument("--opensearch", help="Address of a server where `fairlead index load-idc` loaded records under the name fairlead.")
    parser.add_argument("--columns", type=Path)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    catalogue = load_catalogue(configs_folder() / "fields.yaml")
    figures: dict[str, object] = {}
    figures |= loaded(given, catalogue) if given.index or given.opensearch else compared(given.rows, given.table, catalogue, given.rounds)
    print(json.dumps(figures) if given.json else "\n".join(f"{name:<10} {value}" for name, value in figures.items()))


def compared(rows: int, table: Path | None, catalogue: FieldCatalogue, rounds: int) -> dict[str, object]:
    """Return the embedded engine, the peer in turn with it, and how time grows with four times the rows."""
    found, source = records(rows, table)
    figures: dict[str, object] = {"records": source, "rows": len(found)}
    with tempfile.TemporaryDirectory() as folder:
        index, small = filled(found, catalogue, folder), filled(found[: rows // 4], catalogue, folder)
        ask = peer(found, catalogue)
        halves = [times(lambda turn: refresh(index, turn), rounds), *([times(ask, rounds)] if ask else [])]
        halves += [times(lambda turn: refresh(index, turn), rounds), *([times(ask, rounds)] if ask else [])]
        figures["embedded"] = halves[0]
        if ask:
            figures["duckdb"] = halves[1]
            figures["x duckdb, cpu"] = round(
                (halves[1]["cpu_p50_ms"] + halves[3]["cpu_p50_ms"]) / (halves[0]["cpu_p50_ms"] + halves[2]["cpu_p50_ms"]), 1
            )
        less = times(lambda turn: refresh(small, turn), rounds)
        figures["growth"] = round(math.log(halves[0]["cpu_p50_ms"] / less["cpu_p50_ms"]) / math.log(4), 2)
    return figures


if __name__ == "__main__":
    main()
