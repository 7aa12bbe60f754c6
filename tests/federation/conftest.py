"""One centre in this process, behind an HTTP client, and the hub that may ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from fairlead.federation import Gateway, open_gateway
from fairlead.federation.app import create_app
from fairlead.federation.signing import Identity
from federation.builders import Asker, a_center, a_hub

type Open = Callable[..., tuple[Gateway, Asker]]


@pytest.fixture(scope="session")
def hub() -> Identity:
    return a_hub()


@pytest.fixture
def open_center(tmp_path: Path, hub: Identity) -> Iterator[Open]:
    """Return a function that opens a centre under given rules; the same name twice is the same centre again."""
    opened: list[Gateway] = []

    def center(name: str = "north", **rules: Any) -> tuple[Gateway, Asker]:
        settings = a_center(tmp_path / name, name, {"hub-a": hub}, **rules)
        gateway = open_gateway(settings)
        opened.append(gateway)
        return gateway, Asker(TestClient(create_app(gateway), raise_server_exceptions=False), hub, center=name)

    yield center
    for gateway in opened:
        gateway.engine.dispose()


@pytest.fixture(scope="module")
def north(tmp_path_factory: pytest.TempPathFactory, hub: Identity) -> Iterator[tuple[Gateway, Asker]]:
    """Return one centre for all tests of a module."""
    gateway = open_gateway(a_center(tmp_path_factory.mktemp("north"), "north", {"hub-a": hub, "hub-b": a_hub()}))
    yield gateway, Asker(TestClient(create_app(gateway), raise_server_exceptions=False), hub)
    gateway.engine.dispose()
