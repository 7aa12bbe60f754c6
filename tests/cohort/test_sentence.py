"""The sentence says what is asked for in the catalogue's words."""

from __future__ import annotations

from typing import Any

import pytest

from cohort.conftest import Define
from fairlead.cohort.sentence import public_sentence, sentence
from fairlead.extract import FieldCatalogue

CT = {"field": "modality", "op": "=", "value": "CT"}
UUID = "0b6c1c1e-6f64-4f57-9f0a-6f1f5f4a2a10"


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        (CT, "Series where modality is Computed Tomography."),
        (
            {"all": [CT, {"field": "body_part", "op": "missing"}]},
            "Series where modality is Computed Tomography and body part is not stated.",
        ),
        (
            {"all": [{"any": [CT, {"field": "kind", "op": "exists"}]}, CT]},
            "Series where (modality is Computed Tomography or kind of record is stated) and modality is Computed Tomography.",
        ),
        ({"field": "age", "op": "between", "value": [40, 75], "orMissing": True}, "Series where age is 40 to 75 years or not stated."),
        ({"field": "slice_thickness", "op": "<=", "value": 2.5}, "Series where slice thickness is at most 2.5 mm."),
        ({"field": "ct.kvp", "op": ">", "value": 100}, "Series where tube voltage is above 100 kV."),
        (
            {"field": "series.description", "op": "match", "value": "thin chest"},
            "Series where series description has the words “chest thin”.",
        ),
        ({"field": "patient.sex", "op": "!=", "value": "F"}, "Series where sex is stated but not F."),
        (
            {"not": {"has": "series", "where": CT}},
            "Series where it is known not to hold that (the patient has at least 1 series where modality is Comp",
        ),
        (
            {"has": "study", "count": {"min": 2, "max": 2}, "where": CT},
            "Series where the patient has exactly 2 studies with a series where modality is",
        ),
        (
            {"has": "image", "same": "study", "count": {"min": 2, "max": 9}, "where": CT},
            "Series where the study has 2 to 9 images in series where",
        ),
        ({"has": "series", "count": {"max": 0}, "where": CT}, "Series where the patient has no series where modality is Computed"),
        ({"atLeast": 2, "of": [CT, CT, CT]}, "Series where at least 2 of these hold: (modality is Computed Tomography; modality"),
        ({"cohort": f"{UUID}@3"}, f"Series where it is in cohort {UUID}@3."),
        (
            {"field": "model", "op": "in", "value": list("abcdefghijk")},
            "Series where model is a, b, c, d, e, f, g, h or 3 more.",
        ),
        (
            {
                "all": [
                    {"field": "modality", "op": "in", "value": ["CT", "MR"]},
                    {"field": "age", "op": ">=", "value": 18, "orMissing": True},
                ]
            },
            "Series where modality is Computed Tomography or Magnetic Resonance, and age is at least 18 years or not stated.",
        ),
        (
            {"all": [{"latest": "study", "where": CT}, CT]},
            "Series where (it is from the last study day on which the patient has a series where modality is Computed Tomography) "
            "and modality is Computed Tomography.",
        ),
        (
            {"has": "annotation", "same": "study", "where": {"field": "kind", "op": "exists"}},
            "Series where the study has at least 1 annotation.",
        ),
        ({"field": "study_date", "op": ">=", "value": "2015"}, "Series where study date is on or after 2015-01-01."),
        ({"field": "study_date", "op": "<", "value": "2015"}, "Series where study date is before 2015-01-01."),
        ({"field": "kind", "op": "exists"}, "Series of any kind."),
        (
            {"not": {"field": "modality", "op": "in", "value": ["SEG", "SR"]}},
            "Series where modality is stated but none of Segmentation or Structured Report Document.",
        ),
        ({"field": "series.regular", "op": "=", "value": False}, "Series where regular lattice is no."),
        ({"field": "study_date", "op": "=", "value": "2024-02-29"}, "Series where study date is 2024-02-29."),
    ],
)
def test_a_definition_reads_as_a_sentence(define: Define, catalogue: FieldCatalogue, include: Any, expected: str) -> None:
    assert sentence(define(include), catalogue).startswith(expected)


