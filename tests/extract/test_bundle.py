"""The whole test bundle: every file is accounted for, the geometry is the measured one, and no identity is in any record."""

from __future__ import annotations

import csv
import logging
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pydicom
import pytest
import tifffile
from jsonschema import Draft202012Validator
from lxml import etree

from extract.builders import KEY, outcomes, received, the_record
from fairlead.extract import FieldCatalogue, read_file, record_schema
from fairlead.records import ImagingRecord, Refusal

OWN_KEYS = {"id", "source", "study_uid", "series_uid", "generation", "patient_key"}
IDENTIFYING = ("PatientID", "PatientBirthDate", "AccessionNumber", "OtherPatientIDs")


@pytest.fixture(scope="module")
def dicom(data: Path, catalogue: FieldCatalogue) -> list[ImagingRecord | Refusal]:
    return outcomes(data / "dicom", catalogue)


@pytest.fixture(scope="module")
def ome(data: Path, catalogue: FieldCatalogue) -> list[ImagingRecord | Refusal]:
    return outcomes(data / "ome", catalogue)


def records(found: list[ImagingRecord | Refusal]) -> list[ImagingRecord]:
    return [outcome for outcome in found if isinstance(outcome, ImagingRecord)]


def refused(found: list[ImagingRecord | Refusal]) -> dict[str, str]:
    return {Path(outcome.source).name: outcome.code for outcome in found if isinstance(outcome, Refusal)}


def manifest(data: Path) -> list[dict[str, str]]:
    """Return the rows of the bundle's manifest."""
    with (data / "MANIFEST.tsv").open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def test_every_dicom_file_is_an_instance_or_refused_or_a_directory(data: Path, dicom: list[ImagingRecord | Refusal]) -> None:
    seen = sum(1 for file in (data / "dicom").rglob("*") if file.is_file())
    read = sum(record.core.instances for record in records(dicom))
    directories = 3  # DICOMDIR, -bigEnd and -implicit of the file-set: their files are read
    assert seen == 416
    assert read + len(dicom) - len(records(dicom)) + directories == seen


def test_every_ome_file_is_read_or_a_part_or_refused(data: Path, catalogue: FieldCatalogue, ome: list[ImagingRecord | Refusal]) -> None:
    inputs = {data / row["path"] for row in manifest(data) if row["path"].startswith("ome/")}
    known = {Path(path) for record in records(ome) for path in record.core.source.paths}
    known |= {Path(outcome.source) for outcome in ome if isinstance(outcome, Refusal)}
    parts = {path for path in inputs - known if read_file(received(path), catalogue=catalogue, key=KEY) == ()}
    assert {path.name for path in parts} == {f"multifile-Z{z}.ome.tiff" for z in range(1, 6)}
    assert inputs - known - parts == set()


