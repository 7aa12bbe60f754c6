"""Tables of the cohort room."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from fairlead.database import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "cohorts",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cohorts"),
    )
    op.create_table(
        "cohort_versions",
        sa.Column("cohort_id", sa.String(36), nullable=False),
        sa.Column("version", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("unit", sa.String(16), nullable=False),
        sa.Column("definition", sa.JSON, nullable=False),
        sa.Column("definition_sha256", sa.String(64), nullable=False),
        sa.Column("members", sa.LargeBinary, nullable=False),
        sa.Column("members_sha256", sa.String(64), nullable=False),
        sa.Column("patients", sa.BigInteger, nullable=False),
        sa.Column("studies", sa.BigInteger, nullable=False),
        sa.Column("series", sa.BigInteger, nullable=False),
        sa.Column("images", sa.BigInteger, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("attrition", sa.JSON, nullable=False),
        sa.Column("sentence", sa.Text, nullable=False),
        sa.Column("index_generation", sa.String(64), nullable=False),
        sa.Column("catalogue_sha256", sa.String(64), nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("cohort_id", "version", name="pk_cohort_versions"),
        sa.ForeignKeyConstraint(["cohort_id"], ["cohorts.id"], name="fk_cohort_versions_cohort_id_cohorts"),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("cohort_versions")
    op.drop_table("cohorts")
