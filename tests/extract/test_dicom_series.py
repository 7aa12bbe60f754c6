from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydicom import Dataset

from extract.builders import (
    KEY,
    NOON,
    ROUTE,
    SERIES,
    STUDY,
    a_code,
    an_instance,
    an_item,
    items,
    outcomes,
    the_record,
    write,
    write_series,
)  # fmt: skip
from fairlead.errors import InvalidConfiguration, UnreadableImage
from fairlead.extract import FieldCatalogue, load_catalogue, read_paths, read_series
from fairlead.files import sha256_file
from fairlead.index.tail import long_tail
from fairlead.keys import patient_key
from fairlead.records import ImagingRecord, Instance, ReceivedSeries


def attributes(record: ImagingRecord) -> dict:
    assert record.community.dicom is not None
    return dict(record.community.dicom.attributes)


def codes(record: ImagingRecord) -> list[str]:
    return [finding.code for finding in record.findings]


def archived(folder: Path) -> ReceivedSeries:
    files = sorted(folder.iterdir())
    instances = tuple(
        Instance(
            sop_instance_uid=f"{SERIES}.{number}",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            sha256=sha256_file(file),
            size_bytes=file.stat().st_size,
            path=file.name,
        )
        for number, file in enumerate(files, start=1)
    )
    return ReceivedSeries(
        study_uid=STUDY,
        series_uid=SERIES,
        generation="ab" * 32,
        instances=instances,
        route=ROUTE,
        first_received_at=NOON,
        last_received_at=NOON,
    )