def test_unit_scope_rules_and_exclusions_are_told(define: Define, catalogue: FieldCatalogue) -> None:
    rule = {"name": "imaged", "where": {"field": "series.size_x", "op": "exists"}}
    definition = define(
        CT, unit="study", scope={"centers": ["a", "b"], "projects": ["lung"]}, rules=[rule], exclude=[{**rule, "name": "flat"}]
    )
    assert sentence(definition, catalogue) == (
        "Studies with series where modality is Computed Tomography, from centre a or b, from project lung; and “imaged”: size x is stated; "
        "except “flat”: those where size x is stated."
    )


def test_an_exclusion_that_asks_first_whether_it_is_stated_leaves_out_nobody_unknown(define: Define, catalogue: FieldCatalogue) -> None:
    gaps = [{"field": "series.missing_slices", "op": "exists"}, {"field": "series.missing_slices", "op": ">", "value": 0}]
    asked, unasked = ({"name": "gaps", "where": where} for where in ({"all": gaps}, gaps[1]))
    assert sentence(define(CT, exclude=[asked]), catalogue).endswith("; except “gaps”: those where missing slices is above 0.")
    assert sentence(define(CT, exclude=[unasked]), catalogue).endswith("missing slices is above 0, or where that is not known.")


NAME = "Dr Miller’s MRN 4711"


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        (CT, "Series where modality is Computed Tomography."),
        ({"field": "patient.sex", "op": "=", "value": "F"}, "Series where sex is F."),
        ({"field": "kind", "op": "=", "value": "ome-image"}, "Series where kind of record is OME image."),
        ({"field": "age", "op": "between", "value": [40, 75]}, "Series where age is 40 to 75 years."),
        (
            {"field": "study_date", "op": "between", "value": ["2019-01-01", "2019-12-31"]},
            "Series where study date is 2019-01-01 to 2019-12-31.",
        ),
        ({"field": "series.description", "op": "match", "value": NAME}, "Series where series description is a text match."),
        ({"field": "model", "op": "=", "value": NAME}, "Series where model is a given text."),
        ({"field": "model", "op": "in", "value": [NAME, "x"]}, "Series where model is 2 given texts."),
        ({"field": "body_part", "op": "=", "value": NAME}, "Series where body part is a given text."),
        ({"not": {"field": "model", "op": "=", "value": NAME}}, "Series where model is stated but not a given text."),
        (
            {"atLeast": 1, "of": [{"any": [CT, {"field": "series.description", "op": "match", "value": NAME}]}, CT]},
            "Series where at least 1",
        ),
        ({"has": "series", "where": {"field": "model", "op": "=", "value": NAME}}, "Series where the patient has at least 1 series"),
        ({"cohort": f"{UUID}@3"}, "Series where it is in cohort of this installation."),
    ],
)
def test_words_that_somebody_wrote_are_not_in_the_public_sentence(
    define: Define, catalogue: FieldCatalogue, include: Any, expected: str
) -> None:
    text = public_sentence(define(include), catalogue)
    assert text.startswith(expected)
    assert not any(word.casefold() in text.casefold() for word in (*NAME.split(), UUID))


def test_names_of_rules_centres_and_projects_are_not_in_the_public_sentence(define: Define, catalogue: FieldCatalogue) -> None:
    rule = {"name": NAME, "where": {"field": "series.size_x", "op": "exists"}}
    scope = {"centers": ["a", "b"], "projects": ["miller"]}
    definition = define(CT, scope=scope, rules=[rule], exclude=[{**rule, "name": f"not {NAME}"}])
    assert public_sentence(definition, catalogue) == (
        "Series where modality is Computed Tomography, from 2 of the centres, from one of the projects; and a named rule: "
        "size x is stated; except those where size x is stated."
    )
