"""Bundles of records that are stored after the answer, so that their sender can ask what became of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from fairlead.database import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "catalog_bundles",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(256), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("report", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_catalog_bundles"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("catalog_bundles")
