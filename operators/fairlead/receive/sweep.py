"""What a node does first: parts of a dead process go away, and disk and ledger agree again.

A file without a row was durable but never acknowledged, so adopting it is safe and refusing it would be too. A row
without a file is a loss that somebody else caused; it is reported, never papered over.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import select

from fairlead.database import database_errors
from fairlead.errors import FairleadError, NotDicom
from fairlead.files import sha256_file
from fairlead.receive.archive import Archive
from fairlead.receive.heads import read_head
from fairlead.receive.ledger import Ledger
from fairlead.receive.part10 import read_layout
from fairlead.receive.series_ledger import Arrival, RelationConflict, Stored
from fairlead.receive.stored_files import dataset_sha256, whole_file
from fairlead.receive.tables import instances
from fairlead.records import Instance, Refusal

logger = logging.getLogger(__name__)
TORN = "torn"


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What was found: part files deleted, orphans adopted, orphans without an owner, rows whose file is gone, senders that died.

    ``torn`` counts objects whose name survived a power cut and whose bytes did not; nobody was told that they are stored.
    """

    parts: int
    adopted: int
    unowned: tuple[str, ...]
    missing: tuple[str, ...]
    lost_senders: int
    torn: int = 0


def sweep(archive: Archive, ledger: Ledger) -> SweepReport:
    """Delete dead parts, settle what the dead node had open, and reconcile disk with ledger."""
    parts, alive = archive.clear_incoming()
    known = _known_paths(ledger)
    missing = tuple(sorted(path for path in known if not (archive.root / path).is_file()))
    adopted, torn, unowned = 0, 0, []
    for orphan in _orphans(archive, known):
        if _is_torn(orphan):
            _set_aside(archive, ledger, orphan)
            torn += 1
        elif _adopt(archive, ledger, orphan):
            adopted += 1
        else:
            unowned.append(orphan.relative_to(archive.root).as_posix())
    for path in missing:
        ledger.refuse(Refusal(source=path, code="missing-file", reason="The ledger names a file that is not in the archive."))
    report = SweepReport(parts, adopted, tuple(unowned), missing, ledger.associations_lost(alive), torn)
    _tell(report)
    return report


def _known_paths(ledger: Ledger) -> set[str]:
    with database_errors(), ledger.engine.connect() as connection:
        return set(connection.scalars(select(instances.c.path)))


def _orphans(archive: Archive, known: set[str]) -> Iterator[Path]:
    first_versions_first = sorted((archive.root / "objects").rglob("*.dcm"), key=lambda path: len(path.suffixes))
    for path in first_versions_first:
        if path.relative_to(archive.root).as_posix() not in known:
            yield path


def _is_torn(path: Path) -> bool:
    """Return whether an object states a sha256 that its data set does not have."""
    try:
        with path.open("rb") as file:
            stated = read_layout(file, size=path.stat().st_size).stated_sha256
    except NotDicom:
        return path.stat().st_size == 0  # not even its first page was written
    return bool(stated) and stated != dataset_sha256(path)


def _set_aside(archive: Archive, ledger: Ledger, path: Path) -> None:
    """Move a torn object out of sight; its sender got no answer and will send it again."""
    sha256 = sha256_file(path)
    with path.open("rb") as file:
        kept = archive.keep_refused(path, file, sha256)
    reason = "The power failed while the object was written, before its sender was answered; the bytes are not whole."
    source = path.relative_to(archive.root).as_posix()
    ledger.refuse(Refusal(source=source, code=TORN, reason=reason), sha256=sha256, path=kept, route=archive.route_of(path.parent))


def _adopt(archive: Archive, ledger: Ledger, path: Path) -> bool:
    """Give an object without a row its row, from its own bytes and the sidecar beside it."""
    route = archive.route_of(path.parent)
    if route is None:
        return False
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            layout = read_layout(file, size=size)
            head = read_head(file, offset=layout.offset, size=size, transfer_syntax_uid=layout.transfer_syntax_uid)
        instance = Instance(
            sop_instance_uid=head.sop_instance_uid,
            sop_class_uid=head.sop_class_uid,
            transfer_syntax_uid=layout.transfer_syntax_uid,
            sha256=dataset_sha256(path),
            size_bytes=size,
            path=path.relative_to(archive.root).as_posix(),
        )
        _record(archive, ledger, Arrival(instance, head.study_uid, head.series_uid, route))
    except FairleadError as error:
        logger.error("cannot adopt an object of the archive: %s", error.message)
        return False
    return True


def _record(archive: Archive, ledger: Ledger, orphan: Arrival) -> None:
    """Write the row. The order in which versions came is lost with the row, so the present one stays unless only the orphan is whole."""
    uid, path = orphan.instance.sop_instance_uid, archive.root / orphan.instance.path
    present = ledger.present_path(orphan.route, uid)
    supersedes = present is None or (whole_file(path) and not whole_file(archive.root / present))
    (outcome,) = ledger.record([replace(orphan, supersedes=supersedes)])
    if isinstance(outcome, RelationConflict):
        raise outcome
    if outcome is Stored.UNCHANGED:
        other = archive.root / ledger.known_versions(orphan.route, uid)[orphan.instance.sha256]
        if other != path and other.is_file():  # an import beside us may have written this very row just now
            path.unlink()


def _tell(report: SweepReport) -> None:
    if report.parts or report.adopted or report.lost_senders or report.torn:
        found = (report.parts, report.adopted, report.torn, report.lost_senders)
        logger.info("start: %d part files deleted, %d objects adopted, %d torn ones set aside, %d series had lost their sender", *found)
    for path in report.missing:
        logger.error("start: %s is in the ledger and not in the archive", path)
    for path in report.unowned:
        logger.error("start: %s is in the archive and nothing says whose it is", path)
