"""Quarantine rows: what was refused, why, how often, and where its bytes are kept. Reasons never hold patient data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from fairlead.receive.recording import increase
from fairlead.receive.tables import quarantine
from fairlead.records import Refusal, Route


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One row of the quarantine."""

    id: int
    source: str
    code: str
    reason: str
    path: str | None
    route: Route | None
    times: int
    first_at: datetime
    last_at: datetime


def quarantined_rows(connection: Connection) -> tuple[Quarantined, ...]:
    """Return every row, oldest first."""
    rows = connection.execute(select(*(quarantine.c[name] for name in Quarantined.__slots__)).order_by(quarantine.c.id))
    return tuple(Quarantined(**dict(row._mapping) | {"route": Route.model_validate(row.route) if row.route else None}) for row in rows)


def note_refusal(
    connection: Connection, refusal: Refusal, *, now: datetime, sha256: str = "", path: str | None = None, route: Route | None = None
) -> None:
    """Write the refusal; the same source, code and bytes again only count up, so that a stubborn sender fills no table."""
    key = hashlib.sha256("\x1f".join((refusal.source, refusal.code, sha256)).encode()).hexdigest()
    known = connection.execute(select(quarantine.c.id, quarantine.c.times).where(quarantine.c.key == key)).one_or_none()
    increase(connection, f"refused_{refusal.code}")
    if known is not None:
        connection.execute(update(quarantine).where(quarantine.c.id == known.id), {"times": known.times + 1, "last_at": now})
        return
    home = route.model_dump(mode="json") if route is not None else None
    values = {"key": key, "path": path, "route": home, "times": 1, "first_at": now, "last_at": now}
    connection.execute(insert(quarantine), values | refusal.model_dump())
