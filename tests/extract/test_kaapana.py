"""A document of a Kaapana index becomes a record; its defects stay there."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.errors import InvalidInput
from fairlead.extract import FieldCatalogue, read_kaapana
from fairlead.records import Route

ROUTE = Route(project="lung", center="kaapana")
DOCUMENT: dict[str, Any] = {
    "00000000 CuratedModality_keyword": "CT",
    "00000000 DerivedPatientAge_integer": 7,
    "00000000 MaxInstanceNumber_integer": 120,
    "00000000 MinInstanceNumber_integer": 1,
    "00000000 MissingInstanceNumbers_integer": [7, 8],
    "00080016 SOPClassUID_keyword": "1.2.840.10008.5.1.4.1.1.2",
    "00080020 StudyDate_date": "2019-06-01",
    "0008002A AcquisitionDateTime_datetime": "2019-05-31 22:11:12.000000",
    "00080060 Modality_keyword": "CT",
    "00080070 Manufacturer_keyword": "SIEMENS",
    "0008103E SeriesDescription_keyword": "Brackenfold thin",
    "00100010 PatientName_keyword_alphabetic": "Brackenfold^Ines",
    "00100020 PatientID_keyword": "PID-7731",
    "00101010 PatientAge_keyword": "052W",
    "00180015 BodyPartExamined_keyword": "CHEST",
    "00180050 SliceThickness_float": 2.5,
    "00280010 Rows_integer": 512,
    "00280011 Columns_integer": 256,
    "00191008 WrongVendorsName_keyword": "x",
    "00081140 ReferencedImageSequence_object": {"00081155 ReferencedSOPInstanceUID_keyword": "1.2.3.4"},
    "0020000D StudyInstanceUID_keyword": "1.2.840.1",
    "0020000E SeriesInstanceUID_keyword": "1.2.840.2",
    "not a property": 1,
    "00280030 PixelSpacing_float": {"no": "numbers"},
}


def test_the_document_is_read_as_a_header(catalogue: FieldCatalogue) -> None:
    record = read_kaapana(DOCUMENT, route=ROUTE, catalogue=catalogue, key=bytes(32))
    found = catalogue.values(record)
    assert (record.id, record.core.instances) == ("kaapana:lung:1.2.840.2", 118)
    assert (found["modality"], found["body_part"], found["manufacturer_raw"]) == (("DCM:CT",), ("SCT:816094009",), ("SIEMENS",))
    assert found["series.slice_thickness_mm"] == (2.5,)
    assert found["patient.age_years"] == (pytest.approx(0.997, abs=0.001),)  # 52 weeks, which Kaapana calls 7 years
    assert str(record.core.acquired_on) == "2019-06-01"  # never the day that two time zone shifts made of it
    assert (record.core.geometry.size_x, record.core.geometry.size_z, record.core.geometry.verdict) == (256, None, "none")
    assert "first-file-only" in [finding.code for finding in record.findings]


def test_nobody_is_named(catalogue: FieldCatalogue) -> None:
    text = read_kaapana(DOCUMENT, route=ROUTE, catalogue=catalogue, key=bytes(32)).model_dump_json().casefold()
    assert not any(part in text for part in ("brackenfold", 'ines"', "pid-7731"))
    assert "wrongvendorsname" not in text
    assert "00191008" not in text


def test_a_document_without_a_series_is_refused(catalogue: FieldCatalogue) -> None:
    with pytest.raises(InvalidInput, match="no study or no series"):
        read_kaapana({"00080060 Modality_keyword": "CT"}, route=ROUTE, catalogue=catalogue, key=bytes(32))
