"""A server on loopback with the page on real index data, an Airflow that says what a test tells it, and a browser."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse
from playwright.sync_api import Browser, Page, sync_playwright

from fairlead.settings import Settings
from fairlead.workbench import ExportState, Workbench, open_workbench
from needs import program
from workbench.builders import an_archive
from workbench.fakes import MemoryExports, mounted

SANDBOX = "allow-scripts allow-same-origin allow-forms allow-downloads"
CANCELLED = ("htmx:afterRequest,", "htmx:sendAbort,")
"""How htmx tells that a newer question took the place of one under way; a lost one is told as a sendError."""
FRAME = f'<!doctype html><title>Airflow</title><iframe id="plugin" width="1280" height="860" src="/cohorts/" sandbox="{SANDBOX}"></iframe>'
"""How Airflow 3.3 shows a plugin page."""


@dataclass
class FakeAirflow:
    """The three calls of Airflow's API that the page makes; ``states`` are given out one by one, the last for ever."""

    exports: MemoryExports
    states: list[str] = field(default_factory=lambda: ["queued", "running", "running", "success"])
    outages: int = 0
    status: int = 200
    runs: list[dict[str, Any]] = field(default_factory=list)

    def start(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.outages:
            self.outages -= 1
            raise HTTPException(503, "busy")
        if self.status != 200:
            raise HTTPException(self.status, "no")
        if any(run["dag_run_id"] == body["dag_run_id"] for run in self.runs):
            raise HTTPException(409, "there is such a run")
        self.runs.append(body)
        return {"dag_run_id": body["dag_run_id"], "state": "queued"}

    def look(self, run: str) -> dict[str, Any]:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if state != "queued":
            self.exports.held = [self._export(run, "published" if state == "success" else "requested")]
        return {"dag_run_id": run, "state": state}

    def _export(self, run: str, state: str) -> ExportState:
        conf = next(body["conf"] for body in self.runs if body["dag_run_id"] == run)
        iri = "http://fdp.test/dataset/d1" if state == "published" else None
        return ExportState(run, conf["cohort"], conf["title"], state, "", "dr.who", datetime(2026, 11, 20, tzinfo=UTC), iri)


@dataclass
class Site:
    """Where everything is, and the handles of the test on it."""

    address: str
    workbench: Workbench
    airflow: FakeAirflow

    @property
    def page(self) -> str:
        return f"{self.address}/cohorts/"


def _server(workbench: Workbench, airflow: FakeAirflow) -> FastAPI:
    server = mounted(workbench)

    @server.get("/plugin", response_class=HTMLResponse)
    def plugin() -> str:
        return FRAME

    @server.post("/api/v2/dags/export_cohort/dagRuns")
    async def start(request: Request) -> dict[str, Any]:
        return airflow.start(await request.json())

    @server.get("/api/v2/dags/export_cohort/dagRuns/{run}")
    def look(run: str) -> dict[str, Any]:
        return airflow.look(run)

    @server.get("/dags/{rest:path}", response_class=HTMLResponse)
    def approval(rest: str) -> str:
        return f"<!doctype html><title>Required actions</title><h1>{rest.count('/')}</h1>"

    return server


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Return a running server of the test's own."""
    opened: Any = open_workbench(Settings(home=tmp_path))
    opened.data.index.put(an_archive())
    exports = MemoryExports()
    workbench, airflow = replace(opened, exports=exports), FakeAirflow(exports)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(_server(workbench, airflow), log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield Site(f"http://127.0.0.1:{listener.getsockname()[1]}", workbench, airflow)
    server.should_exit = True
    thread.join(timeout=20)
    listener.close()
    opened.versions.cohorts.engine.dispose()
    assert not thread.is_alive()


# Playwright leaves its event loop running: held for longer, it would break asyncio.run in other tests of this process.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return Chromium; without it the test is skipped, in CI it fails."""
    chromium = os.environ.get("CHROMIUM") or program("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield launched
        launched.close()


@pytest.fixture(params=["dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    """Return the colour scheme the system asks for."""
    return str(request.param)


@pytest.fixture
def tab(browser: Browser, scheme: Any) -> Iterator[Page]:
    """Return a browser tab of 1280 pixels; anything on its console fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme, accept_downloads=True)
    context.set_default_timeout(10_000)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.console_said = said  # type: ignore[attr-defined]
    yield page
    heard = [text for text in said if not text.startswith(CANCELLED)]
    context.close()
    assert heard == []
