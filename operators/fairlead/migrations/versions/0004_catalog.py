"""Tables of the catalog room."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from fairlead.database import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "catalog_users",
        sa.Column("email", sa.String(256), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("password_hash", sa.String(256), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("email", name="pk_catalog_users"),
    )
    op.create_table(
        "catalog_entries",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("parent", sa.String(1024), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(256), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("published_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_catalog_entries"),
    )
    op.create_index("ix_catalog_entries_parent_state", "catalog_entries", ["parent", "state"])
    op.create_index("ix_catalog_entries_state", "catalog_entries", ["state"])
    op.create_table(
        "catalog_harvested",
        sa.Column("iri", sa.String(1024), nullable=False),
        sa.Column("source", sa.String(1024), nullable=False),
        sa.Column("document", sa.String(1024), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("etag", sa.String(256), nullable=False),
        sa.Column("last_modified", sa.String(64), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("iri", name="pk_catalog_harvested"),
    )
    op.create_index("ix_catalog_harvested_source", "catalog_harvested", ["source"])
    op.create_index("ix_catalog_harvested_times", "catalog_harvested", ["changed_at"])
    op.create_index("ix_catalog_entries_times", "catalog_entries", ["changed_at", "revision"])
    op.create_index("ix_datasets_state_id", "datasets", ["state", "id", "version"])
    op.create_index("ix_datasets_times", "datasets", ["published_at", "withdrawn_at"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_index("ix_datasets_times", "datasets")
    op.drop_index("ix_datasets_state_id", "datasets")
    for name in ("catalog_harvested", "catalog_entries", "catalog_users"):
        op.drop_table(name)
