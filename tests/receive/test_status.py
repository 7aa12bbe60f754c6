import json
import logging

import pytest

from fairlead.cli import run
from fairlead.database import open_database
from fairlead.receive import Ledger, node_status
from fairlead.records import Refusal, SeriesState
from receive.builders import ROUTE, STUDY, a_row, association, quick, running


@pytest.fixture(autouse=True)
def _logging_as_it_was():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_the_state_is_told_with_the_keys_of_the_contract(tmp_path, monkeypatch, capsys):
    settings = quick(tmp_path / "home")
    monkeypatch.setenv("FAIRLEAD_HOME", str(settings.home))
    engine = open_database(settings)
    ledger = Ledger(engine)
    ledger.record_instance(a_row(), study_uid=STUDY, series_uid=f"{STUDY}.1", route=ROUTE)
    ledger.refuse(Refusal(source="a.dcm", code="not-dicom", reason="Empty."))
    engine.dispose()
    assert run(["node", "status", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["series"] == {"receiving": 1, "settling": 0, "complete": 0, "indexed": 0, "quarantined": 0}
    assert document["quarantine"] == [{"path": "a.dcm", "reason": "Empty.", "code": "not-dicom"}]
    assert document["associations"] == 0
    assert document["disk_free"] > 0
    assert run(["node", "status"]) == 0
    assert "receiving    1" in capsys.readouterr().out


def test_open_associations_are_seen_from_another_process(tmp_path):
    settings = quick(tmp_path / "home")
    with running(settings) as (_, port):
        with association(port):
            assert node_status(settings).associations == 1
        assert node_status(settings).series[SeriesState.RECEIVING] == 0
