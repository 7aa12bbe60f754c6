"""Operators of the export: request, the steward's approval, and one operator per step of :class:`fairlead.publish.Exports`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import BaseOperator, Param
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from fairlead.airflow.hook import FairleadHook
from fairlead.errors import Conflict, EmptyCohort, FairleadError, ServiceUnreachable, StorageFull
from fairlead.progress import Logged
from fairlead.records import Approval

APPROVE: Final = "Approve"
REFUSE: Final = "Reject"
_REASON: Final = Param(None, type=["null", "string"], title="Reason", description="Kept with the record.", maxLength=2000, source="task")


class ExportOperator(BaseOperator):
    """Base of the export's operators: one export id in, the same id out, bad input fails the run at once, outages are retried.

    :param export_id: what :class:`RequestExportOperator` returned (templated).
    :param fairlead_conn_id: connection of type ``fairlead``.
    """

    template_fields: Sequence[str] = ("export_id",)
    ui_color = "#e8e0f0"

    def __init__(self, *, export_id: Any = "", fairlead_conn_id: str = FairleadHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.export_id = export_id
        self.fairlead_conn_id = fairlead_conn_id

    def execute(self, context: Any) -> str:
        """Run the step and return the export id."""
        hook = FairleadHook(self.fairlead_conn_id)
        try:
            return self.step(hook, context)
        except (ServiceUnreachable, StorageFull):
            raise  # worth a retry: the work list still holds the export
        except Conflict as error:
            if isinstance(error, EmptyCohort):
                raise AirflowFailException(str(error)) from error
            raise  # another attempt is at it or was faster: never a reason to end an export that is well
        except FairleadError as error:
            if self.export_id:
                hook.exports.fail(self.export_id, error.message)
            raise AirflowFailException(str(error)) from error

    def step(self, hook: FairleadHook, context: Any) -> str:
        """Do the one thing this operator is for."""
        raise AirflowFailException(f"{type(self).__name__} does not say what it does.")


class RequestExportOperator(ExportOperator):
    """Check the form (does the cohort version exist, has it members?), register the export and write the evidence for the steward.

    Pushes ``summary`` (Markdown) beside the returned export id. The run id makes it idempotent.
    """

    def step(self, hook: FairleadHook, context: Any) -> str:
        """Register the export of ``params.cohort``."""
        from fairlead.airflow.projects import require_own_cohort
        from fairlead.cohort import CohortStore
        from fairlead.publish import read_parameters

        run = context["dag_run"]
        parameters = read_parameters({key: value for key, value in dict(context["params"]).items() if value not in (None, "")})
        name = run.triggering_user_name or "unknown"
        if hook.settings.workbench.projects is not None:
            require_own_cohort(
                parameters.cohort, CohortStore(hook.engine).summary(parameters.cohort).project, name=name, settings=hook.settings.workbench
            )
        export = hook.exports.request(parameters, requested_by=name, run_id=run.run_id)
        context["ti"].xcom_push(key="summary", value=hook.exports.summary(export.id))
        context["ti"].xcom_push(key="title", value=export.title)
        return str(export.id)


class ExportApprovalOperator(HITLOperator):
    """Wait until a steward approves or refuses, with the evidence in front of them. Needs no triggerer.

    :param request_task_id: the task whose ``summary`` and ``title`` are shown.
    """

    def __init__(self, *, request_task_id: str = "request", **kwargs: Any) -> None:
        pull = f"ti.xcom_pull(task_ids='{request_task_id}', key="
        kwargs.pop("params", None)  # Airflow merges the DAG's form into it; the steward is asked for the reason only
        super().__init__(
            subject=f"Publish “{{{{ {pull}'title') }}}}”?",
            body=f"{{{{ {pull}'summary') }}}}",
            options=[APPROVE, REFUSE],
            params={"reason": _REASON},
            **kwargs,
        )


class RecordDecisionOperator(ExportOperator):
    """Record who decided what; a refusal ends the run here (everything after it is skipped), four eyes are enforced.

    :param approve_task_id: the task of :class:`ExportApprovalOperator` whose answer counts.
    """

    def __init__(self, *, approve_task_id: str = "approve", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.approve_task_id = approve_task_id

    def step(self, hook: FairleadHook, context: Any) -> str:
        """Record the decision; skip the rest when it was a refusal."""
        answer = context["ti"].xcom_pull(task_ids=self.approve_task_id)
        decision = read_decision(answer, requested_by=context["dag_run"].triggering_user_name or "unknown")
        hook.exports.decide(self.export_id, decision)
        if not decision.approved:
            raise AirflowSkipException(f"Refused by {decision.decided_by}: {decision.reason or 'no reason given'}. Nothing was published.")
        return str(self.export_id)


def read_decision(answer: Any, *, requested_by: str) -> Approval:
    """Return Airflow's human-in-the-loop answer as our record."""
    responder = answer["responded_by_user"] or {}
    responded_at = answer["responded_at"]
    if isinstance(responded_at, str):
        responded_at = datetime.fromisoformat(responded_at)
    return Approval(
        requested_by=requested_by,
        decided_by=responder.get("name") or responder.get("id") or "unknown",
        decided_at=responded_at,
        approved=answer["chosen_options"] == [APPROVE],
        reason=(answer.get("params_input") or {}).get("reason") or "",
    )


class DeidentifyExportOperator(ExportOperator):
    """De-identify the members (PS3.15); what does not pass the gate stays behind, with its reason in the record."""

    def step(self, hook: FairleadHook, context: Any) -> str:
        """De-identify every member that is not done yet."""
        hook.exports.deidentify(self.export_id, progress=Logged())
        return str(self.export_id)


class ConvertExportOperator(ExportOperator):
    """Convert what was de-identified, and the OME files, to verified OME-Zarr stores."""

    def step(self, hook: FairleadHook, context: Any) -> str:
        """Convert every source that is not done yet."""
        hook.exports.convert(self.export_id, progress=Logged())
        return str(self.export_id)


class DescribeExportOperator(ExportOperator):
    """Build the record, the crate and the manifest, and check every view; a failed check blocks publication."""

    def step(self, hook: FairleadHook, context: Any) -> str:
        """Describe what was converted."""
        hook.exports.describe(self.export_id)
        return str(self.export_id)


class PublishExportOperator(ExportOperator):
    """Make the dataset visible in one step."""

    def step(self, hook: FairleadHook, context: Any) -> str:
        """Publish and return the export id."""
        hook.exports.publish(self.export_id)
        return str(self.export_id)
