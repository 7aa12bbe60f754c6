"""What compiled a frozen cohort, beside the index and the catalogue that it rests on; unknown of older versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("cohort_versions", sa.Column("compiler", sa.String(64), nullable=True))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("cohort_versions", "compiler")
