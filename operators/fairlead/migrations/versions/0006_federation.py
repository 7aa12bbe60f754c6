"""Tables of the federation room: what a gateway has released and to whom, its audit chain, and the centres that a hub knows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from fairlead.database import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

FORBIDDEN = ("UPDATE", "DELETE")


def upgrade() -> None:
    """Create the tables; the audit's own rows can be added and nothing else."""
    _gateway()
    _hub()
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION federation_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$"
        )
        op.execute(
            "CREATE TRIGGER federation_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON federation_audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION federation_audit_is_append_only()"
        )
        return
    for event in FORBIDDEN:
        op.execute(
            f"CREATE TRIGGER federation_audit_no_{event.lower()} BEFORE {event} ON federation_audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
        )


def _gateway() -> None:
    op.create_table(
        "federation_patients",
        sa.Column("ordinal", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("tag", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("ordinal", name="pk_federation_patients"),
        sa.UniqueConstraint("tag", name="uq_federation_patients_tag"),
    )
    op.create_table(
        "federation_releases",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("members", sa.LargeBinary, nullable=False),
        sa.Column("patients", sa.Integer, nullable=True),
        sa.Column("plus_minus", sa.Integer, nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("policy_sha256", sa.String(64), nullable=False),
        sa.Column("released_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_federation_releases"),
        sa.UniqueConstraint("sha256", name="uq_federation_releases_sha256"),
    )
    op.create_table(
        "federation_nonces",
        sa.Column("hub", sa.String(64), nullable=False),
        sa.Column("nonce", sa.String(64), nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("hub", "nonce", name="pk_federation_nonces"),
    )
    op.create_index("ix_federation_nonces_expires_at", "federation_nonces", ["expires_at"])
    op.create_table(
        "federation_spending",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("hub", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("person", sa.String(64), nullable=False),
        sa.Column("cells", sa.Integer, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_federation_spending"),
    )
    op.create_index("ix_federation_spending_hub_project_at", "federation_spending", ["hub", "project", "at"])
    op.create_table(
        "federation_audit",
        sa.Column("seq", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("entry", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_federation_audit"),
    )


def _hub() -> None:
    op.create_table(
        "federation_centers",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("address", sa.String(1024), nullable=False),
        sa.Column("public_key", sa.String(64), nullable=False),
        sa.Column("mode", sa.String(8), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("source", sa.String(1024), nullable=False),
        sa.Column("summary", sa.JSON, nullable=False),
        sa.Column("decided_by", sa.String(200), nullable=False),
        sa.Column("found_at", UtcDateTime, nullable=False),
        sa.Column("decided_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_federation_centers"),
    )
    op.create_table(
        "federation_mailbox",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("center", sa.String(64), nullable=False),
        sa.Column("path", sa.String(64), nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("signature", sa.String(128), nullable=False),
        sa.Column("answer", sa.Text, nullable=True),
        sa.Column("posted_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_federation_mailbox"),
    )
    op.create_index("ix_federation_mailbox_center_expires_at", "federation_mailbox", ["center", "expires_at"])
    op.create_table(
        "federation_cohorts",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("version", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("definition", sa.JSON, nullable=False),
        sa.Column("definition_sha256", sa.String(64), nullable=False),
        sa.Column("parts", sa.JSON, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", "version", name="pk_federation_cohorts"),
    )


def downgrade() -> None:
    """Drop them."""
    for name in ("cohorts", "mailbox", "centers", "audit", "spending", "nonces", "releases", "patients"):
        op.drop_table(f"federation_{name}")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION federation_audit_is_append_only()")
