"""Seeded builders: a CT header, and one that carries every attribute of the table at two levels."""

from __future__ import annotations

from datetime import date, timedelta
from io import BytesIO

from pydicom import dcmread, dcmwrite
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset

from fairlead.deidentify.part10 import write_parts
from fairlead.deidentify.parts import blocks_of
from fairlead.deidentify.table import Row, attribute_rows, is_plain, load_rows

CT = "1.2.840.10008.5.1.4.1.1.2"
SHARED_GROUPS = 0x52009229  # in no row of the table: must be walked into
KEY = bytes(range(32))


def a_ct(**changes: object) -> FileDataset:
    """Return a small CT slice without pixels, with a patient."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    file = FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = CT, "1.3.6.1.4.1.99999.1.3"
    file.StudyInstanceUID, file.SeriesInstanceUID = "1.3.6.1.4.1.99999.1.1", "1.3.6.1.4.1.99999.1.2"
    file.Modality, file.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    file.PatientName, file.PatientID, file.PatientBirthDate, file.PatientSex = "Mustermann^Erika", "MRN-4711-X", "19640812", "F"
    file.StudyDate, file.StudyTime, file.AccessionNumber = "20200229", "101500", "ACC998877"
    file.ContentDate, file.ContentTime, file.StudyID = "20200229", "101501", ""
    file.ReferringPhysicianName, file.FrameOfReferenceUID = "Doktor^Eisenbart", "1.3.6.1.4.1.99999.1.4"
    for name, value in changes.items():
        setattr(file, name, value)
    return file


def as_file(dataset: FileDataset) -> bytes:
    """Return the Part 10 bytes of a data set."""
    buffer = BytesIO()
    meta = dataset.file_meta
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    dcmwrite(buffer, dataset, enforce_file_format=True, implicit_vr=meta.TransferSyntaxUID == "1.2.840.10008.1.2", little_endian=True)
    return buffer.getvalue()


def reread(dataset: FileDataset) -> FileDataset:
    """Return the data set as a reader finds it: raw elements, nothing converted."""
    return dcmread(BytesIO(as_file(dataset)))


def table_rows() -> list[Row]:
    """Return the 613 attributes of Table E.1-1 itself."""
    rows = attribute_rows()
    return [rows[int(raw["id"], 16)] for raw in load_rows() if is_plain(raw)]


def planted(row: Row, level: int) -> object:
    """Return a value that can be recognised wherever it turns up: the tag and the level are in it."""
    mark, number = f"PL{row.tag:08X}{level}", table_rows_index(row.tag) * 2 + level
    day = (date(1931, 1, 1) + timedelta(days=number)).strftime("%Y%m%d")
    clock = f"{number // 3600:02d}{number // 60 % 60:02d}{number % 60:02d}"
    special = {
        "DA": day, "DT": day + "110203", "TM": clock, "PN": f"{mark}^Joe", "UI": f"1.3.6.1.4.1.99999.{row.tag}.{level}",
        "AS": "091Y", "DS": f"7{number:05d}", "IS": f"7{number:05d}", "UR": f"http://{mark}", "US": 40000 + number,
        "OB": mark.encode() + b"!", "UN": mark.encode() + b"!",
    }  # fmt: skip
    return special.get(row.vr, mark)


_ORDER = {row.tag: index for index, row in enumerate(table_rows())}


def table_rows_index(tag: int) -> int:
    return _ORDER[tag]


def plant(row: Row, level: int) -> DataElement:
    """Return the attribute with its planted value; sequences hold an item with a meaning and a text, or a reference."""
    if row.vr != "SQ":
        return DataElement(row.tag, row.vr, planted(row, level))
    item = Dataset()
    item.CodeMeaning, item.TextValue = f"PL{row.tag:08X}{level}M", f"PL{row.tag:08X}{level}T"
    if row.basic == "X/Z/U*":
        item = Dataset()
        item.ReferencedSOPInstanceUID = f"1.3.6.1.4.1.99999.{row.tag}.{level}"
    return DataElement(row.tag, "SQ", [item])


def harness() -> FileDataset:
    """Return a CT with all 613 attributes at the top and again inside an item of Shared Functional Groups Sequence."""
    file = a_ct()
    nested = Dataset()
    for row in table_rows():
        file[row.tag] = plant(row, 0)
        nested[row.tag] = plant(row, 1)
    file.add(DataElement(SHARED_GROUPS, "SQ", [nested]))
    return file


def encode(dataset: Dataset, *, syntax: str) -> bytes:
    """Return the bytes of a de-identified data set as the product writes them."""
    return b"".join(blocks_of(write_parts(dataset, syntax=syntax, pixels={}).parts))
