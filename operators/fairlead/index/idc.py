"""The public table of NCI Imaging Data Commons (package ``idc-index-data``) as records: scale tests and demonstrations on real headers.

One row is one series. What becomes what:

=====================  =====================================================================================================
record                 column
=====================  =====================================================================================================
project, centre        ``idc``; ``collection_id`` as the centre (a PatientID is unique within a collection only)
patient key            hash of ``PatientID``: the ids are public, but no header's patient id is ever a key
study, series          ``StudyInstanceUID``, ``SeriesInstanceUID``; the generation is the hash of ``crdc_series_uuid``
modality, body part    ``Modality``, ``BodyPartExamined`` through the vocabularies; unknown words stay "to map"
instances, bytes       ``instanceCount``; ``series_size_MB`` x 10^6, rounded
licence                ``license_short_name``
sex, age               ``PatientSex`` (M, F, O or none), ``PatientAge`` in years (``000Y`` is none)
study and series       ``StudyDate``, ``SeriesDate``, both descriptions, ``SeriesNumber``
device                 ``Manufacturer`` as written and joined, ``ManufacturerModelName``
encoding               ``SOPClassUID``, ``TransferSyntaxUID``, ``PhotometricInterpretation``
long tail              collection, source DOI, analysis result, IDC versions, address of the bytes
=====================  =====================================================================================================

The bytes themselves stay in the public bucket, so such a record can be searched and counted, not exported.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import batched
from pathlib import Path
from typing import Any, Final

from fairlead.errors import InvalidConfiguration, InvalidInput, NotFound
from fairlead.extract import as_age_years, as_date, as_integer, as_text, vocabulary
from fairlead.index.port import Index, PutReport
from fairlead.progress import Progress, Silent
from fairlead.records import NAME_PATTERN, Community, Concept, Core, DicomMetadata, Geometry, ImagingRecord, Source, Value

PROJECT: Final = "idc"
BATCH: Final = 20_000
TAIL: Final = (
    "collection_id",
    "analysis_result_id",
    "source_DOI",
    "series_init_idc_version",
    "series_revised_idc_version",
    "series_aws_url",
)
COLUMNS: Final = (
    *("SeriesInstanceUID", "StudyInstanceUID", "PatientID", "PatientAge", "PatientSex", "StudyDate", "StudyDescription"),
    *("BodyPartExamined", "Modality", "SOPClassUID", "TransferSyntaxUID", "PhotometricInterpretation", "Manufacturer"),
    *("ManufacturerModelName", "SeriesDate", "SeriesDescription", "SeriesNumber", "instanceCount", "license_short_name"),
    *("crdc_series_uuid", "series_size_MB", *TAIL),
)
NAME: Final = re.compile(NAME_PATTERN)


def load_idc(index: Index, table: Path, *, limit: int | None = None, progress: Progress | None = None) -> PutReport:
    """Put the first ``limit`` rows of the table into the index; loading again finds them unchanged.

    Raises
    ------
    NotFound : there is no such file. InvalidConfiguration : pyarrow is not installed. InvalidInput : not the IDC table.
    """
    total, told = PutReport(), progress or Silent()
    told.start("load", limit)
    for rows in batched(idc_records(table, limit=limit), BATCH):
        done = index.put(rows)
        total = PutReport(
            added=total.added + done.added,
            changed=total.changed + done.changed,
            unchanged=total.unchanged + done.unchanged,
            refused=total.refused + done.refused,
        )
        told.step(len(rows))
    told.finish()
    return total


def idc_records(table: Path, *, limit: int | None = None) -> Iterator[ImagingRecord]:
    """Yield the record of every row, in the order of the table, a part of the file at a time."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError as error:
        raise InvalidConfiguration("Parquet tables need pyarrow, which is not installed.", remedy="Install fairlead[parquet].") from error
    if not table.is_file():
        raise NotFound(f"There is no file {table.name}.", remedy="It is idc_index.parquet of the package idc-index-data.")
    try:
        file = ParquetFile(table)
    except ArrowException as error:
        raise InvalidInput(f"{table.name} is no Parquet table.") from error
    if missing := sorted(set(COLUMNS) - set(file.schema_arrow.names)):
        raise InvalidInput(f"{table.name} is not the IDC table: it has no column {missing[0]}.")
    left = file.metadata.num_rows if limit is None else limit
    for batch in file.iter_batches(BATCH, columns=list(COLUMNS)):
        columns = [batch.column(name).to_pylist() for name in COLUMNS]
        for values in zip(*columns, strict=True):
            if not left:
                return
            left -= 1
            yield record_of(dict(zip(COLUMNS, values, strict=True)))


