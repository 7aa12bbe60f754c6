"""Tables of the federation room: what a gateway has released and to whom, its audit chain, and the centres that a hub knows."""

from __future__ import annotations

from typing import Final

from sqlalchemy import JSON, Column, Index, Integer, LargeBinary, String, Table, Text

from fairlead.database import UtcDateTime, metadata

patients: Final = Table(
    "federation_patients",
    metadata,
    Column("ordinal", Integer, primary_key=True),
    Column("tag", String(32), nullable=False, unique=True),
)
"""A number for every patient that was ever counted, so that sets are bitmaps; ``tag`` is keyed by the centre's secret."""

releases: Final = Table(
    "federation_releases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("size", Integer, nullable=False),
    Column("members", LargeBinary, nullable=False),
    Column("patients", Integer),
    Column("plus_minus", Integer, nullable=False),
    Column("key_id", String(32), nullable=False),
    Column("policy_sha256", String(64), nullable=False),
    Column("released_at", UtcDateTime, nullable=False),
)
"""Every set of patients that was answered, and what was said: ``patients`` None is "below the threshold"."""

nonces: Final = Table(
    "federation_nonces",
    metadata,
    Column("hub", String(64), primary_key=True),
    Column("nonce", String(64), primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_federation_nonces_expires_at", "expires_at"),
)
"""Messages that were taken already, until they would be refused as too old anyway."""

spending: Final = Table(
    "federation_spending",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("hub", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("person", String(64), nullable=False),
    Column("cells", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("ix_federation_spending_hub_project_at", "hub", "project", "at"),
)
"""Questions that were taken, and how many numbers the answer showed; 1 until it is given."""

audit: Final = Table(
    "federation_audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("entry", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
)
"""The chain: ``entry`` is RFC 8785 JSON that holds the hash before it; triggers refuse every change and deletion."""

centers: Final = Table(
    "federation_centers",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("address", String(1024), nullable=False),
    Column("public_key", String(64), nullable=False),
    Column("mode", String(8), nullable=False),
    Column("state", String(16), nullable=False),
    Column("source", String(1024), nullable=False),
    Column("summary", JSON, nullable=False),
    Column("decided_by", String(200), nullable=False),
    Column("found_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
)
"""Centres that a hub found; only an accepted one is asked, and only under the key that was accepted."""

mailbox: Final = Table(
    "federation_mailbox",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("center", String(64), nullable=False),
    Column("path", String(64), nullable=False),
    Column("request", Text, nullable=False),
    Column("signature", String(128), nullable=False),
    Column("answer", Text),
    Column("posted_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_federation_mailbox_center_expires_at", "center", "expires_at"),
)
"""Questions that wait at the hub for centres which allow no inbound connection, and their answers."""

cohorts: Final = Table(
    "federation_cohorts",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("title", String(200), nullable=False),
    Column("definition", JSON, nullable=False),
    Column("definition_sha256", String(64), nullable=False),
    Column("parts", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
"""Versions across centres: the definition, and a reference to what each centre froze for itself; no members."""
