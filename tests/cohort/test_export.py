"""Member lists are complete, say what became of each member, and are safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import json

import pytest

from cohort.conftest import Define
from fairlead.cohort import CohortStore, export_members
from fairlead.cohort.cells import FORMULA
from fairlead.errors import UnsupportedInput
from fairlead.extract import FieldCatalogue
from fairlead.index import Index
from fairlead.records import CohortVersion
from index.builders import a_series


@pytest.fixture
def version(store: CohortStore, define: Define, index: Index, catalogue: FieldCatalogue) -> CohortVersion:
    index.put([a_series("9", patient="p9", modality="=cmd|' /C calc'!A0")])
    return store.freeze(define(), index=index, catalogue=catalogue, author="ada")


def test_csv_and_ndjson_hold_every_member_in_the_order_of_ids(version: CohortVersion, index: Index) -> None:
    rows = list(csv.DictReader(export_members(version, index, "csv")))
    objects = [json.loads(line) for line in export_members(version, index, "ndjson")]
    assert [row["id"] for row in rows] == [row["id"] for row in objects] == list(version.members)
    assert (objects[0]["series_uid"], objects[0]["modality"], objects[0]["body_part"]) == ("1.2.1", "DCM:CT", "SCT:816094009")
    assert {row["state"] for row in rows} == {"current"}
    assert list(rows[0]) == list(objects[0])


def test_a_header_value_cannot_become_a_formula(version: CohortVersion, index: Index) -> None:
    modalities = {row["modality"] for row in csv.DictReader(export_members(version, index))}
    assert not any(value.startswith(("=", "+", "-", "@")) for value in modalities)


def test_the_list_itself_shields_its_cells(version: CohortVersion, index: Index) -> None:
    assert set("=+-@\t\r\n") <= FORMULA
    named = version.model_copy(update={"members": ("=2+3:a:1",), "revisions": ("0" * 64,)})
    assert [row["id"] for row in csv.DictReader(export_members(named, index))] == ["'=2+3:a:1"]


def test_members_that_changed_or_left_are_marked(version: CohortVersion, index: Index) -> None:
    index.put([a_series("4", patient="p3", study="3", modality="MR")])
    index.remove(["local:default:1.2.3"])
    states = {row["id"]: row["state"] for row in csv.DictReader(export_members(version, index))}
    assert (states["local:default:1.2.4"], states["local:default:1.2.3"], states["local:default:1.2.1"]) == ("revised", "gone", "current")


@pytest.mark.parametrize("format", ["parquet", "xlsx"])
def test_another_format_is_refused_with_the_supported_ones(version: CohortVersion, index: Index, format: str) -> None:
    with pytest.raises(UnsupportedInput, match="Supported: csv, ndjson"):
        export_members(version, index, format)
