"""Exports as gauges."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine, insert

from fairlead.database import open_engine, utc_now
from fairlead.publish.gauges import export_gauges
from fairlead.publish.tables import exports


def an_export(engine: Engine, number: int, state: str, *, hours: float) -> None:
    since = utc_now() - timedelta(hours=hours)
    row = {"id": f"ex-{number}", "run_id": f"r{number}", "state": state, "cohort": "c@1", "parameters": "{}", "requested_by": "a"}
    with engine.begin() as connection:
        connection.execute(insert(exports).values(**row, requested_at=since, changed_at=since))


def test_states_are_counted_and_only_open_ones_have_an_age(engine: Engine) -> None:
    for number, (state, hours) in enumerate([("requested", 50), ("requested", 2), ("published", 900)]):
        an_export(engine, number, state, hours=hours)
    found = {(name, dict(labels)["state"]): value for name, _, labels, value in export_gauges(engine)}
    assert (found["fairlead_exports", "requested"], found["fairlead_exports", "failed"]) == (2, 0)
    assert 50 * 3600 <= found["fairlead_exports_oldest_seconds", "requested"] < 51 * 3600
    assert ("fairlead_exports_oldest_seconds", "published") not in found


def test_a_database_that_is_away_gives_no_numbers() -> None:
    engine = open_engine("postgresql+psycopg2://nobody@127.0.0.1:1/none")
    assert list(export_gauges(engine)) == []
