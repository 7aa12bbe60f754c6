"""Alembic's entry: runs the chain on the connection that :func:`fairlead.database.upgrade` opened."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

from fairlead.database import metadata

MIGRATION_LOCK = 0x0FA1_41EA  # any constant: two processes upgrading PostgreSQL at once must queue

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
