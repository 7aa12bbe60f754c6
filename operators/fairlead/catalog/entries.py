"""Records that clients wrote: drafts that only their owner sees, published ones, and the marks that deleted ones leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from rdflib import DCTERMS, Graph, URIRef
from sqlalchemy import Connection, Engine, bindparam, func, insert, select, update

from fairlead.catalog import branches
from fairlead.catalog.accounts import User
from fairlead.catalog.ntriples import read_ntriples
from fairlead.catalog.tables import entries, revisions
from fairlead.catalog.writing import Kind, kind_of
from fairlead.database import utc_now
from fairlead.errors import FairleadError, NotFound, NotPermitted, Withdrawn
from fairlead.publish import Site, Tombstone
from fairlead.publish.graph import Child, add_container, add_metadata_record
from fairlead.publish.store import store_errors

MAX_REVISIONS: Final = 100
"""Revisions back from the present one that are kept of a record."""
MAX_NUMBER: Final = 2**31
"""No revision has it, and no database is asked for a number that it does not have."""

ONE: Final = select(entries).where(entries.c.id == bindparam("id"), entries.c.kind == bindparam("kind"))
"""Statements of every request are made once: making and comparing one costs more than running it."""
CHILDREN: Final = (
    select(entries.c.kind, entries.c.id, entries.c.title)
    .where(entries.c.parent == bindparam("parent"), entries.c.state == "published")
    .order_by(entries.c.id)
)
NEW: Final = insert(entries)
VISIBLE: Final = select(func.count()).where(entries.c.state == "published").scalar_subquery()
MARK: Final = select(func.count(), func.max(entries.c.changed_at), func.sum(entries.c.revision), VISIBLE).select_from(entries)
"""The last one differs when a draft goes and a published record comes while another machine's clock was ahead."""

type Also = Callable[[Connection, Sequence[Entry]], None]


class PreconditionFailed(FairleadError):
    """The record is not the one that the client had seen (RFC 9110 section 13.1.1)."""

    code = "precondition-failed"
    default_remedy = "Get the record again and repeat the change on what it says now."


class EntryState(StrEnum):
    """Draft, then published, then deleted; there is no way back (reference: "You can not change state to DRAFT").

    Waiting is published below a draft: nobody else sees it until its parent is published too.
    """

    DRAFT = "draft"
    WAITING = "waiting"
    PUBLISHED = "published"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Entry:
    """One written record; ``body`` is N-Triples under its own IRI, without the links that the server owns."""

    id: str
    kind: Kind
    parent: str
    state: EntryState
    owner: str
    title: str
    body: str
    revision: int
    created_at: datetime
    changed_at: datetime

    @property
    def is_visible(self) -> bool:
        """Whether everybody may see the record."""
        return self.state == EntryState.PUBLISHED

    def graph(self) -> Graph:
        """Return the stored statements."""
        return read_ntriples(self.body)

    def may_change(self, user: User) -> bool:
        """Return whether a user may see the draft, change it and delete it."""
        return user.is_admin or user.email == self.owner


@dataclass(frozen=True, slots=True)
class Revision:
    """One state of a record before it was changed; :meth:`Entries.content` has what it said."""

    revision: int
    title: str
    changed_at: datetime


