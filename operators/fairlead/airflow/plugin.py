"""The Cohorts page inside Airflow (entry point ``airflow.plugins``)."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class LazyApp:
    """An ASGI application built at its first request.

    Airflow imports plugins in every process; only the API server ever serves a request, so only it pays for FastAPI,
    the index and the templates.
    """

    def __init__(self) -> None:
        self._app: ASGIApp | None = None
        self._lock = Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Build once in a worker thread, then pass through."""
        if self._app is None:
            import asyncio

            await asyncio.to_thread(self._build)
        app: Any = self._app
        await app(scope, receive, send)

    def _build(self) -> None:
        with self._lock:
            if self._app is None:
                from fairlead.airflow.page import build_page

                self._app = build_page()


APPS: Final = [{"name": "Cohorts", "app": LazyApp(), "url_prefix": "/cohorts"}]
VIEWS: Final = [
    {
        # Without the slash Airflow's own single-page application answers.
        "href": "cohorts/",
        "name": "Cohorts",
        "destination": "nav",
        "url_route": "cohorts",
        "icon": "/cohorts/static/icon.svg",
        "nav_top_level": True,
    }
]


class FairleadPlugin(AirflowPlugin):
    """Mounts the Cohorts page under ``/cohorts/`` and puts it in the navigation."""

    name = "fairlead"
    fastapi_apps = APPS
    external_views = VIEWS
