from __future__ import annotations

import json
from pathlib import Path

from extract.builders import a_code, an_instance, an_item, as_in_the_wild, items, the_record, write, write_series
from fairlead.extract import FieldCatalogue


def other(path: Path, catalogue: FieldCatalogue) -> dict:
    dicom = the_record(path, catalogue).community.dicom
    assert dicom is not None
    return dicom.other


def test_the_long_tail_holds_what_all_instances_agree_on(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    series = [an_instance(number, NumberOfAverages=2, EchoTrainLength=7, PixelBandwidth=100 + number) for number in (1, 2, 3)]
    found = other(write_series(tmp_path, series), catalogue)
    assert found["00180083"] == {"vr": "DS", "Value": [2]}
    assert found["00180091"] == {"vr": "IS", "Value": [7]}
    assert "00180095" not in found  # differs
    assert "00200013" not in found  # InstanceNumber differs


def test_every_item_of_a_sequence_stays_with_its_codes(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    codes = items(a_code("T-1", "SRT", "First"), a_code("T-2", "SRT", "Second"))
    found = other(write(an_instance(ProcedureCodeSequence=codes), tmp_path / "a.dcm"), catalogue)
    assert [item["00080100"]["Value"] for item in found["00081032"]["Value"]] == [["T-1"], ["T-2"]]
    assert found["00081032"]["Value"][1]["00080104"] == {"vr": "LO", "Value": ["Second"]}


def test_free_text_names_and_ids_are_not_in_the_long_tail(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    told = {
        "PatientComments": "lives in Bern",
        "ImageComments": "see letter",
        "InstitutionName": "City Hospital",
        "StudyComments": "urgent",
        "OperatorsName": "Brackenfold^Ines",
        "StationName": "CTROOM7",
        "AdditionalPatientHistory": "smoker",
        "PerformedProcedureStepDescription": "head for Z",
    }
    text = json.dumps(other(write(an_instance(**told), tmp_path / "a.dcm"), catalogue))
    assert [value for value in told.values() if value in text] == []


def test_a_meaning_that_repeats_a_name_is_dropped_and_its_code_stays(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    codes = items(a_code("X1", "99LOCAL", "Scan of Quibbleworth"))
    found = other(write(an_instance(ProcedureCodeSequence=codes), tmp_path / "a.dcm"), catalogue)
    assert "00080104" not in found["00081032"]["Value"][0]
    assert found["00081032"]["Value"][0]["00080100"]["Value"] == ["X1"]


def test_a_number_equal_to_an_identity_is_dropped(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    found = other(write(an_instance(PatientID="555123", AcquisitionNumber=555123), tmp_path / "a.dcm"), catalogue)
    assert "00200012" not in found


def test_long_arrays_and_bulk_are_left_out(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    dataset = an_instance(RedPaletteColorLookupTableDescriptor=[256, 0, 16], RedPaletteColorLookupTableData=bytes(512))
    dataset.FrameTimeVector = [1.0] * 100
    found = other(write(dataset, tmp_path / "a.dcm"), catalogue)
    assert "00281201" not in found
    assert "00181065" not in found
    assert "00281101" in found


def test_a_huge_header_has_a_bounded_long_tail(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    many = items(
        *(an_item(ReferencedROINumber=n, ContourSequence=items(*(an_item(NumberOfContourPoints=k) for k in range(100)))) for n in range(60))
    )
    text = json.dumps(other(write(an_instance(ROIContourSequence=many), tmp_path / "a.dcm"), catalogue))
    assert len(text) < 400_000


def test_deep_nesting_ends(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    item = an_item(ReferencedFrameNumber=1)
    for _ in range(30):
        item = an_item(ReferencedImageSequence=items(item))
    found = other(write(an_instance(SourceImageSequence=items(item)), tmp_path / "a.dcm"), catalogue)
    assert json.dumps(found).count("00081140") <= 6


def test_private_values_stay_by_creator_and_free_text_does_not(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    dataset = an_instance()
    block = dataset.private_block(0x0019, "ACME MR", create=True)
    block.add_new(0x01, "DS", ["1.5", "2.5"])
    block.add_new(0x02, "LO", "a remark")
    block.add_new(0x03, "CS", "FAST")
    block.add_new(0x04, "PN", "Brackenfold^Ines")
    block.add_new(0x05, "UN", b"bytes")
    with as_in_the_wild():
        block.add_new(0x06, "CS", "PID-774411")
    block.add_new(0x07, "SQ", items(an_item(EchoTime="3.5"), an_item(EchoTime="4.5")))
    assert the_record(write(dataset, tmp_path / "a.dcm"), catalogue).vendor == {
        "ACME MR": {
            "0019xx01": {"vr": "DS", "Value": [1.5, 2.5]},
            "0019xx03": {"vr": "CS", "Value": ["FAST"]},
            "0019xx07": {
                "vr": "SQ",
                "Value": [{"00180081": {"vr": "DS", "Value": [3.5]}}, {"00180081": {"vr": "DS", "Value": [4.5]}}],
            },
        }
    }


def test_a_private_creator_that_is_a_name_and_elements_without_creator_are_dropped(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    dataset = an_instance()
    dataset.private_block(0x0019, "Quibbleworth", create=True).add_new(0x01, "DS", "1")
    dataset.add_new(0x00211001, "DS", "5")
    assert the_record(write(dataset, tmp_path / "a.dcm"), catalogue).vendor == {}
