"""Workbench: the Cohorts page. ``create_app`` gives it as an ASGI application without Airflow; ``open_workbench`` its services."""

from __future__ import annotations

from fairlead.workbench.app import create_app
from fairlead.workbench.definition import definition_of, state_of
from fairlead.workbench.pictures import draw_pictures, forget_pictures
from fairlead.workbench.services import Answer, Bucket, DataSource, ExportSource, ExportState, Step, User, VersionSource, Workbench
from fairlead.workbench.sources import open_workbench

__all__ = [
    "Answer",
    "Bucket",
    "DataSource",
    "ExportSource",
    "ExportState",
    "Step",
    "User",
    "VersionSource",
    "Workbench",
    "create_app",
    "definition_of",
    "draw_pictures",
    "forget_pictures",
    "open_workbench",
    "state_of",
]
