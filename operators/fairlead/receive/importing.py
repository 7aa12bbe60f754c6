"""Folders, files and zip archives as a door: every file ends as stored, unchanged, new version, skipped or refused."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final
from uuid import uuid4

from fairlead.errors import Conflict, FairleadError, InvalidInput, ServiceUnreachable, StorageFull, UnreadableImage, UnsupportedInput
from fairlead.progress import Progress
from fairlead.receive.file_ledger import Recorded
from fairlead.receive.finder import Found, content_sha256, find, fingerprint
from fairlead.receive.formats import OME_KINDS, Kind, recognise, recognise_file
from fairlead.receive.heads import read_head
from fairlead.receive.ledger import Ledger
from fairlead.receive.part10 import read_layout
from fairlead.receive.series_ledger import Stored
from fairlead.receive.sink import Announced, InstanceSink
from fairlead.receive.zips import ZipGuard, members
from fairlead.records import ReceivedFile, Refusal, Route
from fairlead.settings import Settings

CHUNK_BYTES: Final = 1024 * 1024


@dataclass(slots=True)
class ImportReport:
    """What became of every file; ``seen`` is the sum of all the others."""

    seen: int = 0
    added: int = 0
    unchanged: int = 0
    new_versions: int = 0
    files_added: int = 0
    files_unchanged: int = 0
    files_changed: int = 0
    skipped: list[str] = field(default_factory=list)
    """DICOMDIR indexes, and TIFFs that a companion describes: not data of their own."""
    refused: list[Refusal] = field(default_factory=list)

    def adds_up(self) -> bool:
        """Return whether nothing was dropped in silence."""
        done = self.added + self.unchanged + self.new_versions + self.files_added + self.files_unchanged + self.files_changed
        return self.seen == done + len(self.skipped) + len(self.refused)


def import_paths(settings: Settings, ledger: Ledger, paths: Sequence[Path], *, route: Route, progress: Progress) -> ImportReport:
    """Take everything below ``paths``; DICOM goes through the sink, OME files are read in place from then on.

    Raises
    ------
    NotFound : a path does not exist. StorageFull, ServiceUnreachable : the import stops; repeating it is safe.
    """
    door = _Door(ledger, InstanceSink(settings, ledger), route)
    door.holder = uuid4().hex
    with door.sink.archive.importing(door.holder), ledger.importing(door.holder):
        progress.start("reading", None)
        try:
            for found in (found for path in paths for found in find(path)):
                progress.step(size_bytes=door.take(found))
        finally:
            progress.finish()
    return door.report


@dataclass(slots=True)
class _Door:
    """One import under way."""

    ledger: Ledger
    sink: InstanceSink
    route: Route
    holder: str = ""
    report: ImportReport = field(default_factory=ImportReport)
    known: set[str] | None = None

    def take(self, found: Found) -> int:
        """Take one thing and return its size in bytes; only what stops the whole import is raised."""
        if found.refusal:
            self._refuse(found.name, "not-followed", found.refusal)
            return 0
        try:
            kind = recognise(found.path)
            if kind not in OME_KINDS:
                self._forget(found.path)
            if kind is Kind.ZIP:
                self._take_zip(found)
            elif kind is Kind.DICOM:
                self._take_dicom(found)
            elif kind in (Kind.DICOMDIR, Kind.OME_TIFF_MEMBER):
                self._skip(found.name)
            else:
                self._take_ome(found)
            return found.path.stat().st_size
        except (InvalidInput, Conflict) as error:
            self._forget(found.path)
            self._refuse(found.name, error.code, error.message)
        except OSError as error:
            self._refuse(found.name, "unreadable", f"The file cannot be read: {error.strerror}.")
        return 0

    def _take_dicom(self, found: Found) -> None:
        with found.path.open("rb") as file:
            stored = self._store(file, size=found.path.stat().st_size, source=found.name)
        self._count(stored)

    def _store(self, file: BinaryIO, *, size: int, source: str) -> Stored:
        announced, offset = describe(file, size=size, source=source)
        file.seek(offset)
        chunks: Iterable[bytes] = iter(lambda: file.read(CHUNK_BYTES), b"")
        return self.sink.store(chunks, route=self.route, announced=announced, holder=self.holder).stored

    def _count(self, stored: Stored) -> None:
        self.report.seen += 1
        match stored:
            case Stored.ADDED:
                self.report.added += 1
            case Stored.UNCHANGED:
                self.report.unchanged += 1
            case Stored.NEW_VERSION:
                self.report.new_versions += 1

    def _take_ome(self, found: Found) -> None:
        digest, size = fingerprint(found.path)
        file = ReceivedFile(
            path=str(found.path),
            name=found.name,
            sha256=content_sha256(found.path),
            size_bytes=size,
            route=self.route,
            seen_at=self.ledger.clock(),
        )
        recorded = self.ledger.record_file(file, fingerprint=digest)
        self.report.seen += 1
        match recorded:
            case Recorded.ADDED:
                self.report.files_added += 1
            case Recorded.UNCHANGED:
                self.report.files_unchanged += 1
            case Recorded.CHANGED:
                self.report.files_changed += 1

    def _forget(self, path: Path) -> None:
        """Let the records go that stand for an older content of a path, which holds no OME image any more."""
        if self.known is None:
            self.known = set(self.ledger.fingerprints(self.route))
        if str(path) in self.known:
            self.ledger.file_gone(str(path), self.route)

    def _take_zip(self, found: Found) -> None:
        guard = ZipGuard(archive_bytes=found.path.stat().st_size)
        try:
            with zipfile.ZipFile(found.path) as archive:
                for member in members(archive):
                    self._take_member(archive, member, guard, f"{found.name}!{member.filename}")
        except (zipfile.BadZipFile, ValueError) as error:
            raise UnreadableImage("The zip file is damaged.") from error
        except NotImplementedError as error:  # zipfile's word for a version or method it does not read
            raise UnsupportedInput("The zip file has a version or method that is not read.", remedy="Pack it anew with Deflate.") from error

    def _take_member(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, guard: ZipGuard, source: str) -> None:
        try:
            guard.admit(member)
            with archive.open(member) as file:
                kind = recognise_file(file, name=member.filename, size=member.file_size)  # type: ignore[arg-type]  # a reader with seek is enough
                if kind is Kind.DICOMDIR:
                    self._skip(source)
                elif kind is not Kind.DICOM:
                    raise UnsupportedInput(f"Inside a zip file only DICOM is taken; this is {kind}. Unpack it first.")
                else:
                    self._count(self._store(file, size=member.file_size, source=source))  # type: ignore[arg-type]
        except (StorageFull, ServiceUnreachable):
            raise
        except FairleadError as error:
            self._refuse(source, error.code, error.message)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as error:
            self._refuse(source, "unreadable-image", f"The member cannot be unpacked ({type(error).__name__}).")

    def _skip(self, source: str) -> None:
        self.report.seen += 1
        self.report.skipped.append(source)

    def _refuse(self, source: str, code: str, reason: str) -> None:
        self.report.seen += 1
        self.report.refused.append(Refusal(source=source, code=code, reason=reason))


def describe(file: BinaryIO, *, size: int, source: str) -> tuple[Announced, int]:
    """Return what is known of a DICOM file before its data set is read, and where that begins."""
    layout = read_layout(file, size=size)
    if layout.keep_meta:
        file.seek(0)
        return Announced(layout.transfer_syntax_uid, file_meta=file.read(layout.offset), source=source), layout.offset
    try:
        head = read_head(file, offset=layout.offset, size=size, transfer_syntax_uid=layout.transfer_syntax_uid)
    except InvalidInput:  # the sink will say what is wrong, and keep the bytes
        return Announced(layout.transfer_syntax_uid, source=source), layout.offset
    return Announced(layout.transfer_syntax_uid, head.sop_class_uid, head.sop_instance_uid, source=source), layout.offset
