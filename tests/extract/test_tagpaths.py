from __future__ import annotations

import pytest
from pydicom import Dataset

from extract.builders import a_code, an_instance, an_item, items
from fairlead.errors import InvalidConfiguration
from fairlead.extract.tagpaths import Coded, parse_path, value_type


def test_a_keyword_leads_to_all_its_values() -> None:
    assert parse_path("ImageType").values(an_instance(ImageType=["ORIGINAL", "PRIMARY"])) == ["ORIGINAL", "PRIMARY"]


def test_an_absent_attribute_gives_nothing() -> None:
    assert parse_path("ImageType").values(an_instance()) == []


def test_a_sequence_keeps_every_item() -> None:
    dataset = an_instance(
        SegmentSequence=items(*(an_item(SegmentedPropertyTypeCodeSequence=items(a_code(str(n), "SCT", f"part {n}"))) for n in (1, 2, 3)))
    )
    found = parse_path("SegmentSequence/SegmentedPropertyTypeCodeSequence").values(dataset)
    assert found == [Coded("1", "SCT", "part 1"), Coded("2", "SCT", "part 2"), Coded("3", "SCT", "part 3")]


def test_a_code_without_code_and_meaning_is_nothing() -> None:
    dataset = an_instance(AnatomicRegionSequence=items(an_item(CodingSchemeDesignator="SCT")))
    assert parse_path("AnatomicRegionSequence").values(dataset) == []


def test_functional_groups_are_shared_and_per_frame() -> None:
    def measures(thickness: float) -> Dataset:
        return an_item(PixelMeasuresSequence=items(an_item(SliceThickness=thickness)))

    dataset = an_instance(
        SharedFunctionalGroupsSequence=items(measures(1.0)),
        PerFrameFunctionalGroupsSequence=items(measures(2.0), measures(2.0), measures(3.0)),
    )
    assert [float(value) for value in parse_path("frames/PixelMeasuresSequence/SliceThickness").values(dataset)] == [1.0, 2.0, 3.0]


def test_a_private_tag_is_found_by_its_creator_in_any_block() -> None:
    dataset = an_instance()
    dataset.private_block(0x0019, "SOMEBODY ELSE", create=True).add_new(0x10, "DS", "7")
    dataset.private_block(0x0019, "ACME/MR 1", create=True).add_new(0x10, "DS", "42")
    assert [float(value) for value in parse_path("(0019,xx10)@ACME/MR 1").values(dataset)] == [42.0]
    assert parse_path("(0019,xx10)@NOBODY").values(dataset) == []
    assert parse_path("(0019,xx11)@ACME/MR 1").values(dataset) == []


def test_a_public_tag_by_number_is_the_keyword() -> None:
    assert parse_path("(0008,0060)").values(an_instance()) == ["MR"]


@pytest.mark.parametrize(("path", "vr"), [("ImageType", "CS"), ("(0019,xx10)@ACME", "UN"), ("(0008,00ff)", "UN")])
def test_the_value_type_is_the_dictionarys(path: str, vr: str) -> None:
    assert value_type(parse_path(path)) == vr


@pytest.mark.parametrize("path", ["", "Nonsense", "ImageType/Nonsense", "(0019,10)@X", "frames", "PatientID", "OtherPatientNames"])
def test_a_path_without_meaning_or_to_a_person_is_refused(path: str) -> None:
    with pytest.raises(InvalidConfiguration, match="DICOM path"):
        parse_path(path)
