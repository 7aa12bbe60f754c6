"""Watched places in buckets: what lies under an S3 prefix is brought to this machine, and watched there like any folder.

OME readers and converters open files, so configuring a bucket asks for a copy. The copy follows the bucket: ETags tell what is new,
the watch then compares sha256, and what left the bucket leaves the copy. A listing that fails, or does not say all, deletes nothing
that it might have left out.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead.errors import FairleadError, InvalidInput, ServiceUnreachable
from fairlead.files import atomic_write, relative_files, usable_folder, write_text
from fairlead.receive.bucket_listing import LONGEST_NAME, Listed, Listing, list_bucket, stamp_of
from fairlead.receive.ledger import Ledger
from fairlead.receive.watch import FolderWatch
from fairlead.records import Refusal, Route
from fairlead.settings import BucketSettings, Settings
from fairlead.storage import bucket_errors, open_bucket

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Bucket

logger = logging.getLogger(__name__)

BLOCK_BYTES: Final = 8 * 1024 * 1024
TURN_BYTES: Final = 4 * 1024**3
"""Bytes after which a download lets other watched places have a turn."""


class BucketMirror:
    """The local copy of one prefix."""

    def __init__(self, bucket: Bucket, home: Path, *, stable_after_s: float, monotonic: Callable[[], float]) -> None:
        self.root = home / "files"
        self.settled = False
        self.refused: dict[str, str] = {}
        self._bucket, self._stable_after_s, self._monotonic = bucket, stable_after_s, monotonic
        self._sightings: dict[str, tuple[str, float]] = {}
        self._notes = home / "etags.json"
        usable_folder(self.root, "copy of a watched bucket", mode=0o700)

    def step(self) -> bool:
        """Follow the bucket once; return whether the copy holds everything that has stopped changing.

        Raises
        ------
        ServiceUnreachable : the bucket cannot be listed or read. InvalidInput : it lists something that is no key.
        """
        listing = list_bucket(self._bucket)
        listed, self.refused = listing.objects, listing.refused
        noted = self._noted()
        here = self._follow(listing)
        known = {key: stamp for key, stamp in noted.items() if key in here}
        # What the copy lost, but had with this stamp, comes back at once: the watch must not take it for deleted.
        new = [key for key, found in listed.items() if known.get(key) != found.stamp]
        due = [key for key in new if noted.get(key) == listed[key].stamp or self._is_stable(key, listed[key])]
        self._sightings = {key: seen for key, seen in self._sightings.items() if key in listed and known.get(key) != listed[key].stamp}
        left = TURN_BYTES
        try:
            for key in due:
                if left <= 0:
                    return False
                left -= listed[key].size
                if self._download(key, listed[key]):
                    known[key] = listed[key].stamp
                    self._sightings.pop(key, None)
        finally:
            if known != noted:
                write_text(self._notes, json.dumps(known, sort_keys=True))
        self.settled = not self._sightings
        return self.settled or bool(known)

    def _follow(self, listing: Listing) -> set[str]:
        """Remove what is not in the bucket any more, and return what is left."""
        here = {path.as_posix() for path in relative_files(self.root)}
        gone = {name for name in here - listing.objects.keys() if listing.is_certain(name)}
        for name in gone:
            path = self.root / name
            path.unlink(missing_ok=True)
            _prune(path.parent, self.root)
        return here - gone

    def _is_stable(self, key: str, found: Listed) -> bool:
        now = self._monotonic()
        stamp, since = self._sightings.get(key, ("", now))
        if stamp != found.stamp:
            self._sightings[key] = found.stamp, now
            return False
        return now - since >= self._stable_after_s

    def _download(self, key: str, listed: Listed) -> bool:
        """Copy one object; return False when it is not any more what was listed, and the next look decides."""
        try:
            with bucket_errors():
                found = self._bucket.get(key)
        except FileNotFoundError:
            return False
        if stamp_of(found.meta) != listed.stamp:
            return False
        with atomic_write(self.root / key) as handle, bucket_errors():
            for block in found.stream(min_chunk_size=BLOCK_BYTES):
                handle.write(block)
                if handle.tell() > listed.size:
                    break
            if handle.tell() != listed.size:
                raise ServiceUnreachable("The object store sent another number of bytes than it states.", remedy="It is tried again.")
        return True

    def _noted(self) -> dict[str, str]:
        try:
            noted = json.loads(self._notes.read_bytes())
        except (FileNotFoundError, ValueError):  # without notes everything is downloaded again, and sha256 says that nothing is new
            return {}
        return noted if isinstance(noted, dict) else {}


class BucketWatch:
    """One watched prefix: its copy, and the watch over the copy."""

    def __init__(
        self, place: BucketSettings, bucket: Bucket, *, settings: Settings, ledger: Ledger, monotonic: Callable[[], float]
    ) -> None:
        self._home = settings.watched_buckets_folder / hashlib.sha256(place.url.encode()).hexdigest()[:16]
        stable = settings.watch.stable_after_s
        self._every_s, self._soon_s = settings.watch.bucket_every_s, stable
        self._monotonic, self._ledger = monotonic, ledger
        self.mirror = BucketMirror(bucket, self._home, stable_after_s=stable, monotonic=monotonic)
        route = Route(project=place.project, center=place.center, door="watch")
        self._watch = FolderWatch(settings, ledger, root=self.mirror.root, route=route, own=True, monotonic=monotonic)
        self._looked_at = float("-inf")
        self._complete = False
        self._told: set[str] = set()

    def scan(self) -> int:
        """Follow the bucket when it is time to, look at the copy, and return how many files became work."""
        with _alone(self._home / "lock") as alone:
            if not alone:  # another process of this machine follows the bucket now
                return 0
            now = self._monotonic()
            if now - self._looked_at >= (self._every_s if self.mirror.settled and self._complete else self._soon_s):
                self._looked_at, self._complete = now, False
                self._complete = self.mirror.step()
                self._tell()
            return self._watch.scan() if self._complete else 0

    def _tell(self) -> None:
        for key, reason in self.mirror.refused.items():
            if key not in self._told:
                digest = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
                self._ledger.refuse(Refusal(source=ascii(key)[:LONGEST_NAME], code=InvalidInput.code, reason=reason), sha256=digest)
        self._told = set(self.mirror.refused)


class StorageWatch:
    """Every watched place of the settings: the folder, and the prefixes in buckets."""

    def __init__(self, settings: Settings, ledger: Ledger, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._folder = FolderWatch(settings, ledger, monotonic=monotonic)
        self._buckets = [
            BucketWatch(place, open_bucket(place.url), settings=settings, ledger=ledger, monotonic=monotonic)
            for place in settings.watch.buckets
        ]

    def scan(self) -> int:
        """Look at every place once; return how many files became work. A bucket that cannot be reached does not stop the others."""
        taken = self._folder.scan()
        for bucket in self._buckets:
            try:
                taken += bucket.scan()
            except (FairleadError, OSError) as error:
                logger.error("a watched bucket: %s; trying again", error.message if isinstance(error, FairleadError) else error.strerror)
        return taken


def _prune(folder: Path, root: Path) -> None:
    while folder != root and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


@contextmanager
def _alone(lock: Path) -> Iterator[bool]:
    """Say whether this process is the only one that follows the bucket; a lock ends with its process."""
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)
