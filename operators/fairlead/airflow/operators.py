"""Operators that move received work into the index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator

from fairlead.airflow.hook import FairleadHook
from fairlead.airflow.triggers import WorkKind
from fairlead.errors import ServiceUnreachable


class DrainReceivedOperator(BaseOperator):
    """Extract and index everything of one kind that waits in the ledger, batch by batch, until nothing waits.

    :param kind: ``series`` (DICOM) or ``files`` (OME).
    :param fairlead_conn_id: connection of type ``fairlead``; without it the environment decides.

    Returns ``{"indexed": n, "unchanged": n, "quarantined": n, "pictures": n}``. A series that cannot be read is quarantined with its
    reason and never stops the batch; running it twice changes nothing. What was indexed gets its picture for the Cohorts page.
    """

    template_fields: Sequence[str] = ("kind",)
    ui_color = "#d9ecf2"

    def __init__(self, *, kind: WorkKind, fairlead_conn_id: str = FairleadHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind
        self.fairlead_conn_id = fairlead_conn_id

    def execute(self, context: Any) -> dict[str, int]:
        """Drain until a batch claims nothing."""
        from fairlead.index import drain_all
        from fairlead.workbench import draw_pictures

        hook = FairleadHook(self.fairlead_conn_id)
        claimant = f"{context['dag_run'].run_id}/{context['ti'].try_number}"
        report = drain_all(hook.settings, ledger=hook.ledger, index=hook.index, catalogue=hook.catalogue, kind=self.kind, claimant=claimant)
        pictures = draw_pictures(hook.settings, report.records, hook.index)  # last: a run that ends here has lost none of its work
        told = {"indexed": report.indexed, "unchanged": report.unchanged, "quarantined": len(report.quarantined)}
        return told | {"pictures": pictures.drawn}


class HarvestCatalogsOperator(BaseOperator):
    """Harvest FAIR Data Points into this catalog's view.

    :param urls: root addresses (templated list).
    :param fairlead_conn_id: connection of type ``fairlead``; without it the environment decides.

    Returns ``{"seen": n, "stored": n, "unchanged": n, "deleted": n, "errors": n}``. A source that does not answer is an
    error in the report and deletes nothing.
    """

    template_fields: Sequence[str] = ("urls",)
    ui_color = "#e3f0d9"

    def __init__(self, *, urls: Any, fairlead_conn_id: str = FairleadHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.urls = urls
        self.fairlead_conn_id = fairlead_conn_id

    def execute(self, context: Any) -> dict[str, int]:
        """Harvest every address; fail when none of them answered."""
        from fairlead.catalog import harvest

        report = harvest(FairleadHook(self.fairlead_conn_id).settings, list(self.urls))
        for problem in report.errors:
            self.log.warning("%s: %s", problem.source, problem.reason)
        if report.errors and not report.seen:
            raise ServiceUnreachable(f"None of {len(self.urls)} catalogs could be harvested.", remedy="Read the reasons above.")
        return {
            "seen": report.seen,
            "stored": report.stored,
            "unchanged": report.unchanged,
            "deleted": report.deleted,
            "errors": len(report.errors),
        }
