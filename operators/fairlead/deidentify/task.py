"""One file's work as a value that can travel to another process: finished before, DICOM, or microscopy."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pydicom.config import disable_value_validation

from fairlead.deidentify.engine import Deidentifier, Person
from fairlead.deidentify.instance import Extras, Outcome, deidentify_file
from fairlead.deidentify.jobs import Job
from fairlead.deidentify.journal import Entry, Journal
from fairlead.deidentify.ome import deidentify_ome, is_ome
from fairlead.deidentify.ome_zarr import deidentify_store, store_digest
from fairlead.deidentify.part10 import DAMAGE, read_source
from fairlead.errors import FairleadError, UnreadableImage

PLAIN: Final = Extras()
MICROSCOPY: Final = "microscopy"


@dataclass(frozen=True, slots=True)
class Task:
    """What every file of a run goes through; ``people``: the lookup table is wanted, so finished files say whom they show."""

    deidentifier: Deidentifier
    out: Path
    program: str | None = None
    journal: Journal | None = None
    extras: Extras = PLAIN
    people: bool = False

    def __call__(self, job: Job) -> Outcome:
        """Return the outcome for one job, from the journal when it was finished before."""
        if job.refusal:
            return Outcome(reason=job.refusal, lasting=False)
        try:
            digest = store_digest(job.path) if self.journal is not None and job.path.is_dir() else ""
            work_id = self._work_id(job.path, digest)
            done = self.journal.find(work_id, self.out) if self.journal is not None and work_id else None
            if done is not None:
                return outcome_of(done, work_id, self._person(job.path, done))
        except (OSError, FairleadError):
            work_id, digest = "", ""  # unreadable: what follows says so
        return replace(self._fresh(job.path, digest), work_id=work_id)

    def _work_id(self, path: Path, digest: str) -> str:
        if self.journal is None or (path.is_dir() and not digest):
            return ""
        name = path.name if digest or is_ome(path) else ""  # it goes into the names that files of a set have for each other
        return self.journal.work_id(path, name=name, digest=digest)

    def _person(self, path: Path, done: Entry) -> Person | None:
        """Return whom a finished file shows, by its header: the run that finished it may have been killed before it said so."""
        if not self.people or done.rule == MICROSCOPY or not done.name:
            return None
        return person_in(path, self.deidentifier)

    def _fresh(self, path: Path, digest: str) -> Outcome:
        if path.is_dir():
            return deidentify_store(path, self.deidentifier, digest=digest)
        if is_ome(path):
            return deidentify_ome(path, self.deidentifier)
        return deidentify_file(path, self.deidentifier, program=self.program, extras=self.extras)


def person_in(path: Path, deidentifier: Deidentifier) -> Person:
    """Return whom a DICOM file shows.

    Raises
    ------
    UnreadableImage : the header cannot be read any more.
    """
    try:
        with warnings.catch_warnings(), disable_value_validation():
            warnings.simplefilter("ignore")
            return deidentifier.person(read_source(path).dataset)
    except DAMAGE as error:
        raise UnreadableImage("The header of a finished file cannot be read.") from error


def outcome_of(entry: Entry, work_id: str, person: Person | None = None) -> Outcome:
    """Return a finished file's outcome, without its bytes."""
    return Outcome(
        name=entry.name, reason=entry.reason, rule=entry.rule, codes=entry.codes, new_errors=entry.new_errors, checked=entry.checked,
        face=entry.face, person=person, work_id=work_id, already=True,
    )  # fmt: skip


def entry_of(outcome: Outcome, *, reason: str, sha256: str) -> Entry:
    """Return what the journal keeps of an outcome; ``reason`` may come from the writer (a conflict)."""
    return Entry(
        name="" if reason else outcome.name, sha256="" if reason else sha256, reason=reason, rule=outcome.rule, codes=outcome.codes,
        new_errors=outcome.new_errors, checked=outcome.checked, face=outcome.face,
    )  # fmt: skip
