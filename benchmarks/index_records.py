"""Records for the benchmarks of the index: rows of the IDC table where it is at hand, else records made up in the same shape."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from fairlead.index.idc import COLUMNS, idc_records, record_of
from fairlead.records import ImagingRecord


def table() -> Path | None:
    """Return the table of the installed package idc-index-data, with pyarrow to read it, or None."""
    try:
        import idc_index_data  # type: ignore[import-not-found, unused-ignore]
        import pyarrow  # type: ignore[import-not-found, unused-ignore]  # noqa: F401
    except ModuleNotFoundError:
        return None
    return Path(idc_index_data.__file__).parent / "idc_index.parquet"


def records(rows: int, given: Path | None = None) -> tuple[list[ImagingRecord], str]:
    """Return so many records, and where they come from."""
    source = given or table()
    if source is not None:
        return list(idc_records(source, limit=rows)), "IDC table"
    return list(islice(_made_up(), rows)), "made up (install idc-index-data and pyarrow for the IDC table)"


def _made_up() -> Iterator[ImagingRecord]:
    dice = random.Random(7)  # noqa: S311  # reproducible, not secret
    number = 0
    while True:
        number += 1
        patient = number // 12
        row = dict.fromkeys(COLUMNS) | {
            "collection_id": f"collection{patient % 40}",
            "PatientID": f"P{patient}",
            "StudyInstanceUID": f"1.2.{patient}.{number // 6}",
            "SeriesInstanceUID": f"1.2.{patient}.{number}",
            "crdc_series_uuid": str(number),
            "StudyDate": f"{dice.randint(1995, 2024)}-{dice.randint(1, 12):02}-{dice.randint(1, 28):02}",
            "Modality": dice.choice(["CT", "CT", "CT", "MR", "SEG", "SR", "PT", "MG"]),
            "BodyPartExamined": dice.choice(["CHEST", "ABDOMEN", "BREAST", None, None]),
            "Manufacturer": dice.choice(["SIEMENS", "GE MEDICAL SYSTEMS", "Philips", "QIICR"]),
            "ManufacturerModelName": f"Model {dice.randint(1, 400)}",
            "PatientSex": dice.choice(["M", "F", None, None]),
            "license_short_name": dice.choice(["CC BY 3.0", "CC BY 4.0", "CC BY-NC 4.0"]),
            "SeriesDescription": f"Series {dice.randint(1, 5000)}",
            "instanceCount": dice.randint(1, 400),
            "series_size_MB": dice.random() * 200,
        }
        yield record_of(row)
