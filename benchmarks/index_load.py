"""P6: loading records into the index; peer: opensearch-py's ``streaming_bulk`` with the very documents that our adapter sends.

python benchmarks/index_load.py [--json] [--rows 20000] [--rounds 3] [--table idc_index.parquet] [--opensearch http://127.0.0.1:9200]

Without --opensearch (``make opensearch`` starts one) only the embedded engine is measured. Wall time and processor time: the first
depends on the machine's load. Growth: 1x, 4x the rows, exponent of processor time.

Budget: embedded at least 20,000 records/s; OpenSearch at least 0.9 x the raw client.
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
from fairlead.index.embedded import EmbeddedIndex
from fairlead.records import ImagingRecord
from fairlead.resources import configs_folder
from fairlead.settings import IndexSettings


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return wall and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def embedded(found: Sequence[ImagingRecord], catalogue: FieldCatalogue) -> tuple[float, float]:
    """Return the time of one load into a fresh file."""
    with tempfile.TemporaryDirectory() as folder:
        index = EmbeddedIndex(Path(folder) / "index.sqlite", catalogue)
        return timed(lambda: index.put(found))


def opensearch(found: Sequence[ImagingRecord], catalogue: FieldCatalogue, url: str, *, raw: bool) -> tuple[float, float]:
    """Return the time of one load into a fresh index, through our adapter or straight through the client."""
    from opensearchpy.helpers import streaming_bulk

    from fairlead.index.opensearch import OpenSearchIndex
    from fairlead.index.opensearch_client import CHUNK_RECORDS
    from fairlead.index.opensearch_mapping import document_of
    from fairlead.index.rows import row_of

    index = OpenSearchIndex(IndexSettings(backend="opensearch", url=url, name="bench"), catalogue)
    index.clear()
    if not raw:
        return timed(lambda: index.put(found))

    def send() -> None:
        documents = (
            {"_id": row.id, "_source": document_of(row, catalogue, ordinal=number, patient=number, study=number)}
            for number, row in enumerate(row_of(record, catalogue) for record in found)
        )
        for _ in streaming_bulk(index.client, documents, chunk_size=CHUNK_RECORDS, index="bench"):
            pass
        index.client.indices.refresh(index="bench")

    return timed(send)


def rates(rounds: Sequence[tuple[float, float]], rows: int) -> dict[str, float]:
    """Return median records per second, of wall and of processor time."""
    return {
        "records_per_s": round(rows / statistics.median(wall for wall, _ in rounds)),
        "records_per_cpu_s": round(rows / statistics.median(processor for _, processor in rounds)),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--opensearch")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    catalogue = load_catalogue(configs_folder() / "fields.yaml")
    found, source = records(given.rows, given.table)
    small = found[: given.rows // 4]
    embedded(small, catalogue)
    growth = math.log(embedded(found, catalogue)[1] / embedded(small, catalogue)[1]) / math.log(4)
    figures: dict[str, object] = {"records": source, "rows": len(found), "growth": round(growth, 2)}
    figures["embedded"] = rates([embedded(found, catalogue) for _ in range(given.rounds)], len(found))
    if given.opensearch:
        turns = [
            (opensearch(found, catalogue, given.opensearch, raw=False), opensearch(found, catalogue, given.opensearch, raw=True))
            for _ in range(given.rounds)
        ]
        figures["opensearch"], figures["streaming_bulk"] = (rates([turn[side] for turn in turns], len(found)) for side in (0, 1))
        figures["x streaming_bulk"] = round(statistics.median(raw[0] / ours[0] for ours, raw in turns), 2)
    print(json.dumps(figures) if given.json else "\n".join(f"{name:<18} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
