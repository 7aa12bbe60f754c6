"""Earlier contents of records that clients wrote, so that one can be looked at and brought back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from fairlead.database import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "catalog_revisions",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", "revision", name="pk_catalog_revisions"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("catalog_revisions")
