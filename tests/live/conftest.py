"""One real server of each kind a session, on loopback, stopped at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fairlead.database import open_engine, upgrade
from live.servers import OpenSearch, Postgres, free_port


@pytest.fixture(scope="session")
def opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    """Return a running OpenSearch."""
    server = OpenSearch(tmp_path_factory.mktemp("opensearch"), free_port())
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Return a running PostgreSQL."""
    server = Postgres()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated(postgres: Postgres) -> str:
    """Return the name of a database with Fairlead's schema, to copy."""
    address = postgres.new_database()
    engine = open_engine(address)
    upgrade(engine)
    engine.dispose()
    return address.rpartition("/")[2]
