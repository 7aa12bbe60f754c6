"""The archive on disk: names made from hashes only, files that appear once and whole, and a sidecar that says whose they are.

Layout below the archive folder::

    objects/<2>/<study>/<series>/<sop>[.<sha12>].dcm    written once, never replaced
    objects/<2>/<study>/<series>/route.json             project, centre and sender of the first instance
    quarantine/<sha>.dcm                                bytes that were refused, with their reason in the ledger
    .incoming/*.part                                    writes under way, locked by their writer; dead ones are deleted at start
    .incoming/*.import                                  imports under way, locked in the same way
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from fairlead.errors import StorageFull
from fairlead.files import atomic_write, storage_errors, sync_folder, usable_folder
from fairlead.receive.heads import Head
from fairlead.receive.parts import create
from fairlead.records import Route

SIDECAR: Final = "route.json"
PART: Final = ".part"
IMPORT: Final = ".import"
HASH_CHARACTERS: Final = 32
SYNCS: Final = 32
"""Folders that are synced at the same time."""


def _hash(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:HASH_CHARACTERS]


def series_folder(head: Head, *, project: str, center: str) -> str:
    """Return the folder of a series, relative to the archive: hashes of project, centre and UIDs, never a peer's text."""
    study = _hash(project, center, head.study_uid)
    return f"objects/{study[:2]}/{study}/{_hash(project, center, head.series_uid)}"


def instance_name(sop_instance_uid: str, *, sha256: str | None = None) -> str:
    """Return the file name of an instance; with ``sha256`` the name of a further version of it."""
    version = f".{sha256[:12]}" if sha256 else ""
    return f"{_hash(sop_instance_uid)}{version}.dcm"


def _is_alive(path: Path) -> bool:
    """Return whether the writer of a file of ``.incoming`` still holds its lock; one that is dead is deleted under ours."""
    try:
        with path.open("rb") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        pass  # finished just now
    return False


class Archive:
    """One archive folder on one file system, so that a finished part becomes an object by a link."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.incoming = root / ".incoming"
        self.quarantine = root / "quarantine"
        self._known: set[Path] = set()
        self._syncs = ThreadPoolExecutor(SYNCS, thread_name_prefix="archive-sync")
        for folder in (self.incoming, self.quarantine, root / "objects"):
            usable_folder(folder, "archive folder")

    def free_bytes(self) -> int:
        """Return the free space of the archive's file system."""
        return shutil.disk_usage(self.root).free

    def require_room(self, low_water_bytes: int) -> None:
        """Raise StorageFull when less than the low-water mark is free."""
        if self.free_bytes() < low_water_bytes:
            raise StorageFull("The archive is below its low-water mark.")

    def new_part(self) -> Path:
        """Return an unused name for a write under way."""
        return self.incoming / f"{secrets.token_hex(12)}{PART}"

    @contextmanager
    def importing(self, key: str) -> Iterator[None]:
        """Show to others, who may start a node meanwhile, that an import is under way."""
        sign = self.incoming / f"{key}{IMPORT}"
        try:
            with self.writing(sign):
                yield
        finally:
            sign.unlink(missing_ok=True)

    @contextmanager
    def writing(self, part: Path) -> Iterator[BinaryIO]:
        """Open a new file of ``.incoming``; the lock it bears until the end says that its writer is alive."""
        with create(part) as handle:
            fcntl.flock(handle, fcntl.LOCK_SH)
            if os.fstat(handle.fileno()).st_nlink == 0:  # a node that starts took it for a dead one before it was locked
                with self.writing(part) as again:
                    yield again
                return
            yield handle

    def clear_incoming(self) -> tuple[int, frozenset[str]]:
        """Delete what dead processes left there; return how many parts that were, and the imports that are alive."""
        deleted, alive = 0, set()
        for path in self.incoming.iterdir():
            if path.suffix in (PART, IMPORT) and not _is_alive(path):
                deleted += path.suffix == PART
            elif path.suffix == IMPORT:
                alive.add(path.stem)
        return deleted, frozenset(alive)

    def prepare(self, folder: Path, route: Route) -> None:
        """Make a series folder durable, with its sidecar, before the first object appears in it."""
        if folder in self._known:
            return
        with storage_errors("a series folder"):
            missing = [p for p in (folder, *folder.parents) if p.is_relative_to(self.root) and not p.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            for made in missing or (folder, *folder.parents[:2]):  # made by another process just now, perhaps: it may not have synced yet
                sync_folder(made.parent)
            if not (folder / SIDECAR).exists():
                with atomic_write(folder / SIDECAR) as handle:
                    handle.write(route.model_dump_json().encode())
        if len(self._known) > 10_000:
            self._known.clear()
        self._known.add(folder)

    def appear(self, part: Path, handle: BinaryIO, final: Path, *, states_sha256: bool) -> bool:
        """Give a part its final name; file and name are on the disk when this returns. Return False when the name is taken (never replace).

        A part that states its own sha256 gets its name first: then the two syncs run side by side and mostly share one commit of the
        file system. Should the power fail in between, the sweep sees that its bytes are not all there. Any other part is synced first.
        """
        with storage_errors("an object"):
            if not states_sha256:
                os.fsync(handle.fileno())
            try:
                os.link(part, final)
            except FileExistsError:
                return False
            try:
                entry = self._syncs.submit(sync_folder, final.parent)
                if states_sha256:
                    os.fsync(handle.fileno())
                entry.result()
            except OSError:
                final.unlink(missing_ok=True)  # nobody was told of it
                raise
        return True

    def sync(self, final: Path) -> None:
        """Make sure that an object and its name, which somebody else wrote, are on the disk."""
        with storage_errors("an object"):
            with final.open("rb") as handle:
                os.fsync(handle.fileno())
            sync_folder(final.parent)

    def keep_refused(self, part: Path, handle: BinaryIO, sha256: str) -> str:
        """Move refused bytes into quarantine under their own hash; return the path relative to the archive."""
        target = self.quarantine / f"{sha256}.dcm"
        with storage_errors("quarantined bytes"):
            os.fsync(handle.fileno())
            part.replace(target)
            sync_folder(self.quarantine)
        return target.relative_to(self.root).as_posix()

    def route_of(self, folder: Path) -> Route | None:
        """Return the route that a series folder's sidecar states, None when it is gone or broken."""
        try:
            return Route.model_validate_json((folder / SIDECAR).read_bytes())
        except (OSError, ValueError):
            return None
