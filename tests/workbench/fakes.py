"""Exports in a list, and a client that speaks ASGI to an application mounted as Airflow mounts it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import httpx
from fastapi import FastAPI, HTTPException

from fairlead.workbench import ExportState, User, Workbench, create_app

BASE = "http://airflow.test"
DOCTOR = User("7", "dr.who")


@dataclass
class MemoryExports:
    """Exports in a list."""

    held: list[ExportState] = field(default_factory=list)

    def of_run(self, run_id: str) -> ExportState | None:
        return next((export for export in self.held if export.run_id == run_id), None)

    def of_cohort(self, ref: str) -> tuple[ExportState, ...]:
        return tuple(export for export in self.held if export.cohort == ref)


def allow() -> None:
    """Let everybody in."""


def deny() -> None:
    """Refuse as Airflow's own dependencies do."""
    raise HTTPException(403, "Forbidden")


def doctor() -> User:
    return DOCTOR


def mounted(
    workbench: Workbench, *, user: Callable[..., Any] = doctor, may_read: Callable[..., Any] = allow, may_freeze: Callable[..., Any] = allow
) -> FastAPI:
    """Return a server with the page below ``/cohorts``, as Airflow mounts plugins."""
    server = FastAPI()
    server.mount("/cohorts", create_app(workbench, current_user=user, may_read=may_read, may_freeze=may_freeze))
    return server


class Client:
    """Sends one request at a time; redirects are shown, not followed."""

    def __init__(self, server: FastAPI) -> None:
        self._server = server

    def get(self, path: str = "", **headers: str) -> httpx.Response:
        return self._send("GET", path, headers)

    def post(self, path: str, form: Mapping[str, str], **headers: str) -> httpx.Response:
        return self._send("POST", path, {"origin": BASE, **headers}, form)

    def _send(self, method: str, path: str, headers: Mapping[str, str], form: Mapping[str, str] | None = None) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._server, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                return await client.request(method, f"/cohorts/{path}", headers=named, data=form)

        return asyncio.run(send())


class Page(HTMLParser):
    """What a test needs of an HTML page: tags with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [found for name, found in self.tags if name == tag and all(found.get(key) == value for key, value in wanted.items())]

    def value_of(self, name: str) -> str:
        return next(found["value"] or "" for found in self.all("input", name=name))
