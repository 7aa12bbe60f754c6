"""Which archive bucket holds a verified copy of an instance."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what is there already has no copy."""
    op.add_column("instances", sa.Column("copied_to", sa.String(64), nullable=True))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("instances", "copied_to")
