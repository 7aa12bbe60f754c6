"""Puts the Cohorts page and Airflow's users together; imported by the API server at the first request only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI

from fairlead.airflow.auth import dag_right, may_freeze, may_read, user_dependency
from fairlead.airflow.projects import projects_of
from fairlead.settings import WorkbenchSettings, load_settings
from fairlead.workbench import User, create_app, open_workbench

_signed_in = user_dependency()


def users_of(settings: WorkbenchSettings) -> Callable[..., User]:
    """Return the dependency that gives the signed-in Airflow user in the page's own words, with what they may."""

    def current_user(user: Annotated[Any, Depends(_signed_in)]) -> User:
        """Return the signed-in user; the rights are asked from Airflow at every request."""
        name = str(user.get_name())
        return User(
            id=str(user.get_id()),
            name=name,
            may_change=dag_right(user, "POST"),
            sees_records=name not in settings.counts_only and dag_right(user, "GET"),
            projects=projects_of(name, settings),
        )

    return current_user


def build_page() -> FastAPI:
    """Return the page on the installation that the API server's environment names."""
    settings = load_settings()
    services = open_workbench(settings)
    return create_app(services, current_user=users_of(settings.workbench), may_read=may_read(), may_freeze=may_freeze())
