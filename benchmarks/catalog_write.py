"""P15: create and publish over the write API, and harvest; peer: the reference FAIR Data Point, measured in 2026, not run here.

python benchmarks/catalog_write.py [--json] [--datasets 400]

Every dataset is posted as Turtle, validated, stored durably and published by its own two requests, through the whole application in
process; at 1/4 of the number and at the whole, so that growth shows. Then the catalogue is harvested twice: first everything, then
with conditional requests that are answered 304. Processor time, of the application and of the client that calls it: once a client that
does nothing but call it, and once Starlette's test client, which costs as much as the application and is there for older figures.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, Final

import httpx
from direct_client import DirectClient

from fairlead.catalog import create_app, harvest
from fairlead.catalog.accounts import Accounts
from fairlead.catalog.fetching import Fetcher
from fairlead.database import open_database
from fairlead.settings import Settings

BASE: Final = "http://127.0.0.1:8000"
PEER: Final = {"create and publish": 23.0, "harvest, first": 40.0}
"""Records per second of the reference FAIR Data Point 1.20.3, warm, two cores."""
PREFIXES: Final = """@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
"""


def a_dataset(number: int) -> str:
    """Return a dataset in Turtle."""
    return f"""{PREFIXES}<> a dcat:Dataset ; dct:title "Dataset {number}" ; dcat:version "1" ; dct:isPartOf <{BASE}/catalog/local> ;
      dct:description "Chest CT, de-identified." ; dcat:theme <http://example.org/theme> ; dcat:keyword "CT", "chest" ;
      dct:publisher [ a foaf:Agent ; foaf:name "Centre" ] ."""


def create(client: Any, headers: dict[str, str], numbers: range) -> float:
    """Create and publish datasets; return seconds of processor time."""
    begun = time.process_time()
    for number in numbers:
        made = client.post("/dataset", content=a_dataset(number), headers={**headers, "Content-Type": "text/turtle"})
        assert made.status_code == 201, made.text
        assert client.put(f"{made.headers['location']}/meta/state", json={"current": "PUBLISHED"}, headers=headers).status_code == 200
    return time.process_time() - begun


def create_in_bulk(client: Any, headers: dict[str, str], numbers: range) -> float:
    """Create and publish datasets, 200 in a request and a transaction; return seconds of processor time."""
    begun = time.process_time()
    for first in range(numbers.start, numbers.stop, 200):
        bodies = [a_dataset(number) for number in range(first, min(first + 200, numbers.stop))]
        bundle = {"publish": True, "records": [{"kind": "dataset", "body": body} for body in bodies]}
        made = client.post("/bulk", json=bundle, headers=headers)
        assert made.status_code == 201, made.text
    return time.process_time() - begun


def harvested(client: Any, home: Path) -> dict[str, float]:
    """Harvest the catalogue into another one, twice; return records per second, with and without what our serving them costs here."""
    settings, serving = Settings(home=home), [0.0]

    def ours(request: httpx.Request) -> httpx.Response:
        begun = time.process_time()
        answer = client.request(request.method, request.url.raw_path.decode(), headers=dict(request.headers))
        packed = answer.headers.get("content-encoding") == "gzip" and isinstance(client, DirectClient)  # the test client unpacks
        headers = {
            name: value for name, value in answer.headers.items() if name != "content-length" and (packed or name != "content-encoding")
        }
        serving[0] += time.process_time() - begun
        return httpx.Response(answer.status_code, headers=headers, content=answer.content)

    speeds: dict[str, float] = {}
    engine = open_database(settings)
    for name in ("harvest, first", "harvest, again"):
        fetcher = Fetcher(private=True, resolve=lambda host, port: ["127.0.0.1"], transport=httpx.MockTransport(ours))
        begun, serving[0] = time.process_time(), 0.0
        report = harvest(settings, [f"{BASE}/"], fetcher=fetcher, engine=engine)
        assert not report.errors, report.errors[:3]
        spent = time.process_time() - begun
        speeds |= {name: report.seen / spent, f"{name}, without serving": report.seen / (spent - serving[0])}
    engine.dispose()
    return speeds


def run(number: int, *, by: str) -> dict[str, float]:
    """Return records per second, and the growth exponent of creation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fastapi.testclient import TestClient
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "a")
        engine = open_database(settings)
        accounts = Accounts(settings, engine)
        accounts.add("ada@example.org", "correct horse battery", "admin")  # who publishes in the catalogue of the exports
        headers = {"Authorization": f"Bearer {accounts.issue('ada@example.org')}"}
        app = create_app(settings, engine)
        with DirectClient(app) if by == "directly" else TestClient(app, base_url=BASE) as client:
            create(client, headers, range(10))
            first = create(client, headers, range(10, 10 + number // 4))
            rest = create(client, headers, range(10 + number // 4, 10 + number))
            speeds = {"create and publish": number / (first + rest)}
            exponent = math.log((first + rest) / first) / math.log(4)
            speeds |= harvested(client, Path(folder) / "b")
            speeds["create and publish, in bulk"] = number / create_in_bulk(client, headers, range(number + 10, 2 * number + 10))
        engine.dispose()
    return {name: round(value, 1) for name, value in speeds.items()} | {"growth exponent": round(exponent, 2)}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--datasets", type=int, default=400)
    options = parser.parse_args()
    runs = [(by, run(options.datasets, by=by)) for by in ("directly", "by the test client") * 2]
    found = {by: {name: statistics.median(one[name] for kind, one in runs if kind == by) for name in runs[0][1]} for by, _ in runs}
    if options.json:
        json.dump({"per_second": found, "peer": PEER}, sys.stdout)
        return
    for by, speeds in found.items():
        print(f"called {by}")
        for name, value in speeds.items():
            peer = PEER.get(name)
            print(f"  {name:34} {value:8.1f} {f'peer {peer}, {value / peer:.1f} ×' if peer else ''}")


if __name__ == "__main__":
    main()
