"""Request counters in the Prometheus text format; labels are statuses and methods, never paths or clients."""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


class Metrics:
    """Counts answers by method and status."""

    def __init__(self) -> None:
        self._answers: Counter[tuple[str, int]] = Counter()
        self._lock = Lock()

    def count(self, method: str, status: int) -> None:
        """Count one answer; unheard-of methods share one label, so that clients cannot make labels."""
        with self._lock:
            self._answers[(method if method in METHODS else "other", status)] += 1

    def text(self, *, datasets: int) -> str:
        """Return the exposition."""
        with self._lock:
            rows = sorted(self._answers.items())
        lines = ["# HELP fairlead_catalog_requests_total Answers by method and status.", "# TYPE fairlead_catalog_requests_total counter"]
        lines += [f'fairlead_catalog_requests_total{{method="{method}",status="{status}"}} {number}' for (method, status), number in rows]
        lines += ["# HELP fairlead_catalog_datasets Published datasets.", "# TYPE fairlead_catalog_datasets gauge"]
        return "\n".join([*lines, f"fairlead_catalog_datasets {datasets}"]) + "\n"

    def middleware(self) -> Any:
        """Return the ASGI middleware that feeds the counters."""
        metrics = self

        class Counting:
            """The middleware itself."""

            def __init__(self, app: ASGIApp) -> None:
                """Wrap an application."""
                self.app = app

            async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
                """Pass a request on and count its answer."""

                async def counted(message: Message) -> None:
                    """Count an answer when it begins."""
                    if message["type"] == "http.response.start":
                        metrics.count(scope["method"], message["status"])
                    await send(message)

                await self.app(scope, receive, counted if scope["type"] == "http" else send)

        return Counting