def test_every_ome_image_of_the_manifest_is_a_record(data: Path, ome: list[ImagingRecord | Refusal]) -> None:
    expected = {
        row["path"]: int(match[1])
        for row in manifest(data)
        if row["path"].startswith("ome/xml/") and (match := re.fullmatch(r"(\d+) images", row["frames_or_shape"]))
    }
    found = Counter(str(Path(record.core.source.paths[0]).relative_to(data)) for record in records(ome))
    assert len(expected) == 48
    assert {path: found[path] for path in expected} == expected


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("derived_empty.dcm", "not-dicom"),
        ("derived_text_named.dcm", "not-dicom"),
        ("derived_missing_series_uid.dcm", "invalid-uid"),
        ("derived_missing_study_uid.dcm", "invalid-uid"),
        ("derived_missing_sop_instance_uid.dcm", "invalid-uid"),
        ("derived_truncated_in_header.dcm", "invalid-uid"),
        ("derived_preamble_only.dcm", "invalid-uid"),
        ("derived_same_uid_other_pixels.dcm", "conflict"),
        ("DICOMDIR-empty.dcm", "unsupported"),
        ("DICOMDIR-nooffset", "unsupported"),
    ],
)
def test_broken_dicom_is_refused_by_name(dicom: list[ImagingRecord | Refusal], name: str, code: str) -> None:
    assert refused(dicom)[name] == code


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("truncated.ome.tif", "unreadable-image"),
        ("truncated.ome.xml", "unreadable-image"),
        ("entity_expansion_small.ome.xml", "unreadable-image"),
        ("missing_sizez.ome.xml", "unreadable-image"),
        ("bad_enum.ome.xml", "unreadable-image"),
        ("wrong_namespace.ome.xml", "unsupported"),
        ("bad_version_v04.ome.zarr", "unsupported"),
        ("no_zattrs_v04.ome.zarr", "unsupported"),
        ("no_axes_v04.ome.zarr", "unreadable-image"),
        ("dangling_level_v04.ome.zarr", "unreadable-image"),
        ("spatialdata_blobs_v04.ome.zarr", "unsupported"),
    ],
)
def test_broken_ome_is_refused_by_name(ome: list[ImagingRecord | Refusal], name: str, code: str) -> None:
    assert refused(ome)[name] == code


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("ct/philips_phantom_axial_1mm", {"size_z": 32, "spacing_z_mm": 1.0, "verdict": "regular"}),
        ("ct/ge_tilt_variable_spacing", {"size_z": 15, "spacing_z_mm": None, "verdict": "irregular", "regular": False}),
        ("pt/siemens_quadra_fdg", {"size_z": 24, "spacing_z_mm": 2.0, "verdict": "regular"}),
        ("mr/ge_fmri_4d", {"size_z": 15, "size_t": 10, "spacing_z_mm": 5.0, "duplicate_positions": 0}),
        ("mr/siemens_multiecho_gre", {"size_z": 12, "size_t": 1, "spacing_z_mm": 3.6, "duplicate_positions": 0}),
        ("mr/philips_dti", {"size_z": 2, "spacing_z_mm": pytest.approx(2.0, abs=1e-4), "duplicate_positions": 0}),
        ("mr/ge_dti", {"size_z": 4, "spacing_z_mm": pytest.approx(2.0, abs=1e-4), "duplicate_positions": 0}),
        ("mr/siemens_mosaic", {"size_x": 216, "size_z": None, "verdict": "none"}),
        ("mr_enhanced/philips_enhanced_anatomical.dcm", {"size_z": 8, "size_x": 256, "verdict": "regular"}),
        ("rt/rtdose.dcm", {"size_z": 15, "spacing_z_mm": 5.0, "verdict": "regular"}),
        ("sm/camelyon_jpeg", {"size_x": 1152, "size_y": 700, "size_c": 3, "verdict": "single"}),
        ("us/us_ybr_multiframe_jpeg.dcm", {"size_t": 30, "size_c": 3, "verdict": "none"}),
        ("seg/dcmqi_liver.dcm", {"size_z": 3, "size_x": 512, "verdict": "regular"}),
    ],
)
def test_the_geometry_is_the_measured_one(data: Path, catalogue: FieldCatalogue, path: str, expected: dict[str, Any]) -> None:
    geometry = the_record(data / "dicom" / path, catalogue).core.geometry
    assert {name: getattr(geometry, name) for name in expected} == expected


