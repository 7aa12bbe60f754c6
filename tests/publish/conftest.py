from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from fairlead.publish import ExportParameters, Exports
from fairlead.records import Approval
from fairlead.settings import Settings
from migrated import migrated_engine
from publish.fakes import FakeUpstream, a_cohort, an_imaging_record


class Clock:
    """A clock that moves a second whenever it is read."""

    def __init__(self, *, days: int = 0) -> None:
        self.now = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC) + timedelta(days=days)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    """Return a migrated SQLite database."""
    opened = migrated_engine(settings)
    yield opened
    opened.dispose()


@pytest.fixture
def upstream() -> FakeUpstream:
    """Return a left-hand side with a cohort of two series."""
    records = [an_imaging_record(1), an_imaging_record(2)]
    return FakeUpstream(a_cohort(records), records)


@pytest.fixture
def exports(settings: Settings, engine: Engine, upstream: FakeUpstream) -> Exports:
    """Return a work list over the made-up cohort."""
    return Exports(settings, engine, upstream=upstream, clock=Clock())


def approval(*, approved: bool = True, by: str = "stewart") -> Approval:
    """Return a steward's decision."""
    return Approval(
        requested_by="", decided_by=by, decided_at=datetime(2026, 3, 4, tzinfo=UTC), approved=approved, reason="ethics vote 7 of Dr Stern"
    )


def run(exports: Exports, *, run_id: str = "run-1", until: str = "publish", **parameters: object) -> str:
    """Carry an export to ``until`` and return its id."""
    export = exports.request(ExportParameters(**({"cohort": "chest@1"} | parameters)), requested_by="clara", run_id=run_id)
    if until == "request":
        return export.id
    exports.decide(export.id, approval())
    for step in ("deidentify", "convert", "describe", "publish"):
        if until == "decide":
            break
        getattr(exports, step)(export.id)
        if step == until:
            break
    return export.id
