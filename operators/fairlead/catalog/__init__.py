"""Catalog: published datasets as a FAIR Data Point over HTTP, for machines and for people."""

from __future__ import annotations

from fairlead.catalog.app import create_app
from fairlead.catalog.harvest import HarvestReport, harvest
from fairlead.catalog.server import serve

__all__ = ["HarvestReport", "create_app", "harvest", "serve"]
