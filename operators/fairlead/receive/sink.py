"""The one door behind all doors: bytes in, durable object and ledger row out, or a refusal with a reason.

No step is skipped: part file on the archive's own file system, sha256 while it streams, identity read from the bytes,
checks, link under a name made from hashes (never replacing), fsync of file and folder, ledger row. Only then does
``store`` return, and only then may a door answer Success (PS3.4 B.2.3).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Buffer, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.exc import IntegrityError

from fairlead.errors import Conflict, InvalidInput
from fairlead.files import storage_errors
from fairlead.receive.archive import Archive, instance_name, series_folder
from fairlead.receive.commit_group import CommitGroup
from fairlead.receive.flight import Flight, InFlight
from fairlead.receive.heads import Head
from fairlead.receive.ledger import Ledger
from fairlead.receive.part10 import build_meta
from fairlead.receive.parts import Buffers, PartFile
from fairlead.receive.series_ledger import Arrival, RelationConflict, Stored
from fairlead.receive.stored_files import dataset_sha256, whole_file
from fairlead.receive.turns import Turns
from fairlead.records import Instance, Refusal, Route, is_uid
from fairlead.settings import Settings, prepare_home

logger = logging.getLogger(__name__)
TURNS: Final = 1024
"""Locks for identities: two associations with the same one take turns, others meet by chance, once in a thousand."""


class AnnouncedOtherwise(InvalidInput):
    """The sender announced another SOP class or instance than its data set states (PS3.4 B.2.3: data set does not match)."""

    code = "announced-otherwise"
    default_remedy = "Correct the sender; the object is kept in quarantine."


class DuplicateRefused(Conflict):
    """Other bytes under a SOP Instance UID that is known, on a route that keeps one version only."""

    code = "duplicate-refused"
    default_remedy = "Compare the quarantined object with the archived one; duplicates: version in routes.yaml keeps both."


class TooLarge(InvalidInput):
    """One object is larger than the route or the node allows."""

    code = "too-large"
    default_remedy = "Raise node.max_instance_bytes, or max_instance_bytes of the route."


@dataclass(frozen=True, slots=True)
class Announced:
    """What a door knows before the data set: its encoding, and for DIMSE and STOW the identity it is said to have.

    ``file_meta`` is everything before the data set when the object came as a file with a usable header; it is kept.
    """

    transfer_syntax_uid: str
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None
    file_meta: bytes | None = None
    source: str = ""
    study_uid: str | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What a route allows one object: its size, and whether other bytes may come under an identity that is known."""

    max_bytes: int | None = None
    duplicates: str = "version"


ANY_TERMS: Final = Terms()


@dataclass(frozen=True, slots=True)
class StoreOutcome:
    """One object that is durable."""

    stored: Stored
    instance: Instance
    study_uid: str
    series_uid: str