GOLDEN: list[tuple[str, dict[str, Any]]] = [
    (
        "dicom/ct/philips_phantom_axial_1mm",
        {
            "modality": ("DCM:CT",),
            "body_part": ("SCT:12738006",),
            "acquired_on": ("2015-02-06",),
            "series.instances": (32,),
            "ct.kvp": (120.0,),
            "manufacturer": ("Philips",),
            "model": ("Ingenuity CT",),
            "series.slice_thickness_mm": (1.0,),
            "patient.basis": ("stated",),
        },
    ),
    (
        "dicom/pt/siemens_quadra_fdg",
        {
            "modality": ("DCM:PT",),
            "body_part": ("PARTIALBODY",),
            "pt.units": ("BQML",),
            "series.slice_thickness_mm": (3.0,),
            "patient.sex": ("M",),
        },
    ),
    (
        "dicom/mr/siemens_multiecho_gre",
        {"mr.echo_time_ms": (5.19, 7.65), "quality.mixed": ("mr.echo_time_ms",), "mr.field_strength_t": (3.0,)},
    ),
    ("dicom/mr/philips_dti", {"mr.b_value": (0.0, 1000.0)}),
    ("dicom/mr_enhanced/emri_small.dcm", {"modality": ("DCM:MR",), "series.frames": (10,)}),
    ("dicom/seg/dcmqi_liver.dcm", {"segmentation.property": ("SCT:10200004",), "segmentation.algorithm_type": ("SEMIAUTOMATIC",)}),
    (
        "dicom/seg/dcmqi_liver.dcm",
        {
            "segmentation.category": ("SCT:85756007",),
            "segmentation.label": ("Liver",),
            "segmentation.algorithm": ("SlicerEditor",),
            "segmentation.type": ("BINARY",),
            "quality.verdict": ("complete",),
        },
    ),
    (
        "dicom/sr/highdicom_tid1500.dcm",
        {
            "modality": ("DCM:SR",),
            "sr.title": ("DCM:126000",),
            "sr.template": ("1500",),
            "sr.completion": ("PARTIAL",),
            "sr.measurement": ("SRT:G-A16A",),
        },
    ),
    (
        "dicom/rt/rtstruct.dcm",
        {
            "modality": ("DCM:RTSTRUCT",),
            "series.geometry": ("none",),
            "rt.roi_name": ("Isocenter 1", "Isocenter 2", "patient"),
            "rt.roi_type": ("EXTERNAL", "ISOCENTER"),
        },
    ),
    (
        "dicom/ct_enhanced/CT0012.fragmented_no_bot_jpeg_lossless.57.dcm",
        {
            "modality": ("DCM:CT",),
            "body_part": ("SCT:12738006",),
            "series.frames": (2,),
            "series.spacing_z_mm": (10.0,),
            "transfer_syntax": ("1.2.840.10008.1.2.4.57",),
        },
    ),
    (
        "dicom/us/us_ybr_multiframe_jpeg.dcm",
        {
            "modality": ("DCM:US",),
            "series.size_t": (30,),
            "series.photometric": ("YBR_FULL_422",),
            "sop_class": ("1.2.840.10008.5.1.4.1.1.3.1",),
        },
    ),
    ("dicom/sc/SC_rgb_dcmtk_+eb+cr.dcm", {"modality": ("DCM:OT",), "series.photometric": ("RGB",), "series.geometry": ("none",)}),
    ("dicom/pr/gsps_phantom.dcm", {"modality": ("DCM:PR",), "sop_class": ("1.2.840.10008.5.1.4.1.1.11.1",), "series.geometry": ("none",)}),
    ("dicom/pm/parametric_map_float.dcm", {"sop_class": ("1.2.840.10008.5.1.4.1.1.30",), "series.geometry": ("single",)}),
    ("dicom/private/wsi_private_tags.dcm", {"modality": ("DCM:SM",), "series.size_x": (234,), "quality.verdict": ("missing",)}),
    ("dicom/odd/derived_rows_mismatch.dcm", {"quality.finding": ("odd-age", "pixels-contradict")}),
    ("dicom/rt/rtdose.dcm", {"modality": ("DCM:RTDOSE",), "rt.dose_type": ("PHYSICAL",), "rt.dose_summation": ("BEAM",)}),
    (
        "dicom/pt/siemens_quadra_fdg",
        {
            "pt.half_life_s": (23410100.0,),
            "pt.decay_correction": ("START",),
            "pt.corrected_image": ("ATTN", "DECY", "DTIM", "NORM", "RAN", "SCAT"),
            "pt.radionuclide": ("SCT:53315004",),
        },
    ),
    (
        "dicom/sm/camelyon_jpeg",
        {"slide.illumination": ("DCM:111741",), "slide.label_in_image": ("NO",), "quality.finding": ("no-patient-id", "no-study-date")},
    ),
    ("ome/tiff/cardio_left_pyramid.ome.tif", {"quality.rembi_percent": (31,), "quality.verdict": ("missing",)}),
    ("dicom/dx/highdicom_dx_dog.dcm", {"modality": ("DCM:DX",), "body_part": ("SCT:816094009",), "series.photometric": ("MONOCHROME1",)}),
    ("dicom/sm/camelyon_jpeg", {"modality": ("DCM:SM",), "patient.basis": ("assumed",), "series.frames": (23,), "series.lossy": ("01",)}),
    ("dicom/transfer_syntax/J2K_pixelrep_mismatch.dcm", {"transfer_syntax": ("1.2.840.10008.1.2.4.90",)}),
    (
        "ome/tiff/cardio_left_pyramid.ome.tif",
        {"ome.channel_name": ("DAPI", "Lamin B1", "nanog"), "series.spacing_x_mm": (0.00065,), "series.size_c": (3,)},
    ),
    (
        "ome/tiff/series_tzcyx.ome.tif",
        {"series.size_t": (4,), "series.size_z": (3,), "series.spacing_z_mm": (0.0012,), "ome.time_increment_s": (2.5,)},
    ),
    (
        "ome/xml/2016-06/hcs.ome.xml",
        {"ome.plate": ("Control Plate",), "ome.well": ("A1",), "imaging_method": ("FBbi:00000251",), "ome.schema": ("2016-06",)},
    ),
    (
        "ome/xml/2008-09/instrument.ome.xml",
        {"ome.objective_magnification": (60.0,), "ome.immersion": ("Air",), "acquired_on": ("2010-02-23",)},
    ),
    (
        "ome/zarr/cardio_left_crop_v0.5.ome.zarr",
        {"ome.format": ("OME-Zarr",), "ome.schema": ("0.5",), "series.size_x": (512,), "series.size_c": (3,)},
    ),
    ("ome/zarr/cardio_left_v0.4.ome.zarr", {"ome.labels": ("nuclei",), "ome.channel_name": ("DAPI", "Lamin B1", "nanog")}),
    (
        "ome/zarr/viv_bioformats.zarr",
        {
            "ome.schema": ("0.1",),
            "series.size_c": (3,),
            "series.size_x": (439,),
            "ome.dimension_order": ("tczyx",),
            "ome.image_path": ("0",),
        },
    ),
    ("ome/xml/ome-types/bad.ome.xml", {"quality.finding": ("metadata-only", "no-patient-id", "schema-invalid")}),
    ("ome/xml/ome-types/invalid_xml_annotation.ome.xml", {"quality.finding": ("metadata-only", "no-patient-id", "schema-invalid")}),
    ("ome/xml/2012-06/filter.ome.xml", {"quality.finding": ("metadata-only", "no-patient-id")}),
    ("ome/zarr/ngio_czyx_v04.zarr", {"quality.finding": ("no-chunks", "no-patient-id"), "series.size_z": (10,)}),
]


