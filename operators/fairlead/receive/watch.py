"""The storage watcher: OME files that people and microscopes put into a folder, taken when they have stopped growing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fairlead.errors import FairleadError
from fairlead.files import usable_folder
from fairlead.receive.file_ledger import Recorded
from fairlead.receive.finder import Found, content_sha256, find, fingerprint, is_clutter
from fairlead.receive.formats import OME_KINDS, Kind, recognise
from fairlead.receive.ledger import Ledger
from fairlead.records import ReceivedFile, Refusal, Route
from fairlead.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Sighting:
    """A fingerprint and since when it has not changed; ``settled`` when nothing more is to do about it."""

    fingerprint: str
    since: float
    settled: bool = False


class FolderWatch:
    """Looks at a watched folder; (size, time) decide when to look closer, sha256 decides whether anything is new."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        *,
        root: Path | None = None,
        route: Route | None = None,
        own: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch the folder of the settings, or another ``root``; ``own`` is a copy of ours, whose being empty is believed."""
        self.root = settings.watch_folder if root is None else root
        self.ledger = ledger
        self.route = route or Route(project=settings.watch.project, center=settings.watch.center, door="watch")
        self._stable_after_s = settings.watch.stable_after_s
        self._monotonic = monotonic
        self._sightings: dict[str, _Sighting] = {}
        self._own = own
        self._filled: tuple[int, int] | None = None
        self._told = False
        usable_folder(self.root, "watched folder")

    def scan(self) -> int:
        """Look once; return how many files became work. Files that vanish while being looked at wait for the next scan."""
        if not self.root.is_dir():
            logger.error("the watched folder is not there; nothing is marked as deleted")
            return 0
        known, place = self.ledger.fingerprints(self.route), self._place()
        present: set[str] = set()
        taken = 0
        for found in find(self.root):
            if not is_clutter(found.name) and not found.refusal:
                present.add(str(found.path))
                taken += self._look(found, known.get(str(found.path)))
        if self._believed(known, place):
            self._notice_deletions(present, known)
        return taken

    def _place(self) -> tuple[int, int]:
        """Return which folder lies at the root now: another one when a share is mounted or unmounted there."""
        state = self.root.stat()
        return state.st_dev, state.st_ino

    def _believed(self, known: dict[str, str], place: tuple[int, int]) -> bool:
        """Return whether what is missing was deleted; an empty folder that we never saw filled may be a share that is not mounted."""
        if place != self._place():
            return False
        if any(self.root.iterdir()):
            self._filled, self._told = place, False
        if self._own or place == self._filled or not any(Path(path).is_relative_to(self.root) for path in known):
            return True
        if not self._told:
            logger.error(
                "the watched folder is empty, as when its share is not mounted; nothing is marked as deleted until it holds a file"
            )
        self._told = True
        return False

    def _look(self, found: Found, known: str | None) -> bool:
        try:
            now, (digest, size) = self._monotonic(), fingerprint(found.path)
            sighting = self._sightings.get(str(found.path))
            if sighting is None or sighting.fingerprint != digest:
                self._sightings[str(found.path)] = _Sighting(digest, now, settled=digest == known)
                return False
            if sighting.settled or now - sighting.since < self._stable_after_s:
                return False
            sighting.settled = True
            return self._take(found, digest, size)
        except OSError as error:
            logger.info("a file of the watched folder moved while it was read: %s", error.strerror)
            self._sightings.pop(str(found.path), None)
            return False

    def _take(self, found: Found, digest: str, size: int) -> bool:
        try:
            kind = recognise(found.path)
        except FairleadError as error:
            self.ledger.file_gone(str(found.path), self.route)  # the records of an older content leave the index
            self.ledger.refuse(Refusal(source=found.name, code=error.code, reason=error.message), sha256=digest)
            return False
        if kind not in OME_KINDS:
            self.ledger.file_gone(str(found.path), self.route)
            self._explain(found, kind, digest)
            return False
        sha256 = content_sha256(found.path)
        if fingerprint(found.path)[0] != digest:
            self._sightings.pop(str(found.path), None)  # it grew while it was hashed: begin again
            return False
        file = ReceivedFile(
            path=str(found.path), name=found.name, sha256=sha256, size_bytes=size, route=self.route, seen_at=self.ledger.clock()
        )
        return self.ledger.record_file(file, fingerprint=digest) is not Recorded.UNCHANGED

    def _explain(self, found: Found, kind: Kind, digest: str) -> None:
        if kind is not Kind.OME_TIFF_MEMBER:
            reason = f"The watched folder takes OME files; this is {kind}. Send it to the node, or use fairlead ingest."
            self.ledger.refuse(Refusal(source=found.name, code="not-watched", reason=reason), sha256=digest)

    def _notice_deletions(self, present: set[str], known: dict[str, str]) -> None:
        for path in known:
            if Path(path).is_relative_to(self.root) and path not in present:
                self.ledger.file_gone(path, self.route)
                self._sightings.pop(path, None)
