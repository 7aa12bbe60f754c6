"""Every refusal of a definition names the place and what would be right; every way to write the same gives the same tree."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from cohort.conftest import Define
from fairlead.cohort import parse_definition
from fairlead.cohort.leaves import MAX_VALUES
from fairlead.cohort.nodes import AllOf, AnyOf, Compare, HasWhere, NotOf
from fairlead.cohort.tree import MAX_DEPTH, MAX_LEAVES
from fairlead.errors import InvalidDefinition, UnknownField, UnsupportedInput
from fairlead.extract import FieldCatalogue
from fairlead.resources import configs_folder

KIND = {"field": "kind", "op": "exists"}
UUID = "0b6c1c1e-6f64-4f57-9f0a-6f1f5f4a2a10"


def leaf(field: str, op: str, **more: Any) -> dict[str, Any]:
    return {"field": field, "op": op, **more}


def nested(levels: int) -> dict[str, Any]:
    return {"not": nested(levels - 1)} if levels > 1 else KIND


@pytest.mark.parametrize(
    ("include", "message"),
    [
        pytest.param([], "At include: a criterion is a mapping", id="a list"),
        pytest.param({}, "At include: no criterion is recognised. It begins with one of: all, any", id="nothing"),
        pytest.param({"al": [KIND]}, "no criterion is recognised. Did you mean 'all'", id="misspelt kind"),
        pytest.param({"all": [KIND], "any": [KIND]}, "all and any stand in one criterion", id="two kinds"),
        pytest.param({"all": []}, "At include.all: a list with at least one criterion", id="empty all"),
        pytest.param({"any": {}}, "At include.any: a list with at least one criterion", id="any of a mapping"),
        pytest.param(
            {"all": [KIND, {"any": [{"field": "kind"}]}]}, r"At include.all\[1\].any\[0\].op: 'None' does not go with kind", id="no op"
        ),
        pytest.param({"all": [KIND], "weight": 1}, "At include: 'weight' does not go with 'all'. Known here: all", id="key too many"),
        pytest.param({"atLeast": 3, "of": [KIND, KIND]}, "At include.atLeast: a number from 1 to 2", id="at least more than there are"),
        pytest.param({"atLeast": True, "of": [KIND]}, "At include.atLeast", id="at least true"),
        pytest.param({"atLeast": 1, "of": []}, "At include.of: a list with at least one", id="empty of"),
        pytest.param({"has": "slice", "where": KIND}, "At include.has: 'slice' cannot be counted. Use study, series, image", id="grain"),
        pytest.param({"has": "series"}, "At include: 'where' is missing", id="has without where"),
        pytest.param(
            {"has": "series", "same": "room", "where": KIND}, "At include.same: 'room' is no group. Use patient, study or", id="same"
        ),
        pytest.param({"has": "study", "same": "study", "where": KIND}, "a study has one study", id="studies of a study"),
        pytest.param({"has": "series", "count": {}, "where": KIND}, "At include.count: `min`, `max` or both", id="empty count"),
        pytest.param({"has": "series", "count": {"min": -1}, "where": KIND}, "numbers from 0", id="negative count"),
        pytest.param(
            {"has": "series", "count": {"min": 0}, "where": KIND}, "at least 0 holds for everybody. Give `min: 1`", id="any number"
        ),
        pytest.param({"has": "series", "count": {"min": 3, "max": 2}, "where": KIND}, "`min` is above `max`", id="reversed count"),
        pytest.param({"concept": "CT", "field": "modality"}, "'CT' is no CURIE. Write PREFIX:CODE", id="concept without prefix"),
        pytest.param({"concept": "DCM: CT", "field": "modality"}, "is no CURIE", id="concept with a space"),
        pytest.param(
            {"concept": "DCM:CT", "field": "study_date"}, "study_date holds no concepts; it is of type date", id="concept in a date"
        ),
        pytest.param({"concept": "DCM:CT", "set": "x"}, "`concept` and `set` exclude each other", id="concept and set"),
        pytest.param({"set": "nowhere"}, "conceptSets has no 'nowhere'", id="unknown set"),
        pytest.param(
            leaf("modality", "<", value="CT"), "'<' does not go with modality, which is of type keyword. Use one of: !=, =, ex", id="op"
        ),
        pytest.param(leaf("modality", "="), "'value' is missing. Give text in quotes", id="no value"),
        pytest.param(leaf("modality", "exists", value="CT"), "'value' does not go with `op: exists`", id="value with exists"),
        pytest.param(leaf("modality", "missing", orMissing=True), "'orMissing' does not go with `op: missing`", id="missing or missing"),
        pytest.param(leaf("modality", "=", value=1), "modality is of type keyword, but a number is given. Give text", id="number for text"),
        pytest.param(leaf("modality", "=", value=["CT"]), "one value is expected. Use `op: in`", id="list for ="),
        pytest.param(leaf("modality", "in", value="CT"), "a list is expected. E.g. `op: in`", id="text for in"),
        pytest.param(leaf("modality", "in", value=[]), "a list is expected", id="empty in"),
        pytest.param(leaf("patient.sex", "=", value="X"), "'X' is no value of patient.sex. Use one of: F, M, O", id="closed vocabulary"),
        pytest.param(leaf("patient.age_years", "between", value=40), "a list is expected", id="between a number"),
        pytest.param(leaf("patient.age_years", "between", value=[40]), "lower and upper bound", id="between one bound"),
        pytest.param(leaf("patient.age_years", "between", value=[75, 40]), "lower bound is above", id="between reversed"),
        pytest.param(leaf("patient.age_years", "<", value="40"), "of type float, but a text is given. Give a number", id="text for number"),
        pytest.param(leaf("patient.age_years", "<", value=True), "of type float, but a boolean is given", id="true for number"),
        pytest.param(
            leaf("patient.age_years", "<", value=float("nan")), "nan is no number for patient.age_years. Give a finite", id="not a number"
        ),
        pytest.param(
            leaf("patient.age_years", "<", value=40, unit="mm"), "'mm' is no unit for this field. Use one of: a, d, mo, wk", id="unit"
        ),
        pytest.param(leaf("modality", "=", value="CT", unit="mm"), "modality has no unit", id="unit of a text"),
        pytest.param(
            leaf("patient.age_years", "<", value=40, orMissing="yes"), "At include.orMissing: true or false", id="or missing text"
        ),
        pytest.param(leaf("study_date", ">", value="2024-02-30"), 'Give a date such as "2024-02-29"', id="no such day"),
        pytest.param(leaf("study_date", ">", value="yesterday"), "'yesterday' is no date of the calendar", id="no date"),
        pytest.param(leaf("study_date", "<=", value="2004-13"), "'2004-13' is no date of the calendar", id="month 13"),
        pytest.param(leaf("modality", "=", value="  "), "the text for modality is empty", id="empty text"),
        pytest.param(
            leaf("study_date", "between", value=["2024", "2019"]), "first date given for study_date is after", id="dates reversed"
        ),
        pytest.param(leaf("series.regular", "=", value="yes"), "Give true or false", id="text for boolean"),
        pytest.param(leaf("series.description", "match", value="che*"), "there are no wildcards", id="wildcard"),
        pytest.param(leaf("series.description", "match", value=" - "), "whole words are expected", id="no word"),
        pytest.param(leaf("series.description", "=", value="chest"), "of type text. Use one of: exists, match, missing", id="equal text"),
        pytest.param({"cohort": "x@1"}, "At include.cohort: ID@N is expected", id="cohort id"),
        pytest.param({"cohort": f"{UUID}@0"}, "At include.cohort: ID@N is expected", id="cohort version 0"),
        pytest.param(nested(MAX_DEPTH + 1), f"deeper than {MAX_DEPTH} levels", id="depth"),
        pytest.param({"all": [KIND] * (MAX_LEAVES + 1)}, f"more than {MAX_LEAVES} criteria", id="leaves"),
        pytest.param(leaf("kind", "in", value=["x"] * (MAX_VALUES + 1)), f"more than {MAX_VALUES} values", id="values"),
    ],
)
def test_a_criterion_without_meaning_is_refused_with_its_place(define: Define, include: Any, message: str) -> None:
    with pytest.raises(InvalidDefinition, match=message):
        define(include)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        pytest.param({"schemaVersion": "2"}, "At schemaVersion: only version 1", id="schema version"),
        pytest.param({"unit": "person"}, "At unit: 'person' cannot be counted. Use one of: patient, study, series, image", id="unit"),
        pytest.param({"title": "  "}, "At title: a text of 1 to 200 characters", id="empty title"),
        pytest.param({"title": "x" * 201}, "a text of 1 to 200 characters", id="long title"),
        pytest.param({"purpose": "x" * 10_001}, "At purpose: a text of 0 to 10000", id="long purpose"),
        pytest.param({"excludes": []}, "'excludes' is not a key of the language. Did you mean 'exclude'", id="misspelt key"),
        pytest.param({"id": "chest"}, "At id: a UUID is expected", id="id"),
        pytest.param({"version": 0}, "At version: a number from 1", id="version 0"),
        pytest.param({"version": True}, "At version: a number from 1", id="version true"),
        pytest.param({"version": 2}, "a version above 1 names its parent", id="version without parent"),
        pytest.param({"parent": "abc"}, "At parent: `sha256:`", id="parent"),
        pytest.param({"scope": {"centres": ["a"]}}, "At scope: 'centres' is not a key of the language. Did you mean 'centers'", id="scope"),
        pytest.param({"scope": {"centers": "a"}}, "At scope.centers: a list of names", id="scope text"),
        pytest.param({"rules": {}}, "At rules: a list of named rules", id="rules mapping"),
        pytest.param({"rules": [{"where": KIND}]}, r"At rules\[0\]: 'name' is missing", id="rule without name"),
        pytest.param({"rules": [{"name": "", "where": KIND}]}, r"At rules\[0\].name: a text", id="rule with empty name"),
        pytest.param(
            {"rules": [{"name": "a", "where": KIND}], "exclude": [{"name": "a", "where": KIND}]}, "Two rules are called 'a'", id="names"
        ),
        pytest.param(
            {"exclude": [{"name": "a", "where": {"not": []}}]}, r"At exclude\[0\].where.not: a criterion is a mapping", id="place"
        ),
        pytest.param({"conceptSets": []}, "At conceptSets: a mapping", id="concept sets"),
        pytest.param({"conceptSets": {"a": []}}, "At conceptSets.a: a list with at least one", id="empty set"),
        pytest.param({"conceptSets": {"a": [{"label": "x"}]}}, r"At conceptSets.a\[0\]: 'id' is missing", id="concept without id"),
        pytest.param(
            {"conceptSets": {"a": [{"id": "DCM:CT", "exclude": True}]}, "include": {"set": "a"}},
            "every concept of the set is excluded",
            id="none left",
        ),
    ],
)
def test_a_document_without_meaning_is_refused_with_its_place(define: Define, more: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidDefinition, match=message):
        define(**more)


def test_what_is_missing_or_no_mapping_is_named(catalogue: FieldCatalogue) -> None:
    with pytest.raises(InvalidDefinition, match="'include' is missing"):
        parse_definition({"schemaVersion": "1", "title": "x", "unit": "series"}, catalogue)
    with pytest.raises(InvalidDefinition, match="a mapping is expected"):
        parse_definition([], catalogue)  # type: ignore[arg-type]


def test_a_set_may_cover_a_region_and_leave_out_one_of_its_parts(define: Define) -> None:
    sets = {
        "thorax": [
            {"id": "SCT:816094009", "includeDescendantTerms": True},
            {"id": "SCT:72410000", "includeDescendantTerms": True, "exclude": True},
        ]
    }
    text = str(define({"set": "thorax", "field": "body_part"}, conceptSets=sets))
    assert "SCT:39607008" in text  # lung
    assert "SCT:80891009" not in text  # heart, in the mediastinum


def test_an_unknown_field_is_refused_with_the_nearest_names(define: Define) -> None:
    with pytest.raises(UnknownField, match=r"'modalty'.*Did you mean 'modality'"):
        define(leaf("modalty", "=", value="CT"))


@pytest.mark.parametrize(
    ("include", "message"),
    [
        ({"concept": "SCT:99999999", "includeDescendantTerms": True}, "descendants of SCT:99999999 are not known"),
    ],
)
def test_what_the_language_has_and_this_version_has_not_is_refused_by_name(define: Define, include: Any, message: str) -> None:
    with pytest.raises(UnsupportedInput, match=message):
        define(include)


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        pytest.param(leaf("bodyPart", "=", value="thorax"), Compare("body_part", "in", ("SCT:816094009",)), id="alias and spelling"),
        pytest.param(
            leaf("modality", "in", value=["MR", "DCM:CT", "ct"]), Compare("modality", "in", ("DCM:CT", "DCM:MR")), id="three spellings"
        ),
        pytest.param({"concept": "DCM:CT", "field": "modality"}, Compare("modality", "in", ("DCM:CT",)), id="concept"),
        pytest.param(
            {"concept": "DCM:CT", "field": "modality", "includeDescendantTerms": True}, Compare("modality", "in", ("DCM:CT",)), id="flat"
        ),
        pytest.param(
            {"concept": "SCT:110639002", "field": "body_part", "includeDescendantTerms": True},
            Compare("body_part", "in", ("SCT:110639002", "SCT:35039007")),
            id="a region with its parts",
        ),
        pytest.param({"concept": "SCT:51185008", "field": "body_part"}, Compare("body_part", "in", ("SCT:816094009",)), id="older code"),
        pytest.param(leaf("body_part", "=", value="WO INTER"), Compare("body_part", "in", ("WO INTER",)), id="term to map"),
        pytest.param(
            leaf("series.slice_thickness_mm", "<=", value=0.25, unit="UCUM:cm"), Compare("series.slice_thickness_mm", "<=", (2.5,)), id="cm"
        ),
        pytest.param(leaf("age", "<", value=18, unit="mo"), Compare("patient.age_years", "<", (1.5,)), id="months"),
        pytest.param(leaf("study_date", "=", value=2024), Compare("study_date", "between", ("2024-01-01", "2024-12-31")), id="year"),
        pytest.param(leaf("study_date", ">", value="2024-02"), Compare("study_date", ">", ("2024-02-29",)), id="after a month"),
        pytest.param(leaf("study_date", "<=", value="2024-02"), Compare("study_date", "<=", ("2024-02-29",)), id="until a month"),
        pytest.param(leaf("study_date", "<", value="2024"), Compare("study_date", "<", ("2024-01-01",)), id="before a year"),
        pytest.param(leaf("study_date", ">=", value="2024"), Compare("study_date", ">=", ("2024-01-01",)), id="from a year"),
        pytest.param(
            leaf("study_date", "between", value=["2019", "2020-06"]),
            Compare("study_date", "between", ("2019-01-01", "2020-06-30")),
            id="between",
        ),
        pytest.param(
            leaf("study_date", "in", value=["2021", "2019"]),
            AnyOf(
                (
                    Compare("study_date", "between", ("2019-01-01", "2019-12-31")),
                    Compare("study_date", "between", ("2021-01-01", "2021-12-31")),
                )
            ),
            id="years",
        ),
        pytest.param(leaf("patient.sex", "!=", value="male"), NotOf(Compare("patient.sex", "in", ("M",))), id="not equal"),
        pytest.param(
            leaf("patient.sex", "!=", value="M", orMissing=True),
            AnyOf((NotOf(Compare("patient.sex", "in", ("M",))), Compare("patient.sex", "missing"))),
            id="not equal or missing",
        ),
        pytest.param(
            leaf("series.description", "match", value="Thin CHEST"), Compare("series.description", "match", ("chest", "thin")), id="words"
        ),
        pytest.param(
            {"has": "series", "where": KIND}, HasWhere("series", "patient", Compare("kind", "exists"), 1, None), id="default count"
        ),
        pytest.param(
            {"has": "annotation", "count": {"max": 0}, "where": KIND},
            HasWhere(
                "series",
                "patient",
                AllOf(
                    (
                        Compare("modality", "in", ("ANN", "DCM:AU", "DCM:KO", "DCM:PR", "DCM:RTSTRUCT", "DCM:SEG", "DCM:SR")),
                        Compare("kind", "exists"),
                    )
                ),
                0,
                0,
            ),
            id="annotation",
        ),
    ],
)
def test_values_become_those_of_the_catalogue(define: Define, include: Any, expected: object) -> None:
    assert define(include).include == expected


def test_a_concept_without_a_field_is_looked_for_in_every_concept_field(define: Define) -> None:
    found = define({"concept": "NOPE:1"}).include  # nobody knows it, so anybody may state it
    assert isinstance(found, AnyOf)
    assert {part.field for part in found.of if isinstance(part, Compare)} == {"modality", "body_part", "organism", "imaging_method"}


def test_a_concept_that_one_field_knows_is_looked_for_in_that_field(define: Define) -> None:
    assert define({"concept": "SCT:69536005"}).include == Compare("body_part", "in", ("SCT:69536005",))
    assert define({"concept": "NCBITaxon:10090"}).include == Compare("organism", "in", ("NCBITaxon:10090",))
    two = define({"set": "s"}, conceptSets={"s": [{"id": "DCM:CT"}, {"id": "SCT:69536005"}]}).include
    assert two == AnyOf((Compare("modality", "in", ("DCM:CT",)), Compare("body_part", "in", ("SCT:69536005",))))


def test_has_looks_at_the_study_where_studies_are_counted(define: Define) -> None:
    found = define({"has": "series", "where": KIND}, unit="study").include
    assert isinstance(found, HasWhere)
    assert found.same == "study"


@pytest.mark.parametrize("file", sorted((configs_folder() / "cohorts").glob("*.yaml")), ids=lambda file: file.stem)
def test_the_gallery_validates_against_the_published_schema(file, catalogue: FieldCatalogue) -> None:  # type: ignore[no-untyped-def]
    from fairlead.cohort import read_definition
    from fairlead.cohort.normal import normal_form

    schema = json.loads((configs_folder() / "schemas" / "cohort-definition-v1.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    document = read_definition(file)
    validator.validate(document)
    validator.validate(normal_form(parse_definition(document, catalogue)) | {"title": "normal"})
