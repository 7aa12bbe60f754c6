"""The public table of IDC becomes records; pyarrow is a fake here, because it comes with an extra only."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from fairlead.errors import InvalidInput, NotFound
from fairlead.extract import FieldCatalogue, load_catalogue
from fairlead.index import All, Term, load_idc, open_index
from fairlead.index.idc import COLUMNS, record_of
from fairlead.resources import configs_folder
from fairlead.settings import Settings

ROW: dict[str, Any] = {
    "collection_id": "4d_lung",
    "analysis_result_id": None,
    "PatientID": "100_HM10395",
    "SeriesInstanceUID": "1.3.6.1.4.1.14519.5.2.1.1",
    "StudyInstanceUID": "1.3.6.1.4.1.14519.5.2.1",
    "source_DOI": "10.7937/k9/tcia.2016.eln8ygle",
    "PatientAge": "000Y",
    "PatientSex": "M",
    "StudyDate": "1997-09-17",
    "StudyDescription": "p4",
    "BodyPartExamined": "CHEST",
    "Modality": "CT",
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
    "TransferSyntaxUID": "1.2.840.10008.1.2.1",
    "PhotometricInterpretation": "MONOCHROME2",
    "Manufacturer": "SIEMENS",
    "ManufacturerModelName": None,
    "SeriesDate": None,
    "SeriesDescription": "P4, Gated",
    "SeriesNumber": "501",
    "instanceCount": 50,
    "license_short_name": "CC BY 3.0",
    "series_init_idc_version": 2,
    "series_revised_idc_version": 2,
    "crdc_series_uuid": "085e85b3-3780-47f6-8538-585bcca95336",
    "series_aws_url": "s3://idc-open-data/085e85b3/*",
    "series_size_MB": 26.405988,
}


def rows(count: int) -> list[dict[str, Any]]:
    """Return rows of two patients in turn."""
    return [ROW | {"SeriesInstanceUID": f"1.2.{number}", "PatientID": f"P{number % 2}"} for number in range(count)]


@pytest.fixture
def catalogue() -> FieldCatalogue:
    return load_catalogue(configs_folder() / "fields.yaml")


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that the fake pyarrow reads as five rows, or as what its name says."""

    class ParquetFile:
        def __init__(self, file: Path) -> None:
            if file.name == "broken":
                raise ValueError
            self.metadata = SimpleNamespace(num_rows=5)
            self.schema_arrow = SimpleNamespace(names=COLUMNS if file.name == "table" else ("collection_id",))

        def iter_batches(self, _size: int, *, columns: list[str]) -> Any:
            for part in (rows(5)[:3], rows(5)[3:]):
                yield SimpleNamespace(column=lambda name, part=part: SimpleNamespace(to_pylist=lambda: [row[name] for row in part]))

    arrow, parquet = ModuleType("pyarrow"), ModuleType("pyarrow.parquet")
    arrow.ArrowException, parquet.ParquetFile = ValueError, ParquetFile  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyarrow", arrow)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)
    for name in ("table", "broken", "other"):
        (tmp_path / name).touch()
    return tmp_path / "table"


def test_a_row_is_a_record_by_the_documented_mapping(catalogue: FieldCatalogue) -> None:
    record = record_of(ROW)
    assert record.id == "4d_lung:idc:1.3.6.1.4.1.14519.5.2.1.1"
    assert (record.core.instances, record.core.size_bytes, record.core.acquired_on) == (50, 26_405_988, date(1997, 9, 17))
    assert "HM10395" not in record.model_dump_json()
    found = catalogue.values(record)
    assert found["modality"] == ("DCM:CT",)
    assert found["body_part"] == ("SCT:816094009",)
    assert (found["manufacturer"], found["manufacturer_raw"]) == (("Siemens Healthineers",), ("SIEMENS",))
    assert (found["study_date"], found["patient.sex"], found["licence"]) == (("1997-09-17",), ("M",), ("CC BY 3.0",))
    assert "patient.age_years" not in found  # 000Y is what de-identification leaves
    assert "model" not in found


@pytest.mark.parametrize(
    ("column", "value", "field", "expected"),
    [
        ("PatientSex", "0000", "patient.sex", None),
        ("PatientAge", "018M", "patient.age_years", (1.5,)),
        ("BodyPartExamined", "WO INTER", "body_part", ("WO INTER",)),
        ("BodyPartExamined", None, "body_part", None),
        ("StudyDate", None, "study_date", None),
        ("Manufacturer", None, "manufacturer", None),
    ],
)
def test_missing_and_junk_are_no_values(catalogue: FieldCatalogue, column: str, value: Any, field: str, expected: Any) -> None:
    assert catalogue.values(record_of(ROW | {column: value})).get(field) == expected


def test_the_table_is_loaded_once_and_found_unchanged_the_second_time(table: Path, settings: Settings, catalogue: FieldCatalogue) -> None:
    index = open_index(settings, catalogue)
    assert load_idc(index, table, limit=4).added == 4
    again = load_idc(index, table)
    assert (again.added, again.unchanged, again.refused) == (1, 4, ())
    counts = index.count(All())
    assert (counts.patients, counts.studies, counts.series, counts.images) == (2, 1, 5, 250)
    assert index.count(Term("licence", "CC BY 3.0")) == counts


@pytest.mark.parametrize(("name", "message"), [("broken", "no Parquet table"), ("other", "no column Body")])
def test_another_file_is_refused(table: Path, settings: Settings, catalogue: FieldCatalogue, name: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        load_idc(open_index(settings, catalogue), table.with_name(name))


def test_a_table_that_is_not_there_is_not_found(table: Path, settings: Settings, catalogue: FieldCatalogue) -> None:
    with pytest.raises(NotFound, match="idc-index-data"):
        load_idc(open_index(settings, catalogue), table.with_name("nowhere"))


def test_a_collection_without_a_usable_name_is_refused() -> None:
    with pytest.raises(InvalidInput, match="usable name"):
        record_of(ROW | {"collection_id": "-"})
