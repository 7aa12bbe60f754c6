"""Take a backup while everything runs: first the rows, of one moment, then the files. A file is there before its row, and never changes."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from fairlead import __version__
from fairlead.backup.gauges import note_backup
from fairlead.backup.installation import require_own
from fairlead.backup.keeping import fingerprints
from fairlead.backup.manifest import (
    FILES,
    FORMAT,
    TABLES,
    FileLine,
    Manifest,
    Vault,
    as_line,
    file_lines,
    gzip_lines,
    remove_unfinished,
    spelled,
)
from fairlead.backup.rows import dump, one_moment, require_restorable, revision_of
from fairlead.database import utc_now
from fairlead.errors import CheckFailed, Conflict, InvalidConfiguration, InvalidInput, UnsupportedInput
from fairlead.files import sha256_file
from fairlead.progress import Progress, Silent
from fairlead.records import Record
from fairlead.settings import Settings

UNDER_WAY: Final = frozenset({".incoming"})
AUDIT: Final = "audit/"
"""A node writes its audit trail into an empty archive too; the rest of the archive is images."""

log = logging.getLogger(__name__)


class BackupReport(Record):
    """What a backup came to."""

    snapshot: str
    tables: dict[str, int]
    files: int
    size_bytes: int
    copied: int
    pruned: int = 0
    seconds: float


def roots(settings: Settings) -> dict[str, Path]:
    """Return the folders whose files are backed up, by name, in the order of the names."""
    return {"archive": settings.archive_folder, "published": settings.published_folder, "watch": settings.watch_folder}


def backup(
    settings: Settings,
    engine: Engine,
    folder: Path,
    *,
    with_bytes: bool = True,
    keep: int | None = None,
    progress: Progress | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> BackupReport:
    """Write one more snapshot into ``folder``; bytes that are there already are not copied again.

    ``keep`` deletes all but the newest so many snapshots afterwards. Killed anywhere, it leaves the older snapshots as
    they were, and the next call goes on with the blobs that are there.

    Raises
    ------
    InvalidInput : the folder lies inside the home or one that is backed up, or holds something else.
    InvalidConfiguration : a file or folder may not be read.
    UnsupportedInput : the database has the schema of a newer program.
    Conflict : another backup is being written there, it is another installation's, or nothing was found where there was something before.
    """
    began, vault = time.monotonic(), Vault(folder.resolve())
    _require_outside(vault.folder, settings)
    with vault.locked():
        installation = require_own(settings, vault.installation())
        before = _readable(vault)
        snapshot = vault.new(clock())
        try:
            with one_moment(engine) as connection:
                require_restorable(revision := revision_of(connection))
                tables = dump(connection, snapshot)
            files = _Files(vault, with_bytes=with_bytes, before=before)
            files.write(snapshot, roots(settings), progress or Silent())
            _require_content(before, files)
        except BaseException:
            remove_unfinished(snapshot)
            raise
        manifest = Manifest(
            format=FORMAT,
            created_at=clock(),
            version=__version__,
            revision=revision or "",
            tables=tables,
            files=files.count,
            size_bytes=files.size_bytes,
            with_bytes=with_bytes,
            watch_folder=str(settings.watch_folder),
            tables_sha256=sha256_file(snapshot / TABLES),
            files_sha256=sha256_file(snapshot / FILES),
            keys=fingerprints(settings),
            installation=installation,
        )
        vault.finish(snapshot, manifest)
        pruned = vault.prune(keep) if keep else 0
        note_backup(settings, manifest.created_at)
    return BackupReport(
        snapshot=snapshot.name,
        tables=tables,
        files=files.count,
        size_bytes=files.size_bytes,
        copied=files.copied,
        pruned=pruned,
        seconds=round(time.monotonic() - began, 3),
    )


def _readable(vault: Vault) -> Path | None:
    """Return the newest snapshot, which saves reading files again; one that is damaged saves nothing, and must not stop the next."""
    for name in vault.names()[-1:]:
        try:
            vault.manifest(vault.snapshots / name)
            return vault.snapshots / name
        except (CheckFailed, InvalidInput, UnsupportedInput):
            log.warning("the newest snapshot is damaged, so every file is read again", extra={"snapshot": name})
    return None


def _require_content(before: Path | None, files: _Files) -> None:
    """Raise Conflict when no image, or no file at all, is here and one was before: then a volume is missing, not the data."""
    if before is None or (files.count and files.images):
        return
    for line in file_lines(before):
        if not files.count or _is_image(line.root, line.path):
            raise Conflict(
                f"The {line.root} folder holds nothing to back up, but it did before; no snapshot was written and none deleted.",
                remedy="Is its volume mounted, and is FAIRLEAD_HOME that of the installation? If all was deleted on purpose: a new folder.",
            )


def _is_image(root: str, path: str) -> bool:
    return root == "archive" and not path.startswith(AUDIT)


def _require_outside(folder: Path, settings: Settings) -> None:
    for name, root in {**roots(settings), "home": settings.home_folder}.items():
        if folder.is_relative_to(root.resolve()):
            raise InvalidInput(f"The backup folder lies inside the {name} folder.", remedy="Choose one on another disk.")


class _Files:
    """Lists every file, and copies those whose bytes are not in the vault; memory does not grow with their number."""

    def __init__(self, vault: Vault, *, with_bytes: bool, before: Path | None) -> None:
        self._vault = vault
        self._with_bytes = with_bytes
        self._before = iter(file_lines(before)) if before else iter(())
        self._known: FileLine | None = next(self._before, None)
        self.count = self.size_bytes = self.copied = self.images = 0

    def write(self, snapshot: Path, folders: dict[str, Path], progress: Progress) -> None:
        """Write the list of all files, copying the bytes that the vault does not have."""
        progress.start("back up files", None)
        try:
            with gzip_lines(snapshot / FILES) as lines:
                for root, folder in folders.items():
                    for line in self._lines(root, folder):
                        lines.write(as_line(line.model_dump(exclude_defaults=True)))
                        progress.step(size_bytes=line.size)
        finally:
            progress.finish()

    def _lines(self, root: str, folder: Path) -> Iterator[FileLine]:
        """Yield the lines of one folder, and count them."""
        try:
            for path in walk(folder):
                if line := self._line(root, folder, path):
                    self.count += 1
                    self.images += _is_image(root, path)
                    self.size_bytes += line.size
                    yield line
        except PermissionError as error:  # its name may be a patient's
            raise InvalidConfiguration(
                f"Something in the {root} folder can't be read by the user of this backup; no snapshot was written.",
                remedy=f"As that user find it with: find {folder} ! -readable, and correct its owner or mode.",
            ) from error

    def _line(self, root: str, folder: Path, path: str) -> FileLine | None:
        """Return the line of one file; None when it has gone since it was listed (withdrawn, or taken out of quarantine)."""
        try:
            status = (folder / path).stat()
            known = self._same(root, path, status)
            if known is not None:
                return known
            if self._with_bytes:
                sha256, size, new = self._vault.keep(folder / path)
                self.copied += new
            else:
                sha256, size = sha256_file(folder / path), status.st_size
        except FileNotFoundError:
            return None
        return FileLine.model_validate({"root": root, **spelled(path), "size": size, "changed_ns": status.st_mtime_ns, "sha256": sha256})

    def _same(self, root: str, path: str, status: os.stat_result) -> FileLine | None:
        """Return the line of the snapshot before when the file has not changed since and its bytes are in the vault."""
        wanted = (root, path.split("/"))
        while self._known is not None and (self._known.root, self._known.name.split("/")) < wanted:
            self._known = next(self._before, None)
        known = self._known
        if known is None or (known.root, known.name.split("/")) != wanted:
            return None
        unchanged = (known.size, known.changed_ns) == (status.st_size, status.st_mtime_ns)
        return known if unchanged and (not self._with_bytes or self._vault.has(known)) else None


def walk(folder: Path) -> Iterator[str]:
    """Yield every regular file, relative, ordered by the parts of its path; links and what is under way are left out."""
    levels = [_entries(folder, "")]  # a list, not a call in a call: how deep folders lie is up to their maker
    while levels:
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
        elif not entry[0].is_dir(follow_symlinks=False):
            if entry[0].is_file(follow_symlinks=False) and not entry[1].endswith(".part"):
                yield entry[1]
        elif entry[0].name not in UNDER_WAY:
            levels.append(_entries(folder, entry[1]))


def _entries(folder: Path, below: str) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Yield what lies in one folder with its path, ordered by name; nothing when the folder has gone."""
    try:
        found = sorted(os.scandir(folder / below), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in found:
        yield entry, f"{below}/{entry.name}" if below else entry.name
