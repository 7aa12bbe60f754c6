"""Shared fixtures: the test data folder, a clean environment, settings in a temporary home."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from fairlead.database import open_database
from fairlead.settings import Settings
from needs import missing

CHECKOUT = Path(__file__).parents[1]


def isolate_airflow() -> None:
    """Point Airflow at a home of its own; must happen before anything imports it."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW__")]:
        del os.environ[name]
    home = tempfile.mkdtemp(prefix="fairlead-test-airflow-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ |= {
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(CHECKOUT / "dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }


isolate_airflow()


def data_folder() -> Path:
    """Return where the real test files are expected: $FAIRLEAD_TEST_DATA, else ../shared/data beside the checkout."""
    return Path(os.environ.get("FAIRLEAD_TEST_DATA") or CHECKOUT.parent / "shared" / "data")


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder of real files, read in place; skip with the reason when it is absent."""
    folder = data_folder()
    if not (folder / "MANIFEST.tsv").is_file():
        missing(f"test data at {folder}", "set FAIRLEAD_TEST_DATA to the folder that holds MANIFEST.tsv")
    return folder


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own FAIRLEAD_* settings out of the tests."""
    for name in [name for name in os.environ if name.startswith("FAIRLEAD_") and name != "FAIRLEAD_TEST_DATA"]:
        monkeypatch.delenv(name)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return default settings with their home in a temporary folder."""
    return Settings(home=tmp_path / "home")


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    """Return a migrated SQLite database."""
    opened = open_database(settings)
    yield opened
    opened.dispose()
