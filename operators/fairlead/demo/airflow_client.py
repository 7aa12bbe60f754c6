"""Airflow's REST API as the demo's people use it: a clinician starts, a steward decides."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

import httpx

from fairlead.errors import CheckFailed, ServiceUnreachable

POLL_S: Final = 0.5
RETRIES: Final = 5
SERVER_ERROR: Final = 500
ALREADY: Final = "answered 409"


def _approval(dag_id: str, run_id: str, task_id: str) -> str:
    return f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"


class AirflowClient:
    """One user, signed in inside a ``with`` block.

    Server errors are retried (SQLite answers 500 when it is busy); run ids make that safe.
    """

    def __init__(self, base_url: str, *, user: str, password: str) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=60)
        self._credentials = {"username": user, "password": password}

    def __enter__(self) -> Self:
        token = self.call("POST", "/auth/token", json=self._credentials)["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(self, method: str, path: str, **kwargs: Any) -> Any:
        """Return the JSON answer.

        Raises
        ------
        ServiceUnreachable : no answer, or server errors only.
        CheckFailed : Airflow refused; the message repeats its reason.
        """
        problem = ""
        for attempt in range(RETRIES):
            try:
                response = self._http.request(method, path, **kwargs)
            except httpx.TransportError as error:
                problem = type(error).__name__
            else:
                if response.status_code < SERVER_ERROR:
                    return self._accepted(response)
                problem = f"status {response.status_code}"
            time.sleep(POLL_S * 2**attempt)
        raise ServiceUnreachable(f"Airflow did not answer {method} {path} ({problem}).", remedy="Read the log of airflow.")

    @staticmethod
    def _accepted(response: httpx.Response) -> Any:
        if response.is_error:
            raise CheckFailed(
                f"Airflow answered {response.status_code} to {response.request.method} {response.request.url.path}: {response.text[:500]}"
            )
        return response.json() if response.content else None

    def trigger(self, dag_id: str, *, conf: Mapping[str, Any], run_id: str) -> None:
        """Start a run; a run of that id that exists already is the one that was meant."""
        body = {"logical_date": None, "dag_run_id": run_id, "conf": dict(conf)}
        try:
            self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        except CheckFailed as error:
            if ALREADY not in error.message:
                raise

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the run's state."""
        return str(self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Return the state of each task of a run."""
        answer = self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        return {task["task_id"]: str(task["state"]) for task in answer["task_instances"]}

    def evidence(self, dag_id: str, run_id: str, task_id: str) -> str:
        """Return what the approval form shows, as Markdown."""
        return str(self.call("GET", _approval(dag_id, run_id, task_id))["body"])

    def answer_approval(self, dag_id: str, run_id: str, task_id: str, *, option: str, reason: str) -> None:
        """Approve or refuse; an approval that was answered already stays as it is."""
        try:
            self.call("PATCH", _approval(dag_id, run_id, task_id), json={"chosen_options": [option], "params_input": {"reason": reason}})
        except CheckFailed as error:
            if ALREADY not in error.message:
                raise

    def page(self, path: str) -> str:
        """Return a page of Airflow's server as this user sees it."""
        response = self._http.get(path)
        if response.is_error:
            raise CheckFailed(f"Airflow answered {response.status_code} to GET {path}.")
        return response.text

    def successful_runs(self, dag_id: str) -> int:
        """Return how many runs of a DAG succeeded."""
        return int(self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns", params={"state": "success", "limit": 1})["total_entries"])


def wait_until[T](condition: Callable[[], T | None], *, what: str, timeout_s: float, alive: Callable[[], None] = lambda: None) -> T:
    """Return the first truthy answer of ``condition``.

    Raises
    ------
    CheckFailed : it did not come in ``timeout_s`` seconds; ``what`` says what was waited for.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        alive()
        if found := condition():
            return found
        time.sleep(POLL_S)
    raise CheckFailed(
        f"Waited {timeout_s:.0f} s in vain for {what}.", remedy="Read the logs of the demo; a slow machine may need --timeout."
    )
