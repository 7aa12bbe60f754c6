"""What Airflow reads from the package: provider information and entry points."""

from __future__ import annotations

import json
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import jsonschema
import pytest

from fairlead.airflow.provider import get_provider_info

pytestmark = [pytest.mark.airflow, pytest.mark.filterwarnings("ignore")]


def test_provider_information_is_what_airflow_expects() -> None:
    import airflow

    schema = json.loads((Path(airflow.__path__[0]) / "provider_info.schema.json").read_text())
    info = get_provider_info()
    jsonschema.validate(info, schema)
    assert info["connection-types"][0]["connection-type"] == "fairlead"


def test_everything_that_is_named_can_be_imported() -> None:
    info = get_provider_info()
    names = [info["connection-types"][0]["hook-class-name"], info["plugins"][0]["plugin-class"]]
    for kind in ("hooks", "operators", "triggers"):
        for module in info[kind][0]["python-modules"]:
            import_module(module)
    for name in names:
        module, _, attribute = name.rpartition(".")
        assert hasattr(import_module(module), attribute)


@pytest.mark.parametrize("group", ["apache_airflow_provider", "airflow.plugins"])
def test_the_entry_points_are_declared(group: str) -> None:
    ours = [point for point in entry_points(group=group) if point.value.startswith("fairlead.")]
    assert len(ours) == 1
    assert callable(ours[0].load())
