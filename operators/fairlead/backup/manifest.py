"""The folder of a backup: blobs by content, and snapshots that list them. A snapshot exists when its manifest does, which is written last.

Layout::

    blobs/<2>/<sha256>               bytes of one file, written once; shared by all snapshots
    snapshots/<time>/tables.gz       rows of every table, NDJSON
    snapshots/<time>/files.gz        one line a file: root, path, size, time of change, sha256
    snapshots/<time>/manifest.json   what belongs together, with the sha256 of the two above
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import logging
import secrets
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Annotated, Final
from urllib.parse import quote, unquote

from pydantic import Field, StringConstraints, ValidationError

from fairlead.errors import CheckFailed, Conflict, InvalidInput, NotFound, UnsupportedInput
from fairlead.files import BLOCK_BYTES, atomic_write, sha256_file, storage_errors, sync_folder, usable_folder, write_text
from fairlead.records import Record

FORMAT: Final = 1
TABLES: Final = "tables.gz"
FILES: Final = "files.gz"
MANIFEST: Final = "manifest.json"
LOCK: Final = ".lock"
UNREADABLE: Final = (gzip.BadGzipFile, zlib.error, EOFError, UnicodeDecodeError, FileNotFoundError)
TIME: Final = "%Y%m%dT%H%M%S.%fZ"

log = logging.getLogger(__name__)


class Manifest(Record):
    """What one snapshot holds."""

    format: int
    created_at: datetime
    version: str
    revision: str
    """Newest migration of the database at that time."""
    tables: dict[str, int]
    files: int
    size_bytes: int
    with_bytes: bool
    watch_folder: str
    tables_sha256: str
    files_sha256: str
    keys: dict[str, str] | None = None
    """Fingerprints of the keys in force, by project; a restore needs the same ones."""
    installation: str | None = None


class FileLine(Record):
    """One file of a snapshot."""

    root: str
    path: Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00]*$")]
    size: Annotated[int, Field(ge=0)]
    changed_ns: int
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """Also the name of its bytes in the backup."""
    quoted: bool = False
    """Whether ``path`` is percent-encoded (RFC 3986 section 2.1), because the name of the file is not UTF-8."""

    @property
    def name(self) -> str:
        """The path as the operating system spells it."""
        return unquote(self.path, errors="surrogateescape") if self.quoted else self.path


def spelled(path: str) -> dict[str, str | bool]:
    """Return the fields of a line that hold this path: as it is, or percent-encoded when it is not UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return {"path": quote(path, errors="surrogateescape"), "quoted": True}
    return {"path": path}


