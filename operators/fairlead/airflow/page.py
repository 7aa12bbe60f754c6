"""Puts the Cohorts page and Airflow's users together; imported by the API server at the first request only."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, FastAPI

from fairlead.airflow.auth import may_freeze, may_read, user_dependency
from fairlead.settings import load_settings
from fairlead.workbench import User, create_app, open_workbench

_signed_in = user_dependency()


def current_user(user: Annotated[Any, Depends(_signed_in)]) -> User:
    """Return the signed-in Airflow user in the page's own words."""
    return User(id=str(user.get_id()), name=str(user.get_name()))


def build_page() -> FastAPI:
    """Return the page on the installation that the API server's environment names."""
    return create_app(open_workbench(load_settings()), current_user=current_user, may_read=may_read(), may_freeze=may_freeze())
