"""Tables of the catalog room: users of the write API, records that clients wrote, records that were harvested."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, Integer, String, Table, Text

from fairlead.database import UtcDateTime, metadata

users: Final = Table(
    "catalog_users",
    metadata,
    Column("email", String(256), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("password_hash", String(256), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
"""Local users. There is none until an administrator adds one, so there is no default password."""

entries: Final = Table(
    "catalog_entries",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("parent", String(1024), nullable=False),
    Column("state", String(16), nullable=False),
    Column("owner", String(256), nullable=False),
    Column("title", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("published_at", UtcDateTime),
    Index("ix_catalog_entries_parent_state", "parent", "state"),
    Index("ix_catalog_entries_state", "state"),
    Index("ix_catalog_entries_times", "changed_at", "revision"),
)
"""One row a record that a client wrote: ``body`` is its N-Triples without the links that the server owns; ``words`` are for search."""

revisions: Final = Table(
    "catalog_revisions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)
"""Earlier contents of written records; they go when the record is deleted."""

bundles: Final = Table(
    "catalog_bundles",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("owner", String(256), nullable=False),
    Column("state", String(16), nullable=False),
    Column("report", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)
"""One row a bundle that is stored later: ``report`` is what became of its records, as JSON; gone after a week."""

harvested: Final = Table(
    "catalog_harvested",
    metadata,
    Column("iri", String(1024), primary_key=True),
    Column("source", String(1024), nullable=False),
    Column("document", String(1024), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("title", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("etag", String(256), nullable=False),
    Column("last_modified", String(64), nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("ix_catalog_harvested_source", "source"),
    Index("ix_catalog_harvested_times", "changed_at"),
)
"""One row a record of another catalogue, under its own IRI; ``source`` is the address that was asked
for, ``document`` the one whose answer described the record: often, but not always, the record's own."""
