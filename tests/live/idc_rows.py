"""Rows with the columns of the public IDC table, drawn with a seed: its skew, its gaps and its traps, in a few hundred rows."""

from __future__ import annotations

import random
from typing import Any

from fairlead.index.idc import COLUMNS

AGES = (None, None, None, "061Y", "000Y", "N-A", "006M")
SEXES = (None, None, "F", "M", "U", "0000")
PARTS = (None, None, "CHEST", "HEAD", "Left Breast", "WO INTER")
MAKERS = (None, "SIEMENS", "Philips", "Philips Medical Systems", '"GE Healthcare"', "QIICR")
MODALITIES = ("CT", "CT", "CT", "MR", "SEG", "SR", "PT", "SM")
TEXTS = (None, "Axial CT", "head axial", "Segmentation of the CT", "")
DAYS = (None, "1880-01-01", "1999-12-31", "2001-02-03", "2020-02-29")


def idc_rows(number: int, *, seed: int = 25) -> list[dict[str, Any]]:
    """Return rows of few collections, patients and studies, so that groups happen; one collection holds more than half."""
    draw = random.Random(seed)  # noqa: S311  # rows, no secrets
    return [_row(draw, place) for place in range(number)]


def _row(draw: random.Random, place: int) -> dict[str, Any]:
    collection, patient = draw.choice(("nlst", "nlst", "nlst", "tcga_luad", "qin")), draw.randrange(12)
    study, day = f"1.2.{patient}.{draw.randrange(3)}", draw.choice(DAYS)
    stated = {
        "SeriesInstanceUID": f"1.2.840.{place}",
        "StudyInstanceUID": study,
        "PatientID": f"P{patient}",
        "PatientAge": draw.choice(AGES),
        "PatientSex": draw.choice(SEXES),
        "StudyDate": day,
        "SeriesDate": day,
        "BodyPartExamined": draw.choice(PARTS),
        "Modality": draw.choice(MODALITIES),
        "Manufacturer": draw.choice(MAKERS),
        "SeriesDescription": draw.choice(TEXTS),
        "instanceCount": draw.randrange(1, 400),
        "license_short_name": "CC BY 4.0",
        "series_size_MB": draw.randrange(1, 5000) / 10,
        "crdc_series_uuid": f"uuid-{place}",
        "collection_id": collection,
        "series_init_idc_version": 1,
        "series_revised_idc_version": draw.randrange(1, 26),
    }
    return dict.fromkeys(COLUMNS) | stated
