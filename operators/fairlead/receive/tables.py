"""Tables of the ledger: the durable work list of everything that came through a door."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from fairlead.database import UtcDateTime, metadata

UID = String(64)
SHA = String(64)
NAME = String(63)

series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", NAME, nullable=False),
    Column("center", NAME, nullable=False),
    Column("study_uid", UID, nullable=False),
    Column("series_uid", UID, nullable=False),
    Column("state", String(16), nullable=False),
    Column("ending", String(16), nullable=False),
    Column("generation_number", Integer, nullable=False),  # 0: never complete yet
    Column("generation", SHA, nullable=True),
    Column("indexed_generation", SHA, nullable=True),
    Column("route", JSON, nullable=False),
    Column("first_received_at", UtcDateTime, nullable=False),
    Column("last_received_at", UtcDateTime, nullable=False),
    Column("last_event_at", UtcDateTime, nullable=False),  # arrival, or a sender leaving: the quiet time counts from here
    Column("completed_at", UtcDateTime, nullable=True),
    Column("expected", Integer, nullable=True),  # instances that the headers announce; 0: they do not say; null: not looked at yet
    Column("claimant", String(200), nullable=True),
    Column("claimed_until", UtcDateTime, nullable=True),
    UniqueConstraint("project", "center", "series_uid"),
    Index("ix_series_state", "state"),
)

instances = Table(
    "instances",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("series_id", Integer, ForeignKey("series.id"), nullable=False),
    Column("project", NAME, nullable=False),
    Column("center", NAME, nullable=False),
    Column("sop_instance_uid", UID, nullable=False),
    Column("sop_class_uid", UID, nullable=False),
    Column("transfer_syntax_uid", UID, nullable=False),
    Column("sha256", SHA, nullable=False),  # of the data set, without preamble and file meta
    Column("size_bytes", BigInteger, nullable=False),
    Column("path", String(255), nullable=False),
    Column("version", Integer, nullable=False),
    Column("current", Boolean, nullable=False),
    Column("generation_from", Integer, nullable=True),  # null: not yet part of a complete generation
    Column("generation_until", Integer, nullable=True),  # first generation that no longer holds it
    Column("received_at", UtcDateTime, nullable=False),
    Column("copied_to", SHA, nullable=True),  # sha256 of the address of the archive bucket that holds a verified copy
    UniqueConstraint("project", "center", "sop_instance_uid", "sha256"),
    UniqueConstraint("path"),
    Index("ix_instances_series_id", "series_id"),
)

associations = Table(
    "associations",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("calling_ae", String(16), nullable=False),
    Column("called_ae", String(16), nullable=False),
    Column("peer", String(64), nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
)

holds = Table(
    "holds",
    metadata,
    Column("holder", String(32), primary_key=True),  # an open association, or a running import
    Column("series_id", Integer, ForeignKey("series.id"), primary_key=True),
    Index("ix_holds_series_id", "series_id"),
)

files = Table(
    "files",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", NAME, nullable=False),
    Column("center", NAME, nullable=False),
    Column("path", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("sha256", SHA, nullable=True),  # null while the size still moves
    Column("size_bytes", BigInteger, nullable=False),
    Column("fingerprint", String(64), nullable=False),  # over (name, size, mtime) of every member: cheap "did it change?"
    Column("route", JSON, nullable=False),
    Column("record_ids", JSON, nullable=False),  # of the content that was indexed last
    Column("seen_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("claimant", String(200), nullable=True),
    Column("claimed_until", UtcDateTime, nullable=True),
    UniqueConstraint("project", "center", "path"),
    Index("ix_files_state", "state"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", SHA, nullable=False, unique=True),  # sha256 over (source, code, bytes): a repeated refusal is one row
    Column("source", Text, nullable=False),
    Column("code", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("path", String(255), nullable=True),  # where the bytes are kept, relative to the archive
    Column("route", JSON, nullable=True),  # where they belong, so that they can be tried again
    Column("times", Integer, nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)

counters = Table(
    "counters",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

audits = Table(
    "audits",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("event", String(64), nullable=False),
    Column("detail", JSON, nullable=False),
)

commitments = Table(
    "commitments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("calling_ae", String(16), nullable=False),
    Column("transaction_uid", UID, nullable=False),
    Column("project", NAME, nullable=False),
    Column("center", NAME, nullable=False),
    Column("holder", String(32), nullable=False),  # the association that asked
    Column("manifest", JSON, nullable=False),  # [[SOP class, SOP instance], ...] as the sender lists them
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    UniqueConstraint("calling_ae", "transaction_uid"),
    Index("ix_commitments_state", "state"),
)
