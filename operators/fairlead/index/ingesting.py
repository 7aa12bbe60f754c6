"""Files and folders straight into the index: import, settle, drain, and one report over all of it. No Airflow needed."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from fairlead.extract import FieldCatalogue
from fairlead.index.criteria import MembersOf, Term
from fairlead.index.draining import drain_all
from fairlead.index.port import Index
from fairlead.index.rows import SOURCE_FIELD
from fairlead.progress import Progress
from fairlead.receive import Arrival, Ledger, Recorded, RelationConflict, Stored, complete_imports, import_paths
from fairlead.records import JsonObject, ReceivedFile, Refusal, Route
from fairlead.settings import Settings


class WitnessLedger(Ledger):
    """A ledger that remembers which series and files went through it, so that a report can speak of them."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.series: set[tuple[str, str, str]] = set()
        self.files: dict[str, str] = {}

    def record(self, arrivals: Sequence[Arrival]) -> list[Stored | RelationConflict]:
        """Record, and remember."""
        outcome = super().record(arrivals)
        for arrival, stored in zip(arrivals, outcome, strict=True):
            if not isinstance(stored, RelationConflict):
                self.series.add((arrival.route.center, arrival.route.project, arrival.series_uid))
        return outcome

    def record_file(self, file: ReceivedFile, *, fingerprint: str) -> Recorded:
        """Record, and remember."""
        self.files[file.path] = file.name
        return super().record_file(file, fingerprint=fingerprint)


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one ingest came to: ``indexed`` and ``unchanged`` count records of the input, ``quarantined`` names what gave none."""

    indexed: int
    unchanged: int
    quarantined: tuple[Refusal, ...]
    skipped: tuple[str, ...]
    seconds: float
    records: tuple[str, ...] = field(default=())
    seen: int = 0
    """Files that were looked at; 0 for a folder that holds none."""

    @property
    def nothing_taken(self) -> bool:
        """Whether there was input and none of it could be used."""
        refused = bool(self.quarantined) or 0 < self.seen == len(self.skipped)
        return refused and not self.indexed and not self.unchanged

    def as_json(self) -> JsonObject:
        """Return the document of the contract."""
        return {
            "indexed": self.indexed,
            "unchanged": self.unchanged,
            "quarantined": [{"path": refusal.source, "code": refusal.code, "reason": refusal.reason} for refusal in self.quarantined],
            "skipped": list(self.skipped),
            "seconds": round(self.seconds, 3),
        }


def ingest(
    settings: Settings,
    paths: Sequence[Path],
    *,
    ledger: WitnessLedger,
    index: Index,
    catalogue: FieldCatalogue,
    route: Route,
    progress: Progress,
) -> IngestReport:
    """Bring everything below ``paths`` into archive and index; a second run finds everything unchanged.

    Raises
    ------
    NotFound : a path does not exist. StorageFull, ServiceUnreachable : stopped half-way; repeating it is safe.
    """
    began = time.monotonic()
    imported = import_paths(settings, ledger, paths, route=route, progress=progress)
    complete_imports(settings, ledger)
    before = _present(ledger, index)
    drained = drain_all(settings, ledger=ledger, index=index, catalogue=catalogue, claimant=claimant(), progress=progress)
    here = _present(ledger, index)
    refused = (*imported.refused, *_without_record(ledger, here), *_own(ledger, drained.quarantined))
    indexed = sum(before.get(record_id) != found for record_id, found in here.items())  # others' waiting work was drained too: not ours
    return IngestReport(
        seen=imported.seen,
        indexed=indexed,
        unchanged=len(here) - indexed,
        quarantined=tuple(dict.fromkeys(refused)),
        skipped=tuple(imported.skipped),
        seconds=time.monotonic() - began,
        records=tuple(sorted(here)),
    )


def claimant() -> str:
    """Return the name under which this process claims work."""
    return f"ingest:{socket.gethostname()}:{os.getpid()}"


def _present(ledger: WitnessLedger, index: Index) -> dict[str, tuple[str, str]]:
    """Return the records that stand for what was imported, with the series UID or path of each, and its revision."""
    ids = {f"{center}:{project}:{uid}": f"series {uid}" for center, project, uid in ledger.series}
    found = index.members(MembersOf(frozenset(ids)))
    here = {record_id: (ids[record_id], revision) for record_id, revision in zip(found.ids, found.revisions, strict=True)}
    for path, name in ledger.files.items():
        found = index.members(Term(SOURCE_FIELD, path))
        here |= {record_id: (name, revision) for record_id, revision in zip(found.ids, found.revisions, strict=True)}
    return here


def _without_record(ledger: WitnessLedger, here: dict[str, tuple[str, str]]) -> list[Refusal]:
    """Return the known refusals of imported things that have no record: a bad input is named at every run, not only the first."""
    wanted = _sources(ledger) - {name for name, _ in here.values()}
    return [refusal for refusal in ledger.quarantine() if refusal.source in wanted]


def _own(ledger: WitnessLedger, refused: Iterable[Refusal]) -> list[Refusal]:
    """Return which refusals of the drain are of imported things."""
    wanted = _sources(ledger)
    return [refusal for refusal in refused if refusal.source in wanted]


def _sources(ledger: WitnessLedger) -> set[str]:
    return {f"series {uid}" for _, _, uid in ledger.series} | set(ledger.files.values())
