"""For one record it is told which criteria hold, which do not, and which nobody can tell."""

from __future__ import annotations

import pytest

from cohort.conftest import Define
from fairlead.cohort import compile_definition, explain
from fairlead.errors import NotFound
from fairlead.extract import FieldCatalogue
from fairlead.index import Index

CT = {"field": "modality", "op": "=", "value": "CT"}
CHEST = {"field": "body_part", "op": "=", "value": "CHEST"}
FEW = {"field": "series.instances", "op": "<", "value": 5}
WITH_MR = {"has": "series", "where": {"field": "modality", "op": "=", "value": "MR"}}


@pytest.mark.parametrize(
    ("number", "included", "parts", "few", "member"),
    [
        pytest.param("1", True, (True, True), True, True, id="a member"),
        pytest.param("2", True, (True, True), False, False, id="excluded"),
        pytest.param("3", False, (False, False), True, False, id="another modality"),
        pytest.param("4", None, (True, None), True, False, id="not stated"),
    ],
)
def test_every_step_and_every_part_is_judged_for_one_record(  # a row of the table
    define: Define, index: Index, catalogue: FieldCatalogue, number: str, included: bool | None, parts: object, few: bool, member: bool
) -> None:
    definition = define({"all": [CT, CHEST]}, exclude=[{"name": "few", "where": FEW}])
    scope, include, excluded = explain(definition, f"local:default:1.2.{number}", index=index, catalogue=catalogue)
    assert (scope.holds, include.holds, excluded.holds) == (True, included, few)
    assert tuple(part.holds for part in include.parts) == parts
    assert (f"local:default:1.2.{number}" in index.members(compile_definition(definition)).ids) is member
    assert next(include.lines()).removesuffix("include").strip() == {True: "yes", False: "no", None: "not known"}[included]


def test_a_quantifier_is_judged_as_a_whole_and_who_is_not_there_is_not_found(
    define: Define, index: Index, catalogue: FieldCatalogue
) -> None:
    asked = {"index": index, "catalogue": catalogue}
    _, include = explain(define({"any": [WITH_MR, CHEST]}), "local:default:1.2.3", **asked)
    assert [(part.holds, part.parts) for part in include.parts[0].parts] == [(True, ()), (False, ())]
    with pytest.raises(NotFound, match="no such record"):
        explain(define(CT), "local:default:1.2.99", **asked)
