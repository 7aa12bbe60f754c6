"""The one work list of exports: request, decide, de-identify, convert, describe, publish.

Each step may be repeated: done before, it changes nothing; killed at any line, it starts over from what the last
finished step left. Airflow's operators and ``fairlead publish`` call the same methods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Final

from sqlalchemy import Engine

from fairlead.database import database_errors, utc_now
from fairlead.errors import ApprovalRefused, CheckFailed, Conflict, EmptyCohort, NotFound, NotPermitted, ServiceUnreachable
from fairlead.progress import Progress, Silent
from fairlead.publish.addresses import Site
from fairlead.publish.describing import write_dataset
from fairlead.publish.making import make_safe, make_stores
from fairlead.publish.model import Ingredients, dataset_id, title_of
from fairlead.publish.parameters import ExportParameters
from fairlead.publish.placing import Overtaken, Placing, newest_row
from fairlead.publish.staging import StagedStores, Staging
from fairlead.publish.states import ExportEvent, ExportState, advance, is_past
from fairlead.publish.summary import summarise
from fairlead.publish.upstream import Upstream
from fairlead.publish.worklist import Export, WorkList
from fairlead.records import Approval, DatasetRecord, ImagingRecord
from fairlead.settings import Settings

RACES: Final = 5
"""How often publication is tried again when other exports of the same cohort version are always faster."""


class Exports:
    """Every export of this installation, and the steps that carry one to its end."""

    def __init__(
        self, settings: Settings, engine: Engine, *, upstream: Upstream | None = None, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._clock = clock
        self._list = WorkList(engine, clock=clock)
        self._given = upstream

    @property
    def _upstream(self) -> Upstream:
        if self._given is None:
            from fairlead.publish.rooms import Rooms  # numpy, pydicom and zarr: not for a look at the list

            self._given = Rooms(self._settings, self._engine)
        return self._given

    def request(self, parameters: ExportParameters, *, requested_by: str, run_id: str) -> Export:
        """Check cohort and profile, and add the export; the same run again returns the same export.

        Raises
        ------
        NotFound : there is no such cohort version.
        EmptyCohort : it has no members.
        Withdrawn : its dataset was withdrawn.
        InvalidConfiguration : the profile, or what the settings say of the publisher, does not hold.
        """
        Site.of(self._settings)
        cohort = self._upstream.cohort(parameters.cohort)
        if not cohort.members:
            raise EmptyCohort(f"Cohort {cohort.ref} has no members, so there is nothing to export.")
        self._upstream.check_profile(parameters.profile)
        with database_errors(), self._engine.connect() as connection:
            newest_row(connection, dataset_id(cohort.ref))
        named = parameters.model_copy(update={"title": title_of(parameters, cohort)})
        return self._list.add(named, requested_by=requested_by, run_id=run_id)

    def summary(self, identifier: str) -> str:
        """Return the evidence for the steward as Markdown."""
        export = self.get(identifier)
        cohort = self._upstream.cohort(export.parameters.cohort)
        return summarise(
            export, cohort, records=self._records(cohort.members), codes=self._upstream.check_profile(export.parameters.profile)
        )

    def decide(self, identifier: str, approval: Approval) -> Export:
        """Record the steward's decision; a refusal removes staging and ends the export, and is no error.

        Raises
        ------
        NotPermitted : requester and steward are one person, or nobody (four eyes), and the decision is an approval.
        Conflict : it was decided otherwise before.
        """
        export = self.get(identifier)
        decision = approval.model_copy(update={"requested_by": export.requested_by})
        if export.approval is not None:
            if (export.approval.approved, export.approval.decided_by) != (decision.approved, decision.decided_by):
                raise Conflict("The export was decided before.", remedy="Request a new export.")
            return export
        if decision.approved and self._settings.export.four_eyes:
            _require_four_eyes(decision)
        event = ExportEvent.APPROVE if decision.approved else ExportEvent.REFUSE
        changes = {"approval": decision.model_dump_json(), "reason": "" if decision.approved else decision.reason}
        decided = self._list.move(identifier, event, changes=changes)
        if not decision.approved:
            self._staging(identifier).remove()
        return decided

    def deidentify(self, identifier: str, progress: Progress | None = None) -> Export:
        """De-identify the cohort's members into staging."""
        export = self._ready(identifier, ExportEvent.DEIDENTIFY)
        if is_past(export.state, ExportEvent.DEIDENTIFY):
            return export
        cohort = self._upstream.cohort(export.parameters.cohort)
        make_safe(
            self._upstream, self._staging(identifier), cohort=cohort, profile=export.parameters.profile, progress=progress or Silent()
        )
        return self._list.move(identifier, ExportEvent.DEIDENTIFY)

    def convert(self, identifier: str, progress: Progress | None = None) -> Export:
        """Convert what is safe to OME-Zarr stores, with pictures."""
        export = self._ready(identifier, ExportEvent.CONVERT)
        if is_past(export.state, ExportEvent.CONVERT):
            return export
        make_stores(self._upstream, self._staging(identifier), parameters=export.parameters, progress=progress or Silent())
        return self._list.move(identifier, ExportEvent.CONVERT)

    def describe(self, identifier: str) -> Export:
        """Build record, crates and manifest, and check every view."""
        export = self._ready(identifier, ExportEvent.DESCRIBE)
        return export if is_past(export.state, ExportEvent.DESCRIBE) else self._describe(export)

    def publish(self, identifier: str) -> DatasetRecord:
        """Make the dataset visible in one step and return its record; staging is removed afterwards.

        Raises
        ------
        ServiceUnreachable : other exports of the same cohort version were faster :data:`RACES` times.
        """
        export = self._ready(identifier, ExportEvent.PUBLISH)
        staging = self._staging(identifier)
        placing = Placing(self._engine, self._settings.published_folder, staging)
        for _ in range(RACES):
            if export.state == ExportState.PUBLISHED and export.record is not None:
                staging.remove()
                return export.record
            try:
                record = placing.publish(export, now=self._clock())
            except Overtaken:
                export = self._describe(export)
                continue
            staging.remove()
            return record
        raise ServiceUnreachable("Other exports of this cohort version keep publishing first.", remedy="Repeat the publish step.")

    def get(self, identifier: str) -> Export:
        """Return one export; raise NotFound."""
        return self._list.get(identifier)

    def list(self) -> tuple[Export, ...]:
        """Return every export, the oldest first."""
        return self._list.list()

    def fail(self, identifier: str, reason: str) -> Export:
        """Record why an export ended without a result and remove its staging; a finished export stays as it is."""
        export = self.get(identifier)
        if export.state in (ExportState.PUBLISHED, ExportState.REFUSED, ExportState.FAILED):
            return export
        failed = self._list.move(identifier, ExportEvent.FAIL, changes={"reason": reason})
        self._staging(identifier).remove()
        return failed

    def _describe(self, export: Export) -> Export:
        staging = self._staging(export.id)
        made = staging.load(StagedStores)
        if export.approval is None:
            raise CheckFailed("The export has no approval.", remedy="Ask a steward to decide on it.")
        with database_errors(), self._engine.connect() as connection:
            newest = newest_row(connection, export.dataset_id)
        given = Ingredients(
            site=Site.of(self._settings),
            parameters=export.parameters,
            cohort=self._upstream.cohort(export.parameters.cohort),
            approval=export.approval,
            stores=made.stores,
            records=self._records({item.record_id for item in made.stores}),
            refused=made.refused,
            codes=made.codes,
            made={},
        )
        version = newest["version"] + 1 if newest is not None else 1
        issued = DatasetRecord.model_validate_json(newest["record"]).issued if newest is not None else None
        record, digest = write_dataset(staging.dataset, given, version=version, now=self._clock(), issued=issued)
        changes = {"record": record.model_dump_json(), "content_sha256": digest}
        return self._list.move(export.id, ExportEvent.DESCRIBE, changes=changes)

    def _ready(self, identifier: str, event: ExportEvent) -> Export:
        export = self.get(identifier)
        if export.state == ExportState.REFUSED:
            raise ApprovalRefused("The steward refused this export; nothing was published.")
        if not is_past(export.state, event):
            advance(export.state, event)
        return export

    def _records(self, identifiers: Iterable[str]) -> dict[str, ImagingRecord]:
        found: dict[str, ImagingRecord] = {}
        for identifier in identifiers:
            with suppress(NotFound):  # gone from the index since the cohort was frozen; the de-identify step lists it as refused
                found[identifier] = self._upstream.record(identifier)
        return found

    def _staging(self, identifier: str) -> Staging:
        return Staging.of(self._settings.staging_folder, identifier)


def _require_four_eyes(decision: Approval) -> None:
    who = decision.decided_by.strip().casefold()
    if who in ("", "unknown") or who == decision.requested_by.strip().casefold():
        raise NotPermitted(
            "An export is approved by somebody else than who requested it (four eyes).",
            remedy="Let another steward decide, or set export.four_eyes to false if your governance allows it.",
        )
