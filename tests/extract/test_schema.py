"""The JSON Schema of a record and the filtering terms follow from the catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError

from extract.builders import an_instance, the_record, write
from fairlead.extract import FieldCatalogue, filtering_terms, record_schema
from fairlead.extract.schema import render_schema
from fairlead.resources import configs_folder


def test_the_stored_schema_is_current(catalogue: FieldCatalogue) -> None:
    stored = configs_folder() / "schemas" / "imaging-record-v1.schema.json"
    assert stored.read_text(encoding="utf-8") == render_schema(catalogue), "python -m fairlead.extract.reference schema writes it"


def test_a_record_holds_and_a_wrong_type_does_not(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    schema = record_schema(catalogue)
    Draft202012Validator.check_schema(schema)
    document = the_record(write(an_instance(KVP="120", EchoTime="4"), tmp_path / "a.dcm"), catalogue).model_dump(mode="json")
    Draft202012Validator(schema).validate(document)
    document["community"]["dicom"]["attributes"]["ct.kvp"] = "high"
    with pytest.raises(ValidationError, match="high"):
        Draft202012Validator(schema).validate(document)


def test_the_schema_knows_every_attribute_with_its_unit(catalogue: FieldCatalogue) -> None:
    definitions = record_schema(catalogue)["$defs"]
    dicom, ome = (definitions[name]["properties"]["attributes"]["properties"] for name in ("DicomMetadata", "OmeMetadata"))
    assert dicom["ct.kvp"]["x-unit"] == "kV"
    assert "ct.kvp" not in ome
    assert {"manufacturer", "quality.verdict"} <= dicom.keys() & ome.keys()


def test_filtering_terms_name_fields_and_the_concepts_they_may_hold(catalogue: FieldCatalogue) -> None:
    response = filtering_terms(catalogue)
    terms = {(term["type"], term["id"]): term for term in response["filteringTerms"]}
    assert len(terms) == len(response["filteringTerms"])
    assert terms["alphanumeric", "patient.age_years"] == {
        "type": "alphanumeric",
        "id": "patient.age_years",
        "label": "Age",
        "scopes": ["imagingStudies"],
    }
    assert terms["ontology", "NCBITaxon:9606"] == {
        "type": "ontology",
        "id": "NCBITaxon:9606",
        "label": "Homo sapiens",
        "scopes": ["individuals"],
    }
    assert terms["ontology", "SCT:816094009"]["label"] == "Chest"
    assert {resource["namespacePrefix"] for resource in response["resources"]} == {"DCM", "FBbi", "NCBITaxon", "SCT"}
    assert not any(term["id"] == "series.description" for term in response["filteringTerms"])