class Vault:
    """One backup folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs = folder / "blobs"
        self.snapshots = folder / "snapshots"
        self._touched: set[Path] = set()
        self._made = ""

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder and keep other backups out of it; raise Conflict when one runs, InvalidInput when it is no backup folder."""
        usable_folder(self.folder, "backup folder", mode=0o700)
        self._require_ours()
        with (self.folder / LOCK).open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise Conflict("Another backup is being written to this folder.", remedy="Wait until it has ended.") from error
            for made in (self.blobs, self.snapshots):  # patients' images: also where the folder itself is open to all
                usable_folder(made, "backup folder", mode=0o700)
            yield

    def _require_ours(self) -> None:
        """Refuse a folder with other things in it: what lies in one called ``snapshots`` would be deleted as unfinished."""
        names = {path.name for path in self.folder.iterdir()}
        whole = {self.blobs.name, self.snapshots.name}
        if LOCK not in names and not whole <= names and any(not name.startswith(".") for name in names - {"lost+found"}):
            raise InvalidInput("The folder is not empty and no backup folder.", remedy="Name an empty folder, or one that does not exist.")

    def installation(self) -> str | None:
        """Return whose newest snapshot this is; None when there is none, or it does not say."""
        for name in self.names()[-1:]:
            with suppress(ValidationError):
                return Manifest.model_validate_json((self.snapshots / name / MANIFEST).read_bytes()).installation
        return None

    def names(self) -> list[str]:
        """Return the finished snapshots, oldest first."""
        return sorted(file.parent.name for file in self.snapshots.glob(f"*/{MANIFEST}")) if self.snapshots.is_dir() else []

    def new(self, now: datetime) -> Path:
        """Make the folder of a new snapshot, named as the newest: a clock that once ran ahead must not make it look old."""
        after = [made + timedelta(microseconds=1) for name in self.names() if (made := _time_of(name))]
        self._made = f"{max([now.astimezone(UTC), *after]):{TIME}}-{secrets.token_hex(2)}"
        (self.snapshots / self._made).mkdir(parents=True, mode=0o700)
        return self.snapshots / self._made

    def chosen(self, name: str | None) -> Path:
        """Return the folder of a snapshot, the newest when none is named; raise NotFound."""
        names = self.names()
        if not names or (name is not None and name not in names):
            raise NotFound("There is no such snapshot in the backup folder.", remedy="Name the folder that `fairlead backup` wrote.")
        return self.snapshots / (name or names[-1])

    def manifest(self, snapshot: Path) -> Manifest:
        """Read a manifest and check that it is whole.

        Raises
        ------
        UnsupportedInput : another format.
        CheckFailed : a file of the snapshot is damaged.
        """
        try:
            found = Manifest.model_validate_json((snapshot / MANIFEST).read_bytes())
        except ValidationError as error:
            raise InvalidInput("The manifest of the snapshot is damaged.", remedy="Choose another snapshot.") from error
        if found.format != FORMAT:
            raise UnsupportedInput(f"The backup has format {found.format}, this program reads {FORMAT}.", remedy="Use a newer Fairlead.")
        for name, expected in ((TABLES, found.tables_sha256), (FILES, found.files_sha256)):
            if not (snapshot / name).is_file() or sha256_file(snapshot / name) != expected:
                raise CheckFailed(f"{name} of the snapshot is damaged.", remedy="Choose another snapshot.")
        return found

    def finish(self, snapshot: Path, manifest: Manifest) -> None:
        """Write the manifest: from now on the snapshot exists, and what it names survives a power cut."""
        for touched in self._touched:
            sync_folder(touched)
        write_text(snapshot / MANIFEST, manifest.model_dump_json(indent=1) + "\n")

    def blob(self, sha256: str) -> Path:
        """Return where the bytes of that hash lie."""
        return self.blobs / sha256[:2] / sha256

    def has(self, line: FileLine) -> bool:
        """Tell whether the bytes of a file lie here, as long as they should be: a blob cut short is written again."""
        with suppress(FileNotFoundError):
            return self.blob(line.sha256).stat().st_size == line.size
        return False

    def keep(self, source: Path) -> tuple[str, int, bool]:
        """Store a file; return its hash, its size, and whether its bytes are new here."""
        name, size = hashlib.sha256(), 0
        part = self.blobs / f".{secrets.token_hex(8)}.part"
        with source.open("rb") as original, atomic_write(part) as handle:
            while block := original.read(BLOCK_BYTES):
                name.update(block)
                size += handle.write(block)
        digest = name.hexdigest()
        target = self.blob(digest)
        new = not target.exists()
        with storage_errors("a blob"):
            target.parent.mkdir(exist_ok=True)
            part.replace(target)
        self._touched |= {target.parent, self.blobs}
        return digest, size, new

    def _has_bytes(self, name: str) -> bool:
        """Tell whether a snapshot holds bytes; one whose manifest can't be read is not a list of names, and is not preferred to one."""
        with suppress(ValidationError):
            return Manifest.model_validate_json((self.snapshots / name / MANIFEST).read_bytes()).with_bytes
        return False

    def prune(self, keep: int) -> int:
        """Delete all snapshots but the newest ``keep``, unfinished ones, and blobs that no kept one lists; return how many blobs went.

        Snapshots with bytes and those without are counted apart: many lists of names never push out the last one that can be restored.
        """
        names = {name: self._has_bytes(name) for name in self.names()}
        kept = {name for kind in (True, False) for name in [each for each, has in names.items() if has is kind][-keep:]}
        kept |= {self._made} & names.keys()  # also where somebody has renamed an older one
        for snapshot in self.snapshots.iterdir():
            if snapshot.name not in kept:
                (snapshot / MANIFEST).unlink(missing_ok=True)  # first, so that it stops being one
                shutil.rmtree(snapshot)
        try:
            wanted = {line.sha256 for name in kept for line in file_lines(self.snapshots / name)}
        except InvalidInput:
            log.warning("a kept snapshot can't be read, so no bytes are deleted; look at the disk of the backups")
            return 0
        gone = [blob for blob in self.blobs.glob("??/*") if blob.name not in wanted] if self.blobs.is_dir() else []
        for blob in gone:
            blob.unlink()
        for part in self.blobs.glob(".*.part*"):
            part.unlink(missing_ok=True)
        return len(gone)


def file_lines(snapshot: Path) -> Iterator[FileLine]:
    """Yield the files of a snapshot, ordered by root and path; raise InvalidInput for a line that is none."""
    try:
        with gzip.open(snapshot / FILES, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield FileLine.model_validate_json(line)
    except ValidationError as error:
        raise InvalidInput("The backup lists something that is no file.", remedy="Do not use this backup.") from error
    except UNREADABLE as error:
        raise InvalidInput("The list of files of a snapshot is damaged.", remedy="Choose another snapshot.") from error


@contextmanager
def gzip_lines(path: Path) -> Iterator[IO[str]]:
    """Yield a text handle; the compressed file appears whole, and with the same bytes for the same lines."""
    with atomic_write(path) as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
        yield _Lines(packed)  # type: ignore[misc]


class _Lines:
    def __init__(self, packed: gzip.GzipFile) -> None:
        self._packed = packed

    def write(self, text: str) -> int:
        """Write one piece of text."""
        return self._packed.write(text.encode())


def as_line(document: object) -> str:
    """Return a document as one line of JSON."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"


def _time_of(name: str) -> datetime | None:
    """Return when a snapshot was made by its name; None for one that somebody has renamed."""
    with suppress(ValueError):
        return datetime.strptime(name.rpartition("-")[0], TIME).replace(tzinfo=UTC)
    return None


def remove_unfinished(snapshot: Path) -> None:
    """Delete the folder of a snapshot that came to nothing."""
    with suppress(OSError):
        shutil.rmtree(snapshot)
