"""The tests of a room, once more with PostgreSQL as their database."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Engine

from fairlead.database import open_engine
from live.servers import Postgres


@pytest.fixture
def engine(postgres: Postgres, migrated: str) -> Iterator[Engine]:
    """Return a migrated database of its own."""
    opened = open_engine(postgres.new_database(migrated))
    yield opened
    opened.dispose()


def again(module: ModuleType, *fixtures: str) -> dict[str, Any]:
    """Return the module's fixtures, and those of its tests that ask for one of the named, under names that tell the room."""
    room = module.__name__.partition(".")[0]
    found: dict[str, Any] = {}
    for name, thing in vars(module).items():
        if name.startswith("test_") and set(fixtures) & set(inspect.signature(thing).parameters):
            found[f"test_{room}_{name.removeprefix('test_')}"] = thing
        elif not name.startswith(("__", "Test", "test_", "engine")):
            found[name] = thing
    return found
