from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine

from fairlead.database import metadata
from fairlead.publish import tables

OURS = {tables.exports.name, tables.leases.name, tables.datasets.name}


def test_the_migrated_schema_is_what_the_tables_say(engine: Engine):
    def ours(thing, name, kind, *_):
        table = name if kind == "table" else thing.table.name
        return table in OURS

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        assert compare_metadata(context, metadata) == []