class Entries:
    """The written records of one catalogue."""

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._clock = clock

    def generation(self) -> str:
        """Return a cheap mark that changes whenever what is written changes."""
        return "|".join(str(value) for value in self._rows(MARK)[0].values())

    def get(self, kind: str, identifier: str, user: User | None = None) -> Entry:
        """Return one record; a draft only to whom it belongs: for everybody else there is none.

        Raises
        ------
        NotFound : there is none of that type and id, or it is somebody's draft.
        Withdrawn : it was published and deleted.
        """
        found = self._rows(ONE, id=identifier, kind=kind)
        if not found:
            raise NotFound("There is no record of that id.")
        entry = _entry(found[0])
        if entry.state == EntryState.DELETED:
            raise Withdrawn("The record was deleted.")
        if not entry.is_visible and (user is None or not entry.may_change(user)):
            raise NotFound("There is no record of that id.")
        return entry

    def tombstone(self, kind: str, identifier: str) -> Tombstone:
        """Return the mark that a deleted record left; raise NotFound when there is none."""
        query = select(entries).where(entries.c.id == identifier, entries.c.kind == kind, entries.c.state == "deleted")
        found = self._rows(query)
        if not found:
            raise NotFound("There is no record of that id.")
        return Tombstone(identifier, found[0]["title"], found[0]["changed_at"], "Deleted by its owner.")

    def children(self, parent: str, *, limit: int | None = None, offset: int = 0) -> list[tuple[str, str, str]]:
        """Return kind, id and title of the published children of a record, by id."""
        query = CHILDREN if limit is None and offset == 0 else CHILDREN.limit(limit).offset(offset)
        with store_errors(), self._engine.connect() as connection:
            return [(kind, name, title) for kind, name, title in connection.execute(query, {"parent": parent})]

    def count(self, parent: str) -> int:
        """Return how many published children a record has."""
        query = select(func.count().label("n")).where(entries.c.parent == parent, entries.c.state == "published")
        return int(self._rows(query)[0]["n"])

    def published(self) -> list[Entry]:
        """Return every published record, by id."""
        return [_entry(row) for row in self._rows(select(entries).where(entries.c.state == "published").order_by(entries.c.id))]

    def deleted(self) -> list[Entry]:
        """Return every record that was published once and then deleted."""
        query = select(entries).where(entries.c.state == "deleted", entries.c.published_at.is_not(None)).order_by(entries.c.id)
        return [_entry(row) for row in self._rows(query)]

    def words(self) -> dict[str, str]:
        """Return the text that search looks at, of every published record by id."""
        query = select(entries.c.id, entries.c.words).where(entries.c.state == "published")
        return {row["id"]: row["words"] for row in self._rows(query)}

    def add(self, entry: Entry, *, words: str) -> None:
        """Store a new record."""
        self.add_all([(entry, words)])

    def add_all(self, new: Sequence[tuple[Entry, str]], *, also: Also | None = None) -> list[Entry]:
        """Store new records with the words of each, all or none, parents first; return them: what is below a draft waits.

        ``also`` writes something in the same transaction.
        """
        names = ("id", "parent", "owner", "title", "body", "revision", "created_at", "changed_at")
        with store_errors(), self._engine.begin() as connection:
            stored = _settled(connection, [entry for entry, _ in new])
            rows = [
                {name: getattr(entry, name) for name in names}
                | {"kind": entry.kind.name, "state": entry.state.value, "words": words}
                | {"published_at": entry.changed_at if entry.is_visible else None}
                for entry, (_, words) in zip(stored, new, strict=True)
            ]
            connection.execute(NEW, rows)
            if also is not None:
                also(connection, stored)
        return stored

    def replace(self, entry: Entry, *, title: str, words: str, body: str) -> Entry:
        """Store another content of the same record.

        Raises
        ------
        PreconditionFailed : somebody else changed it in the meantime.
        """
        self._change(entry, keep=True, title=title, words=words, body=body)
        return _entry(self._rows(select(entries).where(entries.c.id == entry.id))[0])

    def history(self, entry: Entry) -> list[Revision]:
        """Return which revisions a record had before, the newest first, without what they said: that may be much."""
        columns = (revisions.c.revision, revisions.c.title, revisions.c.changed_at)
        query = select(*columns).where(revisions.c.id == entry.id).order_by(revisions.c.revision.desc())
        return [Revision(row["revision"], row["title"], row["changed_at"]) for row in self._rows(query)]

    def content(self, entry: Entry, revision: int) -> str:
        """Return what a record said before as N-Triples; raise NotFound when it has no such revision."""
        found = self._rows(select(revisions.c.body).where(*_of(entry, revision))) if 0 < revision < MAX_NUMBER else []
        if not found:
            raise NotFound("The record has no such revision.", remedy="See its history for those it has.")
        return str(found[0]["body"])

    def forget(self, entry: Entry, revision: int) -> None:
        """Remove what a record said before, such as the address of somebody who wants it gone; again is no change."""
        if 0 < revision < MAX_NUMBER:
            with store_errors(), self._engine.begin() as connection:
                connection.execute(revisions.delete().where(*_of(entry, revision)))

    def publish(self, entry: Entry, *, iri: branches.AddressOf) -> Entry:
        """Make a draft visible with what waits for it, or let it wait for its parent; again is no change."""
        if entry.is_visible:
            return entry
        now = self._clock()
        stays = (entries.c.id == entry.id, entries.c.revision == entry.revision, entries.c.state.in_(("draft", "waiting")))
        with store_errors(), self._engine.begin() as connection:
            state = EntryState.WAITING if branches.waits(connection, entry.parent) else EntryState.PUBLISHED
            moment = now if state == EntryState.PUBLISHED else None
            values = {"state": state.value, "published_at": moment, "changed_at": now, "revision": entry.revision + 1}
            if not connection.execute(update(entries).where(*stays).values(values)).rowcount:
                raise PreconditionFailed("Somebody else changed the record in the meantime.")
            if moment is not None:
                branches.release(connection, iri(entry.kind.name, entry.id), iri=iri, now=now)
        return replace(entry, state=state, revision=entry.revision + 1)

    def delete(self, entry: Entry, *, iri: branches.AddressOf) -> int:
        """Delete a record and everything below it; published ones leave a mark, drafts leave nothing that anybody sees."""
        with store_errors(), self._engine.begin() as connection:
            return branches.remove(connection, entry.id, iri(entry.kind.name, entry.id), iri=iri, now=self._clock())

    def _change(self, entry: Entry, *, keep: bool = False, **values: Any) -> None:
        """Change a row that is still what it was; ``keep`` its content as a revision, in the same transaction."""
        stays = (entries.c.id == entry.id, entries.c.revision == entry.revision, entries.c.state != "deleted")
        values |= {"changed_at": self._clock(), "revision": entry.revision + 1}
        with store_errors(), self._engine.begin() as connection:
            if not connection.execute(update(entries).where(*stays).values(values)).rowcount:
                raise PreconditionFailed("Somebody else changed the record in the meantime.")
            if keep:
                names = ("id", "revision", "title", "body", "changed_at")
                connection.execute(insert(revisions).values({name: getattr(entry, name) for name in names}))
                oldest = revisions.c.revision <= entry.revision - MAX_REVISIONS
                connection.execute(revisions.delete().where(revisions.c.id == entry.id, oldest))

    def _rows(self, query: Any, **values: str) -> list[Any]:
        with store_errors(), self._engine.connect() as connection:
            return list(connection.execute(query, values).mappings())


