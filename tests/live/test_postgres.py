"""The ledger, cohorts and publications on a real PostgreSQL: the very tests that run on SQLite, and the server killed."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from cohort import conftest, test_store
from fairlead.settings import Settings
from live.ingesting import Ingest, killed_half_way, write_series
from live.on_postgres import again, engine
from live.servers import Postgres
from publish import test_tables
from receive import test_copying, test_ledger

__all__ = ["engine"]
pytestmark = pytest.mark.live
globals().update(again(conftest) | again(test_store, "freeze", "store", "engine"))
globals().update(again(test_tables, "engine") | again(test_ledger, "engine", "ledger") | again(test_copying, "house"))


@pytest.fixture(scope="session")
def five_hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_series(tmp_path_factory.mktemp("series"))


def test_a_killed_drain_leaves_work_that_the_next_one_does(tmp_path: Path, five_hundred: Path) -> None:
    ingest = Ingest(Settings(home=tmp_path / "home"))
    ingest.receive(five_hundred)
    killed_half_way(ingest, lambda draining: draining.kill())
    assert ingest.ledger().waiting() > 0
    report = ingest.drain(hours=1)
    assert report.quarantined == ()
    ingest.check()
    ingest.close()


def test_a_killed_database_loses_nothing(tmp_path: Path, five_hundred: Path, postgres: Postgres, migrated: str) -> None:
    ingest = Ingest(Settings(home=tmp_path / "home", database_url=SecretStr(postgres.new_database(migrated))))
    ingest.receive(five_hundred)
    said = killed_half_way(ingest, lambda _: postgres.kill())
    assert "ServiceUnreachable: The database does not answer." in said
    postgres.start()
    report = ingest.drain(hours=1)
    assert report.quarantined == ()
    ingest.check()
    ingest.close()
