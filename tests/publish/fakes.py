"""A left-hand side without patients: a cohort of made-up records, whose conversion writes small but real OME-Zarr stores."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import zarr
from PIL import Image

from fairlead.errors import InvalidConfiguration, InvalidInput, NotFound
from fairlead.publish.parameters import ExportParameters
from fairlead.records import (
    CohortVersion,
    Community,
    Concept,
    ConvertReport,
    Core,
    Counts,
    DeidentifyReport,
    DicomMetadata,
    Geometry,
    GeometryVerdict,
    Grain,
    ImagingRecord,
    Quarantined,
    Refusal,
    Source,
    StoreReport,
    Validity,
)

UID = "1.2.826.0.1.3680043.8.498.1234567890"
SECRET_WORDS = ("DOE^JANE", UID, "1957-03-14", "19570314", "p0123456789abcdef01234567", "PID-4711", "Mueller_Hans", "Dr Miller", "MRN 4711")
"""What must never appear in anything published."""
PATIENT_FILE = "Mueller_Hans_1957.dcm"
RULE = "patients of Dr Miller, MRN 4711"
CREATED = datetime(2026, 2, 1, tzinfo=UTC)
VOXELS = np.arange(2 * 3 * 4, dtype="int16").reshape(2, 3, 4)


def an_imaging_record(number: int, *, kind: str = "dicom-series", path: str = "a.dcm") -> ImagingRecord:
    """Return a record with identities in the places where real ones have them."""
    place = "archive" if kind == "dicom-series" else "file"
    return ImagingRecord(
        core=Core(
            id=f"local:default:{UID}.{number}",
            kind=kind,
            project="default",
            center="local",
            patient_key="p0123456789abcdef01234567",
            patient_basis="stated",
            study_uid=f"{UID}.100",
            series_uid=f"{UID}.{number}",
            generation="0" * 64,
            modality=Concept(raw="CT", curie="DCM:CT", label="Computed Tomography"),
            body_part=Concept(raw="DOE^JANE CHEST"),
            acquired_on=datetime(1957, 3, 14, tzinfo=UTC).date(),
            instances=3,
            size_bytes=100,
            geometry=Geometry(),
            source=Source(place=place, paths=(path,)),
        ),
        community=Community(dicom=DicomMetadata(attributes={"PatientComments": "PID-4711"})),
    )


def a_cohort(records: Sequence[ImagingRecord], *, reference: str = "chest@1", title: str = "Chest CT") -> CohortVersion:
    """Return a frozen version of the given records; its sentence quotes a date and a UID, as real ones may."""
    identifier, _, version = reference.partition("@")
    members = tuple(sorted(record.id for record in records))
    return CohortVersion(
        id=identifier,
        version=int(version),
        title=title,
        unit=Grain.SERIES,
        definition={"title": title},
        definition_sha256="d" * 64,
        members=members,
        members_sha256=hashlib.sha256("\n".join(members).encode()).hexdigest(),
        counts=Counts(patients=1, studies=1, series=len(members), images=3 * len(members), size_bytes=100),
        sentence=f"Series of study {UID}.100, acquired on 1957-03-14; and “{RULE}”: description has the words “Mueller_Hans”.",
        index_generation="0" * 64,
        author="clara",
        created_at=CREATED,
    )


def write_store(folder: Path) -> None:
    """Write a valid OME-Zarr 0.5 image of 24 voxels."""
    group = zarr.open_group(folder, mode="w", zarr_format=3)
    group.create_array("0", data=VOXELS, chunks=VOXELS.shape, dimension_names=("z", "y", "x"))
    axes = [{"name": name, "type": "space", "unit": "millimeter"} for name in "zyx"]
    transform = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [{"name": "DOE^JANE", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": transform}]}],
    }


class Secrets:
    """What identifies the made-up patients."""

    def found_in(self, text: str, *, dates: Iterable[str] = ()) -> frozenset[str]:
        """Return one kind when a secret word occurs."""
        return frozenset({"name" for word in SECRET_WORDS if word in text})


class FakeUpstream:
    """An :class:`fairlead.publish.upstream.Upstream` in memory; ``broken`` names record ids and what happens to them."""

    def __init__(self, cohort: CohortVersion, records: Sequence[ImagingRecord], broken: Mapping[str, str] | None = None) -> None:
        self.version = cohort
        self.records = {record.id: record for record in records}
        self.broken = dict(broken or {})
        self.calls: list[str] = []

    def cohort(self, reference: str) -> CohortVersion:
        """Return the one cohort."""
        if reference != self.version.ref:
            raise NotFound(f"There is no cohort {reference}.")
        return self.version

    def record(self, record_id: str) -> ImagingRecord:
        """Return a record, unless it is broken as "lost"."""
        if self.broken.get(record_id) == "lost":
            raise NotFound("gone")
        return self.records[record_id]

    def check_profile(self, profile: str) -> tuple[str, ...]:
        """Know the basic profile only."""
        if profile != "basic":
            raise InvalidConfiguration(f"There is no profile {profile!r}.")
        return ("113100",)

    def threshold(self) -> int:
        """Hide fewer than five patients."""
        return 5

    def is_unchanged(self, record: ImagingRecord) -> bool:
        """Say no for what is broken as "changed"."""
        return self.broken.get(record.id) != "changed"

    def in_place(self, record: ImagingRecord) -> bool:
        """Read nothing in place."""
        return False

    def deidentify(self, cohort, record, out, *, profile) -> DeidentifyReport:
        """Write one file a series."""
        self.calls.append("deidentify")
        how = self.broken.get(record.id)
        if how == "unreadable":
            raise InvalidInput(f"Series {UID} in {PATIENT_FILE} cannot be read.")
        quarantined = (
            (Quarantined(path="x", reason=f"burned-in: text in the pixels of {PATIENT_FILE}"),) if how in ("quarantined", "partial") else ()
        )
        if how != "quarantined":
            out.mkdir(parents=True)
            (out / "1.dcm").write_bytes(b"safe")
        return DeidentifyReport(
            files=3,
            written=3 - len(quarantined),
            quarantined=quarantined,
            residue=(),
            profile_codes=("113100",),
            profile_sha256="e" * 64,
            dciodvfy_new_errors=0,
            seconds=0.0,
        )

    def convert(self, record: ImagingRecord, sources, *, out: Path, parameters: ExportParameters) -> ConvertReport:
        """Write one store a record."""
        self.calls.append("convert")
        how = self.broken.get(record.id)
        if how == "irregular":
            refusal = Refusal(source=UID, code="geometry", reason=f"Series {UID} of {PATIENT_FILE} is irregular since 1957-03-14.")
            return ConvertReport(stores=(), refused=(refusal,), seconds=0.0, peak_rss_mb=1.0)
        write_store(out / "DOE_JANE.ome.zarr")
        (out / "DOE_JANE.ome.zarr" / ".leftover").write_text("hidden")
        report = StoreReport(
            path="DOE_JANE.ome.zarr",
            source=f"urn:oid:{UID}",
            record_id=record.id,
            kind="volume",
            shape=VOXELS.shape,
            dtype="int16",
            axes=("z", "y", "x"),
            geometry=GeometryVerdict(verdict="regular", reason=""),
            levels=1,
            size_bytes=1000,
            manifest_sha256="f" * 64,
            verified_voxels=how != "unverified",
            valid=Validity(ome_zarr_models=True, json_schema=True),
        )
        return ConvertReport(stores=(report,), refused=(), seconds=0.0, peak_rss_mb=1.0)

    def clean(self, text: str) -> str:
        """Clean as the real rooms do."""
        from fairlead.deidentify import clean_words
        from fairlead.publish.vocabulary import CHANNEL_TERMS

        return clean_words(text, forbidden=frozenset(), allowed=CHANNEL_TERMS)

    def validate(self, store: Path) -> str:
        """Find nothing wrong."""
        return ""

    def sentence(self, version: CohortVersion) -> str:
        """Say it without the words of the cohort's author."""
        return "Series where the modality is Computed Tomography."

    def identity(self, records: Iterable[ImagingRecord], *, profile: str) -> Secrets:
        """Know the secret words."""
        return Secrets()

    def preview(self, store: Path, png: Path) -> None:
        """Write a small picture, unless the record is broken as "unseen"."""
        if "unseen" in self.broken.values():
            raise InvalidInput(f"{PATIENT_FILE} holds no image.")
        Image.new("L", (64, 48), 128).save(png)

    def pseudonyms(self, version: CohortVersion, record: ImagingRecord) -> tuple[str, str]:
        """Return pseudonyms made from the id without a key: good enough for made-up records."""
        return "i" + hashlib.sha256(record.id.encode()).hexdigest()[:16], "s" + hashlib.sha256(
            record.core.patient_key.encode()
        ).hexdigest()[:16]
