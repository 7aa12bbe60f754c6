"""Tables of frozen cohorts. Rows of ``cohort_versions`` are written once and never changed."""

from __future__ import annotations

from typing import Final

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Integer, LargeBinary, String, Table, Text

from fairlead.database import UtcDateTime, metadata

cohorts: Final = Table(
    "cohorts",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(200), nullable=False),
)

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
)
"""``members`` is zlib over lines ``<record id> TAB <content hash>``, sorted by id."""
