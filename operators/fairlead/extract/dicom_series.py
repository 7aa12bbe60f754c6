"""A DICOM series becomes one record: every header is read, one at a time, and what differs is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Final

from fairlead.errors import FairleadError, UnreadableImage
from fairlead.extract.catalogue import FieldCatalogue
from fairlead.extract.consolidate import Consolidation
from fairlead.extract.findings import findings_of
from fairlead.extract.frames import Frame, Plane, frame_count, frames_of, is_mosaic, plane_of, timed_frames, whole
from fairlead.extract.headers import Header, decoded, quiet_readers, read_header
from fairlead.extract.identity import Scrubber, identities
from fairlead.extract.lattice import Lattice, lattice_of
from fairlead.extract.longtail import LongTail
from fairlead.extract.readings import age_between, as_age_years, as_date
from fairlead.keys import patient_key
from fairlead.records import (
    Community,
    Core,
    DicomMetadata,
    Finding,
    Geometry,
    ImagingRecord,
    Instance,
    ReceivedSeries,
    Source,
    Value,
)

EARLIEST: Final = date(1895, 11, 8)
"""Roentgen's first radiograph: an earlier date is no acquisition date."""


class SeriesReader:
    """Takes the headers of one series, one at a time, and holds only what the record needs."""

    def __init__(self, catalogue: FieldCatalogue, *, project: str) -> None:
        self.catalogue = catalogue
        self.consolidation = Consolidation(catalogue, project)
        self.tail = LongTail()
        self.scrubber = Scrubber()
        self.frames: list[Frame] = []
        self.planes: Counter[Plane] = Counter()
        self.patients: Counter[tuple[str, str]] = Counter()
        self.ages: Counter[float] = Counter()
        self.syntaxes: set[str] = set()
        self.modalities: Counter[str] = Counter()
        self.notes: dict[str, int] = {}
        self.seen = self.frame_total = self.timed = 0
        self.stated_times: int | None = None

    def observe(self, header: Header, *, transfer_syntax_uid: str = "") -> None:
        """Take one header; ``transfer_syntax_uid`` is what the ledger knows where the file has no meta information."""
        dataset = header.dataset
        self.tail.observe(dataset)
        self.scrubber.learn(identities(dataset, deep=not self.seen))
        self.consolidation.observe(dataset)
        self.seen += 1
        self.frames.extend(frames_of(dataset))
        if (plane := plane_of(dataset)) is not None:
            self.planes[plane] += 1
        self.frame_total += frame_count(dataset)
        self.timed = max(self.timed, timed_frames(dataset))
        self.stated_times = whole(dataset, "NumberOfTemporalPositions") or self.stated_times
        self.syntaxes |= {uid for uid in (header.transfer_syntax_uid or transfer_syntax_uid,) if uid}
        self._observe_patient(header)
        self._note("pixels-cut", header.pixels_cut)
        self._note("mosaic", is_mosaic(dataset))

    def _observe_patient(self, header: Header) -> None:
        dataset = header.dataset
        patient, issuer = (_stated(header, keyword) for keyword in ("PatientID", "IssuerOfPatientID"))
        if patient:
            self.patients[patient, issuer] += 1
        age = as_age_years(_stated(header, "PatientAge"))
        if age is None and not _stated(header, "PatientAge"):
            age = age_between(as_date(_stated(header, "PatientBirthDate")), as_date(_stated(header, "StudyDate")))
        if age is not None:
            self.ages[age] += 1
        self._note("no-modality", "Modality" not in dataset or not _stated(header, "Modality"))
        self._note("odd-age", age is None and bool(_stated(header, "PatientAge")))

    def _note(self, code: str, holds: bool) -> None:
        if holds:
            self.notes[code] = self.notes.get(code, 0) + 1

    @property
    def lattice(self) -> Lattice:
        """The lattice of all frames taken so far."""
        return lattice_of(self.frames, stated_times=self.stated_times)


def read_series(series: ReceivedSeries, *, archive: Path, catalogue: FieldCatalogue, key: bytes) -> ImagingRecord:
    """Return the record of an archived series, from the header of every instance.

    Raises
    ------
    UnreadableImage : a header cannot be parsed, or a file of the ledger is not in the archive; the SOP Instance UID is named.
    """
    reader = SeriesReader(catalogue, project=series.route.project)
    with quiet_readers():
        for instance in sorted(series.instances, key=lambda one: one.sop_instance_uid):
            reader.observe(_archived(instance, archive), transfer_syntax_uid=instance.transfer_syntax_uid)
        source = Source(place="archive", paths=tuple(sorted(instance.path for instance in series.instances)))
        return build_record(reader, series, source=source, key=key)


def _archived(instance: Instance, archive: Path) -> Header:
    try:
        return read_header(archive / instance.path)
    except FairleadError as error:
        raise UnreadableImage(f"Instance {instance.sop_instance_uid}: {error.message}", remedy=error.remedy) from error


