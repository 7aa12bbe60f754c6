"""Drafts, withdrawals, projects, the audit chain, and member lists that are compared without being read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from fairlead.database import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and columns."""
    op.add_column("cohorts", sa.Column("project", sa.String(64), nullable=False, server_default=""))
    op.add_column("cohort_versions", sa.Column("fingerprints", sa.LargeBinary, nullable=True))
    op.create_table(
        "cohort_drafts",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("definition", sa.JSON, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("saved_by", sa.String(200), nullable=False),
        sa.Column("saved_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cohort_drafts"),
    )
    op.create_table(
        "cohort_withdrawals",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(512), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("withdrawn_by", sa.String(200), nullable=False),
        sa.Column("withdrawn_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cohort_withdrawals"),
        sa.UniqueConstraint("kind", "subject", name="uq_cohort_withdrawals_kind_subject"),
    )
    op.create_table(
        "cohort_withdrawn_members",
        sa.Column("cohort_id", sa.String(36), nullable=False),
        sa.Column("version", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("record_id", sa.String(512), nullable=False),
        sa.Column("withdrawal", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("cohort_id", "version", "record_id", name="pk_cohort_withdrawn_members"),
        sa.ForeignKeyConstraint(
            ["cohort_id", "version"],
            ["cohort_versions.cohort_id", "cohort_versions.version"],
            name="fk_cohort_withdrawn_members_cohort_id_cohort_versions",
        ),
        sa.ForeignKeyConstraint(
            ["withdrawal"], ["cohort_withdrawals.id"], name="fk_cohort_withdrawn_members_withdrawal_cohort_withdrawals"
        ),
    )
    op.create_table(
        "cohort_audit",
        sa.Column("seq", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("what", sa.String(32), nullable=False),
        sa.Column("ref", sa.String(64), nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_cohort_audit"),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("cohort_audit")
    op.drop_table("cohort_withdrawn_members")
    op.drop_table("cohort_withdrawals")
    op.drop_table("cohort_drafts")
    op.drop_column("cohort_versions", "fingerprints")
    op.drop_column("cohorts", "project")
