"""The Cohorts page in a browser: from a click on a value to the new numbers on the screen.

python benchmarks/page.py [--json] [--home FOLDER] [--rows 50000] [--rounds 20]

--home is a home that holds an index already (``FAIRLEAD_HOME=FOLDER fairlead index load-idc idc_index.parquet`` for 1,044,191 series);
without it --rows records are loaded into a temporary one. No peer: what people use besides has no page that runs here.
Needs Chromium ($CHROMIUM, or `chromium` in the path).

Budget at 1 million series: p95 at most 300 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from index_records import records
from playwright.sync_api import Page, sync_playwright

from fairlead.settings import Settings
from fairlead.workbench import User, create_app, open_workbench

SETTLED = """(box) => new Promise((done, failed) => {
  setTimeout(() => failed(new Error(`no answer to ${box}`)), 20000);
  const began = performance.now();
  const look = (event) => {
    if (event.detail.target.id !== "page") return;  // numbers that come later are not waited for
    document.removeEventListener("htmx:afterSettle", look);
    requestAnimationFrame(() => done(performance.now() - began));
  };
  document.addEventListener("htmx:afterSettle", look);
  document.getElementById(box).click();
})"""
SHOWN = (
    "() => [...document.querySelectorAll('#filters input[type=checkbox][id]')].filter((box) => box.checkVisibility()).map((box) => box.id)"
)
DEBOUNCE_MS = 60


def doctor() -> User:
    """Return somebody who may do everything."""
    return User("1", "benchmark")


def allow() -> None:
    """Let everybody in."""


@contextmanager
def served(services: Any) -> Iterator[str]:
    """Serve the page on loopback and give its address."""
    server = FastAPI()
    server.mount("/cohorts", create_app(services, current_user=doctor, may_read=allow, may_freeze=allow))
    listener = socket.create_server(("127.0.0.1", 0))
    running = uvicorn.Server(uvicorn.Config(server, log_level="warning", ws="none"))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/cohorts/"
    running.should_exit = True
    thread.join(20)


def clicks(page: Page, address: str, rounds: int) -> list[float]:
    """Choose and take away one value after another, on top of what was chosen before, and return the milliseconds of each."""
    page.goto(address)
    taken: list[float] = []
    while len(taken) < rounds:
        names = page.evaluate(SHOWN)
        name = names[(7 * len(taken) + 1) % len(names)]
        taken.append(float(page.evaluate(SETTLED, name)))
        if len(taken) % 5 == 0:
            page.goto(address)
    return taken


def measure(home: Path, rounds: int) -> dict[str, Any]:
    """Return the interaction times over one home."""
    services: Any = open_workbench(Settings(home=home))
    began = time.perf_counter()
    status = services.data.index.status()
    opened = time.perf_counter() - began
    with served(services) as address, sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        clicks(page, address, 3)  # warm-up
        found = clicks(page, address, rounds)
        browser.close()
    services.versions.cohorts.engine.dispose()
    return {
        "series": status.records,
        "first_look_s": round(opened, 1),
        "p50_ms": round(statistics.median(found)),
        "p95_ms": round(statistics.quantiles(found, n=20)[-1]),
        "of_which_debounce_ms": DEBOUNCE_MS,
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.home is None:
            services: Any = open_workbench(Settings(home=Path(folder)))
            services.data.index.put(records(given.rows)[0])
        result = measure(given.home or Path(folder), given.rounds)
    print(json.dumps(result) if given.json else "\n".join(f"{name}: {value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