@dataclass(frozen=True, slots=True)
class _Received:
    """A part file that is written, and what is known of it."""

    part: PartFile
    announced: Announced
    sha256: str


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an object belongs: the name in its folder, whether another version is there already, and whether this one supersedes it."""

    name: str
    is_first: bool = True
    supersedes: bool = True


@dataclass(frozen=True, slots=True)
class _Spot:
    """A folder of the archive and the place in it."""

    folder: str
    place: _Place


class InstanceSink:
    """Stores DICOM objects; safe to call from many threads at once."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self.ledger = ledger
        prepare_home(settings)
        self.archive = Archive(settings.archive_folder)
        self._rows = CommitGroup(self._record)
        self._turns_to_write = nullcontext if settings.node.workers == 1 else _queued(ledger, self.archive)
        self._buffers = Buffers()
        self.in_flight = InFlight(settings.node.max_bytes_in_flight // settings.node.workers)
        self._turns = tuple(threading.Lock() for _ in range(TURNS))
        self.on_durable: Callable[[float], None] = lambda _seconds: None
        """Told how long each object took from its last byte to its durable row."""
        self._low_water_bytes = settings.node.low_water_bytes
        self._max_bytes = settings.node.max_instance_bytes

    def store(
        self, chunks: Iterable[Buffer], *, route: Route, announced: Announced, holder: str | None = None, terms: Terms = ANY_TERMS
    ) -> StoreOutcome:
        """Store one data set that arrives in pieces; holds one piece at a time.

        Raises
        ------
        NotDicom, UnreadableImage, InvalidUid, AnnouncedOtherwise, RelationConflict : refused; bytes and reason are in quarantine.
        TooLarge, StorageFull, ServiceUnreachable : not stored; nothing is left behind under a final name without its bytes being whole.
        """
        self.archive.require_room(self._low_water_bytes)
        path = self.archive.new_part()
        try:
            with (
                storage_errors("an object"),
                self.archive.writing(path) as handle,
                self._buffers.lent() as buffer,
                self.in_flight.one() as flight,
            ):
                meta = announced.file_meta or _meta(announced)
                part = PartFile(path, handle, meta=meta, stamped=announced.file_meta is None, buffer=buffer)
                received = _written(part, chunks, announced, flight, limit=terms.max_bytes or self._max_bytes)
                started = time.perf_counter()
                outcome = self._keep(received, route, holder, terms)
                self.on_durable(time.perf_counter() - started)
                return outcome
        finally:
            path.unlink(missing_ok=True)

    def _keep(self, received: _Received, route: Route, holder: str | None, terms: Terms) -> StoreOutcome:
        try:
            return self._store(received, self._checked(received), route, holder, terms)
        except (InvalidInput, RelationConflict, DuplicateRefused) as error:
            self._quarantine(received, route, error)
            raise

    def _checked(self, received: _Received) -> Head:
        announced = received.announced
        head = received.part.head(announced.transfer_syntax_uid)
        if announced.sop_class_uid not in (None, head.sop_class_uid):
            raise AnnouncedOtherwise("The announced SOP Class UID differs from the data set's.")
        if announced.sop_instance_uid not in (None, head.sop_instance_uid):
            raise AnnouncedOtherwise("The announced SOP Instance UID differs from the data set's.")
        if announced.study_uid not in (None, head.study_uid):
            raise AnnouncedOtherwise("The data set belongs to another study than the address.")
        return head

    def _store(self, received: _Received, head: Head, route: Route, holder: str | None, terms: Terms) -> StoreOutcome:
        folder = series_folder(head, project=route.project, center=route.center)
        name = instance_name(head.sop_instance_uid)
        with self._turns[hash((folder, name)) % TURNS]:
            place = _Place(name)
            if os.path.lexists(f"{self.archive.root}/{folder}/{name}"):
                place = self._beside(received, head, route, name=name, folder=folder)
                if terms.duplicates == "refuse" and not (self.archive.root / folder / place.name).exists():
                    raise DuplicateRefused("Other bytes are archived under this SOP Instance UID.")
            try:
                return self._place(received, head, route, holder, _Spot(folder, place))
            except IntegrityError:  # the name belongs to a version whose file somebody removed; the sweep reports that one
                if not place.is_first:
                    raise
                (self.archive.root / folder / name).unlink(missing_ok=True)
                other = _Place(instance_name(head.sop_instance_uid, sha256=received.sha256), is_first=False)
                return self._place(received, head, route, holder, _Spot(folder, other))

    def _place(self, received: _Received, head: Head, route: Route, holder: str | None, spot: _Spot) -> StoreOutcome:
        """Give the object its name and its row."""
        place = spot.place
        instance = Instance(
            sop_instance_uid=head.sop_instance_uid,
            sop_class_uid=head.sop_class_uid,
            transfer_syntax_uid=received.announced.transfer_syntax_uid,
            sha256=received.sha256,
            size_bytes=received.part.offset + received.part.size,
            path=f"{spot.folder}/{place.name}",
        )
        self._make_durable(received, instance, route)
        arrival = Arrival(instance, head.study_uid, head.series_uid, route, holder, place.supersedes, derivable=place.is_first)
        try:
            stored = self._rows.submit(arrival)
        except RelationConflict:
            (self.archive.root / instance.path).unlink(missing_ok=True)
            raise
        return StoreOutcome(stored, instance, head.study_uid, head.series_uid)

    def _record(self, arrivals: Sequence[Arrival]) -> list[Stored | RelationConflict]:
        with self._turns_to_write():
            return self.ledger.record(arrivals)

    def _make_durable(self, received: _Received, instance: Instance, route: Route) -> None:
        final, part = self.archive.root / instance.path, received.part
        if os.path.lexists(final):  # the same bytes are there already: nothing to write
            return
        self.archive.prepare(final.parent, route)
        appeared = self.archive.appear(part.path, part.handle, final, states_sha256=part.stamped)
        if appeared:
            return
        if dataset_sha256(final) == received.sha256:
            self.archive.sync(final)  # another process won the name in this very moment, and may not have synced it yet
        else:  # the sender's repeat will become a version
            raise Conflict("Another sender stored a different object under the same identity just now.", remedy="Send it again.")

    def _beside(self, received: _Received, head: Head, route: Route, *, name: str, folder: str) -> _Place:
        """Return the place of bytes whose identity is taken."""
        known = self.ledger.known_versions(route, head.sop_instance_uid)
        if received.sha256 in known:
            return _Place(Path(known[received.sha256]).name, is_first=False)
        first = self.archive.root / folder / name
        if not known and dataset_sha256(first) == received.sha256:
            self.archive.sync(first)  # linked before a crash, or by another process, its row never written: adopt it
            return _Place(name)
        present = self.ledger.present_path(route, head.sop_instance_uid)
        better_before = whole_file(first if present is None else self.archive.root / present)
        whole = received.part.is_whole(received.announced.transfer_syntax_uid)
        name = instance_name(head.sop_instance_uid, sha256=received.sha256)
        return _Place(name, is_first=False, supersedes=whole or not better_before)

    def _quarantine(self, received: _Received, route: Route, error: InvalidInput | Conflict) -> None:
        path = self.archive.keep_refused(received.part.path, received.part.handle, received.sha256)
        source = received.announced.source or f"{route.calling_ae or route.door} {received.sha256[:12]}"
        self.ledger.refuse(Refusal(source=source, code=error.code, reason=error.message), sha256=received.sha256, path=path, route=route)
        logger.warning("refused an object from %s: %s", route.calling_ae or route.door, error.message)


def _queued(ledger: Ledger, archive: Archive) -> Callable[[], AbstractContextManager[None]]:
    """Return the turn to record rows; where several processes write to SQLite, every write of this ledger waits for its turn."""
    if ledger.engine.dialect.name != "sqlite":
        return nullcontext
    turns = Turns(archive.root)
    turns.govern(ledger.engine)
    return turns.mine


def _written(part: PartFile, chunks: Iterable[Buffer], announced: Announced, flight: Flight, *, limit: int) -> _Received:
    for chunk in chunks:
        before = part.size
        part.add(chunk)
        flight.add(part.size - before)
        if part.size > limit:
            raise TooLarge(f"The object is larger than {limit} bytes.")
    return _Received(part, announced, part.finish())


def _meta(announced: Announced) -> bytes:
    return build_meta(
        sop_class_uid=_uid_or_nothing(announced.sop_class_uid),
        sop_instance_uid=_uid_or_nothing(announced.sop_instance_uid),
        transfer_syntax_uid=announced.transfer_syntax_uid,
    )


def _uid_or_nothing(text: str | None) -> str:
    return text if text is not None and is_uid(text) else ""
