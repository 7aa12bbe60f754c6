"""Harvested rows and written records with PostgreSQL as their database."""

from __future__ import annotations

from catalog import test_harvest_rows
from live.on_postgres import again, engine

__all__ = ["engine"]
globals().update(again(test_harvest_rows, "engine"))
