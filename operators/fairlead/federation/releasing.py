"""From a set of patients to the number that may be said about it, in one transaction with the memory of all that was said."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from pyroaring import BitMap
from sqlalchemy import Connection, Engine, insert, select, text

from fairlead.database import database_errors
from fairlead.federation.memory import Release, ReleaseMemory
from fairlead.federation.noise import rounded, shown, uncertainty
from fairlead.federation.patients import PatientRegister
from fairlead.federation.policy import Policy
from fairlead.federation.secrets import Keyring
from fairlead.federation.spans import ReleasedSpan
from fairlead.federation.tables import releases

RELEASE_LOCK = 0x0FA1_41EC
NOT_DRAWN = ""
"""Instead of the name of a key: no key drew this number, it is an earlier one or was computed from earlier ones."""


@dataclass(frozen=True, slots=True)
class Released:
    """What may be said: a number or None for "below the threshold", and its ±. ``snapped`` is for the audit, never for the answer.

    ``first`` is the number as it was first released: an order by it stays the same under every later policy.
    """

    patients: int | None
    plus_minus: int
    snapped: bool
    first: int | None = None


class Releases:
    """The memory of one centre, kept in the database and mirrored here."""

    def __init__(self, engine: Engine, ring: Keyring) -> None:
        self.register = PatientRegister(ring)
        self._engine, self._ring = engine, ring
        self._memory, self._span = ReleaseMemory(), ReleasedSpan()
        self._highest = 0
        self._lock = threading.Lock()

    def bitmap(self, keys: frozenset[str]) -> BitMap:
        """Return a set of patients as numbers; new patients are registered at once, because they are no secret of an answer."""
        with self._lock:
            known = self.register.known(keys)
        if known is not None:
            return known
        with self.releasing() as connection:
            return self.register.bitmap(connection, keys)

    @contextmanager
    def releasing(self) -> Iterator[Connection]:
        """Yield a connection that alone may release; everything written in it is there together or not at all."""
        with self._lock, database_errors(), self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": RELEASE_LOCK})
            try:
                self._load(connection)
                yield connection
            except BaseException:
                self._forget()  # what this transaction wrote is gone from the database
                raise

    def _forget(self) -> None:
        self.register = PatientRegister(self._ring)
        self._memory, self._span, self._highest = ReleaseMemory(), ReleasedSpan(), 0

    def _load(self, connection: Connection) -> None:
        self.register.load(connection)
        columns = (releases.c.id, releases.c.members, releases.c.patients, releases.c.key_id)
        for row in connection.execute(select(*columns).where(releases.c.id > self._highest).order_by(releases.c.id)):
            self._remember(Release(row.id, BitMap.deserialize(row.members), row.patients), drawn=row.key_id != NOT_DRAWN)

    def _remember(self, release: Release, *, drawn: bool) -> None:
        self._memory.add(release)
        self._highest = max(self._highest, release.number)
        if drawn and release.patients is not None:
            self._span.add(release.members, release.patients)

    def known(self, members: BitMap, policy: Policy) -> Released | None:
        """Return what was said about these patients, or about all but a few of them."""
        earlier = self._memory.nearest(members, policy.disclosure.threshold)
        if earlier is None:
            return None
        patients = _tightened(earlier, policy)
        return Released(patients, uncertainty(patients, policy.disclosure), snapped=True, first=earlier.patients)

    def release(self, connection: Connection, members: BitMap, policy: Policy, *, at: datetime) -> Released:
        """Return what may be said about a set, remembering it."""
        earlier = self.known(members, policy)
        if earlier is not None:
            return earlier
        rules, computed = policy.disclosure, None
        if len(members) >= rules.threshold:
            computed = self._span.computed(members, rules.threshold)
        if computed is None:
            patients = shown(len(members), self.register.noise.of(members, rules), rules)
        else:
            patients = shown(len(members), computed - len(members), rules)
        self.remember(connection, members, patients, policy=policy, at=at, drawn=computed is None)
        return Released(patients, uncertainty(patients, rules), snapped=computed is not None, first=patients)

    def remember(
        self, connection: Connection, members: BitMap, patients: int | None, *, policy: Policy, at: datetime, drawn: bool = False
    ) -> None:
        """Keep what was said about a set, unless something was said about the very same set before."""
        if self._is_known(members):
            return
        stored = members.serialize()
        values = {
            "sha256": hashlib.sha256(stored).hexdigest(),
            "size": len(members),
            "members": stored,
            "patients": patients,
            "plus_minus": uncertainty(patients, policy.disclosure),
            "key_id": self._ring.active_id if drawn else NOT_DRAWN,
            "policy_sha256": policy.sha256,
            "released_at": at,
        }
        number = connection.execute(insert(releases).values(values)).inserted_primary_key
        self._remember(Release(int(number[0]) if number else self._highest + 1, members, patients), drawn=drawn)

    def _is_known(self, members: BitMap) -> bool:
        return self._memory.nearest(members, 1) is not None


def _tightened(earlier: Release, policy: Policy) -> int | None:
    """Return an earlier number as the policy of now shows it: a higher threshold or a coarser step holds for old answers too."""
    rules = policy.disclosure
    if earlier.patients is None or (earlier.patients == 0 and rules.reveal_zero):
        return earlier.patients
    number = rounded(earlier.patients, rules.rounding)
    return None if number < rules.threshold or len(earlier.members) < rules.threshold else number
