"""Pings in and out: off by default, only listed addresses, and a ping leads to a harvest."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from time import monotonic
from typing import ClassVar

import pytest
from sqlalchemy import Engine

from catalog.conftest import TestClient
from catalog.test_server import port, server, settings  # noqa: F401  (fixtures)
from fairlead.catalog import create_app
from fairlead.catalog.accounts import TooManyAttempts
from fairlead.catalog.pings import MOST_PINGS, WITHIN_S, PingIndex, announce, announcing
from fairlead.errors import ServiceUnreachable
from fairlead.settings import CatalogSettings, PingSettings, Settings
from migrated import migrated_engine

FDP = "https://fdp.example.org"


def an_index(home: Path, **ping: tuple[str, ...]) -> Settings:
    """Return settings of a catalogue that others may ping."""
    return Settings(home=home, catalog=CatalogSettings(harvest_private=True, ping=PingSettings(**ping)))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[tuple[Path, Engine]]:
    """Return home and database of another catalogue."""
    opened = migrated_engine(Settings(home=tmp_path / "index"))
    yield tmp_path / "index", opened
    opened.dispose()


def test_who_is_listed_and_pings_is_harvested(elsewhere, server, settings):  # noqa: F811
    home, engine = elsewhere
    here = f"{settings.catalog.base_url}/"
    with TestClient(create_app(an_index(home, accept=(settings.catalog.base_url,)), engine)) as client:
        assert client.post("/", json={"clientUrl": here}).status_code == 204
        ends = monotonic() + 30
        found: list[dict[str, str]] = []
        while [entry["state"] for entry in found] != ["ACTIVE"] and monotonic() < ends:
            found = client.get("/index/entries").json()["content"]
        assert [(entry["clientUrl"], entry["state"]) for entry in found] == [(here, "ACTIVE")]
        assert client.get("/search", params={"q": "FAIR"}).json()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"clientUrl": "https://evil.example.org/"}, 403),
        ({"clientUrl": f"{FDP}.evil.example.org/"}, 403),
        ({"clientUrl": "file:///etc/passwd"}, 403),
        ({"clientUrl": ["x"]}, 400),
        ({}, 400),
        ([], 400),
    ],
)
def test_strangers_and_nonsense_are_refused(elsewhere, sent: object, status: int):
    home, engine = elsewhere
    with TestClient(create_app(an_index(home, accept=(FDP,)), engine)) as client:
        assert client.post("/", json=sent).status_code == status
        assert client.get("/index/entries").json()["totalElements"] == 0


def test_an_address_is_noted_ten_times_in_six_hours(elsewhere):
    home, engine = elsewhere
    now = [0.0]
    index = PingIndex(an_index(home, accept=("http://127.0.0.1:9",)), engine, clock=lambda: now[0])
    for _ in range(MOST_PINGS):
        index.ping("http://127.0.0.1:9/")
    with pytest.raises(TooManyAttempts):
        index.ping("http://127.0.0.1:9/")
    index.ping("http://127.0.0.1:9/other")
    now[0] = WITHIN_S + 1
    index.ping("http://127.0.0.1:9/")
    ends = monotonic() + 30
    while not index.is_idle and monotonic() < ends:
        pass
    assert index.is_idle


class _Index(BaseHTTPRequestHandler):
    """An index that takes every ping at /, and refuses those at /closed."""

    heard: ClassVar[list[tuple[str, object]]] = []
    told = threading.Event()

    def do_POST(self) -> None:
        """Take a ping."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.heard.append((self.headers["content-type"], body))
        self.send_response(204 if self.path == "/" else 403)
        self.end_headers()
        self.told.set()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def index() -> Iterator[str]:
    """Return the address of an index that runs."""
    _Index.heard.clear()
    _Index.told.clear()
    with HTTPServer(("127.0.0.1", 0), _Index) as opened:
        thread = threading.Thread(target=opened.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{opened.server_port}"
        opened.shutdown()
        thread.join()


def test_indexes_are_told_and_one_that_refuses_stops_nobody(tmp_path: Path, index: str):
    refused = announce(an_index(tmp_path, announce=(f"{index}/closed", "ftp://127.0.0.1/", f"{index}/")))
    assert _Index.heard == [("application/json", {"clientUrl": "http://127.0.0.1:8000/"})] * 2
    assert [(item.source, item.code) for item in refused] == [
        (f"{index}/closed", ServiceUnreachable.code),
        ("ftp://127.0.0.1/", "invalid-input"),
    ]


def test_indexes_hear_of_us_when_we_answer_and_not_before(tmp_path: Path, index: str):
    with announcing(an_index(tmp_path, announce=(f"{index}/",))) as begin:
        assert _Index.heard == []
        begin()
        assert _Index.told.wait(10)
    with announcing(an_index(tmp_path)) as begin:
        begin()
    assert len(_Index.heard) == 1
