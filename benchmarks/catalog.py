"""P14: reading the catalogue at 1,000 and 10,000 datasets; peer: the reference FAIR Data Point, measured in 2026, not run here.

python benchmarks/catalog.py [--json] [--datasets 10000] [--rounds 40]

Rows are written into a fresh SQLite file, then asked for through the whole application in process: a dataset's record (warm, three
profiles), a catalogue with 1,000 children (warm, and after each change of one of them), the catalogue of all exported datasets after each
change, pages of 50 at the beginning, and a search with many hits.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, func, insert, select, update

from fairlead.catalog import create_app
from fairlead.catalog.tables import entries
from fairlead.database import open_database
from fairlead.publish.tables import datasets, exports
from fairlead.records import Agent, Approval, Concept, Counts, DatasetRecord, Distribution
from fairlead.settings import Settings

NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
CENTRE: Final = Agent(name="Centre", iri="https://example.org/centre", email="data@example.org", homepage="https://example.org/centre")
CATALOG: Final = "00000000-0000-4000-8000-000000000001"
BASE: Final = "http://127.0.0.1:8000"
PEER_MS: Final = {"catalogue with 1,000 children": 254.0, "the same, changed before each": 254.0, "page of 50": 291.0, "search": 437.0}
"""Reference FAIR Data Point 1.20.3, warm, two cores, in-memory stores; its search had 1,200 hits."""


def a_record(number: int) -> DatasetRecord:
    """Return a dataset of three images and a table."""
    parts = tuple(
        Distribution(
            id=f"image-{n}",
            title=f"CT {n}",
            path=f"images/{n}.ome.zarr",
            media_type="application/vnd.zarr",
            size_bytes=10**6,
            sha256="ab" * 32,
        )
        for n in range(3)
    )
    return DatasetRecord(
        id=f"ds-{number:016x}",
        version=1,
        cohort=f"c{number}@1",
        title=f"Chest CT cohort {number}",
        description="Imaging series with modality CT, de-identified, as OME-Zarr.",
        publisher=CENTRE,
        creators=(CENTRE,),
        contact=CENTRE,
        license="https://creativecommons.org/licenses/by/4.0/",
        access_rights="public",
        keywords=("CT", "OME-Zarr", f"group{number % 100}"),
        themes=("http://publications.europa.eu/resource/authority/data-theme/HEAL",),
        issued=NOON,
        modified=NOON + timedelta(seconds=number),
        counts=Counts(patients=9, studies=9, series=9, images=900, size_bytes=10**7),
        modalities=(Concept(raw="CT", curie="DCM:CT", label="Computed Tomography"),),
        definition_sha256="cd" * 32,
        members_sha256="ef" * 32,
        approval=Approval(requested_by="a", decided_by="b", decided_at=NOON, approved=True),
        distributions=parts,
    )


def fill(engine: Any, number: int, children: int) -> None:
    """Write ``number`` exported datasets, and a written catalogue with ``children`` datasets."""
    export = {"id": "e", "run_id": "r", "state": "published", "cohort": "c@1", "parameters": "{}", "requested_by": "a"}
    with engine.begin() as connection:
        connection.execute(insert(exports).values(**export, requested_at=NOON, reason="", changed_at=NOON))
        rows = [
            {
                "id": record.id,
                "version": 1,
                "state": "published",
                "folder": "x",
                "record": record.model_dump_json(),
                "content_sha256": "0" * 64,
            }
            | {"export_id": "e", "published_at": record.modified, "withdrawn_reason": ""}
            for record in map(a_record, range(number))
        ]
        connection.execute(insert(datasets), rows)
        common = {"state": "published", "owner": "a@b.c", "revision": 1, "created_at": NOON, "changed_at": NOON, "published_at": NOON}
        iri = f"{BASE}/catalog/{CATALOG}"
        body = f'<{iri}> <http://purl.org/dc/terms/title> "Big" .\n'
        first = {"id": CATALOG, "kind": "catalog", "parent": f"{BASE}/", "title": "Big", "words": "big", "body": body}
        below = [
            {"id": f"{n:032x}", "kind": "dataset", "parent": iri, "title": f"Bees {n}", "words": f"bees {n}", "body": body}
            for n in range(children)
        ]
        connection.execute(insert(entries), [common | row for row in (first, *below)])


def touch(engine: Engine) -> None:
    """Change the title of one of the thousand children, and the moment of one exported dataset."""
    with engine.begin() as connection:
        one = connection.execute(select(entries.c.id, entries.c.title).where(entries.c.kind == "dataset").limit(1)).one()
        connection.execute(update(entries).where(entries.c.id == one.id).values(title=one.title + "'", revision=entries.c.revision + 1))
        latest = connection.scalar(select(func.max(datasets.c.published_at)))
        first = select(datasets.c.id).limit(1).scalar_subquery()
        connection.execute(update(datasets).where(datasets.c.id == first).values(published_at=latest + timedelta(seconds=1)))


def measure(ask: Callable[[], Any], rounds: int, *, before: Callable[[], None] = lambda: None) -> tuple[float, float]:
    """Return median and 95th percentile in ms; ``before`` each, something happens that does not count."""
    times = []
    for _ in range(rounds):
        before()
        begun = time.perf_counter()
        ask()
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times), sorted(times)[int(len(times) * 0.95)]


def run(number: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return medians and 95th percentiles at one size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fastapi.testclient import TestClient
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home))
        engine = open_database(settings)
        fill(engine, number, 1000)
        with TestClient(create_app(settings, engine), base_url=BASE) as client:
            found = _ask(client, engine, number, rounds)
        engine.dispose()
    return {name: {"median_ms": round(median, 2), "p95_ms": round(late, 2)} for name, (median, late) in found.items()}


def _ask(client: Any, engine: Engine, number: int, rounds: int) -> dict[str, tuple[float, float]]:
    def get(path: str, **headers: str) -> Any:
        answer = client.get(path, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer

    name = a_record(number // 2).id
    big = f"/catalog/{CATALOG}"
    found = {"health, the floor of one request": measure(lambda: get("/healthz"), rounds)}
    for profile in ("fdp", "dcat-ap", "schemaorg"):
        get(f"/dataset/{name}?profile={profile}")
        found[f"record, {profile}"] = measure(lambda profile=profile: get(f"/dataset/{name}?profile={profile}"), rounds)  # type: ignore[misc]
    found["catalogue with 1,000 children"] = measure(lambda: get(big, Accept="text/turtle"), rounds)
    found["the same, changed before each"] = measure(lambda: get(big, Accept="text/turtle"), rounds, before=lambda: touch(engine))
    found["of all exported, changed before each"] = measure(
        lambda: get("/catalog/local", Accept="text/turtle"), max(3, rounds // 10), before=lambda: touch(engine)
    )
    found["page of 50"] = measure(lambda: get(f"{big}/page/dataset?page=3&size=50"), rounds)
    found["page of 50 of all exported"] = measure(lambda: get("/catalog/local/page/dataset?page=3&size=50"), rounds)
    get("/search?q=chest")
    found["search"] = measure(lambda: get("/search?q=chest+group7&size=100"), rounds)
    return found


def main() -> None:
    """Run both sizes and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--datasets", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    sizes = {number: run(number, options.rounds) for number in (options.datasets // 10, options.datasets)}
    document = {"sizes": sizes, "peer_ms": PEER_MS}
    if options.json:
        json.dump(document, sys.stdout)
        return
    small, large = sizes.values()
    print(f"{'':38} {'1/10 size':>10} {'full':>10} {'p95':>10} {'peer':>8} {'ratio':>7}")
    for name, values in large.items():
        peer = PEER_MS.get(name)
        ratio = f"{peer / values['median_ms']:.1f} ×" if peer else ""
        print(f"{name:38} {small[name]['median_ms']:10} {values['median_ms']:10} {values['p95_ms']:10} {peer or '':>8} {ratio:>7}")


if __name__ == "__main__":
    main()
