"""What somebody does about a refusal: look at it, try it again after the cause is mended, or take the bytes out to examine them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from fairlead.database import open_database
from fairlead.errors import FairleadError, NotFound
from fairlead.files import atomic_write, write_text
from fairlead.receive.heads import read_head
from fairlead.receive.importing import CHUNK_BYTES, describe
from fairlead.receive.ledger import Ledger
from fairlead.receive.refusals import Quarantined
from fairlead.receive.sink import Announced, AnnouncedOtherwise, InstanceSink
from fairlead.receive.sweep import TORN
from fairlead.settings import Settings

SERIES: Final = "series "


class NothingToRetry(NotFound):
    """A refusal whose bytes were not kept, or of a source that has to come again by itself."""

    code = "nothing-to-retry"
    default_remedy = "Send or import it again."


@dataclass(slots=True)
class RetryReport:
    """How many refusals were tried again, how many are mended now, and why the others are not."""

    retried: int = 0
    mended: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def _ledger(settings: Settings) -> Iterator[Ledger]:
    engine = open_database(settings)
    try:
        yield Ledger(engine)
    finally:
        engine.dispose()


def list_quarantine(settings: Settings, ids: Sequence[int] = ()) -> tuple[Quarantined, ...]:
    """Return every refusal, or those named; raise NotFound when one of them does not exist."""
    with _ledger(settings) as ledger:
        return _wanted(ledger, ids)


def _wanted(ledger: Ledger, ids: Sequence[int]) -> tuple[Quarantined, ...]:
    rows = ledger.quarantined()
    if missing := sorted(set(ids) - {row.id for row in rows}):
        raise NotFound(f"The quarantine has no entry {missing[0]}.", remedy="fairlead node quarantine list shows the numbers.")
    return tuple(row for row in rows if not ids or row.id in ids)


def retry_quarantine(settings: Settings, ids: Sequence[int] = ()) -> RetryReport:
    """Put kept bytes through the sink again, and quarantined series back on the work list; what works leaves the quarantine."""
    report = RetryReport()
    with _ledger(settings) as ledger:
        wanted, sink = _wanted(ledger, ids), InstanceSink(settings, ledger)
        with ledger.importing(uuid4().hex) as holder:
            for row in wanted:
                report.retried += 1
                try:
                    _retry(ledger, sink, row, holder)
                except FairleadError as error:
                    report.refused.append({"id": row.id, "code": error.code, "reason": error.message})
                else:
                    ledger.release_quarantined(row)
                    report.mended += 1
    return report


def _retry(ledger: Ledger, sink: InstanceSink, row: Quarantined, holder: str) -> None:
    if row.path is None:
        if row.route is None or not row.source.startswith(SERIES):
            raise NothingToRetry("No bytes of this refusal were kept.")
        ledger.retry_series(row.route.project, row.route.center, row.source.removeprefix(SERIES))
        return
    if row.code == TORN:
        raise NothingToRetry("The object was never whole here.")
    path = sink.archive.root / row.path
    if row.route is None or not path.is_file():
        raise NothingToRetry("The bytes of this refusal are gone.")
    with path.open("rb") as file:
        announced, offset = describe(file, size=path.stat().st_size, source=row.source)
        if row.code == AnnouncedOtherwise.code:  # whoever retries trusts the data set: the header is written anew from it
            head = read_head(file, offset=offset, size=path.stat().st_size, transfer_syntax_uid=announced.transfer_syntax_uid)
            announced = Announced(announced.transfer_syntax_uid, head.sop_class_uid, head.sop_instance_uid, source=row.source)
        file.seek(offset)
        sink.store(iter(lambda: file.read(CHUNK_BYTES), b""), route=row.route, announced=announced, holder=holder)
    path.unlink(missing_ok=True)


def export_quarantine(settings: Settings, folder: Path, ids: Sequence[int] = ()) -> list[dict[str, Any]]:
    """Copy kept bytes and a list of reasons (reasons.json) into ``folder``; the quarantine stays as it is. The copies hold patient data."""
    described = []
    folder.mkdir(parents=True, exist_ok=True)
    for row in list_quarantine(settings, ids):
        entry = {"id": row.id, "source": row.source, "code": row.code, "reason": row.reason, "times": row.times, "file": None}
        kept = settings.archive_folder / row.path if row.path else None
        if kept is not None and kept.is_file():
            entry["file"] = f"{row.id}-{kept.stem[:12]}.dcm"
            with kept.open("rb") as source, atomic_write(folder / str(entry["file"])) as target:
                shutil.copyfileobj(source, target)
        described.append(entry)
    write_text(folder / "reasons.json", json.dumps(described, indent=2) + "\n")
    return described
