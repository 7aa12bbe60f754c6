"""Definitions in the words of other networks: what comes out means the same, what cannot be said is refused by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fairlead.cohort import Definition, beacon_request, definition_sha256, fhir_group, lens_tree, parse_definition
from fairlead.errors import UnsupportedInput
from fairlead.extract import FieldCatalogue, load_catalogue
from fairlead.federation.beacon import definition_of as from_beacon
from fairlead.federation.lens import definition_of as from_lens
from fairlead.records import JsonObject
from fairlead.resources import configs_folder

CT = {"field": "modality", "op": "=", "value": "CT"}
MR = {"field": "modality", "op": "=", "value": "MR"}
AGED = {"field": "patient.age_years", "op": "between", "value": [40, 75]}
THIN = {"field": "series.slice_thickness_mm", "op": "<=", "value": 2.5}


def having(where: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"has": "series", "where": where, **more}


@pytest.fixture(scope="module")
def catalogue() -> FieldCatalogue:
    return load_catalogue(configs_folder() / "fields.yaml")


def document(*criteria: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"schemaVersion": "1", "title": "T", "unit": "patient", "include": {"all": list(criteria)}, **more}


@pytest.mark.parametrize(
    "criteria",
    [
        pytest.param([having(CT), having(THIN)], id="a bound"),
        pytest.param([having(CT), having({"field": "patient.sex", "op": "!=", "value": "F"})], id="another value"),
        pytest.param([having(CT), having({"field": "contrast_agent", "op": "exists"})], id="stated"),
    ],
)
def test_beacon_filters_read_back_are_the_same_definition(catalogue: FieldCatalogue, criteria: list[dict[str, Any]]) -> None:
    asked = parse_definition(document(*criteria), catalogue)
    back = parse_definition(from_beacon(beacon_request(asked, catalogue)["query"]["filters"], catalogue), catalogue)
    assert definition_sha256(back) == definition_sha256(asked)


def test_a_concept_is_an_ontology_filter(catalogue: FieldCatalogue) -> None:
    assert beacon_request(parse_definition(document(CT), catalogue), catalogue)["query"] == {
        "filters": [{"id": "DCM:CT", "includeDescendantTerms": False, "scope": "individuals"}],
        "requestedGranularity": "count",
    }


@pytest.mark.parametrize(
    "criteria",
    [
        pytest.param([having(CT), having({"field": "patient.sex", "op": "in", "value": ["F", "M"]})], id="one of"),
        pytest.param([{"any": [having(CT), having(MR)]}, {"not": having({"field": "patient.sex", "op": "=", "value": "F"})}], id="or, not"),
        pytest.param([having(CT), having({"field": "patient.age_years", "op": ">=", "value": 40})], id="from"),
        pytest.param([having({"field": "body_part", "op": "=", "value": "CHEST"})], id="an older code"),
    ],
)
def test_a_lens_tree_read_back_is_the_same_definition(catalogue: FieldCatalogue, criteria: list[dict[str, Any]]) -> None:
    asked = parse_definition(document(*criteria), catalogue)
    assert definition_sha256(parse_definition(from_lens(lens_tree(asked, catalogue)), catalogue)) == definition_sha256(asked)


def test_a_group_says_the_same_in_characteristics(catalogue: FieldCatalogue) -> None:
    dated = {"field": "study_date", "op": "<", "value": "2020-01-01"}
    asked = document(
        {"atLeast": 2, "of": [having(CT), having(MR), having(AGED)]}, having(dated), {"not": having({"field": "organism", "op": "exists"})}
    )
    group = fhir_group(parse_definition(asked, catalogue), catalogue)
    code = {"coding": [{"system": "urn:fairlead:field", "code": "study_date", "display": "Study date"}]}
    assert (group["resourceType"], group["membership"], group["combinationMethod"]) == ("Group", "definitional", "all-of")
    assert group["characteristic"][1] == {"code": code, "exclude": False, "valueBoolean": True, "period": {"end": "2019-12-31"}}
    assert group["characteristic"][2]["exclude"] is True
    [inner] = group["contained"]
    assert (inner["combinationMethod"], inner["combinationThreshold"], len(inner["characteristic"])) == ("at-least", 2, 3)
    assert inner["characteristic"][0]["valueCodeableConcept"]["coding"][0]["code"] == "CT"
    assert inner["characteristic"][2]["valueRange"]["high"]["value"] == 75


TARGETS: dict[str, Callable[[Definition, FieldCatalogue], JsonObject]] = {"beacon": beacon_request, "lens": lens_tree, "fhir": fhir_group}
REFUSED = [
    pytest.param("beacon", document(CT, rules=[{"name": "thin", "where": THIN}]), "'thin': with 'include'", id="one series"),
    pytest.param("beacon", document({"any": [having(CT), having(MR)]}), "'include': its filters are joined by AND", id="or"),
    pytest.param("beacon", document(having(CT), exclude=[{"name": "no MR", "where": having(MR)}]), "'no MR'", id="exclusion"),
    pytest.param("beacon", document(having(AGED)), "two bounds", id="between"),
    pytest.param("lens", document(having(THIN)), "no facet for series.slice_thickness_mm", id="no facet"),
    pytest.param("lens", document(having(CT, count={"min": 2})), "it counts", id="counting"),
    pytest.param("lens", document({"atLeast": 2, "of": [having(CT), having(MR), having(AGED)]}), "at least n of", id="at least"),
    pytest.param("fhir", document({"not": having(CT)}), "not stated", id="three values"),
    pytest.param("fhir", document({"latest": "study", "where": CT}), "latest study", id="latest"),
    pytest.param("fhir", document(CT, scope={"centers": ["a"]}), "'scope'", id="scope"),
    pytest.param("fhir", document(having(CT | {"orMissing": True})), "not stated", id="or missing"),
]


@pytest.mark.parametrize(("target", "asked", "named"), REFUSED)
def test_what_cannot_be_said_is_refused_by_its_rule(catalogue: FieldCatalogue, target: str, asked: dict[str, Any], named: str) -> None:
    definition = parse_definition(asked, catalogue)
    with pytest.raises(UnsupportedInput, match=f"cannot express the rule .*{named}"):
        TARGETS[target](definition, catalogue)


@pytest.mark.parametrize("target", ["beacon", "lens", "fhir"])
def test_a_word_that_no_vocabulary_knows_goes_to_no_network(catalogue: FieldCatalogue, target: str) -> None:
    for name in ("Doe, Jane", "NOPE:1"):
        for value in ({"op": "=", "value": name}, {"op": "in", "value": ["CT", name]}):
            definition = parse_definition(document(having({"field": "modality", **value})), catalogue)
            with pytest.raises(UnsupportedInput, match=f"'include': '{name}' is no term of modality, which is told by codes"):
                TARGETS[target](definition, catalogue)
    uncoded = parse_definition(document(having({"field": "manufacturer", "op": "=", "value": "ACME"})), catalogue)
    assert "ACME" in str(TARGETS[target](uncoded, catalogue))


WOMAN = {"field": "patient.sex", "op": "=", "value": "F"}


def test_what_is_said_of_the_patient_stands_beside_what_is_said_of_a_series(catalogue: FieldCatalogue) -> None:
    women = parse_definition(document(having(CT), WOMAN, AGED), catalogue)
    ct, sex, age = lens_tree(women, catalogue)["children"]
    assert (ct["value"], sex["value"]) == ("RID10321", "SNOMEDCT248152002")
    assert (age["type"], age["value"]) == ("BETWEEN", {"min": 40, "max": 75})
    assert len(fhir_group(women, catalogue)["characteristic"]) == 3
    beside = beacon_request(parse_definition(document(CT, WOMAN), catalogue), catalogue)["query"]["filters"]
    assert [one["id"] for one in beside] == ["DCM:CT", "patient.sex"]
    either = lens_tree(parse_definition(document({"any": [having(MR), WOMAN]}), catalogue), catalogue)["children"]
    assert [one["type"] for one in either[0]["children"]] == ["EQUALS", "EQUALS"]


def test_two_criteria_of_one_series_are_refused_by_their_fields(catalogue: FieldCatalogue) -> None:
    with pytest.raises(UnsupportedInput, match=r"'include' \(modality\) it speaks of one and the same series \(patient.age_years\)"):
        lens_tree(parse_definition(document(CT, WOMAN, AGED), catalogue), catalogue)
