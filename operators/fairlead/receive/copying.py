"""The archive's second place: every object goes to a bucket and is read back before its series may be complete.

Success is still given for the local archive, which stays the copy that everybody reads. Keys are the names below the archive folder,
hashes all of them. An object is written under its key once and never replaced, so any line may be the last one before a crash: what is
there already is compared, what was not noted is compared again. The bucket with its sidecars is an archive that a node can start on.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import batched
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from fairlead.errors import CheckFailed, Conflict, ServiceUnreachable
from fairlead.files import sha256_file
from fairlead.receive.archive import SIDECAR
from fairlead.receive.copy_ledger import NO_COPY, Uncopied
from fairlead.receive.ledger import Ledger
from fairlead.receive.stored_files import dataset_sha256
from fairlead.records import Refusal
from fairlead.settings import Settings
from fairlead.storage import ObjectStore, open_store

logger = logging.getLogger(__name__)
THREADS: Final = 4
PAGE: Final = 32
"""Objects that are noted together: as many are compared again after a crash."""
SERIES: Final = 64
REST_S, LONGEST_REST_S = 2.0, 300.0
"""Pause after a place did not answer, doubled each time."""
STUCK_S: Final = 300.0
"""Pause before one object is tried again that the place, or our own disk, holds with other bytes."""
SIDECARS: Final = 10_000


class ArchiveCopy:
    """Brings the objects of moving series to their second place; ``going`` says whether to go on after the present page."""

    def __init__(self, url: str, root: Path, ledger: Ledger, *, store: ObjectStore | None = None) -> None:
        parts = urlsplit(url)
        self.place = place_of(url)
        self.going: Callable[[], bool] = lambda: True
        self.counted: Callable[[str, int], None] = lambda _result, _number: None
        self.monotonic: Callable[[], float] = time.monotonic
        self._folder = Path(unquote(parts.path)) if parts.scheme == "file" else None
        self._store = store or open_store(url)
        self._root, self._ledger = root, ledger
        self._failures, self._resume_at = 0, float("-inf")
        self._stuck: dict[int, float] = {}
        self._sidecars: set[Path] = set()

    def step(self) -> int:
        """Copy everything that waits, unless the place is given a rest; return how many objects were copied.

        Raises
        ------
        ServiceUnreachable, StorageFull, OSError : the place does not take or give objects now; what waits goes on waiting.
        """
        if self.monotonic() < self._resume_at:
            return 0
        try:
            number = self._all()
        except Exception:  # raised again below; whatever it was, the place is given a rest
            self._resume_at = self.monotonic() + min(REST_S * 2**self._failures, LONGEST_REST_S)
            self._failures = min(self._failures + 1, 16)
            raise
        self._failures = 0
        return number

    def _all(self) -> int:
        number = 0
        for ids in batched(self._ledger.uncopied_series(self.place), SERIES):
            for page in batched(self._ledger.uncopied(self.place, ids), PAGE):
                if not self.going():
                    return number
                number += self._copy_all([row for row in page if self._stuck.get(row.id, float("-inf")) <= self.monotonic()])
        return number

    def _copy_all(self, page: Sequence[Uncopied]) -> int:
        """Copy side by side and note what was copied, also when the place failed meanwhile."""
        waiting, done, failed = deque(page), list[int](), list[Exception]()
        threads = [
            threading.Thread(target=self._work, args=(waiting, done, failed), name="archive-copy", daemon=True)
            for _ in range(min(THREADS, len(page)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if done:
            self._ledger.copied(done, self.place)
            self.counted("copied", len(done))
        for error in failed[:1]:
            self.counted("failed", len(failed))
            raise error
        return len(done)

    def _work(self, waiting: deque[Uncopied], done: list[int], failed: list[Exception]) -> None:
        """Take one object after the other until none is left, or the place fails for one of us."""
        while not failed:
            try:
                row = waiting.popleft()
            except IndexError:
                return
            try:
                if self._attempt(row):
                    done.append(row.id)
            except Exception as error:  # told to who waits for this thread
                failed.append(error)

    def _attempt(self, row: Uncopied) -> bool:
        """Copy one object; one that cannot be copied while the place is well waits longer, and its series with it. The others go on."""
        self._require_folder()
        try:
            self._copy(row)
        except (Conflict, CheckFailed) as error:
            self._stuck[row.id] = self.monotonic() + STUCK_S
            self._ledger.refuse(Refusal(source=row.path, code=NO_COPY, reason=error.message), sha256=row.sha256)
            self.counted("refused", 1)
            logger.error("no copy of an object in the archive bucket: %s", error.message)
            return False
        self._stuck.pop(row.id, None)
        return True

    def _require_folder(self) -> None:
        if self._folder is not None and not self._folder.is_dir():  # never made by us: it may be a disk that is not mounted now
            raise ServiceUnreachable("The folder of node.archive_bucket is not there.", remedy="Mount or make it.")

    def _copy(self, row: Uncopied) -> None:
        path = self._root / row.path
        try:
            whole, dataset = sha256_file(path), dataset_sha256(path)
            sidecar = path.with_name(SIDECAR)
            route = sha256_file(sidecar)
        except OSError as error:
            raise CheckFailed(f"The archive cannot read {row.path}: {error.strerror}.") from error
        if dataset != row.sha256:
            raise CheckFailed(f"The archive holds {row.path} with other bytes than it received.")
        if sidecar.parent not in self._sidecars:
            self._bring_sidecar(sidecar, route)
        self._bring(row.path, path, whole)

    def _bring_sidecar(self, sidecar: Path, sha256: str) -> None:
        """Bring what says whose the series is; one that is there already (an archive that was built again) stays."""
        try:
            self._bring(sidecar.relative_to(self._root).as_posix(), sidecar, sha256)
        except Conflict:
            logger.info("the archive bucket keeps an earlier sidecar of a series")
        if len(self._sidecars) > SIDECARS:
            self._sidecars.clear()
        self._sidecars.add(sidecar.parent)

    def _bring(self, key: str, path: Path, sha256: str) -> None:
        """Store an object, and read back what is there now, whoever wrote it."""
        try:
            self._store.put(key, path)
        except Conflict:
            logger.debug("a key of the archive bucket is taken")  # by the same bytes, perhaps, from another process in this moment
        if self._store.sha256(key) != sha256:
            raise Conflict(f"The archive bucket holds other bytes under {key}.", remedy="Give each node a prefix of its own.")


def place_of(url: str) -> str:
    """Return what stands for an address in the ledger.

    >>> place_of("s3://bucket/prefix/") == place_of("s3://bucket/prefix") != place_of("s3://bucket")
    True
    """
    return hashlib.sha256(url.rstrip("/").encode()).hexdigest()


def required_place(settings: Settings) -> str | None:
    """Return the place where every object must have a copy before its series is complete, None where the local archive is all."""
    return place_of(settings.node.archive_bucket) if settings.node.archive_bucket else None


def open_archive_copy(settings: Settings, ledger: Ledger) -> ArchiveCopy | None:
    """Return what copies to ``node.archive_bucket``, None where none is set; raise UnsupportedInput without the extra ``s3``."""
    url = settings.node.archive_bucket
    return ArchiveCopy(url, settings.archive_folder, ledger) if url else None


def complete_imports(settings: Settings, ledger: Ledger) -> int:
    """Complete what an import has brought, after its copy; return how many series. What others left half sent goes on waiting.

    Raises
    ------
    ServiceUnreachable, StorageFull : the archive bucket does not answer; the series stay and wait, and repeating is safe.
    """
    if (copy := open_archive_copy(settings, ledger)) is not None:
        copy.step()
    return ledger.settle(settle_after_s=0, quiet_after_s=settings.node.quiet_after_s, copied_to=required_place(settings))
