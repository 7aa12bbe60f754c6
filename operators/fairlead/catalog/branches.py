"""Whole branches of written records: made visible from the top down, deleted with everything below.

A record below a draft names that draft (``dct:isPartOf``), so it may not be seen before it: published, it waits for its parent. The
reference takes such a publication and shows the child, with the draft's address in it. Every function works inside one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import batched
from typing import Any, Final

from sqlalchemy import Connection, Engine, Select, or_, select, update

from fairlead.catalog.tables import entries, revisions
from fairlead.publish.store import store_errors

MAX_DEPTH: Final = 8
CHUNK: Final = 500
"""Values of one ``IN (…)``: databases bound what a statement may have (SQLite 999 in builds before 3.32, PostgreSQL 65,535)."""
type AddressOf = Callable[[str, str], str]
"""The IRI of a type of record and an id."""


def waits(connection: Connection, parent: str) -> bool:
    """Return whether a parent is a written record that is not visible; its row stays locked until the transaction ends."""
    query = select(entries.c.state).where(entries.c.id == parent.rpartition("/")[2]).with_for_update()
    return connection.scalar(query) not in (None, "published")


def levels(connection: Connection, tops: Sequence[str], condition: Any, *, iri: AddressOf) -> Iterator[list[str]]:
    """Yield the ids of the records below IRIs that meet a condition, level by level."""
    above = list(tops)
    for _ in range(MAX_DEPTH):
        rows: list[Any] = []
        for part in batched(above, CHUNK):
            rows += connection.execute(select(entries.c.id, entries.c.kind).where(entries.c.parent.in_(part), condition)).all()
        if not rows:
            return
        yield [row.id for row in rows]
        above = [iri(row.kind, row.id) for row in rows]


def release(connection: Connection, top: str, *, iri: AddressOf, now: datetime) -> None:
    """Make visible what waited for a record that has just become visible."""
    values = {"state": "published", "published_at": now, "changed_at": now, "revision": entries.c.revision + 1}
    for level in levels(connection, [top], entries.c.state == "waiting", iri=iri):
        for part in batched(level, CHUNK):
            connection.execute(update(entries).where(entries.c.id.in_(part)).values(values))


def hide_early(engine: Engine, *, iri: AddressOf, now: datetime) -> int:
    """Let wait what earlier programs published below drafts, and return how many; where there is none, nothing is locked or written.

    They were seen once, so they leave a mark when they are deleted.
    """
    hidden = select(entries.c.id, entries.c.kind).where(entries.c.state.in_(("draft", "waiting")))
    with store_errors(), engine.connect() as connection:
        if not _shown_below(connection, hidden, iri=iri):
            return 0
    values = {"state": "waiting", "changed_at": now, "revision": entries.c.revision + 1}
    with store_errors(), engine.begin() as connection:
        names = _shown_below(connection, hidden.with_for_update(), iri=iri)  # nobody publishes a parent meanwhile
        for part in batched(names, CHUNK):
            connection.execute(update(entries).where(entries.c.id.in_(part)).values(values))
    return len(names)


def _shown_below(connection: Connection, hidden: Select[Any], *, iri: AddressOf) -> list[str]:
    tops = [iri(row.kind, row.id) for row in connection.execute(hidden)]
    return [name for level in levels(connection, tops, entries.c.state == "published", iri=iri) for name in level]


def remove(connection: Connection, identifier: str, top: str, *, iri: AddressOf, now: datetime) -> int:
    """Delete a record and everything below it, and return how many; what was seen once leaves a mark, the rest leaves nothing."""
    doomed = [identifier, *(name for level in levels(connection, [top], entries.c.state != "deleted", iri=iri) for name in level)]
    for part in batched(doomed, CHUNK):
        _remove(connection, part, now)
    return len(doomed)


def _remove(connection: Connection, names: Sequence[str], now: datetime) -> None:
    once_seen = or_(entries.c.state == "published", entries.c.published_at.is_not(None))
    connection.execute(entries.delete().where(entries.c.id.in_(names), ~once_seen))
    connection.execute(revisions.delete().where(revisions.c.id.in_(names)))
    values = {"state": "deleted", "body": "", "words": "", "changed_at": now, "revision": entries.c.revision + 1}
    connection.execute(update(entries).where(entries.c.id.in_(names)).values(values))
