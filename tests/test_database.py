"""The database: who waits for whom, and what is said when an address or a file cannot be used."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from fairlead import database
from fairlead.database import database_errors, open_database, open_engine
from fairlead.errors import FairleadError, InvalidConfiguration, ServiceUnreachable, StorageFull
from fairlead.settings import Settings


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    database.close_engines()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "SQLITE_BUSY_MS", 1)


@pytest.mark.usefixtures("quick")
def test_readers_and_a_writer_do_not_wait_for_each_other(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    one, two = open_database(settings), open_database(settings)
    with one.begin() as writer:
        writer.exec_driver_sql("INSERT INTO counters VALUES ('x', 1)")
        with two.connect() as reader:
            assert reader.exec_driver_sql("SELECT count(*) FROM counters").scalar() == 0
        database.upgrade(two)
    with two.connect() as reader:
        assert reader.exec_driver_sql("SELECT count(*) FROM counters").scalar() == 1
        with one.begin() as writer:
            writer.exec_driver_sql("DELETE FROM counters")
        assert reader.exec_driver_sql("SELECT count(*) FROM counters").scalar() == 1  # one transaction sees one state


@pytest.mark.usefixtures("quick")
def test_two_writers_queue_before_they_read(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    one, two = open_database(settings), open_database(settings)
    with one.begin(), pytest.raises(ServiceUnreachable, match=r"file does not answer \(SQLITE_BUSY\)"), database_errors(), two.begin():
        pytest.fail("the second writer did not wait")


@pytest.mark.parametrize("url", ["nonsense", "", "oracle+nothing://x", "postgresql://u:hunter2@h:port/d", "mysql+nodriver://u:hunter2@h/d"])
def test_an_address_that_is_none_is_a_configuration_error_without_its_password(url: str) -> None:
    with pytest.raises(InvalidConfiguration, match="FAIRLEAD_DATABASE_URL") as caught:
        open_engine(url)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_no_database_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "fairlead.sqlite").write_bytes(b"garbage " * 500)
    with pytest.raises(InvalidConfiguration, match=r"fairlead\.sqlite.*no database") as caught:
        open_database(Settings(home=tmp_path))
    assert "backup" in caught.value.remedy


def _driver_error(code: int, kind: type[sqlite3.Error] = sqlite3.OperationalError) -> sqlite3.Error:
    error = kind("x")
    error.sqlite_errorcode, error.sqlite_errorname = code, "SQLITE_X"
    return error


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (sa.exc.OperationalError("", {}, _driver_error(sqlite3.SQLITE_FULL)), StorageFull),
        (sa.exc.OperationalError("", {}, _driver_error(sqlite3.SQLITE_IOERR)), ServiceUnreachable),
        (sa.exc.DatabaseError("", {}, _driver_error(sqlite3.SQLITE_CORRUPT, sqlite3.DatabaseError)), InvalidConfiguration),
        (sa.exc.OperationalError("", {}, type("DiskFull", (Exception,), {"sqlstate": "53100"})()), StorageFull),
        (sa.exc.OperationalError("", {}, Exception("server closed")), ServiceUnreachable),
        (sa.exc.InterfaceError("", {}, Exception("closed")), ServiceUnreachable),
        (sa.exc.IntegrityError("", {}, Exception("twice")), sa.exc.IntegrityError),
        (sa.exc.ProgrammingError("", {}, Exception("syntax")), sa.exc.ProgrammingError),
    ],
)
def test_what_says_nothing_about_the_statement_becomes_an_error_of_ours(raised: Exception, expected: type[Exception]) -> None:
    with pytest.raises(expected) as caught, database_errors():
        raise raised
    if isinstance(caught.value, FairleadError) and isinstance(getattr(raised, "orig", None), sqlite3.Error):
        assert "server" not in str(caught.value)


def test_home_and_databases_are_for_their_owner_only(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    with open_database(settings).begin() as connection:
        connection.exec_driver_sql("INSERT INTO counters VALUES ('x', 1)")
        assert stat.S_IMODE(settings.home_folder.stat().st_mode) == 0o700
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in settings.home_folder.glob("fairlead.sqlite*")}
    assert modes == dict.fromkeys(("fairlead.sqlite", "fairlead.sqlite-wal", "fairlead.sqlite-shm"), 0o600)


def test_a_home_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    open_database(Settings(home=tmp_path / "home")).dispose()
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o755


def test_after_one_step_back_the_program_before_goes_on_with_the_newer_schema(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What `helm rollback` over a migration comes to: a revision that this program does not know, and one more table."""
    settings = Settings(home=tmp_path / "home")
    engine = open_database(settings)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'of a newer program'")
        connection.exec_driver_sql("CREATE TABLE later (id INTEGER)")
    engine.dispose()
    again = open_database(settings)
    with again.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == "of a newer program"
        assert sa.inspect(connection).has_table("later")
    again.dispose()
    assert "newer program" in caplog.text


def test_who_meets_a_new_file_together_with_others_waits_for_the_write_ahead_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(tmp_path / "new.sqlite", isolation_level=None)) as first:
        first.execute("CREATE TABLE t (x)")
        first.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(database.time, "sleep", lambda seconds: first.execute("COMMIT"))
        with closing(sqlite3.connect(tmp_path / "new.sqlite", timeout=0)) as second:
            database.write_ahead(second, wait_s=60)
            assert second.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_stays_locked_is_given_up_in_the_end(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "new.sqlite", isolation_level=None)) as first:
        first.execute("CREATE TABLE t (x)")
        first.execute("BEGIN EXCLUSIVE")
        with (
            closing(sqlite3.connect(tmp_path / "new.sqlite", timeout=0)) as second,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            database.write_ahead(second, wait_s=-1)