def record_of(row: Mapping[str, Any]) -> ImagingRecord:
    """Return the record of one row of the table."""
    center, uid = _center(str(row["collection_id"])), str(row["SeriesInstanceUID"])
    core = Core(
        id=f"{center}:{PROJECT}:{uid}",
        kind="dicom-series",
        project=PROJECT,
        center=center,
        patient_key=hashlib.sha256(f"{row['collection_id']}|{row['PatientID']}".encode()).hexdigest()[:32],
        patient_basis="stated",
        study_uid=str(row["StudyInstanceUID"]),
        series_uid=uid,
        generation=hashlib.sha256(str(row["crdc_series_uuid"]).encode()).hexdigest(),
        modality=_concept("modality", row["Modality"]),
        body_part=_concept("body_part", row["BodyPartExamined"]),
        acquired_on=as_date(row["SeriesDate"]) or as_date(row["StudyDate"]),
        instances=int(row["instanceCount"]),
        size_bytes=round(float(row["series_size_MB"]) * 1_000_000),
        geometry=NO_GEOMETRY,
        licence=_text(row["license_short_name"]),
        source=ELSEWHERE,
    )
    tail = {name: row[name] for name in TAIL if row[name] is not None}
    return ImagingRecord(core=core, community=Community(dicom=DicomMetadata(attributes=_attributes(row), other={"idc": tail})))


NO_GEOMETRY: Final = Geometry(verdict="none")
ELSEWHERE: Final = Source(place="archive", paths=())


def _attributes(row: Mapping[str, Any]) -> dict[str, Value]:
    made: dict[str, Value | None] = {
        "study_date": _day(row["StudyDate"]),
        "series.description": _text(row["SeriesDescription"]),
        "manufacturer": _joined("manufacturer", row["Manufacturer"]),
        "manufacturer_raw": _text(row["Manufacturer"]),
        "model": _text(row["ManufacturerModelName"]),
        "patient.sex": _joined("sex", row["PatientSex"]),
        "patient.age_years": as_age_years(row["PatientAge"]),
        "study.description": _text(row["StudyDescription"]),
        "series.number": as_integer(row["SeriesNumber"]),
        "sop_class": _text(row["SOPClassUID"]),
        "transfer_syntax": _text(row["TransferSyntaxUID"]),
        "series.photometric": _text(row["PhotometricInterpretation"]),
    }
    return {name: value for name, value in made.items() if value is not None}


@lru_cache(maxsize=50_000)
def _text(value: str | None) -> str | None:
    return None if value is None else as_text(value)


@lru_cache(maxsize=10_000)
def _concept(name: str, raw: str | None) -> Concept | None:
    text = _text(raw)
    return vocabulary(name).concept(text) if text else None


@lru_cache(maxsize=10_000)
def _joined(name: str, raw: str | None) -> str | None:
    """Return the value under which a catalogue field with a vocabulary without codes is counted."""
    found = _concept(name, raw)
    return None if found is None else found.curie or found.label or found.raw


@lru_cache(maxsize=20_000)
def _day(text: str | None) -> str | None:
    found = as_date(text)
    return found.isoformat() if found else None


@lru_cache(maxsize=1_000)
def _center(collection: str) -> str:
    """Return the collection as the name of a centre."""
    name = re.sub(r"[^a-z0-9_-]", "-", collection.casefold())[:63]
    if not NAME.match(name):
        raise InvalidInput("The IDC table has a collection without a usable name.")
    return name
