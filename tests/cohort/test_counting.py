"""Counts are exact, missing values are told, and the attrition names every step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cohort.conftest import Define
from conformance import evaluator
from fairlead.cohort import count_definition, facet_definition
from fairlead.cohort.compile import compile_definition
from fairlead.errors import UnknownField, UnsupportedInput
from fairlead.extract import FieldCatalogue
from fairlead.index import Index
from fairlead.index.embedded import EmbeddedIndex
from fairlead.index.rows import row_of
from index.builders import a_series

CT = {"field": "modality", "op": "=", "value": "CT"}


def test_the_contracts_keys_hold_exact_numbers(define: Define, index: Index, catalogue: FieldCatalogue) -> None:
    definition = define(
        CT,
        unit="patient",
        rules=[{"name": "chest", "where": {"field": "body_part", "op": "=", "value": "CHEST"}}],
        exclude=[{"name": "scouts", "where": {"field": "series.instances", "op": "<", "value": 20}}],
    )
    assert count_definition(definition, index=index, catalogue=catalogue).as_json() == {
        "patients": 1,
        "studies": 1,
        "series": 1,
        "images": 40,
        "bytes": 40_000,
        "unknown": {"body_part": 2, "modality": 1, "series.instances": 0},
        "attrition": [
            {"rule": "in scope", "patients": 4, "series": 5},
            {"rule": "include", "patients": 2, "series": 3},
            {"rule": "chest", "patients": 1, "series": 2},
            {"rule": "scouts", "patients": 1, "series": 1},
        ],
        "sentence": "Patients with series where modality is Computed Tomography; and “chest”: body part is Chest; "
        "except “scouts”: those where instances is below 20, or where that is not known.",
    }


def test_series_of_one_coordinate_system_are_counted_for_each_patient_apart(
    define: Define, catalogue: FieldCatalogue, tmp_path: Path
) -> None:
    pairs = [("p1", "CT", "1.3.1"), ("p1", "PT", "1.3.1"), ("p1", "CT", "1.3.2"), ("p2", "CT", "1.3.1"), ("p1", "PT", None)]
    index = EmbeddedIndex(tmp_path / "i.sqlite", catalogue)
    index.put(
        a_series(str(number), patient=patient, modality=kind, series__frame_of_reference=frame)
        for number, (patient, kind, frame) in enumerate(pairs, 1)
    )
    pet = {"has": "series", "same": "frameOfReference", "where": {"field": "modality", "op": "=", "value": "PT"}}
    for include, members in ((pet, "12"), ({"not": pet}, "34")):
        definition = define(include)
        assert "".join(one[-1] for one in index.members(compile_definition(definition)).ids) == members
        assert "the same frame of reference has" in count_definition(definition, index=index, catalogue=catalogue).sentence
    assert count_definition(define(pet), index=index, catalogue=catalogue).unknown["series.frame_of_reference"] == 1


@pytest.mark.parametrize(
    ("include", "series"),
    [
        pytest.param({"field": "patient.sex", "op": "=", "value": "F"}, 2, id="stated"),
        pytest.param({"field": "patient.sex", "op": "=", "value": "F", "orMissing": True}, 4, id="stated or missing"),
        pytest.param({"not": {"field": "patient.sex", "op": "=", "value": "F"}}, 1, id="not never takes in missing"),
        pytest.param({"field": "patient.sex", "op": "!=", "value": "F"}, 1, id="unequal neither"),
        pytest.param({"field": "patient.sex", "op": "!=", "value": "F", "orMissing": True}, 3, id="unequal or missing"),
        pytest.param({"field": "patient.sex", "op": "missing"}, 2, id="missing"),
    ],
)
def test_missing_values_are_taken_in_only_when_asked_for(
    define: Define, index: Index, catalogue: FieldCatalogue, include: Any, series: int
) -> None:
    assert count_definition(define(include), index=index, catalogue=catalogue).counts.series == series


def test_an_exclusion_also_leaves_out_whom_it_cannot_judge(define: Define, index: Index, catalogue: FieldCatalogue) -> None:
    women = {"field": "patient.sex", "op": "=", "value": "F"}
    strict = define(exclude=[{"name": "women", "where": women}])
    kept = define(exclude=[{"name": "women", "where": {"all": [{"field": "patient.sex", "op": "exists"}, women]}}])
    assert count_definition(strict, index=index, catalogue=catalogue).counts.series == 1
    assert count_definition(kept, index=index, catalogue=catalogue).counts.series == 3


def test_the_scope_limits_centres_and_projects(define: Define, index: Index, catalogue: FieldCatalogue) -> None:
    index.put([a_series("9", center="other", patient="p9"), a_series("8", project="lung", patient="p8")])
    count = count_definition(define(CT, scope={"centers": ["other"]}), index=index, catalogue=catalogue)
    assert (count.attrition[0].series, count.counts.series, count.unknown) == (1, 1, {"modality": 0})
    assert count_definition(define(CT, scope={"projects": ["lung"]}), index=index, catalogue=catalogue).counts.patients == 1


def test_facets_count_each_field_without_its_own_condition(define: Define, index: Index, catalogue: FieldCatalogue) -> None:
    found = facet_definition(define({"all": [CT]}), index=index, catalogue=catalogue, fields=["modality", "bodyPart"]).as_json()
    assert found["facets"]["modality"] == [
        {"value": "DCM:CT", "label": "Computed Tomography", "patients": 2, "series": 3},
        {"value": "DCM:MR", "label": "Magnetic Resonance", "patients": 1, "series": 1},
        {"value": None, "label": "Unknown", "patients": 1, "series": 1},
    ]
    assert [bucket["label"] for bucket in found["facets"]["body_part"]] == ["Chest", "Unknown"]
    assert found["took_ms"] >= 0


def test_without_names_every_facet_of_the_catalogue_is_counted(define: Define, index: Index, catalogue: FieldCatalogue) -> None:
    found = facet_definition(define(), index=index, catalogue=catalogue)
    assert set(found.facets) == {field.id for field in catalogue.fields.values() if field.facetable}


def test_a_facet_of_an_unknown_field_is_refused(define: Define, index: Index, catalogue: FieldCatalogue) -> None:
    with pytest.raises(UnknownField, match="'modalit'"):
        facet_definition(define(), index=index, catalogue=catalogue, fields=["modalit"])


def test_a_reference_without_a_store_is_refused(define: Define, index: Index, catalogue: FieldCatalogue) -> None:
    with pytest.raises(UnsupportedInput, match="no store of cohorts is at hand"):
        count_definition(define({"cohort": "0b6c1c1e-6f64-4f57-9f0a-6f1f5f4a2a10@1"}), index=index, catalogue=catalogue)


CRITERIA = [
    CT,
    {"field": "body_part", "op": "in", "value": ["CHEST", "HEAD"]},
    {"field": "patient.sex", "op": "!=", "value": "M"},
    {"field": "patient.sex", "op": "!=", "value": "M", "orMissing": True},
    {"field": "series.slice_thickness_mm", "op": "between", "value": [1, 3]},
    {"field": "series.slice_thickness_mm", "op": ">", "value": 0.2, "unit": "cm", "orMissing": True},
    {"field": "study_date", "op": "in", "value": ["2019", "2024-02"]},
    {"field": "study_date", "op": "!=", "value": "2019"},
    {"field": "study_date", "op": ">=", "value": "2024-02-29"},
    {"field": "series.slice_thickness_mm", "op": "<", "value": 2.5},
    {"field": "series.slice_thickness_mm", "op": "<=", "value": 2.5},
    {"field": "series.description", "op": "match", "value": "scout"},
    {"not": {"field": "body_part", "op": "exists"}},
    {"has": "series", "count": {"min": 2}, "where": CT},
    {"atLeast": 2, "of": [CT, {"field": "body_part", "op": "exists"}, {"field": "patient.sex", "op": "missing"}]},
]
RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "patient": st.sampled_from(["p1", "p2", "p3"]),
            "modality": st.sampled_from(["CT", "MR", None]),
            "body_part": st.sampled_from(["CHEST", "HEAD", None]),
            "patient__sex": st.sampled_from(["F", "M", None]),
            "series__slice_thickness_mm": st.sampled_from([0.5, 2.5, 5.0, None]),
            "series__description": st.sampled_from(["Scout 1", "Thin", None]),
            "study_date": st.sampled_from(["2019-03-01", "2024-02-29", "2025-01-01", None]),
        }
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    found=RECORDS,
    chosen=st.lists(st.sampled_from(CRITERIA), min_size=1, max_size=3),
    excluded=st.lists(st.sampled_from(CRITERIA), max_size=2),
)
def test_a_definition_has_the_members_that_the_plain_evaluator_gives_it(
    define: Define, catalogue: FieldCatalogue, tmp_path_factory: pytest.TempPathFactory, found: Any, chosen: Any, excluded: Any
) -> None:
    records = [a_series(str(number), **attributes) for number, attributes in enumerate(found)]
    index = EmbeddedIndex(tmp_path_factory.mktemp("index") / "i.sqlite", catalogue)
    index.put(records)
    definition = define({"any": chosen}, exclude=[{"name": f"no {number}", "where": where} for number, where in enumerate(excluded)])
    criterion = compile_definition(definition)
    assert set(index.members(criterion).ids) == evaluator.members(criterion, [row_of(record, catalogue) for record in records])
    count = count_definition(definition, index=index, catalogue=catalogue)
    assert count.attrition[-1].series == count.counts.series == len(index.members(criterion).ids)
