"""P8: freeze, difference and manifest of 300,000 series; and the replay of the public IDC table from version 15 to 25.

python benchmarks/cohort_versions.py [--json] [--members 300000] [--rounds 5]
python benchmarks/cohort_versions.py --replay FOLDER [--opensearch URL]

FOLDER holds idc_index.parquet and prior_versions_index.parquet of the package idc-index-data. The replay loads every CT series of
version 15, freezes "all CT", brings the index to version 25, freezes again and prints the difference, on the embedded engine or,
with --opensearch, on a server. Known from the table itself: +29,303, -796, 26 revised.

Budget: freeze at most 2 s, difference 50 ms (numbers and causes; names are read when somebody asks), manifest 3 s. Growth: 1x, 4x.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from index_records import records

from fairlead.cohort import CohortStore, export_members, parse_definition
from fairlead.database import open_engine, upgrade
from fairlead.extract import load_catalogue
from fairlead.index import Index
from fairlead.index.embedded import EmbeddedIndex
from fairlead.index.idc import COLUMNS, record_of
from fairlead.records import ImagingRecord
from fairlead.resources import configs_folder
from fairlead.settings import IndexSettings

EVERYTHING = {"field": "kind", "op": "exists"}
CT = {"field": "modality", "op": "=", "value": "CT"}
OLD, NEW = 15, 25
BATCH = 20_000


def timed[T](work: Callable[[], T]) -> tuple[float, float, T]:
    """Return milliseconds of wall and processor time, and what came out."""
    wall, processor = time.perf_counter(), time.process_time()
    found = work()
    return 1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - processor), found


class Desk:
    """One store of cohorts over one index."""

    def __init__(self, folder: Path, index: Index) -> None:
        self.catalogue, self.index = load_catalogue(configs_folder() / "fields.yaml"), index
        engine = open_engine(f"sqlite:///{folder / 'cohorts.sqlite'}")
        upgrade(engine)
        self.store = CohortStore(engine)

    def freeze(self, include: Any, title: str) -> str:
        """Freeze and return ``ID@N``."""
        document = {"schemaVersion": "1", "title": title, "unit": "series", "include": include}
        definition = parse_definition(document, self.catalogue)
        return self.store.freeze(definition, index=self.index, catalogue=self.catalogue, author="benchmark").ref


def measure(members: int, rounds: int) -> dict[str, Any]:
    """Return medians of freezing, comparing and listing that many series."""
    with tempfile.TemporaryDirectory() as folder:
        catalogue = load_catalogue(configs_folder() / "fields.yaml")
        index = EmbeddedIndex(Path(folder) / "index.sqlite", catalogue)
        found, _ = records(members + members // 10)
        index.put(found)
        desk = Desk(Path(folder), index)
        index.generation()
        freezes, diffs, manifests = [], [], []
        for turn in range(rounds):
            freezes.append(timed(lambda turn=turn: desk.freeze(EVERYTHING, f"a{turn}"))[:2])
            index.remove([found[turn * 7 + step * 11].id for step in range(members // 1000)])
            index.generation()
            older = newest(desk, f"a{turn}")
            newer = desk.freeze(EVERYTHING, f"a{turn}")
            fresh = CohortStore(desk.store.engine)  # nothing at hand from freezing
            fresh.list()
            diffs.append(timed(lambda older=older, newer=newer, fresh=fresh: fresh.diff(older, newer).causes())[:2])
        version = desk.store.get(newer)
        manifests.append(timed(lambda: sum(1 for _ in export_members(version, index, "csv")))[:2])
        return {"members": len(version.members), **_medians(freeze=freezes, diff=diffs, manifest=manifests)}


def newest(desk: Desk, title: str) -> str:
    """Return the newest version of a title."""
    return next(version.ref for version in desk.store.list() if version.title == title)


def _medians(**runs: list[tuple[float, float]]) -> dict[str, float]:
    found = {}
    for name, both in runs.items():
        found[f"{name}_ms"] = round(statistics.median(wall for wall, _ in both), 1)
        found[f"{name}_cpu_ms"] = round(statistics.median(processor for _, processor in both), 1)
    return found


# --- the replay -------------------------------------------------------------------------------------------------------------


def states(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of every CT series at the old and at the new version of the table."""
    import pyarrow.compute as compute
    import pyarrow.parquet as parquet

    now = parquet.read_table(folder / "idc_index.parquet", columns=list(COLUMNS))
    now = now.filter(compute.equal(now["Modality"], "CT")).to_pylist()
    prior = parquet.read_table(folder / "prior_versions_index.parquet")
    prior = prior.filter(compute.equal(prior["Modality"], "CT")).to_pylist()
    gone = [row for row in prior if row["min_idc_version"] <= OLD <= row["max_idc_version"]]
    kept = [row for row in now if row["series_revised_idc_version"] <= OLD]
    empty = dict.fromkeys(COLUMNS) | {"instanceCount": 0}
    return [*kept, *(empty | {name: row[name] for name in row if name in COLUMNS} for row in gone)], now


def put(index: Index, rows: list[dict[str, Any]]) -> None:
    """Put rows in batches."""
    for start in range(0, len(rows), BATCH):
        index.put(_records(rows[start : start + BATCH]))


def _records(rows: list[dict[str, Any]]) -> Iterator[ImagingRecord]:
    return (record_of(row) for row in rows)


def replay(folder: Path, desk: Desk) -> dict[str, Any]:
    """Freeze all CT at both versions and return the difference."""
    old, new = states(folder)
    put(desk.index, old)
    first = desk.freeze(CT, "All CT")
    before = desk.store.summary(first).counts.series
    present = {record_of(row).id for row in new}
    desk.index.remove(sorted({record_of(row).id for row in old} - present))
    put(desk.index, new)
    second = desk.freeze(CT, "All CT")
    wall, processor, found = timed(lambda: desk.store.diff(first, second, index=desk.index, catalogue=desk.catalogue))
    told = {kind: found.count(kind) for kind in ("added", "removed", "revised")}  # type: ignore[arg-type]
    return {
        "before": before,
        "after": desk.store.summary(second).counts.series,
        **told,
        "causes": found.causes(),
        "diff_ms": round(wall, 1),
        "diff_cpu_ms": round(processor, 1),
        "members_sha256": desk.store.summary(second).members_sha256[:16],
        "generation": desk.index.generation()[:16],
    }


def engines(folder: Path, address: str | None) -> Iterator[tuple[str, Index]]:
    """Yield the engines to replay on."""
    catalogue = load_catalogue(configs_folder() / "fields.yaml")
    if address is None:
        yield "embedded", EmbeddedIndex(folder / "index.sqlite", catalogue)
    if address is not None:
        from fairlead.index.opensearch import OpenSearchIndex

        yield "opensearch", OpenSearchIndex(IndexSettings(backend="opensearch", url=address, name="fairlead-replay"), catalogue)


def main() -> None:
    """Measure, or replay, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--members", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--opensearch")
    given = parser.parse_args()
    result: dict[str, Any] = {}
    if given.replay:
        with tempfile.TemporaryDirectory() as folder:
            for name, index in engines(Path(folder), given.opensearch):
                (Path(folder) / name).mkdir()
                result[name] = replay(given.replay, Desk(Path(folder) / name, index))
    else:
        small, large = measure(given.members // 4, given.rounds), measure(given.members, given.rounds)
        result = {"small": small, "large": large}
        result["exponent"] = round(math.log(large["freeze_cpu_ms"] / small["freeze_cpu_ms"], 4), 2)
    print(json.dumps(result) if given.json else "\n".join(f"{name}: {value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
