"""The sentence says what is asked for in the catalogue's words."""

from __future__ import annotations

from typing import Any

import pytest

from cohort.conftest import Define
from fairlead.cohort.sentence import sentence
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
