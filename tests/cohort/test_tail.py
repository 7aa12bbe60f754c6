"""The long tail in definitions: what may be asked, what it finds, what a sentence says of it, and who may not ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cohort.conftest import Define
from fairlead.cohort import parse_definition
from fairlead.cohort.compile import compile_definition
from fairlead.cohort.nodes import TailIs
from fairlead.cohort.normal import normal_form
from fairlead.cohort.sentence import public_sentence, sentence
from fairlead.errors import InvalidDefinition
from fairlead.extract import FieldCatalogue
from fairlead.index.embedded import EmbeddedIndex
from fairlead.resources import configs_folder
from index.builders import a_series


@pytest.mark.parametrize(
    ("value", "values"),
    [("Thorax", ("Thorax",)), (["b", "a", "a"], ("a", "b")), (12.5, ("12.5",)), (3, ("3",)), (True, ("true",))],
)
def test_the_long_tail_is_compared_as_text(define: Define, value: object, values: tuple[str, ...]) -> None:
    assert define({"tail": "dicom/00181030", "value": value}).include == TailIs("dicom/00181030", values)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"tail": "dicom/*", "value": "x"}, r"At include\.tail: an exact path"),
        ({"tail": "core/patient_key", "value": "x"}, r"At include\.tail: an exact path"),
        ({"tail": 5, "value": "x"}, r"At include\.tail: an exact path"),
        ({"tail": "dicom/00181030"}, r"At include\.value: a text"),
        ({"tail": "dicom/00181030", "value": ""}, r"At include\.value: a text"),
        ({"tail": "dicom/00181030", "value": [["x"]]}, r"At include\.value: a text"),
        ({"tail": "dicom/00181030", "value": [str(number) for number in range(11)]}, "at most 10"),
        ({"tail": "dicom/00181030", "op": "="}, "'op' does not go with 'tail'"),
    ],
)
def test_what_the_long_tail_cannot_be_asked_is_refused(define: Define, node: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidDefinition, match=message):
        define(node)


def test_a_definition_finds_records_by_what_no_field_holds(catalogue: FieldCatalogue, tmp_path: Path) -> None:
    index = EmbeddedIndex(tmp_path / "index.sqlite", catalogue)
    tail = {"measurements": {"SCT:118565006": {"mm3": [3, 12.5]}}}
    index.put([a_series("1", tail=tail), a_series("2", tail={"00181030": {"vr": "LO", "Value": ["Thorax"]}}), a_series("3")])
    volume = {"tail": "dicom/measurements/SCT:118565006/mm3", "value": [12.5, 99]}
    for node, expected in ((volume, ["1"]), ({"tail": "dicom/00181030", "value": "Thorax"}, ["2"]), ({"not": volume}, [])):
        document = {"schemaVersion": "1", "title": "t", "unit": "series", "include": node}
        definition = parse_definition(document, catalogue)
        assert index.members(compile_definition(definition)).ids == tuple(f"local:default:1.2.{number}" for number in expected)
        schema = json.loads((configs_folder() / "schemas" / "cohort-definition-v1.schema.json").read_text())
        jsonschema.validate(normal_form(definition) | {"title": "t"}, schema)
        assert normal_form(parse_definition(normal_form(definition) | {"title": "t"}, catalogue)) == normal_form(definition)


def test_the_sentence_says_what_the_tail_states_and_a_published_one_that_it_is_there(define: Define, catalogue: FieldCatalogue) -> None:
    definition = define({"tail": "dicom/00181030", "value": ["Zelda's scan", "b"]})
    assert "its header states Zelda's scan or b under dicom/00181030" in sentence(definition, catalogue)
    assert "its header states a given text under a given place" in public_sentence(definition, catalogue)
