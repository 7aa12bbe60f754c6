"""From the ledger to the index: claim, extract, put, mark. Safe to repeat after a crash between any two lines.

The mark comes last, so work that was not marked is claimed again when its lease ends, and putting it twice changes
nothing. Input that cannot be read is quarantined with its reason; a database, disk or network that fails is nobody's
bad input: it ends the batch, and the claims return by themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import batched, chain
from typing import Final, Literal

from fairlead.errors import FairleadError, ServiceUnreachable, StorageFull, UnreadableImage
from fairlead.extract import FieldCatalogue, read_file, read_series
from fairlead.index.criteria import All, And, Term
from fairlead.index.port import Index, PutReport
from fairlead.index.rows import SOURCE_FIELD
from fairlead.keys import load_project_key
from fairlead.progress import Progress, Silent, tracked
from fairlead.receive import Ledger
from fairlead.records import ImagingRecord, ReceivedFile, ReceivedSeries, Record, Refusal
from fairlead.settings import Settings

logger = logging.getLogger(__name__)

BATCH: Final = 200
DEFECT: Final = "internal"
OUTAGES: Final = (OSError, ServiceUnreachable, StorageFull, MemoryError)
"""What says nothing about the input: these end the batch and leave the work in the ledger."""

LOST: Final = (FileNotFoundError, PermissionError, NotADirectoryError)
"""What says that one file is gone."""

type Work = ReceivedSeries | ReceivedFile
type WorkKind = Literal["series", "files"]


class DrainReport(Record):
    """What a batch came to. ``indexed + unchanged`` counts records, ``quarantined`` series and files that gave none."""

    indexed: int = 0
    unchanged: int = 0
    quarantined: tuple[Refusal, ...] = ()
    records: tuple[str, ...] = ()

    def __add__(self, other: DrainReport) -> DrainReport:
        """Return both together."""
        return DrainReport(
            indexed=self.indexed + other.indexed,
            unchanged=self.unchanged + other.unchanged,
            quarantined=self.quarantined + other.quarantined,
            records=self.records + other.records,
        )


@dataclass(slots=True)
class Extraction:
    """Work of one batch: what was read, and what was refused."""

    read: list[tuple[Work, tuple[ImagingRecord, ...]]] = field(default_factory=list)
    refused: list[tuple[Work, Refusal]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Record ids of series that a newer generation overtook."""

    @property
    def records(self) -> tuple[ImagingRecord, ...]:
        """Every record of the batch."""
        return tuple(record for _, records in self.read for record in records)

    def overtaken(self, ledger: Ledger) -> None:
        """Forget series of which a newer generation is complete: it waits in the ledger, and must not be overwritten."""
        kept: list[tuple[Work, tuple[ImagingRecord, ...]]] = []
        for item, records in self.read:
            if not isinstance(item, ReceivedSeries) or ledger.is_newest(item):
                kept.append((item, records))
            else:
                self.left += [record.id for record in records]
        self.read = kept

    def turned_down(self, by_index: Sequence[Refusal]) -> None:
        """Move work to the refused whose records the index did not take; one that was read in part counts as not read."""
        why = {refusal.source: refusal for refusal in by_index}
        kept: list[tuple[Work, tuple[ImagingRecord, ...]]] = []
        for item, records in self.read:
            refusal = next((why[record.id] for record in records if record.id in why), None)
            if refusal is None:
                kept.append((item, records))
            else:
                self.refused.append((item, refusal.model_copy(update={"source": name_of(item)})))
        self.read = kept


def drain(
    settings: Settings,
    *,
    ledger: Ledger,
    index: Index,
    catalogue: FieldCatalogue,
    claimant: str,
    limit: int = BATCH,
    kind: WorkKind | None = None,
    progress: Progress | None = None,
) -> DrainReport:
    """Move up to ``limit`` waiting series and as many files into the index, and return what became of each.

    Raises
    ------
    ServiceUnreachable, StorageFull, OSError : the surroundings failed; what was claimed waits for its lease and is drained again.
    """
    remove_gone(ledger, index)
    work: list[Work] = [] if kind == "files" else list(ledger.claim_series(limit, claimant=claimant))
    work += [] if kind == "series" else ledger.claim_files(limit, claimant=claimant)
    found = extract_all(work, settings, catalogue, progress or Silent())
    found.overtaken(ledger)
    report = index.put(found.records)
    found.turned_down(report.refused)
    for item, records in found.read:
        mark(ledger, index, item, tuple(record.id for record in records))
        content = item.generation if isinstance(item, ReceivedSeries) else item.sha256
        logger.info("indexed", extra={"generation": content, "records": [record.id for record in records]})
    for item, refusal in found.refused:
        refuse(ledger, index, item, refusal)
    return _report(report, found)


