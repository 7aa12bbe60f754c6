"""Errors, records, logs, progress and the database: the small modules every room stands on."""

from __future__ import annotations

import io
import json
import logging
import pickle
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError, StatementError

from fairlead import progress
from fairlead.database import UtcDateTime, database_errors, open_engine, upgrade
from fairlead.errors import FairleadError, InvalidInput, PortInUse, ServiceUnreachable, error_classes
from fairlead.logs import JsonLines, configure_logging
from fairlead.records import ReceivedSeries, Route, is_uid


def test_every_error_has_its_own_code_and_a_remedy() -> None:
    codes = [kind.code for kind in error_classes()]
    assert len(codes) == len(set(codes))
    assert all(kind.default_remedy for kind in error_classes())


def test_an_error_says_what_is_so_and_what_to_do() -> None:
    assert str(InvalidInput("The file is empty.", remedy="Send it again.")) == "The file is empty. Send it again."


def test_an_error_survives_the_way_between_processes() -> None:
    copy = pickle.loads(pickle.dumps(PortInUse("Port 104 is taken.", remedy="Choose another.")))  # noqa: S301
    assert (type(copy), copy.message, copy.remedy) == (PortInUse, "Port 104 is taken.", "Choose another.")


def test_unreachable_services_exit_with_3() -> None:
    assert PortInUse.exit_status == ServiceUnreachable.exit_status == 3
    assert FairleadError.exit_status == 1


@pytest.mark.parametrize(
    ("text", "valid"),
    [("1.2.840.10008.1.1", True), ("2.25.0", True), ("", False), ("1..2", False), ("1.2.", False), ("../evil", False), ("1" * 65, False)],
)
def test_uids_by_ps3_5(text: str, valid: bool) -> None:
    assert is_uid(text) is valid


def test_records_are_closed_and_frozen() -> None:
    route = Route(project="trial", center="here")
    with pytest.raises(ValueError, match="frozen"):
        route.project = "other"  # type: ignore[misc]
    with pytest.raises(ValueError, match="Extra inputs"):
        Route(project="trial", center="here", patient_name="x")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="String should match pattern"):
        Route(project="../evil", center="here")


def test_records_survive_json() -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    series = ReceivedSeries(
        study_uid="1.2",
        series_uid="1.3",
        generation="a" * 64,
        instances=(),
        route=Route(project="p", center="c"),
        first_received_at=now,
        last_received_at=now,
    )
    assert ReceivedSeries.model_validate_json(series.model_dump_json()) == series


def test_json_log_lines_carry_extras_and_exceptions(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("fairlead.test").exception("stored", extra={"association": "a1"})
    line = json.loads(capsys.readouterr().err)
    assert (line["message"], line["association"], line["level"]) == ("stored", "a1", "ERROR")
    assert "ValueError: no" in line["exception"]
    assert datetime.fromisoformat(line["time"]).tzinfo is not None


def test_text_log_lines_are_one_format(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    logging.getLogger("fairlead.test").info("stored %d", 3)
    assert capsys.readouterr().err.rstrip().endswith("INFO    fairlead.test  stored 3")
    assert logging.getLogger("pynetdicom").level == logging.WARNING


def test_a_log_record_without_exception_has_no_exception_key() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "hello", (), None)
    assert "exception" not in json.loads(JsonLines().format(record))


class _Recorder:
    def __init__(self) -> None:
        self.calls: list[object] = []

    def start(self, what: str, total: int | None) -> None:
        self.calls.append((what, total))

    def step(self, count: int = 1, size_bytes: int = 0) -> None:
        self.calls.append(count)

    def finish(self) -> None:
        self.calls.append("finish")


def test_tracked_reports_each_item_and_the_end_even_when_the_loop_breaks() -> None:
    recorder = _Recorder()
    for item in progress.tracked([1, 2, 3], "files", recorder, total=3):
        if item == 2:
            break
    assert recorder.calls == [("files", 3), 1, "finish"]


def test_logged_progress_tells_count_rate_and_time_left(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    clock = iter([0.0, 10.0, 10.0, 10.0, 20.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    logged = progress.Logged()
    with caplog.at_level(logging.INFO, logger="fairlead.progress"):
        logged.start("convert", 4)
        logged.step(1, 20_000_000)
        logged.finish()
    assert caplog.messages == ["convert: 1 of 4, 2.0 MB/s, 30 s left (10.0 s)", "convert: 1 of 4, 1.0 MB/s, 60 s left (20.0 s), done"]


def test_silent_progress_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    list(progress.tracked([1], "x", progress.Silent()))
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_and_a_log_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(progress.default_progress(), progress.Logged)
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    bar = progress.default_progress()
    assert isinstance(bar, progress.Bar)
    list(progress.tracked([1, 2], "convert", bar, total=2))
    assert "convert" in terminal.getvalue()


TIMES = sa.Table("times", sa.MetaData(), sa.Column("at", UtcDateTime))


def test_times_come_back_as_utc(engine: Engine) -> None:
    noon_in_delhi = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    with engine.begin() as connection:
        TIMES.create(connection)
        connection.execute(TIMES.insert(), [{"at": noon_in_delhi}, {"at": None}])
        found = connection.execute(sa.select(TIMES.c.at)).scalars().all()
    assert found == [noon_in_delhi, None]
    assert found[0] is not None
    assert found[0].tzinfo is UTC


def test_a_time_without_zone_is_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        TIMES.create(connection)
        with pytest.raises(StatementError, match="without a zone"):
            connection.execute(TIMES.insert(), {"at": datetime(2026, 1, 1)})


def test_upgrade_twice_changes_nothing(engine: Engine) -> None:
    before = sa.inspect(engine).get_table_names()
    upgrade(engine)
    assert sa.inspect(engine).get_table_names() == before
    assert "alembic_version" in before


def test_sqlite_is_durable_and_checks_references(engine: Engine) -> None:
    with engine.connect() as connection:
        answers = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys", "synchronous")]
    assert answers == ["wal", 1, 2]


def test_an_unreachable_database_is_named() -> None:
    engine = open_engine("postgresql+psycopg2://nobody@127.0.0.1:1/none")
    with pytest.raises(ServiceUnreachable, match="database does not answer"):
        upgrade(engine)


def test_other_database_errors_pass() -> None:
    with pytest.raises(ServiceUnreachable), database_errors():
        raise OperationalError("select 1", {}, Exception("locked"))


@pytest.mark.parametrize("name", ["opensearch", "tifffile"])
def test_libraries_that_talk_much_are_quiet(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    logging.getLogger(name).info("POST https://localhost:9200 [status:200]")
    assert capsys.readouterr().err == ""
