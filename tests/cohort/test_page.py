"""What docs/cohorts.md shows is what the commands print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pydicom.data
import pytest
import yaml

from fairlead.cli import run
from fairlead.cohort import fhir_group, lens_tree, parse_definition
from fairlead.extract import load_catalogue
from fairlead.resources import configs_folder

PAGE = (Path(__file__).parents[2] / "docs" / "cohorts.md").read_text()


def test_the_worked_example_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (shown,) = re.findall(r"## A worked example\n.*?```console\n(.*?)```", PAGE, re.DOTALL)
    steps = [step.split("\n", 1) for step in shown.split("$ fairlead ")[1:]]
    (definition,) = re.findall(r"\$ cat ct\.yaml\n(.*)", steps[0][1], re.DOTALL)
    (tmp_path / "ct.yaml").write_text(definition)
    steps[0] = [f"ingest {shlex.quote(pydicom.data.DATA_ROOT)}/test_files/dicomdirtests", steps[0][1].partition("(")[0]]  # not the seconds
    for command, expected in steps:
        assert run(shlex.split(command)) == 0
        assert capsys.readouterr().out.startswith(expected)


def test_the_definition_for_other_networks_is_one_that_they_take() -> None:
    (shown,) = re.findall(r"as Lens and FHIR take it:\n\n```yaml\n(.*?)```", PAGE, re.DOTALL)
    catalogue = load_catalogue(configs_folder() / "fields.yaml")
    definition = parse_definition({"schemaVersion": "1", "title": "T", "unit": "patient"} | yaml.safe_load(shown), catalogue)
    assert len(lens_tree(definition, catalogue)["children"]) == len(fhir_group(definition, catalogue)["characteristic"]) == 3
