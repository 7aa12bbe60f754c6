"""Drafts: definitions that are still being worked on, by several people, none of whom loses anything.

A draft has a revision. Saving names the revision that one started from; when somebody else was faster the save is refused with
what they saved, and both are still there: theirs in the database, one's own in the hands of the caller.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update

from fairlead.cohort.audit import append, audited
from fairlead.cohort.tables import drafts
from fairlead.cohort.texts import MAX_WORDS, checked_text, is_broken
from fairlead.database import database_errors, utc_now
from fairlead.errors import Conflict, InvalidInput, NotFound
from fairlead.records import JsonObject

MAX_LISTED: Final = 200


@dataclass(frozen=True, slots=True)
class Draft:
    """One draft as it was saved last."""

    id: str
    project: str
    title: str
    purpose: str
    definition: JsonObject
    revision: int
    author: str
    saved_by: str
    saved_at: datetime

    def says(self, title: str, purpose: str, definition: JsonObject) -> bool:
        """Return whether it says just this already."""
        return (self.title, self.purpose, self.definition) == (title, purpose, definition)


class DraftChanged(Conflict):
    """Somebody else saved the draft since it was opened; ``current`` is what they saved."""

    code = "draft-changed"
    default_remedy = "Look at both, then save yours as a draft of its own, or over theirs."

    def __init__(self, current: Draft) -> None:
        super().__init__(f"{current.saved_by} saved this draft at {current.saved_at:%H:%M} UTC, after you opened it. Nothing is lost.")
        self.current = current


class DraftStore:
    """Every draft of an installation."""

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._engine, self._clock = engine, clock

    def create(self, definition: JsonObject, *, title: str, purpose: str = "", author: str, project: str = "") -> Draft:
        """Save a new draft."""
        title, purpose = _checked(title, purpose, definition)
        made = Draft(str(uuid.uuid4()), project, title, purpose, definition, 1, author, author, self._clock())

        def created(connection: Connection) -> Draft:
            """Insert the draft and its audit entry in one transaction."""
            connection.execute(insert(drafts), {name: getattr(made, name) for name in Draft.__slots__})
            self._tell(connection, author, "save-draft", made.id, made.revision)
            return made

        return audited(self._engine, created)

    def save(self, draft_id: str, definition: JsonObject, *, revision: int, title: str, purpose: str = "", author: str) -> Draft:
        """Save over ``revision`` and return the next one; saying the same again changes nothing.

        Raises
        ------
        DraftChanged : somebody else saved another revision; NotFound : the draft was discarded; InvalidInput : a text is too long or none.
        """
        title, purpose = _checked(title, purpose, definition)
        values = {"definition": definition, "title": title, "purpose": purpose, "saved_by": author, "saved_at": self._clock()}
        here = (drafts.c.id == draft_id, drafts.c.revision == revision)

        def saved(connection: Connection) -> Draft:
            """Write the next revision and its audit entry; raise DraftChanged when somebody else was faster."""
            current = _one(connection.execute(select(drafts).where(drafts.c.id == draft_id)).one_or_none())
            if current.says(title, purpose, definition):
                return current
            done = connection.execute(update(drafts).where(*here).values(**values, revision=revision + 1))
            now = _one(connection.execute(select(drafts).where(drafts.c.id == draft_id)).one_or_none())
            if not done.rowcount:
                raise DraftChanged(now)
            self._tell(connection, author, "save-draft", draft_id, now.revision)
            return now

        return audited(self._engine, saved)

    def get(self, draft_id: str) -> Draft:
        """Return a draft; raise NotFound."""
        with database_errors(), self._engine.connect() as connection:
            return _one(connection.execute(select(drafts).where(drafts.c.id == draft_id)).one_or_none())

    def list(self) -> tuple[Draft, ...]:
        """Return the drafts, the one saved last first."""
        wanted = select(drafts).order_by(drafts.c.saved_at.desc(), drafts.c.id).limit(MAX_LISTED)
        with database_errors(), self._engine.connect() as connection:
            return tuple(_draft(row) for row in connection.execute(wanted))

    def discard(self, draft_id: str, *, revision: int, by: str) -> None:
        """Delete the revision that one has seen; gone already is well.

        Raises
        ------
        DraftChanged : somebody else saved another revision.
        """

        def discarded(connection: Connection) -> None:
            """Delete the revision that was seen, with its audit entry; raise DraftChanged when there is a newer one."""
            done = connection.execute(delete(drafts).where(drafts.c.id == draft_id, drafts.c.revision == revision))
            left = connection.execute(select(drafts).where(drafts.c.id == draft_id)).one_or_none()
            if left is not None:
                raise DraftChanged(_draft(left))
            if done.rowcount:
                self._tell(connection, by, "discard-draft", draft_id, revision)

        audited(self._engine, discarded)

    def _tell(self, connection: Connection, who: str, what: str, draft_id: str, revision: int) -> None:
        append(connection, who, what, draft_id, at=self._clock(), detail={"revision": revision})


def _checked(title: str, purpose: str, definition: JsonObject) -> tuple[str, str]:
    if is_broken(definition):
        raise InvalidInput("The draft holds a control character or half of a character.", remedy="Write that text anew.")
    return checked_text(title, "title"), checked_text(purpose, "purpose", maximum=MAX_WORDS)


def _one(row: Row[Any] | None) -> Draft:
    if row is None:
        raise NotFound("There is no such draft (any more).", remedy="Save what you have as a new draft.")
    return _draft(row)


def _draft(row: Row[Any]) -> Draft:
    return Draft(**{name: getattr(row, name) for name in Draft.__slots__})
