"""Bring a snapshot back into an empty home: files first, checked by their hashes, then all rows in one transaction.

Killed before the rows are in, it leaves an empty database, and the next call goes on with the files that are there.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from sqlalchemy import Engine

from fairlead.backup.installation import take_up
from fairlead.backup.keeping import Keys, require_keys, return_keys
from fairlead.backup.manifest import FileLine, Manifest, Vault, file_lines
from fairlead.backup.rows import load, prepare
from fairlead.backup.taking import roots
from fairlead.errors import CheckFailed, Conflict, InvalidInput
from fairlead.files import BLOCK_BYTES, sha256_file, storage_errors, sync_folder, usable_folder
from fairlead.progress import Progress, Silent, tracked
from fairlead.records import Record
from fairlead.settings import Settings

PART: Final = ".restoring.part"
LOCK: Final = ".restoring.lock"
OTHER: Final = "Choose another snapshot or another copy of the backup."


class RestoreReport(Record):
    """What a restore came to; ``missing`` are files that neither the backup nor this home has."""

    snapshot: str
    tables: dict[str, int]
    files: int
    written: int
    missing: tuple[str, ...] = ()
    keys: int = 0
    seconds: float


def restore(
    settings: Settings,
    engine: Engine,
    folder: Path,
    *,
    snapshot: str | None = None,
    keys: Keys = Keys(),  # noqa: B008  frozen
    progress: Progress | None = None,
) -> RestoreReport:
    """Restore a snapshot, the newest when none is named; calling it again after it has ended changes nothing.

    Raises
    ------
    NotFound : no such snapshot, or its keys are not here.
    Conflict : other keys, the database holds other rows, a file here has other bytes than the snapshot's, or another restore runs.
    CheckFailed : the backup is damaged; nothing was loaded into the database.
    """
    began, vault = time.monotonic(), Vault(folder.resolve())
    chosen = vault.chosen(snapshot)
    manifest = vault.manifest(chosen)
    require_keys(settings, manifest.keys, keys)
    moved = (manifest.watch_folder, str(settings.watch_folder))
    to_load = prepare(engine, chosen, revision=manifest.revision, moved=moved)
    files = _Files(vault, manifest, roots(settings))
    with _alone(settings):
        returned = return_keys(settings, keys.folder) if keys.folder else 0
        for line in tracked(file_lines(chosen), "restore files", progress or Silent(), total=manifest.files):
            files.bring(line)
        if manifest.installation:  # before the rows: with them the home may be used, and its next backup asks for the name
            take_up(settings, manifest.installation)
        if to_load:
            load(engine, chosen, moved=moved)
    return RestoreReport(
        snapshot=chosen.name,
        tables=manifest.tables,
        files=manifest.files,
        written=files.written,
        missing=tuple(files.missing),
        keys=returned,
        seconds=round(time.monotonic() - began, 3),
    )


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Keep other restores out of this home: two would write to one part file, and rename a mixture."""
    with (usable_folder(settings.home_folder, "home folder") / LOCK).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Conflict("Another restore is running in this home.", remedy="Wait until it has ended.") from error
        yield


class _Files:
    def __init__(self, vault: Vault, manifest: Manifest, folders: dict[str, Path]) -> None:
        self._vault = vault
        self._with_bytes = manifest.with_bytes
        self._folders = folders
        self.written = 0
        self.missing: list[str] = []

    def bring(self, line: FileLine) -> None:
        """Write one file, unless these bytes are there."""
        target = self._target(line)
        if target.is_file():
            if target.stat().st_size != line.size or sha256_file(target) != line.sha256:
                raise Conflict(
                    f"Other bytes lie under a name of the backup in the {line.root} folder.", remedy="Restore into an empty home."
                )
        elif self._with_bytes:
            self._copy(self._vault.blob(line.sha256), target, line)
            self.written += 1
        else:
            self.missing.append(f"{line.root}/{line.path}")

    def _target(self, line: FileLine) -> Path:
        path = PurePosixPath(line.name)
        if line.root not in self._folders or path.is_absolute() or ".." in path.parts or not path.parts or "\0" in line.name:
            raise InvalidInput("The backup lists a path outside its folders.", remedy="Do not use this backup.")
        return self._folders[line.root] / path

    def _copy(self, blob: Path, target: Path, line: FileLine) -> None:
        found = hashlib.sha256()
        with storage_errors("a restored file"):
            target.parent.mkdir(parents=True, exist_ok=True)
            # One name for all parts: what a killed restore leaves is overwritten by the next one.
            part = self._folders[line.root] / PART
            try:
                with blob.open("rb") as original, part.open("wb") as handle:
                    while block := original.read(BLOCK_BYTES):
                        found.update(block)
                        handle.write(block)
                    handle.flush()
                    os.fsync(handle.fileno())
                if found.hexdigest() != line.sha256:
                    raise CheckFailed("A file of the backup is damaged.", remedy=OTHER)
                part.rename(target)
                sync_folder(target.parent)
            except FileNotFoundError as error:
                raise CheckFailed("A file of the backup is missing.", remedy=OTHER) from error
            finally:
                part.unlink(missing_ok=True)
