"""Seeded builders for the page's tests: records that look like a small mixed archive."""

from __future__ import annotations

import hashlib
from datetime import date

from fairlead.records import Community, Concept, Core, DicomMetadata, Geometry, ImagingRecord, OmeMetadata, Source, Value

SHA = "0" * 64
PARTS = {
    "CHEST": Concept(raw="CHEST", curie="SCT:816094009", label="Chest"),
    "HEAD": Concept(raw="HEAD", curie="SCT:69536005", label="Head"),
}


def a_series(
    number: int,
    *,
    patient: str = "",
    modality: str = "CT",
    body_part: str | None = "CHEST",
    acquired_on: date | None = date(2019, 5, 1),
    **attributes: Value,
) -> ImagingRecord:
    """Return one DICOM series; ``number`` makes its identifiers."""
    uid = f"1.2.3.{number}"
    stated: dict[str, Value] = {"study_date": acquired_on.isoformat()} if acquired_on else {}
    core = Core(
        id=f"local:default:{uid}",
        kind="dicom-series",
        project="default",
        center="local",
        patient_key=patient or f"p{number:024x}",
        patient_basis="stated",
        study_uid=f"1.2.3.{number}.1",
        series_uid=uid,
        generation=SHA,
        modality=Concept(raw=modality, curie=f"DCM:{modality}"),
        body_part=PARTS.get(body_part, Concept(raw=body_part)) if body_part else None,
        acquired_on=acquired_on,
        instances=20,
        size_bytes=10_000_000,
        geometry=Geometry(verdict="regular"),
        source=Source(place="archive", paths=("objects/x",)),
    )
    return ImagingRecord(core=core, community=Community(dicom=DicomMetadata(attributes=stated | attributes)))


def a_slide(number: int, *, organism: str = "Mus musculus", channel: str = "DAPI") -> ImagingRecord:
    """Return one OME image."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    core = Core(
        id=f"local:default:ome-{digest[:32]}-0",
        kind="ome-image",
        project="default",
        center="local",
        patient_key=f"q{number:024x}",
        patient_basis="assumed",
        study_uid=f"ome-{digest[:8]}",
        series_uid=f"ome-{digest[:8]}-0",
        generation=SHA,
        organism=Concept(raw=organism, curie="NCBITaxon:10090", label=organism),
        instances=1,
        size_bytes=2_000_000,
        geometry=Geometry(size_c=1, verdict="single"),
        source=Source(place="file", paths=("/images/x.ome.tif",)),
    )
    return ImagingRecord(core=core, community=Community(ome=OmeMetadata(attributes={"ome.channel_name": (channel,)})))


def an_archive() -> list[ImagingRecord]:
    """Return 24 patients: CT of the chest, MR of the head, one SR without a body part, three microscopy images."""
    chest = [
        a_series(
            number,
            acquired_on=date(2015 + number % 6, 3, 1),
            **{
                "patient.age_years": 40.0 + number,
                "patient.sex": "F" if number % 2 else "M",
                "manufacturer": "Siemens Healthineers" if number < 8 else "GE HealthCare",
                "series.slice_thickness_mm": 1.0 + number % 4,
            },
        )
        for number in range(1, 13)
    ]
    head = [a_series(number, modality="MR", body_part="HEAD", **{"patient.age_years": 20.0 + number}) for number in range(20, 28)]
    report = [a_series(40, patient="p" + "4" * 24, modality="SR", body_part=None, acquired_on=None)]
    return [*chest, *head, *report, *(a_slide(number) for number in range(3))]
