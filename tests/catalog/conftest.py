from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine

from fairlead.catalog import create_app
from fairlead.publish import Exports
from fairlead.records import DatasetRecord
from fairlead.settings import Settings
from publish.conftest import Clock, run
from publish.fakes import FakeUpstream, a_cohort, an_imaging_record

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette would like its test client to use httpx2; ours is httpx
    from fastapi.testclient import TestClient

type Publish = Callable[..., DatasetRecord]


@pytest.fixture
def publish(settings: Settings, engine: Engine) -> Publish:
    """Return a function that publishes a small cohort; its keyword arguments are the export's parameters."""
    records = [an_imaging_record(1), an_imaging_record(2)]
    exports = Exports(settings, engine, upstream=FakeUpstream(a_cohort(records), records), clock=Clock())

    def publish(**parameters: object) -> DatasetRecord:
        chosen = {"views": ("fdp",)} | parameters  # one view is enough here; tests/publish has them all
        return exports.publish(run(exports, run_id=f"run-{len(exports.list())}", **chosen))

    return publish


@pytest.fixture
def client(settings: Settings, engine: Engine) -> Iterator[TestClient]:
    """Return a client of the application; mistakes of the server are answers, as they are for everybody."""
    with TestClient(create_app(settings, engine), base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as opened:
        yield opened
