"""The export's operators: what ends a run, and what is worth another try."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from fairlead.errors import Busy, CheckFailed, EmptyCohort, FairleadError, IllegalTransition, NotFound, ServiceUnreachable, StorageFull

pytestmark = [pytest.mark.airflow, pytest.mark.filterwarnings("ignore")]  # Airflow's own deprecations are not ours to fix


class Recorder:
    """Exports whose every step ends in the same error, and who was failed."""

    def __init__(self, error: FairleadError) -> None:
        self.error = error
        self.failed: list[str] = []

    def describe(self, identifier: str) -> None:
        """Raise the error."""
        raise self.error

    def fail(self, identifier: str, reason: str) -> None:
        """Remember it."""
        self.failed.append(identifier)


def executed(monkeypatch: pytest.MonkeyPatch, error: FairleadError) -> tuple[BaseException, list[str]]:
    """Run the describe operator against exports that raise; return what it raised and what it failed."""
    from fairlead.airflow import export

    recorder = Recorder(error)
    monkeypatch.setattr(export.FairleadHook, "exports", recorder)
    with pytest.raises(Exception) as raised:  # noqa: PT011  (which one is what the tests are about)
        export.DescribeExportOperator(task_id="describe", export_id="ex-1").execute({})
    return raised.value, recorder.failed


@pytest.mark.parametrize("kind", [Busy, IllegalTransition, ServiceUnreachable, StorageFull])
def test_what_may_be_well_later_is_retried_and_the_export_stays(
    dag_bag: Any, monkeypatch: pytest.MonkeyPatch, kind: type[FairleadError]
) -> None:
    raised, failed = executed(monkeypatch, kind("x"))
    assert isinstance(raised, kind)
    assert failed == []


@pytest.mark.parametrize(("kind", "ended"), [(CheckFailed, ["ex-1"]), (EmptyCohort, [])])
def test_what_stays_wrong_ends_the_run(dag_bag: Any, monkeypatch: pytest.MonkeyPatch, kind: type[FairleadError], ended: list[str]) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    raised, failed = executed(monkeypatch, kind("x"))
    assert isinstance(raised, AirflowFailException)
    assert failed == ended


@pytest.mark.parametrize(
    ("project", "projects", "allowed"),
    [("", None, True), ("lung", {"lung": ("ada",)}, True), ("lung,brain", {"lung": ("ada",)}, False), ("", {"lung": ("ada",)}, False)],
    ids=["projects are not told apart", "one's own", "one of two", "the installation's"],
)
def test_a_cohort_that_its_requester_may_not_see_is_not_exported(project: str, projects: Any, allowed: bool) -> None:
    from fairlead.airflow.projects import require_own_cohort
    from fairlead.settings import WorkbenchSettings

    with nullcontext() if allowed else pytest.raises(NotFound, match="in your projects"):
        require_own_cohort("x@1", project, name="ada", settings=WorkbenchSettings(projects=projects))
