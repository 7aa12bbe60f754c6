"""Tables of cohorts. Rows of ``cohort_versions`` and ``cohort_audit`` are written once and never changed; drafts are what changes."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from fairlead.database import UtcDateTime, metadata

cohorts: Final = Table(
    "cohorts",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("project", String(64), nullable=False, server_default=""),
)
"""``project`` is who may see the cohort; empty is the installation's own."""

cohort_versions: Final = Table(
    "cohort_versions",
    metadata,
    Column("cohort_id", String(36), ForeignKey("cohorts.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("title", String(200), nullable=False),
    Column("unit", String(16), nullable=False),
    Column("definition", JSON, nullable=False),
    Column("definition_sha256", String(64), nullable=False),
    Column("members", LargeBinary, nullable=False),
    Column("members_sha256", String(64), nullable=False),
    Column("patients", BigInteger, nullable=False),
    Column("studies", BigInteger, nullable=False),
    Column("series", BigInteger, nullable=False),
    Column("images", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("attrition", JSON, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("index_generation", String(64), nullable=False),
    Column("catalogue_sha256", String(64), nullable=False),
    Column("author", String(200), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("fingerprints", LargeBinary, nullable=True),
    Column("compiler", String(64), nullable=True),
)
"""``members`` is one of the two forms that ``cohort.members`` packs, ``fingerprints`` what two versions are compared by."""

drafts: Final = Table(
    "cohort_drafts",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project", String(64), nullable=False),
    Column("title", String(200), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("definition", JSON, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("author", String(200), nullable=False),
    Column("saved_by", String(200), nullable=False),
    Column("saved_at", UtcDateTime, nullable=False),
)

withdrawals: Final = Table(
    "cohort_withdrawals",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("subject", String(512), nullable=False),
    Column("reason", Text, nullable=False),
    Column("withdrawn_by", String(200), nullable=False),
    Column("withdrawn_at", UtcDateTime, nullable=False),
    UniqueConstraint("kind", "subject"),
)
"""``subject`` is a record id, or the pseudonymous key of a patient as the index gives it."""

withdrawn_members: Final = Table(
    "cohort_withdrawn_members",
    metadata,
    Column("cohort_id", String(36), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("record_id", String(512), primary_key=True),
    Column("withdrawal", Integer, ForeignKey("cohort_withdrawals.id"), nullable=False),
    ForeignKeyConstraint(["cohort_id", "version"], ["cohort_versions.cohort_id", "cohort_versions.version"]),
)

audit: Final = Table(
    "cohort_audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("who", String(200), nullable=False),
    Column("what", String(32), nullable=False),
    Column("ref", String(64), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("sha256", String(64), nullable=False),
)
"""A hash chain: ``sha256`` is over the entry and the ``sha256`` of the one before."""
