"""Tables of the publish room: exports (the work list) and published versions of datasets."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text

from fairlead.database import UtcDateTime, metadata

exports: Final = Table(
    "exports",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("run_id", String(512), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("cohort", String(140), nullable=False),
    Column("parameters", Text, nullable=False),
    Column("requested_by", String(256), nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("approval", Text),
    Column("reason", Text, nullable=False, default=""),
    Column("record", Text),
    Column("content_sha256", String(64)),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("ix_exports_state", "state"),
)
"""One row an export. ``record`` and ``content_sha256`` are what the describe step made and the publish step makes visible."""

leases: Final = Table(
    "export_leases",
    metadata,
    Column("export_id", String(40), ForeignKey("exports.id"), primary_key=True),
    Column("holder", String(256), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)
"""Who works at an export, and until when; see :mod:`fairlead.publish.leases`."""

datasets: Final = Table(
    "datasets",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    Column("folder", String(256), nullable=False),
    Column("record", Text, nullable=False),
    Column("content_sha256", String(64), nullable=False),
    Column("export_id", String(40), ForeignKey("exports.id"), nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("withdrawn_at", UtcDateTime),
    Column("withdrawn_reason", Text, nullable=False, default=""),
    Index("ix_datasets_state", "state"),
    Index("ix_datasets_state_id", "state", "id", "version"),
    Index("ix_datasets_times", "published_at", "withdrawn_at"),
)
"""One row a published version; the row is written last, in the transaction that ends the export. The last two indexes answer "has
anything changed" and "which are on this page" without touching the records, which are large."""