def test_an_archived_series_becomes_a_record(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    write_series(tmp_path, [an_instance(number) for number in (1, 2, 3)])
    record = read_series(archived(tmp_path), archive=tmp_path, catalogue=catalogue, key=KEY)
    core = record.core
    assert (core.id, core.kind, core.generation) == (f"north:lung:{SERIES}", "dicom-series", "ab" * 32)
    assert (core.patient_key, core.patient_basis) == (patient_key(KEY, "PID-774411", "north"), "stated")
    assert (core.source.place, core.source.paths) == ("archive", ("000.dcm", "001.dcm", "002.dcm"))
    assert core.geometry.model_dump(exclude_none=True) == {
        "size_x": 4, "size_y": 4, "size_z": 3, "size_c": 1, "size_t": 1,
        "spacing_x_mm": 0.25, "spacing_y_mm": 0.5, "spacing_z_mm": 2.5,
        "regular": True, "missing_slices": 0, "duplicate_positions": 0, "verdict": "regular",
    }  # fmt: skip
    assert attributes(record)["patient.age_years"] == 59.9
    assert attributes(record)["study_date"] == "2021-03-15"


def test_the_archive_and_the_loose_files_give_the_same_metadata(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    write_series(tmp_path, [an_instance(number) for number in (1, 2, 3)])
    stored = read_series(archived(tmp_path), archive=tmp_path, catalogue=catalogue, key=KEY)
    assert stored.community == the_record(tmp_path, catalogue).community


def test_a_damaged_instance_is_named_and_stops_the_series(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    write_series(tmp_path, [an_instance(number) for number in (1, 2)])
    series = archived(tmp_path)
    (tmp_path / "001.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00\xff")
    with pytest.raises(UnreadableImage, match=rf"Instance {SERIES}\.2: "):
        read_series(series, archive=tmp_path, catalogue=catalogue, key=KEY)
    (tmp_path / "001.dcm").unlink()
    with pytest.raises(UnreadableImage, match=rf"Instance {SERIES}\.2: "):
        read_series(series, archive=tmp_path, catalogue=catalogue, key=KEY)


def test_without_a_patient_one_subject_per_study_is_assumed(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    first = the_record(write(an_instance(PatientID=""), tmp_path / "a.dcm"), catalogue)
    second = the_record(write(an_instance(PatientID=None, SeriesInstanceUID="1.2.3"), tmp_path / "b.dcm"), catalogue)
    assert (first.core.patient_basis, first.core.patient_key) == ("assumed", second.core.patient_key)
    assert "no-patient-id" in codes(first)


def test_the_issuer_tells_equal_ids_apart(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    records = [the_record(write(an_instance(IssuerOfPatientID=issuer), tmp_path / f"{issuer}.dcm"), catalogue) for issuer in ("A", "B")]
    assert records[0].core.patient_key != records[1].core.patient_key


def test_two_patients_in_one_series_are_flagged(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    write_series(tmp_path, [an_instance(1), an_instance(2, PatientID="OTHER-1")])
    assert "several-patients" in codes(the_record(tmp_path, catalogue))


def test_a_coded_region_wins_over_the_text_and_old_codes_are_translated(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    region = items(a_code("T-D1100", "SRT", "Head, NOS"))
    record = the_record(write(an_instance(AnatomicRegionSequence=region, BodyPartExamined="ARM"), tmp_path / "a.dcm"), catalogue)
    assert record.core.body_part is not None
    assert record.core.body_part.curie == "SCT:69536005"


def test_an_unmapped_body_part_stays_as_written_and_is_flagged(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    record = the_record(write(an_instance(BodyPartExamined="WO INTER"), tmp_path / "a.dcm"), catalogue)
    assert record.core.body_part is not None
    assert (record.core.body_part.raw, record.core.body_part.curie) == ("WO INTER", None)
    assert "body-part-to-map" in codes(record)
    assert catalogue.values(record)["body_part"] == ("WO INTER",)


def test_a_species_becomes_the_organism(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    species = items(a_code("448771007", "SCT", "Canis lupus familiaris"))
    record = the_record(write(an_instance(PatientSpeciesCodeSequence=species), tmp_path / "a.dcm"), catalogue)
    assert record.core.organism is not None
    assert record.core.organism.curie == "NCBITaxon:9615"


@pytest.mark.parametrize(("sex", "expected"), [("M", "M"), ("f", "F"), ("O", "O"), ("6657", None), ("U", None)])
def test_a_sex_outside_the_list_is_missing(tmp_path: Path, catalogue: FieldCatalogue, sex: str, expected: str | None) -> None:
    record = the_record(write(an_instance(PatientSex=sex), tmp_path / "a.dcm"), catalogue)
    assert attributes(record).get("patient.sex") == expected


def test_an_age_of_000Y_is_missing_and_flagged_and_never_computed_instead(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    record = the_record(write(an_instance(PatientAge="000Y"), tmp_path / "a.dcm"), catalogue)
    assert "patient.age_years" not in attributes(record)
    assert "odd-age" in codes(record)


def test_an_impossible_acquisition_date_is_left_out(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    record = the_record(write(an_instance(AcquisitionDate="18800101", StudyDate="20210315"), tmp_path / "a.dcm"), catalogue)
    assert record.core.acquired_on is None
    earliest = [an_instance(1, AcquisitionDate="20210317"), an_instance(2, AcquisitionDate="20210316")]
    assert the_record(write_series(tmp_path / "s", earliest), catalogue).core.acquired_on == date(2021, 3, 16)


def test_text_that_repeats_an_identity_is_dropped_but_codes_and_known_makers_stay(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    told = an_instance(
        PatientName="Philips^Zelda", PatientID="10008", SeriesDescription="T1 zelda", StudyDescription="Head 10008", 
        ProtocolName="t1_mprage", Manufacturer="Philips",
    )  # fmt: skip
    found = attributes(the_record(write(told, tmp_path / "a.dcm"), catalogue))
    assert not {"series.description", "study.description", "manufacturer_raw"} & set(found)
    assert (found["series.protocol"], found["manufacturer"]) == ("t1_mprage", "Philips")
    assert found["transfer_syntax"] == "1.2.840.10008.1.2.1"
    assert found["sop_class"] == "1.2.840.10008.5.1.4.1.1.4"


def test_more_values_than_a_record_can_hold_become_their_extremes(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    write_series(tmp_path, [an_instance(number, XRayTubeCurrent=number) for number in range(1, 101)])
    assert attributes(the_record(tmp_path, catalogue))["ct.tube_current_ma"] == (1.0, 100.0)


def test_a_malformed_number_is_no_value_and_no_error(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    file = write(an_instance(KVP="120"), tmp_path / "a.dcm")
    file.write_bytes(file.read_bytes().replace(b"\x18\x00\x60\x00DS\x04\x00120 ", b"\x18\x00\x60\x00DS\x04\x001x0 "))
    assert "ct.kvp" not in attributes(the_record(file, catalogue))


def test_pixels_that_are_cut_off_are_flagged(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    file = write(an_instance(), tmp_path / "a.dcm")
    file.write_bytes(file.read_bytes()[:-10])
    assert "pixels-cut" in codes(the_record(file, catalogue))


def test_a_custom_field_needs_no_code(tmp_path: Path) -> None:
    (tmp_path / "fields.yaml").write_text(
        yaml.safe_dump(
            {
                "include": ["default"],
                "fields": [
                    {
                        "id": f"{project}.gradient", "title": "Gradient", "help": "Private gradient mode.", "type": "integer",
                        "grain": "series", "missing": "Other scanners.", "module": f"custom:{project}",
                        "source": {"dicom": ["(0019,xx10)@ACME MR"]},
                    }
                    for project in ("lung", "heart")
                ],
            }
        )
    )  # fmt: skip
    own = load_catalogue(tmp_path / "fields.yaml")
    dataset = an_instance()
    dataset.private_block(0x0019, "ACME MR", create=True).add_new(0x10, "IS", "3")
    record = the_record(write(dataset, tmp_path / "a.dcm"), own)
    assert dict(record.custom) == {"lung.gradient": 3}
    assert own.values(record)["lung.gradient"] == (3,)
    assert "heart.gradient" not in own.values(record)


def test_an_enhanced_instance_is_read_frame_by_frame(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    shared = an_item(
        PlaneOrientationSequence=items(an_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])),
        PixelMeasuresSequence=items(an_item(PixelSpacing=[2.0, 1.0], SliceThickness=9.0)),
    )
    frames = [
        an_item(
            PlanePositionSequence=items(an_item(ImagePositionPatient=[0, 0, z])),
            FrameContentSequence=items(an_item(TemporalPositionIndex=t, DimensionIndexValues=[t, z])),
        )
        for t in (1, 2)
        for z in (0, 3, 6)
    ]
    dataset = an_instance(
        SharedFunctionalGroupsSequence=items(shared), PerFrameFunctionalGroupsSequence=items(*frames), NumberOfFrames=6,
        PixelSpacing=None, ImagePositionPatient=None, ImageOrientationPatient=None, PixelData=bytes(32 * 6),
    )  # fmt: skip
    record = the_record(write(dataset, tmp_path / "a.dcm"), catalogue)
    geometry = record.core.geometry
    assert (geometry.size_z, geometry.size_t, geometry.spacing_z_mm, geometry.verdict) == (3, 2, 3.0, "regular")
    assert (geometry.spacing_x_mm, geometry.spacing_y_mm) == (1.0, 2.0)
    assert attributes(record)["series.slice_thickness_mm"] == 9.0
    assert attributes(record)["series.frames"] == 6


def test_a_cine_counts_its_frames_in_time(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    cine = an_instance(NumberOfFrames=30, FrameTime=33.3, ImagePositionPatient=None, ImageOrientationPatient=None, PixelData=bytes(32 * 30))
    geometry = the_record(write(cine, tmp_path / "a.dcm"), catalogue).core.geometry
    assert (geometry.size_t, geometry.size_z, geometry.verdict) == (30, None, "none")


def test_an_object_without_pixels_has_no_geometry(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    report = an_instance(Rows=None, Columns=None, PixelData=None, Modality="SR")
    record = the_record(write(report, tmp_path / "a.dcm"), catalogue)
    assert record.core.geometry.model_dump(exclude_none=True) == {"verdict": "none"}


def test_sizes_that_differ_are_told(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    write_series(tmp_path, [an_instance(1), an_instance(2), an_instance(3, Rows=8, PixelData=bytes(64))])
    record = the_record(tmp_path, catalogue)
    assert record.core.geometry.size_y == 4
    assert "several-sizes" in codes(record)
    assert record.community.dicom is not None
    assert "size" in record.community.dicom.mixed


def test_the_flattened_values_are_scalars_by_field_id(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    record = the_record(write(an_instance(ImageType=["ORIGINAL", "PRIMARY"], BodyPartExamined="HEAD"), tmp_path / "a.dcm"), catalogue)
    values = catalogue.values(record)
    assert values["modality"] == ("DCM:MR",)
    assert values["body_part"] == ("SCT:69536005",)
    assert values["image_type"] == ("ORIGINAL", "PRIMARY")
    assert values["acquired_on"] == ("2021-03-15",)
    assert values["series.geometry"] == ("single",)
    assert set(values) <= set(catalogue.fields)
    assert all(isinstance(value, str | int | float | bool) for scalars in values.values() for value in scalars)


def test_the_same_files_give_the_same_record(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    write_series(tmp_path, [an_instance(number) for number in (3, 1, 2)])
    assert outcomes(tmp_path, catalogue) == outcomes(tmp_path, catalogue)


def test_values_of_a_bulky_header_still_hide_names_that_sequences_repeat(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    nested = an_instance(RequestAttributesSequence=items(an_item(RequestingPhysician="Underhill^Rosa")), SeriesDescription="for Underhill")
    assert "series.description" not in attributes(the_record(write(nested, tmp_path / "a.dcm"), catalogue))


def test_a_dose_grid_lies_where_its_offsets_say(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    grid = an_instance(NumberOfFrames=4, GridFrameOffsetVector=[0, 3, 6, 12], PixelData=bytes(32 * 4))
    geometry = the_record(write(grid, tmp_path / "a.dcm"), catalogue).core.geometry
    assert (geometry.size_z, geometry.spacing_z_mm, geometry.missing_slices, geometry.verdict) == (4, 3.0, 1, "irregular")
    nowhere = an_instance(NumberOfFrames=2, GridFrameOffsetVector=[0, 3], ImagePositionPatient=None, PixelData=bytes(64))
    assert the_record(write(nowhere, tmp_path / "b.dcm"), catalogue).core.geometry.verdict == "none"


def test_duplicates_gaps_and_tilt_are_told_as_findings(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    twice = [an_instance(n, ImagePositionPatient=[0, 0, z], InstanceNumber=1) for n, z in ((1, 0), (2, 0), (3, 1), (4, 2), (5, 4), (6, 5))]
    assert codes(the_record(write_series(tmp_path / "a", twice), catalogue)) == ["duplicate-positions", "missing-slices"]
    tilted = [an_instance(n, ImagePositionPatient=[0, n, n * 2.0]) for n in (1, 2, 3)]
    assert codes(the_record(write_series(tmp_path / "b", tilted), catalogue)) == ["sheared"]
    turned = [an_instance(1), an_instance(2, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])]
    assert codes(the_record(write_series(tmp_path / "c", turned), catalogue)) == ["several-orientations"]
    stepped = [an_instance(n, ImagePositionPatient=[0, 0, z]) for n, z in enumerate((0, 1, 2.3, 4.1, 9.2), start=1)]
    assert codes(the_record(write_series(tmp_path / "d", stepped), catalogue)) == ["irregular-spacing"]


def test_frames_without_a_position_are_passed_by(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    frames = items(an_item(FrameContentSequence=items(an_item(TemporalPositionIndex=1))), an_item())
    loose = an_instance(PerFrameFunctionalGroupsSequence=frames, NumberOfFrames=2, PixelData=bytes(64), PixelSpacing=None)
    geometry = the_record(write(loose, tmp_path / "a.dcm"), catalogue).core.geometry
    assert (geometry.verdict, geometry.spacing_x_mm) == ("none", None)


def test_a_mix_of_encodings_agrees_by_value_not_by_bytes(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    from pydicom import dcmread
    from pydicom.uid import ImplicitVRLittleEndian

    write_series(tmp_path, [an_instance(1, EchoTrainLength=7), an_instance(2, EchoTrainLength=7)])
    other = dcmread(tmp_path / "001.dcm")
    other.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    other.save_as(tmp_path / "001.dcm", implicit_vr=True, little_endian=True)
    record = the_record(tmp_path, catalogue)
    assert record.community.dicom is not None
    assert record.community.dicom.other["00180091"] == {"vr": "IS", "Value": [7]}
    assert "transfer_syntax" in record.community.dicom.mixed


def test_a_value_of_an_unknown_representation_is_no_value_and_no_error(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    file = write(an_instance(SpecificCharacterSet="ISO_IR 100", ImageType=["ORIGINAL", "PRIMARY"]), tmp_path / "a.dcm")
    file.write_bytes(file.read_bytes().replace(b"\x08\x00\x08\x00CS", b"\x08\x00\x08\x00C\x60"))
    assert "image_type" not in attributes(the_record(file, catalogue))


@pytest.mark.parametrize(
    ("attributes", "code", "verdict"),
    [
        ({"Modality": "CT"}, "modality-contradicts", "contradictory"),
        ({"PatientAge": "020Y"}, "age-contradicts", "contradictory"),
        ({"PatientAge": "060Y"}, None, "complete"),
        ({"StudyDate": "20211301"}, "no-study-date", "missing"),
        ({"PatientID": None}, "no-patient-id", "missing"),
        ({"BodyPartExamined": "PARTIALBODY"}, "body-part-to-map", "odd"),
        ({}, None, "complete"),
    ],
)
def test_what_is_missing_odd_or_contradictory_is_told_and_judged(
    tmp_path: Path, catalogue: FieldCatalogue, attributes: dict[str, str | None], code: str | None, verdict: str
) -> None:
    record = the_record(write(an_instance(**attributes), tmp_path / "a.dcm"), catalogue)
    assert codes(record) == ([code] if code else [])
    assert catalogue.values(record)["quality.verdict"] == (verdict,)


def test_a_stated_spacing_that_is_not_the_measured_one_is_told(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    for stated, expected in ((2.5, []), (5.0, ["spacing-contradicts"])):
        series = [an_instance(number, SpacingBetweenSlices=stated) for number in (1, 2, 3)]
        assert codes(the_record(write_series(tmp_path / str(stated), series), catalogue)) == expected


def measured(name: tuple[str, str, str], value: str | None, unit: str = "mm3", scheme: str = "UCUM") -> Dataset:
    told = an_item(MeasurementUnitsCodeSequence=items(a_code(unit, scheme, "unit")), **({"NumericValue": value} if value else {}))
    return an_item(ValueType="NUM", ConceptNameCodeSequence=items(a_code(*name)), MeasuredValueSequence=items(told))


VOLUME, DIAMETER, LOCAL = ("118565006", "SCT", "Volume"), ("81827009", "SCT", "Diameter"), ("1", "99ME", "Zelda's size")


def a_report(*measures: Dataset) -> Dataset:
    group = an_item(ValueType="CONTAINER", ContentSequence=items(*measures, an_item(ValueType="NUM")))
    return an_instance(Modality="SR", Rows=None, PixelData=None, ContentSequence=items(an_item(ContentSequence=items(group)), group))


def test_a_report_says_what_it_measures_at_any_depth_with_numbers_and_units(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    many = [measured(VOLUME, value) for value in ("12.50", "3.0", "12.5", "", None)]
    report = a_report(*many, measured(DIAMETER, "7", "mm"), measured(DIAMETER, "99", "inch", "99ME"), measured(LOCAL, "41.5"))
    record = the_record(write(report, tmp_path / "a.dcm"), catalogue)
    assert attributes(record)["sr.measurement"] == ("SCT:118565006", "SCT:81827009")
    assert record.community.dicom.other["measurements"] == {"SCT:118565006": {"mm3": [3, 12.5]}, "SCT:81827009": {"mm": [7]}}
    assert "41.5" not in record.model_dump_json()
    assert long_tail(record)["dicom/measurements/SCT:118565006/mm3"] == ["3", "12.5"]


def test_a_number_that_is_the_patients_id_is_no_measurement(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    report = a_report(measured(VOLUME, "4711"))
    report.PatientID = "4711"
    record = the_record(write(report, tmp_path / "a.dcm"), catalogue)
    assert "measurements" not in record.community.dicom.other
    assert "4711" not in record.model_dump_json()


def test_a_field_of_the_catalogue_takes_its_numbers_from_reports_in_its_unit_only(tmp_path: Path) -> None:
    field = "title: V, help: h, grain: series, missing: m, source: {measurement: [SCT:118565006]}"
    lines = [f"  - {{id: lung.v_{unit}, {field}, type: float, unit: {unit}, module: 'custom:lung'}}\n" for unit in ("mm3", "cm3")]
    (tmp_path / "fields.yaml").write_text("include: [default]\nfields:\n" + "".join(lines))
    catalogue = load_catalogue(tmp_path / "fields.yaml")
    file = write(a_report(measured(VOLUME, "12.5"), measured(VOLUME, "9")), tmp_path / "a.dcm")
    (record,) = read_paths([file], catalogue=catalogue, key=b"k" * 32, project="lung", center="local")
    assert record.custom == {"lung.v_mm3": (9, 12.5)}
    assert catalogue.values(record)["lung.v_mm3"] == (9, 12.5)
    (tmp_path / "fields.yaml").write_text(f"fields:\n  - {{id: v, {field}, type: keyword, module: community}}\n")
    with pytest.raises(InvalidConfiguration, match="a float with a UCUM unit"):
        load_catalogue(tmp_path / "fields.yaml")


ODD_BYTES = {"Rows": 3, "Columns": 3, "BitsAllocated": 8, "PixelData": bytes(10)}


@pytest.mark.parametrize(
    ("attributes", "contradict"),
    [
        ({}, False),
        ({"Rows": 5}, True),
        ({"NumberOfFrames": 2}, True),
        ({"Rows": 3, "Columns": 3, "BitsAllocated": 8, "PixelData": bytes(10)}, False),
    ],
)
def test_pixels_that_do_not_fit_their_header_are_told(
    tmp_path: Path, catalogue: FieldCatalogue, attributes: dict[str, Any], contradict: bool
) -> None:
    assert ("pixels-contradict" in codes(the_record(write(an_instance(**attributes), tmp_path / "a.dcm"), catalogue))) == contradict
