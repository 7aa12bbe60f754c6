"""Files and folders straight into the index: import, settle, drain, and one report over all of it. No Airflow needed."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from fairlead.extract import FieldCatalogue
from fairlead.index.criteria import MembersOf, Term
from fairlead.index.draining import drain_all
from fairlead.index.port import Index
from fairlead.index.rows import SOURCE_FIELD
from fairlead.progress import Progress
from fairlead.receive import Arrival, Ledger, Recorded, RelationConflict, Stored, import_paths
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
    ledger.settle(settle_after_s=0, quiet_after_s=settings.node.quiet_after_s)  # what others left half sent goes on waiting
    drained = drain_all(settings, ledger=ledger, index=index, catalogue=catalogue, claimant=claimant(), progress=progress)
    here = _present(ledger, index)
    refused = (*imported.refused, *_without_record(ledger, here))
    return IngestReport(
        indexed=drained.indexed,
        unchanged=max(len(here) - drained.indexed, 0),
        quarantined=tuple(dict.fromkeys((*refused, *drained.quarantined))),
        skipped=tuple(imported.skipped),
        seconds=time.monotonic() - began,
        records=tuple(sorted(here)),
    )


def claimant() -> str:
    """Return the name under which this process claims work."""
    return f"ingest:{socket.gethostname()}:{os.getpid()}"


def _present(ledger: WitnessLedger, index: Index) -> dict[str, str]:
    """Return the records that stand for what was imported, with the series UID or path of each."""
    ids = {f"{center}:{project}:{uid}": f"series {uid}" for center, project, uid in ledger.series}
    found = dict.fromkeys(index.members(MembersOf(frozenset(ids))).ids, "")
    here = {record_id: ids[record_id] for record_id in found}
    for path, name in ledger.files.items():
        here |= dict.fromkeys(index.members(Term(SOURCE_FIELD, path)).ids, name)
    return here


def _without_record(ledger: WitnessLedger, here: dict[str, str]) -> list[Refusal]:
    """Return the known refusals of imported things that have no record: a bad input is named at every run, not only the first."""
    wanted = ({f"series {uid}" for _, _, uid in ledger.series} | set(ledger.files.values())) - set(here.values())
    return [refusal for refusal in ledger.quarantine() if refusal.source in wanted]
