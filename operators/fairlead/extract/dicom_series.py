"""A DICOM series becomes one record: every header is read, one at a time, and what differs is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Final

from fairlead.errors import FairleadError, UnreadableImage
from fairlead.extract.catalogue import FieldCatalogue
from fairlead.extract.findings import SPACING_TOLERANCE, findings_of, verdict_of
from fairlead.extract.frames import (
    Plane,
)
from fairlead.extract.headers import Header, quiet_readers
from fairlead.extract.identity import Scrubber
from fairlead.extract.lattice import Lattice
from fairlead.extract.readings import as_date, as_text
from fairlead.extract.reports import by_concept
from fairlead.extract.series_reader import SeriesReader
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
        custom=reader.consolidation.promoted("custom.", reader.scrubber) | numbers_of(reader, "custom."),
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
        "sr.measurement": _one_or_all({name for one in reader.measured if (name := _measured(one.concept, reader.scrubber))}),
        "quality.verdict": _one_or_all(set(verdict_of(finding.code for finding in findings))),
    }
    measured = by_concept(reader.measured, reader.scrubber)
    attributes = gathered.promoted("community.", reader.scrubber) | numbers_of(reader, "community.")
    attributes |= {name: value for name, value in derived.items() if value is not None}
    promoted = {path.first for one in gathered.fields.values() for path in one.paths if len(path.steps) == 1}
    mixed = {*gathered.mixed, *(["transfer_syntax"] if len(reader.syntaxes) > 1 else []), *(["size"] if len(reader.planes) > 1 else [])}
    return DicomMetadata(
        attributes=dict(sorted(attributes.items())),
        mixed=tuple(sorted(mixed)),
        other=reader.tail.other(reader.scrubber, promoted=promoted) | ({"measurements": measured} if measured else {}),
    )


def numbers_of(reader: SeriesReader, prefix: str) -> dict[str, Value]:
    """Return the fields below ``prefix`` of a record that name a measured concept as their source; numbers in another unit are no value."""
    measured, found = by_concept(reader.measured, reader.scrubber), dict[str, Value]()
    for one in reader.catalogue.of_project(reader.project):
        name = next((name for name in one.source.measurement if name in measured), None)
        numbers = measured[name].get(one.unit or "", ()) if name is not None and one.path.startswith(prefix) else ()
        if numbers:
            found[one.id] = numbers[0] if len(numbers) == 1 else tuple(numbers)
    return found


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
