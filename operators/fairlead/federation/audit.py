"""The audit: one entry for every question, answered or not, each holding the hash of the one before it.

Rows can only be added (triggers refuse the rest). The hash of the newest entry is also kept outside the database, in the secrets
folder, so that cutting off the end is noticed as well. Entries hold released numbers, never true ones, and no patient.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, insert, select, text

from fairlead.database import database_errors
from fairlead.errors import CheckFailed
from fairlead.federation.signing import canonical, sha256_text
from fairlead.federation.tables import audit
from fairlead.files import atomic_write
from fairlead.records import JsonObject

ANCHOR: Final = "audit-head.json"
BEFORE_ALL: Final = "0" * 64
CHAIN_LOCK: Final = 0x0FA1_41EB


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry: its number and hash."""

    seq: int
    sha256: str


def append(connection: Connection, entry: Mapping[str, Any], *, at: datetime) -> Head:
    """Add one entry in the caller's transaction, so that no answer leaves without it."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer anyway
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CHAIN_LOCK})
    last = connection.execute(select(audit.c.seq, audit.c.sha256).order_by(audit.c.seq.desc()).limit(1)).first()
    seq, previous = (last.seq + 1, last.sha256) if last else (1, BEFORE_ALL)
    body = canonical({**entry, "seq": seq, "at": at.isoformat(), "previous": previous})
    head = Head(seq, sha256_text(body))
    connection.execute(insert(audit), {"seq": seq, "entry": body, "sha256": head.sha256})
    return head


def keep_head(folder: Path, head: Head) -> None:
    """Write the newest entry's hash beside the secrets; called after the entry is in the database."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with atomic_write(folder / ANCHOR) as handle:
        os.fchmod(handle.fileno(), 0o600)
        handle.write(canonical({"seq": head.seq, "sha256": head.sha256}).encode())


def entries(engine: Engine, *, after: int = 0) -> Iterator[JsonObject]:
    """Yield the entries in order."""
    with database_errors(), engine.connect() as connection:
        for row in connection.execute(select(audit.c.entry).where(audit.c.seq > after).order_by(audit.c.seq)):
            yield json.loads(row.entry)


def verify(engine: Engine, folder: Path) -> Head:
    """Return the newest entry of a chain that holds.

    Raises
    ------
    CheckFailed : an entry was edited, removed, added between or moved, or the end was cut off; the first place is named.
    """
    with database_errors(), engine.connect() as connection:
        return verify_rows(connection, folder)


def verify_rows(connection: Connection, folder: Path) -> Head:
    """Return the newest entry as one transaction sees the chain; raise CheckFailed where it is broken."""
    seq, previous, anchored = 0, BEFORE_ALL, _anchor(folder)
    for row in connection.execute(select(audit).order_by(audit.c.seq)):
        seq += 1
        if not _follows(row.seq, row.entry, row.sha256, expected=(seq, previous)):
            raise _broken(f"entry {seq} is not what was written there")
        previous = row.sha256
        if anchored is not None and anchored.seq == seq and anchored.sha256 != previous:
            raise _broken(f"entry {seq} is not the one whose hash is kept beside the secrets")
    if anchored is not None and anchored.seq > seq:
        raise _broken(f"entries after {seq} are missing; {anchored.seq} were written")
    return Head(seq, previous)


def _follows(seq: int, entry: str, sha256: str, *, expected: tuple[int, str]) -> bool:
    if sha256_text(entry) != sha256:
        return False
    body = json.loads(entry)
    return (seq, body.get("seq"), body.get("previous")) == (expected[0], *expected)


def _anchor(folder: Path) -> Head | None:
    file = folder / ANCHOR
    if not file.is_file():
        return None
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return Head(int(document["seq"]), str(document["sha256"]))
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise _broken(f"{ANCHOR} beside the secrets cannot be read") from error


def _broken(what: str) -> CheckFailed:
    return CheckFailed(
        f"The audit chain is broken: {what}.",
        remedy="Stop the gateway, keep the database and the secrets folder as they are, and compare them with a backup.",
    )
