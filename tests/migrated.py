"""A migrated SQLite database by copying a file: the migrations run once in a test session, not once in a test."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy import Engine

from fairlead.database import open_database, open_engine
from fairlead.settings import Settings


@cache
def _template() -> Path:
    home = Path(tempfile.mkdtemp(prefix="fairlead-test-migrated-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    open_database(Settings(home=home)).dispose()
    return home / "fairlead.sqlite"


def migrated_engine(settings: Settings) -> Engine:
    """Return an engine on a fresh database with the newest schema."""
    settings.home_folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_template(), settings.home_folder / "fairlead.sqlite")
    return open_engine(settings.database)
