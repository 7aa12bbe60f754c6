"""The place on the Cohorts page for what other centres answer: one card at the top of the right column, and routes of its own.

Owned by federation. The page calls :func:`add_centers` once when it is built, and :func:`centers_view` for every page; what that
returns is ``centers`` in ``templates/centers.html``. None keeps the card away: an installation without other centres shows nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from jinja2 import Environment

from fairlead.workbench.services import Workbench
from fairlead.workbench.state import PageState


def add_centers(app: FastAPI, services: Workbench, *, templates: Environment, current_user: Callable[..., Any]) -> None:
    """Add routes below ``centers/``; every one is guarded by the application's own right to read."""


def centers_view(state: PageState, services: Workbench) -> Any:
    """Return what the card shows for the filters of the page, None for no card; must not wait for another centre."""
    return None
