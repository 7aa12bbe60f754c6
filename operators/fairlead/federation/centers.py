"""The centres that a hub knows. One is asked only after an administrator compared and accepted the fingerprint of its key."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from sqlalchemy import Engine, Row, insert, select, update

from fairlead.database import database_errors, utc_now
from fairlead.errors import Conflict, NotFound
from fairlead.federation.signing import fingerprint
from fairlead.federation.tables import centers
from fairlead.records import JsonObject

type Mode = Literal["push", "pull"]


@dataclass(frozen=True, slots=True)
class Center:
    """One centre as the hub knows it; in ``pull`` mode it fetches its questions from the hub's mailbox."""

    name: str
    address: str
    public_key: str
    mode: Mode = "push"
    state: str = "found"
    source: str = ""
    summary: JsonObject | None = None

    @property
    def fingerprint(self) -> str:
        """Return what people compare."""
        return fingerprint(self.public_key)


class Centers:
    """Centres in the hub's database."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime] = utc_now) -> None:
        self._engine, self._clock = engine, clock

    def list(self, *, accepted: bool = False) -> tuple[Center, ...]:
        """Return the centres by name."""
        wanted = select(centers).order_by(centers.c.name)
        with database_errors(), self._engine.connect() as connection:
            found = [_center(row) for row in connection.execute(wanted.where(centers.c.state == "accepted") if accepted else wanted)]
        return tuple(found)

    def get(self, name: str) -> Center:
        """Return one centre; raise NotFound."""
        with database_errors(), self._engine.connect() as connection:
            row = connection.execute(select(centers).where(centers.c.name == name)).first()
        if row is None:
            raise NotFound("No centre of this name was found.", remedy="`fairlead federate centers` lists those that were.")
        return _center(row)

    def found(self, center: Center) -> Center:
        """Note a centre that was discovered. A known one with another key must be accepted anew: that is what an impostor looks like."""
        now = self._clock()
        values: dict[str, Any] = {"address": center.address, "public_key": center.public_key, "mode": center.mode, "source": center.source}
        values |= {"summary": center.summary or {}, "found_at": now}
        with database_errors(), self._engine.begin() as connection:
            known = connection.execute(select(centers).where(centers.c.name == center.name)).first()
            if known is None:
                connection.execute(insert(centers), {"name": center.name, "state": "found", "decided_by": "", **values})
            elif known.public_key != center.public_key or known.address != center.address:
                state = {"state": "changed", "decided_by": "", "decided_at": None}
                connection.execute(update(centers).where(centers.c.name == center.name).values(**values, **state))
            else:
                connection.execute(update(centers).where(centers.c.name == center.name).values(**values))
        return self.get(center.name)

    def accept(self, name: str, given: str, *, by: str) -> Center:
        """Accept a centre under the fingerprint that the administrator got by another way.

        Raises
        ------
        Conflict : it is not the fingerprint of the key that was found.
        """
        center = self.get(name)
        if not hmac.compare_digest(center.fingerprint, given.strip().casefold()):
            raise Conflict(
                "The fingerprint is not that of the key that was found; the centre was not accepted.",
                remedy="Ask the centre's administrator, by telephone, for what `fairlead gateway identity` prints there.",
            )
        self._decide(name, "accepted", by)
        return self.get(name)

    def refuse(self, name: str, *, by: str) -> Center:
        """Ask a centre no more."""
        self.get(name)
        self._decide(name, "refused", by)
        return self.get(name)

    def _decide(self, name: str, state: str, by: str) -> None:
        values = {"state": state, "decided_by": by, "decided_at": self._clock()}
        with database_errors(), self._engine.begin() as connection:
            connection.execute(update(centers).where(centers.c.name == name).values(values))


def _center(row: Row[tuple[object, ...]]) -> Center:
    return Center(row.name, row.address, row.public_key, cast("Mode", row.mode), row.state, row.source, row.summary)
