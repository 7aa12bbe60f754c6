"""The page's services on a real index and database, filled with the small archive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead.settings import Settings
from fairlead.workbench import Workbench, open_workbench
from workbench.builders import an_archive
from workbench.fakes import Client, mounted


def _opened(home: Path) -> Iterator[Workbench]:
    services: Any = open_workbench(Settings(home=home))
    services.data.index.put(an_archive())
    yield services
    services.versions.cohorts.engine.dispose()


@pytest.fixture(scope="session")
def workbench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """Return services that tests only read from."""
    yield from _opened(tmp_path_factory.mktemp("workbench"))


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Workbench]:
    """Return services of a test's own, for what changes them."""
    yield from _opened(tmp_path)


@pytest.fixture
def client(workbench: Workbench) -> Client:
    return Client(mounted(workbench))
