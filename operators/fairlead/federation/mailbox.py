"""Questions for centres that allow no inbound connection: they wait signed at the hub until the centre fetches them.

The centre signs its fetching, answers as over HTTP, and posts the signed answer back. Who runs the mailbox can hold questions
back, and nothing else: everything in it is signed by its author for its reader.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine, delete, insert, select, update

from fairlead.database import database_errors, utc_now
from fairlead.federation.centers import Center
from fairlead.federation.tables import mailbox
from fairlead.records import JsonObject

LIFE: Final = timedelta(days=1)
MOST_LETTERS: Final = 50
LOOK_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Mailbox:
    """The hub's mailbox in its database."""

    engine: Engine
    clock: Callable[[], datetime] = utc_now

    def put(self, center: str, path: str, body: bytes, signature: str) -> str:
        """Leave a question and return its id."""
        letter, now = str(uuid.uuid4()), self.clock()
        values = {"id": letter, "center": center, "path": path, "request": body.decode(), "signature": signature}
        with database_errors(), self.engine.begin() as connection:
            connection.execute(delete(mailbox).where(mailbox.c.expires_at < now))
            connection.execute(insert(mailbox), {**values, "posted_at": now, "expires_at": now + LIFE})
        return letter

    def waiting(self, center: str) -> list[JsonObject]:
        """Return the questions that a centre has not answered, oldest first."""
        wanted = select(mailbox).where(mailbox.c.center == center, mailbox.c.answer.is_(None), mailbox.c.expires_at >= self.clock())
        with database_errors(), self.engine.connect() as connection:
            found = connection.execute(wanted.order_by(mailbox.c.posted_at, mailbox.c.id).limit(MOST_LETTERS)).all()
        return [{"id": row.id, "path": row.path, "request": row.request, "signature": row.signature} for row in found]

    def answer(self, center: str, letter: str, answer: str) -> bool:
        """Keep a centre's answer; False when there is no such question of it, or it is answered."""
        mine = (mailbox.c.id == letter, mailbox.c.center == center, mailbox.c.answer.is_(None))
        with database_errors(), self.engine.begin() as connection:
            return connection.execute(update(mailbox).where(*mine).values(answer=answer)).rowcount == 1

    def answer_of(self, letter: str) -> str | None:
        """Return the answer to a question, None while there is none."""
        with database_errors(), self.engine.connect() as connection:
            found: str | None = connection.execute(select(mailbox.c.answer).where(mailbox.c.id == letter)).scalar_one_or_none()
        return found


@dataclass(frozen=True, slots=True)
class MailboxPost:
    """Reach a centre through the mailbox: leave the question, look until the answer is there or the asker stops waiting."""

    box: Mailbox

    async def __call__(self, center: Center, path: str, body: bytes, signature: str) -> bytes:
        """Return the answer."""
        letter = await asyncio.to_thread(self.box.put, center.name, path, body, signature)
        while (answer := await asyncio.to_thread(self.box.answer_of, letter)) is None:
            await asyncio.sleep(LOOK_S)
        return answer.encode()


def letters_of(document: bytes) -> list[JsonObject]:
    """Return the letters of a mailbox's reply, each with text under every key.

    Raises
    ------
    ValueError : it is none.
    """
    found = json.loads(document)["letters"]
    keys = ("id", "path", "request", "signature")
    if not isinstance(found, list) or not all(
        isinstance(one, dict) and all(isinstance(one.get(key), str) for key in keys) for one in found
    ):
        raise ValueError("no letters")
    return found
