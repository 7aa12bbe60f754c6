from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select

from fairlead.catalog import create_app
from fairlead.catalog.accounts import Accounts
from fairlead.catalog.passwords import hash_password
from fairlead.catalog.tables import users
from fairlead.database import utc_now
from fairlead.publish import Exports, tables
from fairlead.records import DatasetRecord
from fairlead.settings import Settings
from migrated import migrated_engine
from publish.conftest import Clock, run
from publish.fakes import FakeUpstream, a_cohort, an_imaging_record

collect_ignore = ["reference_client.py"]
"""A program for another environment, started by test_reference_clients.py."""

with warnings.catch_warnings():
    # Starlette would like its test client to use httpx2, which nothing else here needs; only this one sentence is passed over.
    warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient` is deprecated")
    from fastapi.testclient import TestClient

type Publish = Callable[..., DatasetRecord]


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    """Return a migrated SQLite database."""
    opened = migrated_engine(settings)
    yield opened
    opened.dispose()


def published_once(settings: Settings, engine: Engine, parameters: dict[str, object]) -> DatasetRecord:
    """Publish a small cohort."""
    records = [an_imaging_record(1), an_imaging_record(2)]
    exports = Exports(settings, engine, upstream=FakeUpstream(a_cohort(records), records), clock=Clock())
    return exports.publish(run(exports, run_id=f"run-{len(exports.list())}", **parameters))


@pytest.fixture(scope="session")
def publications() -> Iterator[dict[str, tuple[Settings, Engine, DatasetRecord]]]:
    """Return what has been published in this session, by parameters: the first publication of each test is a copy of one."""
    made: dict[str, tuple[Settings, Engine, DatasetRecord]] = {}
    yield made
    for settings, engine, _ in made.values():
        engine.dispose()
        shutil.rmtree(settings.home_folder)


@pytest.fixture
def publish(settings: Settings, engine: Engine, publications: dict[str, tuple[Settings, Engine, DatasetRecord]]) -> Publish:
    """Return a function that publishes a small cohort; its keyword arguments are the export's parameters."""

    def publish(**parameters: object) -> DatasetRecord:
        chosen = {"views": ("fdp",)} | parameters  # one view is enough here; tests/publish has them all
        with engine.connect() as connection:
            is_first = connection.execute(select(tables.exports.c.id)).first() is None
        if not is_first:
            return published_once(settings, engine, chosen)
        key = json.dumps(chosen, sort_keys=True)
        if key not in publications:
            home = Settings(home=Path(tempfile.mkdtemp(prefix="fairlead-test-published-")))
            made = migrated_engine(home)
            publications[key] = (home, made, published_once(home, made, chosen))
        source, made, record = publications[key]
        shutil.copytree(source.published_folder, settings.published_folder, dirs_exist_ok=True)
        with made.connect() as old, engine.begin() as new:
            for table in (tables.exports, tables.datasets):
                new.execute(insert(table), [dict(row) for row in old.execute(select(table)).mappings()])
        return record

    return publish


@pytest.fixture
def client(settings: Settings, engine: Engine) -> Iterator[TestClient]:
    """Return a client of the application; mistakes of the server are answers, as they are for everybody."""
    with TestClient(create_app(settings, engine), base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as opened:
        yield opened


class Caller(dict[str, str]):
    """The header of a user, with that of the administrator who publishes what the user may only draft."""

    steward: dict[str, str]


PASSWORD = "correct horse battery"
EMAIL = "ada@example.org"


@pytest.fixture(scope="session")
def password_hash() -> str:
    """Return a hash of the one password of these tests: it is slow to make, on purpose."""
    return hash_password(PASSWORD)


@pytest.fixture
def accounts(settings: Settings, engine: Engine, password_hash: str) -> Accounts:
    """Return accounts with two users and an administrator."""
    rows = [(EMAIL, "user"), ("bob@example.org", "user"), ("root@example.org", "admin")]
    with engine.begin() as connection:
        for email, role in rows:
            connection.execute(insert(users).values(email=email, role=role, password_hash=password_hash, created_at=utc_now()))
    return Accounts(settings, engine)


@pytest.fixture
def bearer(accounts: Accounts) -> Callable[..., dict[str, str]]:
    """Return a function that gives the header of a user who is logged in."""

    def bearer(email: str = EMAIL) -> dict[str, str]:
        found = Caller({"Authorization": f"Bearer {accounts.issue(email)}"})
        found.steward = {"Authorization": f"Bearer {accounts.issue('root@example.org')}"}
        return found

    return bearer
