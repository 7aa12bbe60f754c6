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
        ({"field": "age", "op": "between", "value": [40, 75], "orMissing": True}, "Series where age is 40 to 75 years or is not stated."),
        ({"field": "slice_thickness", "op": "<=", "value": 2.5}, "Series where slice thickness is at most 2.5 mm."),
        ({"field": "ct.kvp", "op": ">", "value": 100}, "Series where tube voltage is above 100 kV."),
        (
            {"field": "series.description", "op": "match", "value": "thin chest"},
            "Series where series description has the words “chest thin”.",
        ),
        ({"field": "patient.sex", "op": "!=", "value": "F"}, "Series where sex is stated and not F."),
        (
            {"not": {"has": "series", "where": CT}},
            "Series where it is known that not (the same patient has at least 1 series where modality is Comp",
        ),
        (
            {"has": "study", "count": {"min": 2, "max": 2}, "where": CT},
            "Series where the same patient has exactly 2 studies where modality is",
        ),
        (
            {"has": "image", "same": "study", "count": {"min": 2, "max": 9}, "where": CT},
            "Series where the same study has 2 to 9 images where",
        ),
        ({"has": "series", "count": {"max": 0}, "where": CT}, "Series where the same patient has no series where modality is Computed"),
        ({"atLeast": 2, "of": [CT, CT, CT]}, "Series where at least 2 of these hold: (modality is Computed Tomography; modality"),
        ({"cohort": f"{UUID}@3"}, f"Series where it is in cohort {UUID}@3."),
        (
            {"field": "model", "op": "in", "value": list("abcdefgh")},
            "Series where model is a, b, c, d, e or 3 more.",
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
        "except “flat”: those where size x is stated, or where that is not known."
    )


NAME = "Dr Miller’s MRN 4711"


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        (CT, "Series where modality is Computed Tomography."),
        ({"field": "patient.sex", "op": "=", "value": "F"}, "Series where sex is F."),
        ({"field": "kind", "op": "=", "value": "ome-image"}, "Series where kind of record is ome-image."),
        ({"field": "age", "op": "between", "value": [40, 75]}, "Series where age is 40 to 75 years."),
        (
            {"field": "study_date", "op": "between", "value": ["2019-01-01", "2019-12-31"]},
            "Series where study date is 2019-01-01 to 2019-12-31.",
        ),
        ({"field": "series.description", "op": "match", "value": NAME}, "Series where series description is a text match."),
        ({"field": "model", "op": "=", "value": NAME}, "Series where model is a given text."),
        ({"field": "model", "op": "in", "value": [NAME, "x"]}, "Series where model is 2 given texts."),
        ({"field": "body_part", "op": "=", "value": NAME}, "Series where body part is a given text."),
        ({"not": {"field": "model", "op": "=", "value": NAME}}, "Series where model is stated and not a given text."),
        (
            {"atLeast": 1, "of": [{"any": [CT, {"field": "series.description", "op": "match", "value": NAME}]}, CT]},
            "Series where at least 1",
        ),
        ({"has": "series", "where": {"field": "model", "op": "=", "value": NAME}}, "Series where the same patient has at least 1 series"),
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
        "size x is stated; except those where size x is stated, or where that is not known."
    )