def build_record(reader: SeriesReader, series: ReceivedSeries, *, source: Source, key: bytes) -> ImagingRecord:
    """Return the record of what the reader has seen; pydicom still decodes here, so warnings must be quiet."""
    lattice = reader.lattice
    geometry = _geometry(reader, lattice)
    return ImagingRecord(
        core=_core(reader, series, geometry=geometry, source=source, key=key),
        community=Community(dicom=_metadata(reader)),
        custom=reader.consolidation.promoted("custom.", reader.scrubber),
        vendor=reader.tail.vendor(reader.scrubber),
        findings=_findings(reader, lattice),
    )


def _core(reader: SeriesReader, series: ReceivedSeries, *, geometry: Geometry, source: Source, key: bytes) -> Core:
    route, gathered, scrubber = series.route, reader.consolidation, reader.scrubber
    stated = min(reader.patients, default=None)
    pseudonym = (
        patient_key(key, stated[0], stated[1] or route.center) if stated else patient_key(key, series.study_uid, "study-instance-uid")
    )
    return Core(
        id=f"{route.center}:{route.project}:{series.series_uid}",
        kind="dicom-series",
        project=route.project,
        center=route.center,
        patient_key=pseudonym,
        patient_basis="stated" if stated else "assumed",
        study_uid=series.study_uid,
        series_uid=series.series_uid,
        generation=series.generation,
        modality=gathered.concept("modality", scrubber),
        body_part=gathered.concept("body_part", scrubber),
        organism=gathered.concept("organism", scrubber),
        acquired_on=_earliest(gathered.texts("acquired_on")),
        instances=len(series.instances),
        size_bytes=sum(instance.size_bytes for instance in series.instances),
        geometry=geometry,
        source=source,
    )


def _earliest(texts: Iterable[str]) -> date | None:
    dates = (as_date(text) for text in texts)
    return min((found for found in dates if found is not None and found >= EARLIEST), default=None)


def _geometry(reader: SeriesReader, lattice: Lattice) -> Geometry:
    plane = main_plane(reader.planes)
    if plane is None:
        return Geometry(verdict="none")
    return Geometry(
        size_x=plane.columns,
        size_y=plane.rows,
        size_z=1 if plane.is_tiled else lattice.slices,
        size_c=plane.samples,
        size_t=reader.timed or lattice.times,
        spacing_x_mm=plane.spacing_x_mm,
        spacing_y_mm=plane.spacing_y_mm,
        spacing_z_mm=lattice.spacing_mm,
        regular=lattice.regular,
        missing_slices=lattice.missing,
        duplicate_positions=lattice.duplicates,
        verdict="single" if plane.is_tiled else lattice.verdict,
    )


def main_plane(planes: Counter[Plane]) -> Plane | None:
    """Return the plane that stands for the series: the largest level of a slide, else the commonest one."""
    if not planes:
        return None
    tiled = [plane for plane in planes if plane.is_tiled]
    if tiled:
        return max(tiled, key=lambda plane: plane.columns * plane.rows)
    return max(planes, key=lambda plane: (planes[plane], plane.columns * plane.rows))


def _metadata(reader: SeriesReader) -> DicomMetadata:
    gathered = reader.consolidation
    derived: dict[str, Value | None] = {
        "patient.age_years": max(reader.ages, key=lambda age: reader.ages[age]) if reader.ages else None,
        "series.frames": reader.frame_total or None,
        "transfer_syntax": _one_or_all(reader.syntaxes),
    }
    attributes = gathered.promoted("community.", reader.scrubber) | {name: value for name, value in derived.items() if value is not None}
    promoted = {path.first for one in gathered.fields.values() for path in one.paths if len(path.steps) == 1}
    mixed = {*gathered.mixed, *(["transfer_syntax"] if len(reader.syntaxes) > 1 else []), *(["size"] if len(reader.planes) > 1 else [])}
    return DicomMetadata(
        attributes=dict(sorted(attributes.items())),
        mixed=tuple(sorted(mixed)),
        other=reader.tail.other(reader.scrubber, promoted=promoted),
    )


def _one_or_all(texts: set[str]) -> Value | None:
    ordered = tuple(sorted(texts))
    return None if not ordered else ordered[0] if len(ordered) == 1 else ordered


def _findings(reader: SeriesReader, lattice: Lattice) -> tuple[Finding, ...]:
    seen = dict(reader.notes)
    seen |= {"no-patient-id": 0} if not reader.patients else {}
    seen |= {"several-patients": len(reader.patients)} if len(reader.patients) > 1 else {}
    seen |= {"several-sizes": len(reader.planes)} if len(reader.planes) > 1 else {}
    seen |= {"body-part-to-map": 0} if _to_map(reader) else {}
    return findings_of(seen, lattice)


def _to_map(reader: SeriesReader) -> bool:
    concept = reader.consolidation.concept("body_part", reader.scrubber)
    return concept is not None and concept.curie is None


def _stated(header: Header, keyword: str) -> str:
    element = decoded(header.dataset, keyword)
    return "" if element is None else str(element.value).strip()
