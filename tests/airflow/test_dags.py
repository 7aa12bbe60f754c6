"""The DAG files: they parse, they only wire, and their forms refuse nonsense."""

from __future__ import annotations

import ast
import copy
import uuid
from pathlib import Path
from typing import Any

import pytest

from fairlead.resources import dags_folder

pytestmark = [pytest.mark.airflow, pytest.mark.filterwarnings("ignore")]  # Airflow's own deprecations are not ours to fix

FILES = sorted(dags_folder().glob("*.py"))
REFERENCE = f"{uuid.UUID(int=7)}@1"


def test_the_four_dags_parse_without_errors(dag_bag: Any) -> None:
    assert dag_bag.import_errors == {}
    assert set(dag_bag.dags) == {"receive_dicom", "ingest_ome", "export_cohort", "harvest_catalogs"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dag_file_is_thin(file: Path) -> None:
    tree = ast.parse(file.read_text())
    assert len(file.read_text().splitlines()) <= 80
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]


def test_every_dag_is_tagged_runs_at_once_and_can_be_stored(dag_bag: Any) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    for dag in dag_bag.dags.values():
        assert dag.tags == {"fairlead"}
        assert dag.is_paused_upon_creation is False
        assert DagSerialization.to_dict(dag)["dag"]["dag_id"] == dag.dag_id


@pytest.mark.parametrize("dag_id", ["receive_dicom", "ingest_ome"])
def test_ingest_is_woken_by_events_and_by_the_clock_one_run_at_a_time(dag_bag: Any, dag_id: str) -> None:
    dag = dag_bag.dags[dag_id]
    assert dag.max_active_runs == 1
    assert type(dag.timetable).__name__ == "AssetOrTimeSchedule"
    assert dag.timetable.timetable.expression == "* * * * *"


def test_nothing_is_touched_before_the_approval(dag_bag: Any) -> None:
    tasks = dag_bag.dags["export_cohort"].topological_sort()
    assert [task.task_id for task in tasks] == ["request", "approve", "decide", "deidentify", "convert", "describe", "publish"]


def submitted(dag_bag: Any, conf: dict[str, str]) -> Any:
    params = copy.deepcopy(dag_bag.dags["export_cohort"].params)
    params.update(conf)
    return params.validate()


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({}, "no default"),
        ({"cohort": "../../etc"}, "does not match"),
        ({"cohort": REFERENCE, "access_rights": "whoever"}, "is not one of"),
        ({"cohort": REFERENCE, "license": "my licence"}, "does not match"),
        ({"cohort": REFERENCE, "ngff": "9"}, "is not one of"),
        ({"cohort": REFERENCE, "title": "x" * 201}, "is too long"),
    ],
)
def test_the_form_refuses_nonsense(dag_bag: Any, conf: dict[str, str], message: str) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError, match=message):
        submitted(dag_bag, conf)


def test_the_form_accepts_a_reference_alone_and_chooses_nothing_that_the_version_before_has(dag_bag: Any) -> None:
    values = submitted(dag_bag, {"cohort": REFERENCE})
    assert {name for name, value in values.items() if value is not None} == {"cohort"}


def test_the_steward_is_asked_for_a_reason_only(dag_bag: Any) -> None:
    approve = dag_bag.dags["export_cohort"].get_task("approve")
    assert list(approve.serialized_params) == ["reason"]
    assert approve.options == ["Approve", "Reject"]
