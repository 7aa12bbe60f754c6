"""One file's work as a value that can travel to another process: finished before, DICOM, or microscopy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from fairlead.deidentify.engine import Deidentifier
from fairlead.deidentify.instance import Extras, Outcome, deidentify_file
from fairlead.deidentify.journal import Entry, Journal
from fairlead.deidentify.ome import deidentify_ome, is_ome
from fairlead.deidentify.ome_zarr import deidentify_store

PLAIN: Final = Extras()


@dataclass(frozen=True, slots=True)
class Task:
    """What every file of a run goes through."""

    deidentifier: Deidentifier
    out: Path
    program: str | None = None
    journal: Journal | None = None
    extras: Extras = PLAIN

    def __call__(self, path: Path) -> Outcome:
        """Return the outcome for one file, from the journal when it was finished before."""
        try:
            work_id = self.journal.work_id(path) if self.journal is not None and path.is_file() else ""
            done = self.journal.find(work_id, self.out) if self.journal is not None and work_id else None
        except OSError:
            work_id, done = "", None  # unreadable: what follows says so
        if done is not None:
            return outcome_of(done, work_id)
        return replace(self._fresh(path), work_id=work_id)

    def _fresh(self, path: Path) -> Outcome:
        if path.is_dir():
            return deidentify_store(path, self.deidentifier)
        if is_ome(path):
            return deidentify_ome(path, self.deidentifier)
        return deidentify_file(path, self.deidentifier, program=self.program, extras=self.extras)


def outcome_of(entry: Entry, work_id: str) -> Outcome:
    """Return a finished file's outcome, without its bytes."""
    return Outcome(
        name=entry.name, reason=entry.reason, rule=entry.rule, codes=entry.codes, new_errors=entry.new_errors, checked=entry.checked,
        face=entry.face, work_id=work_id, already=True,
    )  # fmt: skip


def entry_of(outcome: Outcome, *, reason: str, sha256: str) -> Entry:
    """Return what the journal keeps of an outcome; ``reason`` may come from the writer (a conflict)."""
    return Entry(
        name="" if reason else outcome.name, sha256="" if reason else sha256, reason=reason, rule=outcome.rule, codes=outcome.codes,
        new_errors=outcome.new_errors, checked=outcome.checked, face=outcome.face,
    )  # fmt: skip
