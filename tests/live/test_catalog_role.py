"""The database role of docs/admin/secrets.md: enough for the catalog, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError
from starlette.testclient import TestClient

from fairlead.catalog import create_app
from fairlead.catalog.accounts import Accounts
from fairlead.database import open_database, open_engine
from fairlead.settings import Settings
from guides import blocks
from live.servers import Postgres

pytestmark = pytest.mark.live


@pytest.fixture
def limited(postgres: Postgres, migrated: str, tmp_path: Path) -> tuple[Settings, Engine]:
    """Return settings with the role's address, and the catalog's own engine."""
    owner = open_engine(postgres.new_database(migrated))
    (block,) = blocks("run: postgresql")
    with owner.begin() as connection:
        if connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = 'fairlead_catalog'")).first() is None:
            connection.connection.cursor().execute(block.text)  # as psql does: no parameters, so % is only a character
    address = owner.url.set(username="fairlead_catalog").render_as_string(hide_password=False)
    owner.dispose()
    settings = Settings(home=tmp_path, database_url=SecretStr(address))
    return settings, open_database(settings)


def test_the_catalog_serves_and_writes_with_a_role_of_its_own(limited: tuple[Settings, Engine]) -> None:
    settings, engine = limited
    Accounts(settings, engine).add("ada@example.org", "a long password")
    with TestClient(create_app(settings, engine)) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/", headers={"Accept": "text/turtle"}).status_code == 200
        assert client.get("/search?q=x").status_code == 200
        answer = client.post("/tokens", json={"email": "ada@example.org", "password": "a long password"})
        assert answer.status_code in {200, 201}
    for table in ("instances", "series", "exports", "cohort_versions"):
        with engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text(f"SELECT * FROM {table}"))
    engine.dispose()
