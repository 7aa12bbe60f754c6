"""The page's services on a real index and database, filled with the small archive."""

from __future__ import annotations

import shutil
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
    yield services
    services.versions.cohorts.engine.dispose()


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the home of an installation that holds the small archive; migrated and filled once, copied by who changes it."""
    home = tmp_path_factory.mktemp("archive")
    services: Any = open_workbench(Settings(home=home))
    services.data.index.put(an_archive())
    services.versions.cohorts.engine.dispose()
    return home


@pytest.fixture(scope="session")
def workbench(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """Return services that tests only read from; looking is written to its audit trail, so it has a copy of its own."""
    home = tmp_path_factory.mktemp("read") / "home"
    shutil.copytree(archive, home)
    yield from _opened(home)


@pytest.fixture
def fresh(archive: Path, tmp_path: Path) -> Iterator[Workbench]:
    """Return services of a test's own, for what changes them."""
    shutil.copytree(archive, tmp_path / "home")
    yield from _opened(tmp_path / "home")


@pytest.fixture
def client(workbench: Workbench) -> Client:
    return Client(mounted(workbench))
