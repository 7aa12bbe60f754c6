"""Tables of the publish room."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from fairlead.database import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "exports",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("run_id", sa.String(512), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("cohort", sa.String(140), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.String(256), nullable=False),
        sa.Column("requested_at", UtcDateTime(), nullable=False),
        sa.Column("approval", sa.Text()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("record", sa.Text()),
        sa.Column("content_sha256", sa.String(64)),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_exports"),
        sa.UniqueConstraint("run_id", name="uq_exports_run_id"),
    )
    op.create_index("ix_exports_state", "exports", ["state"])
    op.create_table(
        "export_leases",
        sa.Column("export_id", sa.String(40), nullable=False),
        sa.Column("holder", sa.String(256), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("export_id", name="pk_export_leases"),
        sa.ForeignKeyConstraint(["export_id"], ["exports.id"], name="fk_export_leases_export_id_exports"),
    )
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("folder", sa.String(256), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.Column("export_id", sa.String(40), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=False),
        sa.Column("withdrawn_at", UtcDateTime()),
        sa.Column("withdrawn_reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", "version", name="pk_datasets"),
        sa.ForeignKeyConstraint(["export_id"], ["exports.id"], name="fk_datasets_export_id_exports"),
    )
    op.create_index("ix_datasets_state", "datasets", ["state"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("datasets")
    op.drop_table("export_leases")
    op.drop_table("exports")