@pytest.mark.parametrize(("path", "expected"), GOLDEN, ids=[path for path, _ in GOLDEN])
def test_a_record_of_each_kind_says_what_the_file_says(data: Path, catalogue: FieldCatalogue, path: str, expected: dict[str, Any]) -> None:
    values = catalogue.values(the_record(data / path, catalogue))
    assert {name: values.get(name) for name in expected} == expected


def test_every_field_of_a_real_plate_is_a_record(data: Path, catalogue: FieldCatalogue) -> None:
    found = records(outcomes(data / "ome/zarr/ngff-challenge_hcs_v04.ome.zarr", catalogue))
    values = [catalogue.values(record) for record in found]
    assert [one["ome.well"][0] for one in values] == ["A1", "A1", "A2", "A2", "B1", "B1", "B2", "B2"]
    assert {one["ome.plate"] for one in values} == {("Plate Name 0",)}
    sparse = records(outcomes(data / "ome/zarr/plate_0.4.ome.zarr", catalogue))
    assert [catalogue.values(record)["ome.image_path"] for record in sparse] == [("A/1/0",), ("B/2/0",)]
    assert [catalogue.values(record)["ome.labels"] for record in sparse] == [("nuclei",), ("nuclei",)]


def test_the_schema_rejects_what_an_independent_validator_rejects(data: Path, ome: list[ImagingRecord | Refusal]) -> None:
    """The manifest says of each file of 2016-06 whether the XSD of its own version holds."""
    verdicts = {row["path"]: row["opens"] for row in manifest(data) if row["path"].startswith("ome/xml/")}
    for record in records(ome):
        path = str(Path(record.core.source.paths[0]).relative_to(data))
        codes = {finding.code for finding in record.findings}
        if "XSD" in verdicts.get(path, ""):
            assert ("schema-invalid" in codes) == ("XSD INVALID" in verdicts[path]), path
        elif path in verdicts:  # the samples that were published with the older versions
            assert not codes & {"schema-invalid", "schema-unchecked"}, path


@pytest.mark.parametrize(
    ("name", "charset"),
    [
        ("chrArab", "ISO_IR 127"),
        ("chrGerm", "ISO_IR 100"),
        ("chrRuss", "ISO_IR 144"),
        ("chrH31", "ISO 2022 IR 87"),
        ("chrX1", "ISO_IR 192"),
    ],
)
def test_every_character_set_is_read(data: Path, catalogue: FieldCatalogue, name: str, charset: str) -> None:
    file = data / "dicom" / "charset" / f"{name}.dcm"
    assert charset in str(pydicom.dcmread(file, specific_tags=["SpecificCharacterSet"]).SpecificCharacterSet)
    assert the_record(file, catalogue).core.kind == "dicom-series"


