"""Who looked at members and who changed what: entries in a hash chain, so that a missing or altered one shows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import IntegrityError

from fairlead.cohort.normal import canonical_bytes
from fairlead.cohort.tables import audit
from fairlead.cohort.texts import in_one_line
from fairlead.database import database_errors, utc_now
from fairlead.errors import CheckFailed, Conflict
from fairlead.records import JsonObject

TRIES: Final = 20
BEGINNING: Final = "0" * 64
MAX_WHO: Final = 200


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry: who did what to which cohort, draft or withdrawal, and when."""

    seq: int
    at: datetime
    who: str
    what: str
    ref: str
    detail: JsonObject
    sha256: str


class AuditTrail:
    """The chain of one installation."""

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._engine, self._clock = engine, clock

    def note(self, who: str, what: str, ref: str = "", **detail: Any) -> None:
        """Add an entry; raise Conflict when other writers are always faster."""
        for _ in range(TRIES):
            try:
                with database_errors(), self._engine.begin() as connection:
                    append(connection, who, what, ref, at=self._clock(), detail=detail)
                return
            except IntegrityError:  # another process took this number (PostgreSQL; SQLite waits): the next one is ours
                continue
        raise Conflict("The audit chain is too busy.", remedy="Repeat the step; it was not done.")

    def entries(self) -> tuple[AuditEntry, ...]:
        """Return the chain from its beginning."""
        with database_errors(), self._engine.connect() as connection:
            return tuple(AuditEntry(**row._mapping) for row in connection.execute(select(audit).order_by(audit.c.seq)))

    def verify(self, *, holds: str = "") -> int:
        """Return the length of the chain.

        Raises
        ------
        CheckFailed : an entry does not hold; the first one is named. Or none has the sha256 ``holds``, noted earlier by somebody else:
        then the end was cut off, which a chain alone cannot show.
        """
        before, entries = BEGINNING, self.entries()
        for place, entry in enumerate(entries, 1):
            told = {name: getattr(entry, name) for name in ("seq", "at", "who", "what", "ref", "detail")}
            if entry.seq != place or entry.sha256 != _linked(before, told):
                raise CheckFailed(f"The audit chain breaks at entry {place}.", remedy="Compare the database with a backup.")
            before = entry.sha256
        if holds and all(entry.sha256 != holds for entry in entries):
            raise CheckFailed("The audit chain has no entry with this sha256 (any more).", remedy="Compare the database with a backup.")
        return len(entries)


def audited[T](engine: Engine, work: Callable[[Connection], T]) -> T:
    """Do work that appends an entry of its own in one transaction, again when another process took the entry's number.

    Raises
    ------
    Conflict : other writers are always faster; nothing was done.
    """
    for _ in range(TRIES):
        try:
            with database_errors(), engine.begin() as connection:
                return work(connection)
        except IntegrityError:
            continue
    raise Conflict("The audit chain is too busy.", remedy="Repeat the step; it was not done.")


def append(connection: Connection, who: str, what: str, ref: str, *, at: datetime, detail: JsonObject) -> None:
    """Add an entry within the transaction of what it tells of: neither is there without the other.

    Raises
    ------
    IntegrityError : another process took the number; the whole transaction has to be repeated.
    """
    last = connection.execute(select(audit).order_by(audit.c.seq.desc()).limit(1)).one_or_none()
    seq, before = (last.seq + 1, last.sha256) if last else (1, BEGINNING)
    written = {name: in_one_line(value) if isinstance(value, str) else value for name, value in detail.items()}  # whatever was asked for
    told = {"seq": seq, "at": at, "who": in_one_line(who)[:MAX_WHO], "what": what, "ref": in_one_line(ref)[:64], "detail": written}
    connection.execute(insert(audit), told | {"sha256": _linked(before, told)})


def _linked(before: str, told: JsonObject) -> str:
    return hashlib.sha256(before.encode() + canonical_bytes(told | {"at": told["at"].isoformat()})).hexdigest()