def drain_all(
    settings: Settings,
    *,
    ledger: Ledger,
    index: Index,
    catalogue: FieldCatalogue,
    claimant: str,
    kind: WorkKind | None = None,
    progress: Progress | None = None,
) -> DrainReport:
    """Drain batch after batch until nothing can be claimed."""
    total, limit = DrainReport(), settings.export.drain_batch
    while True:
        batch = drain(
            settings, ledger=ledger, index=index, catalogue=catalogue, claimant=claimant, limit=limit, kind=kind, progress=progress
        )
        if batch == DrainReport():
            return total
        total += batch


def rebuild(
    settings: Settings, *, ledger: Ledger, index: Index, catalogue: FieldCatalogue, progress: Progress | None = None
) -> DrainReport:
    """Bring the index to what archive and ledger hold, without ever emptying it for those who search meanwhile.

    Everything indexed is read again and put (equal content is left alone), then what was there before and did not come
    up goes. Work that cannot be read now is reported, and its records leave the index.
    """
    before, total, left = set(index.members(All()).ids), DrainReport(), set[str]()
    everything: Iterable[Work] = chain(ledger.indexed_series(), ledger.indexed_files())
    for work in batched(everything, BATCH):
        found = extract_all(work, settings, catalogue, progress or Silent())
        found.overtaken(ledger)
        report = index.put(found.records)
        found.turned_down(report.refused)
        for item, _ in found.read:
            if isinstance(item, ReceivedSeries):
                ledger.series_indexed(item)  # changes nothing, unless a newer generation came while this one was read
        left.update(found.left)
        total += _report(report, found)
    index.remove(sorted(before - set(total.records) - left))
    return total


def extract_all(work: Sequence[Work], settings: Settings, catalogue: FieldCatalogue, progress: Progress) -> Extraction:
    """Read every series and file; one that cannot be read is refused and does not stop the others."""
    found = Extraction()
    for item in tracked(work, "extract", progress, total=len(work)) if work else ():
        try:
            found.read.append((item, _read(item, settings, catalogue)))
        except LOST as error:
            reason = f"A file of it cannot be opened ({type(error).__name__})."
            found.refused.append((item, Refusal(source=name_of(item), code=UnreadableImage.code, reason=reason)))
        except OUTAGES:
            raise
        except FairleadError as error:
            found.refused.append((item, Refusal(source=name_of(item), code=error.code, reason=error.message)))
        except Exception as error:
            # A defect of ours met this input. The message of a foreign error may quote header values, its type cannot.
            logger.error("A reader failed with %s.", type(error).__name__)
            reason = f"The reader failed with {type(error).__name__}; this is a defect of Fairlead."
            found.refused.append((item, Refusal(source=name_of(item), code=DEFECT, reason=reason)))
    return found


def _read(item: Work, settings: Settings, catalogue: FieldCatalogue) -> tuple[ImagingRecord, ...]:
    key = load_project_key(settings.secrets_folder, item.route.project)
    if isinstance(item, ReceivedSeries):
        if not settings.archive_folder.is_dir():
            raise ServiceUnreachable("The archive folder is not there.", remedy="Mount it again; nothing was lost.")
        return (read_series(item, archive=settings.archive_folder, catalogue=catalogue, key=key),)
    return read_file(item, catalogue=catalogue, key=key)


def name_of(item: Work) -> str:
    """Return how a report names the work: the series by its UID, the file by its name in the watched folder."""
    return f"series {item.series_uid}" if isinstance(item, ReceivedSeries) else item.name


def mark(ledger: Ledger, index: Index, item: Work, record_ids: tuple[str, ...]) -> None:
    """Tell the ledger that the work is done; records of a file's older content leave the index first, so that a crash forgets nothing."""
    if isinstance(item, ReceivedSeries):
        ledger.series_indexed(item)
        return
    index.remove(ledger.unshared(item, _older(index, item, keep=record_ids)))
    index.remove(ledger.unshared(item, ledger.file_indexed(item, record_ids)))


def refuse(ledger: Ledger, index: Index, item: Work, refusal: Refusal) -> None:
    """Write a refusal down; a file whose new content is unreadable has no records any more."""
    if isinstance(item, ReceivedSeries):
        ledger.series_quarantined(item, code=refusal.code, reason=refusal.reason)
        return
    index.remove(ledger.unshared(item, _older(index, item, keep=())))
    ledger.file_quarantined(item, code=refusal.code, reason=refusal.reason)


def _older(index: Index, file: ReceivedFile, *, keep: Iterable[str]) -> list[str]:
    here = And((Term(SOURCE_FIELD, file.path), Term("project", file.route.project), Term("center", file.route.center)))
    return sorted(set(index.members(here).ids) - set(keep))


def remove_gone(ledger: Ledger, index: Index) -> None:
    """Remove the records of files that disappeared; the ledger forgets them after that, never before."""
    for file, record_ids in ledger.gone_files():
        index.remove(ledger.unshared(file, record_ids))
        ledger.file_removed(file)


def _report(put: PutReport, found: Extraction) -> DrainReport:
    return DrainReport(
        indexed=put.added + put.changed,
        unchanged=put.unchanged,
        quarantined=tuple(refusal for _, refusal in found.refused),
        records=tuple(record.id for record in found.records),
    )
