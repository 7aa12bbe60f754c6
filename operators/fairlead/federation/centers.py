"""The centres that a hub knows. One is asked only after an administrator compared and accepted the fingerprint of its key."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, cast

from sqlalchemy import Connection, Engine, Row, insert, select, update

from fairlead.database import database_errors, utc_now
from fairlead.errors import Conflict, NotFound
from fairlead.federation.signing import fingerprint
from fairlead.federation.tables import centers
from fairlead.records import JsonObject

type Mode = Literal["push", "pull"]

DECIDED: Final = ("accepted", "refused")
PROPOSED: Final = "proposed"
"""Where in the summary a later finding is kept."""


@dataclass(frozen=True, slots=True)
class Center:
    """One centre as the hub knows it; in ``pull`` mode it fetches its questions from the hub's mailbox.

    ``proposed`` is what a catalogue said later about a centre that was decided about: it changes nothing until it is accepted.
    """

    name: str
    address: str
    public_key: str
    mode: Mode = "push"
    state: str = "found"
    source: str = ""
    summary: JsonObject | None = None
    proposed: JsonObject | None = None

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
        """Note a centre that was discovered.

        Whoever writes a catalogue can say anything about anybody. One that was accepted or refused stays what it is, and is asked
        where and under the key that was accepted; another key or address is kept beside it as a proposal.
        """
        with database_errors(), self._engine.begin() as connection:
            known = connection.execute(select(centers).where(centers.c.name == center.name)).first()
            values = _values(center) | {"found_at": self._clock()}
            if known is None:
                connection.execute(insert(centers), {"name": center.name, "state": "found", "decided_by": "", **values})
            elif known.state in DECIDED:
                proposed = _values(center) if (known.public_key, known.address) != (center.public_key, center.address) else None
                self._propose(connection, known, proposed)
            else:
                connection.execute(update(centers).where(centers.c.name == center.name).values(**values))
        return self.get(center.name)

    def _propose(self, connection: Connection, known: Row[tuple[object, ...]], proposed: JsonObject | None) -> None:
        kept = {name: value for name, value in known.summary.items() if name != PROPOSED}
        summary = kept | ({PROPOSED: proposed} if proposed else {})
        connection.execute(update(centers).where(centers.c.name == known.name).values(summary=summary))

    def accept(self, name: str, given: str, *, by: str) -> Center:
        """Accept a centre, or what was proposed for it, under the fingerprint that the administrator got by another way.

        Raises
        ------
        Conflict : it is the fingerprint of no key that was found.
        """
        center = self.get(name)
        offered = [one for one in (center.proposed, _values(center)) if one is not None]
        chosen = next((one for one in offered if _is_of(one["public_key"], given)), None)
        if chosen is None:
            raise Conflict(
                "The fingerprint is not that of the key that was found; the centre was not accepted.",
                remedy="Ask the centre's administrator, by telephone, for what `fairlead gateway identity` prints there.",
            )
        self._decide(name, "accepted", by, **chosen)
        return self.get(name)

    def refuse(self, name: str, *, by: str) -> Center:
        """Ask a centre no more."""
        self.get(name)
        self._decide(name, "refused", by)
        return self.get(name)

    def _decide(self, name: str, state: str, by: str, **changed: Any) -> None:
        values = {"state": state, "decided_by": by, "decided_at": self._clock(), **changed}
        with database_errors(), self._engine.begin() as connection:
            connection.execute(update(centers).where(centers.c.name == name).values(values))


def _is_of(public_key: str, given: str) -> bool:
    return hmac.compare_digest(fingerprint(public_key).encode(), given.strip().casefold().encode())


def _values(center: Center) -> JsonObject:
    values: JsonObject = {"address": center.address, "public_key": center.public_key, "mode": center.mode, "source": center.source}
    return values | {"summary": center.summary or {}}


def _center(row: Row[tuple[object, ...]]) -> Center:
    summary: JsonObject = dict(cast("JsonObject", row.summary))
    proposed = cast("JsonObject | None", summary.pop(PROPOSED, None))
    return Center(row.name, row.address, row.public_key, cast("Mode", row.mode), row.state, row.source, summary, proposed)
