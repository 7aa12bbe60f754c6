"""Schema migrations (Alembic): one chain, one file a change, run by ``fairlead db upgrade`` and at every start."""