def _settled(connection: Connection, new: Sequence[Entry]) -> list[Entry]:
    """Return new records with their states: one to be published below a draft waits, be the draft stored or one of them."""
    stored: dict[str, Entry] = {}
    waits: dict[str, bool] = {}
    for entry in new:
        above = entry.parent.rpartition("/")[2]
        if entry.is_visible and above not in waits:
            waits[above] = not stored[above].is_visible if above in stored else branches.waits(connection, entry.parent)
        hidden = entry.is_visible and waits[above]
        stored[entry.id] = replace(entry, state=EntryState.WAITING) if hidden else entry
    return list(stored.values())


def _of(entry: Entry, revision: int) -> tuple[Any, Any]:
    return (revisions.c.id == entry.id, revisions.c.revision == revision)


def _entry(row: Any) -> Entry:
    names = ("id", "parent", "owner", "title", "body", "revision", "created_at", "changed_at")
    return Entry(kind=kind_of(row["kind"]), state=EntryState(row["state"]), **{name: row[name] for name in names})


def require_owner(entry: Entry, user: User) -> None:
    """Raise NotPermitted when a record is somebody else's."""
    if not entry.may_change(user):
        raise NotPermitted("This record belongs to somebody else.", remedy="Ask its owner or an administrator of this catalogue.")


def iri_of(site: Site, kind: str, identifier: str) -> str:
    """Return the IRI of a written record."""
    return f"{site.base}/{kind}/{identifier}"


def entry_graph(site: Site, entry: Entry, children: Sequence[Child], *, stored: Graph | None = None) -> Graph:
    """Return a written record as it is served: its statements, its metadata record, its profile, and the container of its children.

    ``stored`` spares parsing when the statements are at hand; it is added to.
    """
    graph, node = entry.graph() if stored is None else stored, URIRef(iri_of(site, entry.kind.name, entry.id))
    add_metadata_record(graph, node, issued=entry.created_at, modified=entry.changed_at)
    graph.add((node, DCTERMS.conformsTo, URIRef(site.profile("written"))))
    if entry.kind.relation is not None:
        add_container(graph, f"{node}/{entry.kind.child}/", member_of=node, relation=entry.kind.relation, children=children)
    return graph
