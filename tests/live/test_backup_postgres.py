"""Backup and restore between SQLite and PostgreSQL: the rows are the same, and numbers go on where they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from backup.builders import bytes_of, fairlead, furnish, result, rows
from fairlead.settings import Settings
from live.servers import Postgres
from receive.builders import a_slice, part10

pytestmark = pytest.mark.live


def test_a_home_moves_from_sqlite_to_postgresql_and_back(tmp_path: Path, postgres: Postgres) -> None:
    small, home = Settings(home=tmp_path / "home"), tmp_path / "home"
    furnish(small, tmp_path)
    first = result(fairlead(small, "backup", tmp_path / "a", "--keys", tmp_path / "safe", "--json"))["snapshot"]
    files = bytes_of(small)
    home.rename(tmp_path / "before")

    large = Settings(home=home, database_url=SecretStr(postgres.new_database()))
    assert result(fairlead(large, "restore", tmp_path / "a", "--keys", tmp_path / "safe", "--json"))["indexed"] == 2
    second = result(fairlead(large, "backup", tmp_path / "b", "--json"))["snapshot"]
    assert rows(tmp_path / "b", second) == rows(tmp_path / "a", first)
    assert bytes_of(large) == files
    (tmp_path / "scanner" / "late.dcm").write_bytes(part10(a_slice(50)))
    assert result(fairlead(large, "ingest", tmp_path / "scanner" / "late.dcm", "--json"))["indexed"] == 1

    home.rename(tmp_path / "between")
    back = result(fairlead(small, "restore", tmp_path / "b", "--keys", tmp_path / "safe", "--no-index", "--json"))
    assert back["tables"]["instances"] == 4
    third = result(fairlead(small, "backup", tmp_path / "c", "--json"))["snapshot"]
    assert rows(tmp_path / "c", third) == rows(tmp_path / "a", first)
