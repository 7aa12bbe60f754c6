"""A DICOM series becomes one record: every header is read, one at a time, and what differs is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Final

from pydicom import Dataset

from fairlead.errors import FairleadError, UnreadableImage
from fairlead.extract.catalogue import FieldCatalogue
from fairlead.extract.consolidate import Consolidation
from fairlead.extract.findings import SPACING_TOLERANCE, findings_of, verdict_of
from fairlead.extract.frames import (
    FRAME_TAGS,
    PLACE_TAGS,
    PLANE_TAGS,
    Frame,
    Plane,
    frame_count,
    frames_of,
    is_mosaic,
    moved,
    plane_of,
    timed_frames,
    whole,
)
from fairlead.extract.headers import Header, decoded, quiet_readers
from fairlead.extract.identity import Scrubber, identities
from fairlead.extract.lattice import Lattice, lattice_of
from fairlead.extract.longtail import LongTail
from fairlead.extract.modalities import contradicts
from fairlead.extract.readings import age_between, as_age_years, as_date, as_text
from fairlead.extract.reports import CONTENT_TREE, MAX_MEASURED, measured_concepts
from fairlead.extract.stream import HeaderStream
from fairlead.extract.tagpaths import Coded
from fairlead.extract.vocabulary import curie_of
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


PATIENT_TAGS: Final = frozenset({0x00100020, 0x00100021, 0x00101010, 0x00100030, 0x00080020, 0x00080060, 0x00080016})
"""PatientID and its issuer, age, birth date, study date, modality, SOP class: what :meth:`SeriesReader.observe` asks once."""


AGE_TOLERANCE_YEARS: Final = 1.5
"""PatientAge is in whole years, months or weeks, and some scanners round it up."""


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
        self.measured: set[Coded] = set()
        self.notes: dict[str, int] = {}
        self.seen = self.frame_total = self.timed = 0
        self.stated_times: int | None = None
        self._last_frames: tuple[Frame, ...] = ()
        self._last_plane: tuple[Plane | None, int, bool] = (None, 0, False)
        self._last_patient: tuple[tuple[str, str] | None, float | None, tuple[str, ...]] = (None, None, ())

    def observe(self, header: Header, *, transfer_syntax_uid: str = "") -> None:
        """Take one header; ``transfer_syntax_uid`` is what the ledger knows where the file has no meta information.

        A header that a :class:`HeaderStream` read names the tags that differ from the one before, which must have been observed too;
        what depends on none of them is not looked at again.
        """
        dataset, changed = header.dataset, header.changed
        self.tail.observe(dataset, changed)
        self._learn(dataset, changed)
        self.consolidation.observe(dataset, changed)
        self._observe_frames(dataset, changed)
        if changed is None or changed & PLANE_TAGS:
            self._last_plane = (plane_of(dataset), frame_count(dataset), is_mosaic(dataset))
            self.timed = max(self.timed, timed_frames(dataset))
            self.stated_times = whole(dataset, "NumberOfTemporalPositions") or self.stated_times
        plane, frames, mosaic = self._last_plane
        if plane is not None:
            self.planes[plane] += 1
        self.frame_total += frames
        self.syntaxes |= {uid for uid in (header.transfer_syntax_uid or transfer_syntax_uid,) if uid}
        if changed is None or CONTENT_TREE in changed:
            self.measured.update(islice(measured_concepts(dataset), MAX_MEASURED))
        if changed is None or changed & PATIENT_TAGS:
            self._last_patient = self._patient(header)
        self._count_patient(*self._last_patient)
        self._note("pixels-cut", header.pixels_cut)
        self._note("mosaic", mosaic)
        self.seen += 1

    def _learn(self, dataset: Dataset, changed: frozenset[int] | None) -> None:
        """Learn whom the header names; what is the same as in the header before was learnt with that one."""
        self.scrubber.learn(identities(dataset, tags=changed))

    def _observe_frames(self, dataset: Dataset, changed: frozenset[int] | None) -> None:
        if changed is None or (changed & FRAME_TAGS) - PLACE_TAGS or len(self._last_frames) != 1:
            self._last_frames = tuple(frames_of(dataset))
        elif changed & PLACE_TAGS:
            frame = moved(self._last_frames[0], dataset)
            self._last_frames = () if frame is None else (frame,)
        self.frames.extend(self._last_frames)

    def _patient(self, header: Header) -> tuple[tuple[str, str] | None, float | None, tuple[str, ...]]:
        """Return (patient and issuer, age in years, findings) of a header."""
        patient, issuer, stated_age = (_stated(header, keyword) for keyword in ("PatientID", "IssuerOfPatientID", "PatientAge"))
        computed = age_between(as_date(_stated(header, "PatientBirthDate")), as_date(_stated(header, "StudyDate")))
        age = as_age_years(stated_age)
        if age is None and not stated_age:
            age = computed
        notes = {
            "no-modality": not _stated(header, "Modality"),
            "no-study-date": as_date(_stated(header, "StudyDate")) is None,
            "odd-age": age is None and bool(stated_age),
            "age-contradicts": bool(stated_age) and age is not None and computed is not None and abs(age - computed) > AGE_TOLERANCE_YEARS,
            "modality-contradicts": contradicts(_stated(header, "Modality"), _stated(header, "SOPClassUID")),
        }
        return (patient, issuer) if patient else None, age, tuple(code for code, holds in notes.items() if holds)

    def _count_patient(self, patient: tuple[str, str] | None, age: float | None, notes: tuple[str, ...]) -> None:
        if patient is not None:
            self.patients[patient] += 1
        if age is not None:
            self.ages[age] += 1
        for code in notes:
            self._note(code, holds=True)

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
        stream = HeaderStream()
        for instance in sorted(series.instances, key=lambda one: one.sop_instance_uid):
            reader.observe(_archived(stream, instance, archive), transfer_syntax_uid=instance.transfer_syntax_uid)
        source = Source(place="archive", paths=tuple(sorted(instance.path for instance in series.instances)))
        return build_record(reader, series, source=source, key=key)


def _archived(stream: HeaderStream, instance: Instance, archive: Path) -> Header:
    try:
        return stream.read(archive / instance.path)
    except FairleadError as error:
        raise UnreadableImage(f"Instance {instance.sop_instance_uid}: {error.message}", remedy=error.remedy) from error


def build_record(reader: SeriesReader, series: ReceivedSeries, *, source: Source, key: bytes) -> ImagingRecord:
    """Return the record of what the reader has seen; pydicom still decodes here, so warnings must be quiet."""
    reader.consolidation.finish()
    lattice = reader.lattice
    geometry, findings = _geometry(reader, lattice), _findings(reader, lattice)
    return ImagingRecord(
        core=_core(reader, series, geometry=geometry, source=source, key=key),
        community=Community(dicom=_metadata(reader, findings)),
        custom=reader.consolidation.promoted("custom.", reader.scrubber),
        vendor=reader.tail.vendor(reader.scrubber),
        findings=findings,
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


def _metadata(reader: SeriesReader, findings: tuple[Finding, ...]) -> DicomMetadata:
    gathered = reader.consolidation
    derived: dict[str, Value | None] = {
        "patient.age_years": max(reader.ages, key=lambda age: reader.ages[age]) if reader.ages else None,
        "series.frames": reader.frame_total or None,
        "transfer_syntax": _one_or_all(reader.syntaxes),
        "sr.measurement": _one_or_all({name for concept in reader.measured if (name := _measured(concept, reader.scrubber))}),
        "quality.verdict": _one_or_all(set(verdict_of(finding.code for finding in findings))),
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
    sizes = sum(not plane.is_tiled for plane in reader.planes)  # the levels of a slide differ on purpose
    seen |= {"several-sizes": sizes} if sizes > 1 else {}
    seen |= {"body-part-to-map": 0} if _to_map(reader) else {}
    seen |= {"spacing-contradicts": 0} if _stated_otherwise(reader, lattice) else {}
    return findings_of(seen, lattice)


def _stated_otherwise(reader: SeriesReader, lattice: Lattice) -> bool:
    stated = reader.consolidation.number("series.stated_spacing_mm")
    return bool(stated and lattice.spacing_mm and abs(abs(stated) - lattice.spacing_mm) > SPACING_TOLERANCE * lattice.spacing_mm)


def _measured(concept: Coded, scrubber: Scrubber) -> str | None:
    """Return the CURIE of a measured concept, else its meaning where that repeats no identity."""
    meaning = as_text(concept.meaning)
    return curie_of(concept.code, concept.scheme) or (meaning if meaning and not scrubber.repeats(meaning) else None)


def _to_map(reader: SeriesReader) -> bool:
    concept = reader.consolidation.concept("body_part", reader.scrubber)
    return concept is not None and concept.curie is None


def _stated(header: Header, keyword: str) -> str:
    element = decoded(header.dataset, keyword)
    return "" if element is None else str(element.value).strip()
