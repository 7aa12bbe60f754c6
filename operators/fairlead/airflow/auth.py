"""Who is asking: Airflow's own users and rights, in one place, because these imports carry no stability promise.

When they cannot be imported everybody is denied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from fastapi import HTTPException, status

try:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity, DagDetails
    from airflow.api_fastapi.core_api.security import get_user, requires_access_dag, requires_access_view
except ImportError:  # pragma: no cover - only with an Airflow whose internals moved
    AIRFLOW_SECURITY = False
else:
    AIRFLOW_SECURITY = True

EXPORT_DAG = "export_cohort"


def deny() -> None:
    """Refuse: Airflow's security functions are not where this version of Fairlead expects them."""
    raise HTTPException(status.HTTP_403_FORBIDDEN, "Fairlead does not know this Airflow's security functions; see docs/admin.")


def user_dependency() -> Callable[..., Any]:
    """Return the dependency that gives the signed-in Airflow user, or 401."""
    return get_user if AIRFLOW_SECURITY else deny


def may_read() -> Callable[..., Any]:
    """Return the dependency for looking: whoever may see Airflow's pages may see counts and cohorts."""
    return requires_access_view(AccessView.WEBSITE) if AIRFLOW_SECURITY else deny


def may_freeze() -> Callable[..., Any]:
    """Return the dependency for changing: whoever may start the export DAG may freeze a cohort."""
    if not AIRFLOW_SECURITY:
        return deny
    check: Callable[..., Any] = requires_access_dag("POST", DagAccessEntity.RUN, EXPORT_DAG)
    return check


def dag_right(user: Any, method: Literal["GET", "POST"]) -> bool:
    """Return whether a signed-in user may look at runs of the export DAG (``GET``) or start one (``POST``); False when unsure."""
    if not AIRFLOW_SECURITY:
        return False
    from airflow.models.dag import DagModel

    details = DagDetails(id=EXPORT_DAG, team_name=DagModel.get_team_name(EXPORT_DAG))
    granted: bool = get_auth_manager().is_authorized_dag(method=method, access_entity=DagAccessEntity.RUN, details=details, user=user)
    return granted
