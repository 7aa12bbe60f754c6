"""The headers of one series, observed one at a time; only what the record needs is held."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Final

from pydicom import Dataset

from fairlead.extract.catalogue import FieldCatalogue
from fairlead.extract.consolidate import Consolidation
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
    native_bytes,
    plane_of,
    timed_frames,
    whole,
)
from fairlead.extract.headers import Header, decoded
from fairlead.extract.identity import Scrubber, identities
from fairlead.extract.lattice import Lattice, lattice_of
from fairlead.extract.longtail import LongTail
from fairlead.extract.modalities import contradicts
from fairlead.extract.readings import age_between, as_age_years, as_date
from fairlead.extract.reports import CONTENT_TREE, MAX_KEPT, MAX_MEASURED, Measurement, measurements

PATIENT_TAGS: Final = frozenset({0x00100020, 0x00100021, 0x00101010, 0x00100030, 0x00080020, 0x00080060, 0x00080016})
"""PatientID and its issuer, age, birth date, study date, modality, SOP class: what :meth:`SeriesReader.observe` asks once."""


AGE_TOLERANCE_YEARS: Final = 1.5
"""PatientAge is in whole years, months or weeks, and some scanners round it up."""


class SeriesReader:
    """Takes the headers of one series, one at a time, and holds only what the record needs."""

    def __init__(self, catalogue: FieldCatalogue, *, project: str) -> None:
        self.catalogue, self.project = catalogue, project
        self.consolidation = Consolidation(catalogue, project)
        self.tail = LongTail()
        self.scrubber = Scrubber()
        self.frames: list[Frame] = []
        self.planes: Counter[Plane] = Counter()
        self.patients: Counter[tuple[str, str]] = Counter()
        self.ages: Counter[float] = Counter()
        self.syntaxes: set[str] = set()
        self.modalities: Counter[str] = Counter()
        self.measured: set[Measurement] = set()
        self.notes: dict[str, int] = {}
        self.seen = self.frame_total = self.timed = 0
        self.stated_times: int | None = None
        self._last_frames: tuple[Frame, ...] = ()
        self._last_plane: tuple[Plane | None, int, bool, int | None] = (None, 0, False, None)
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
            self._last_plane = (plane_of(dataset), frame_count(dataset), is_mosaic(dataset), native_bytes(dataset))
            self.timed = max(self.timed, timed_frames(dataset))
            self.stated_times = whole(dataset, "NumberOfTemporalPositions") or self.stated_times
        plane, frames, mosaic, pixel_bytes = self._last_plane
        if plane is not None:
            self.planes[plane] += 1
        self.frame_total += frames
        self.syntaxes |= {uid for uid in (header.transfer_syntax_uid or transfer_syntax_uid,) if uid}
        if changed is None or CONTENT_TREE in changed:
            self._measure(dataset)
        if changed is None or changed & PATIENT_TAGS:
            self._last_patient = self._patient(header)
        self._count_patient(*self._last_patient)
        self._note("pixels-cut", header.pixels_cut)
        self._note("mosaic", mosaic)
        self._note("pixels-contradict", _differs(header.pixel_bytes, pixel_bytes))
        self.seen += 1

    def _measure(self, dataset: Dataset) -> None:
        for one in islice(measurements(dataset), MAX_MEASURED):
            if len(self.measured) >= MAX_KEPT:
                return
            self.measured.add(one)

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


def _differs(stated: int | None, needed: int | None) -> bool:
    """Return whether native pixels are not as long as they must be, padded to an even length (PS3.5 section 8.1.1)."""
    return stated is not None and needed is not None and stated not in (needed, needed + needed % 2)


def _stated(header: Header, keyword: str) -> str:
    element = decoded(header.dataset, keyword)
    return "" if element is None else str(element.value).strip()