def texts(value: Any) -> Iterator[str]:
    """Yield every value of a JSON document as text; UIDs may stay and hold any digits."""
    if isinstance(value, dict):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)
    elif not re.fullmatch(r"\d+(\.\d+){2,}", str(value)):
        yield WORDS.sub("", str(value).casefold())


def told(file: str) -> set[str]:
    """Return names, ids, birth dates and accession numbers of a file, whole and by component, four characters or longer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd values of the bundle; they are what is looked for
        elements = [
            e for e in pydicom.dcmread(file, force=True, stop_before_pixels=True).iterall() if e.VR == "PN" or e.keyword in IDENTIFYING
        ]
        values = [str(value) for e in elements for value in (e.value if e.VM > 1 else [e.value])]
    return {part.casefold() for value in values for part in (value, *re.split(r"[\^= ]+", value)) if len(part) >= 4}


@pytest.fixture(autouse=True)
def _quiet_oracle(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="pydicom")


WORDS = re.compile("primary|label|imaging|patient|head|brain|phantom")
"""Words of the standard that ids and names of phantoms in the bundle are made of: MARY is in PRIMARY, a patient is called Brain."""


def test_no_name_id_birth_date_or_accession_number_is_in_any_record(dicom: list[ImagingRecord | Refusal]) -> None:
    leaks = []
    for record in records(dicom):
        document = record.model_dump(mode="json", exclude={"core": OWN_KEYS})
        found = list(texts(document))
        known = {text for path in record.core.source.paths for text in told(path)}
        leaks += [(Path(record.core.source.paths[0]).name, text) for text in known if any(text in one for one in found)]
    assert leaks == []


def test_every_record_holds_against_the_schema(
    dicom: list[ImagingRecord | Refusal], ome: list[ImagingRecord | Refusal], catalogue: FieldCatalogue
) -> None:
    validator = Draft202012Validator(record_schema(catalogue))
    for record in records([*dicom, *ome]):
        assert validator.is_valid(record.model_dump(mode="json")), record.id


def named_in_ome(file: Path) -> set[str]:
    """Return every text of the experimenters that the OME-XML of a file names, four characters or longer."""
    if file.is_dir():
        xml = (file / "OME/METADATA.ome.xml").read_bytes() if (file / "OME/METADATA.ome.xml").is_file() else b"<OME/>"
    elif file.suffix in (".tif", ".tiff"):
        with tifffile.TiffFile(file) as tiff:
            xml = tiff.pages.first.description.encode()
    else:
        xml = file.read_bytes()
    people = [one for one in etree.fromstring(xml).iter("{*}Experimenter", "{*}Person")]
    stated = [text for one in people for part in one.iter("{*}*") for text in (*part.attrib.values(), part.text or "")]
    return {text.strip().casefold() for text in stated if len(text.strip()) >= 4 and ":" not in text}


def test_no_experimenter_is_in_any_record_of_an_ome_file(ome: list[ImagingRecord | Refusal]) -> None:
    people, leaks = set(), []
    for record in records(ome):
        file = Path(record.core.source.paths[0])
        document = list(texts(record.model_dump(mode="json", exclude={"core": OWN_KEYS})))
        known = named_in_ome(file)
        people |= known
        leaks += [(file.name, text) for text in known if any(text in one for one in document)]
    assert {"smith", "john@example.org"} <= people
    assert leaks == []


def test_refusals_speak_of_places_never_of_content(dicom: list[ImagingRecord | Refusal], ome: list[ImagingRecord | Refusal]) -> None:
    keywords = re.compile(r"(StudyInstanceUID|SeriesInstanceUID|SOPInstanceUID)(, )?|Pixels \w+")
    reasons = {keywords.sub("", outcome.reason) for outcome in [*dicom, *ome] if isinstance(outcome, Refusal)}
    assert len(reasons) <= 20, reasons  # fixed sentences: nothing of a file is in them


def test_dates_of_the_bundle_are_plausible(dicom: list[ImagingRecord | Refusal]) -> None:
    dates = [record.core.acquired_on for record in records(dicom) if record.core.acquired_on]
    assert dates
    assert all(date(1990, 1, 1) <= found <= date(2026, 12, 31) for found in dates)


def test_a_real_report_gives_its_number_with_its_unit(data: Path, catalogue: FieldCatalogue) -> None:
    other = the_record(data / "dicom/sr/highdicom_tid1500.dcm", catalogue).community.dicom.other
    assert other["measurements"] == {"SRT:G-A16A": {"cm2": [1.7]}}
