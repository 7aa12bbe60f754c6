"""The one work list of exports: request, decide, de-identify, convert, describe, publish.

Each step may be repeated: done before, it changes nothing; killed at any line, it starts over from what the last
finished step left. Airflow's operators and ``fairlead publish`` call the same methods.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from fairlead.database import database_errors, utc_now
from fairlead.errors import ApprovalRefused, CheckFailed, Conflict, EmptyCohort, NotFound, NotPermitted, ServiceUnreachable
from fairlead.logs import about
from fairlead.progress import Progress, Silent
from fairlead.publish.addresses import Site
from fairlead.publish.deciding import is_somebody, require_steward
from fairlead.publish.describing import write_dataset
from fairlead.publish.leases import Lease, is_leased, leased
from fairlead.publish.making import make_safe, make_stores
from fairlead.publish.model import Ingredients, title_of
from fairlead.publish.parameters import ExportParameters
from fairlead.publish.placing import Overtaken, Placing, newest_row
from fairlead.publish.previous import completed, parameters_before
from fairlead.publish.reasons import in_house
from fairlead.publish.residue import require_no_address, residue, texts_of
from fairlead.publish.staging import StagedStores, Staging
from fairlead.publish.states import ExportEvent, ExportState, advance, is_past
from fairlead.publish.summary import summarise
from fairlead.publish.upstream import Upstream, records_of
from fairlead.publish.verify import require_sound
from fairlead.publish.worklist import Export, WorkList
from fairlead.records import Approval, DatasetRecord
from fairlead.settings import Settings

logger = logging.getLogger(__name__)
FINAL: Final = (ExportState.PUBLISHED, ExportState.REFUSED, ExportState.FAILED)
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

        What is not given stays as in the version before; only the first version takes defaults.

        Raises
        ------
        NotFound : there is no such cohort version.
        EmptyCohort : it has no members.
        Withdrawn : its dataset was withdrawn.
        InvalidConfiguration : the profile, the governance file, or what the settings say of the publisher, does not hold.
        NotPermitted : nobody asks.
        """
        if not is_somebody(requested_by):
            raise NotPermitted(
                "Nobody is named as the one who asks for the export.", remedy="Trigger the run as a signed-in user, or fill --requested-by."
            )
        site = Site.of(self._settings)
        self._sweep()
        cohort = self._upstream.cohort(parameters.cohort)
        if not cohort.members:
            raise EmptyCohort(f"Cohort {cohort.ref} has no members, so there is nothing to export.")
        before = parameters_before(self._engine, cohort.ref, licence=site.words.license, run_id=run_id)
        wanted = completed(parameters, before, rules=self._settings.export)
        self._upstream.check_profile(wanted.profile)
        self._upstream.threshold()
        named = wanted.model_copy(update={"title": title_of(wanted, cohort)})
        return self._list.add(named, requested_by=requested_by, run_id=run_id)

    def summary(self, identifier: str) -> str:
        """Return the evidence for the steward as Markdown."""
        export = self.get(identifier)
        cohort = self._upstream.cohort(export.parameters.cohort)
        return summarise(
            export,
            cohort,
            sentence=self._upstream.sentence(cohort),
            records=records_of(self._upstream, cohort.members),
            codes=self._upstream.check_profile(export.parameters.profile),
            threshold=self._upstream.threshold(),
            before=parameters_before(self._engine, cohort.ref, licence=Site.of(self._settings).words.license),
        )

    def decide(self, identifier: str, approval: Approval) -> Export:
        """Record the steward's decision; a refusal removes staging and ends the export, and is no error.

        Raises
        ------
        NotPermitted : nobody decides, or somebody who is no steward; or requester and steward are one person (four eyes).
        Conflict : it was decided otherwise before.
        """
        export = self.get(identifier)
        decision = approval.model_copy(update={"requested_by": export.requested_by})
        if export.approval is not None:
            if (export.approval.approved, export.approval.decided_by) != (decision.approved, decision.decided_by):
                raise Conflict("The export was decided before.", remedy="Request a new export.")
            return export
        require_steward(decision, self._settings.export)
        event = ExportEvent.APPROVE if decision.approved else ExportEvent.REFUSE
        changes = {"approval": decision.model_dump_json(), "reason": "" if decision.approved else decision.reason}
        decided = self._list.move(identifier, event, changes=changes)
        if not decision.approved:
            self._staging(identifier).remove()
        return decided

    def deidentify(self, identifier: str, progress: Progress | None = None) -> Export:
        """De-identify the cohort's members into staging.

        Raises
        ------
        Busy : another attempt is at it; the same holds for every later step.
        """

        def work(export: Export, lease: Lease) -> Export:
            """De-identify under the lease."""
            cohort = self._upstream.cohort(export.parameters.cohort)
            staging, profile = self._staging(identifier), export.parameters.profile
            make_safe(self._upstream, staging, cohort=cohort, profile=profile, progress=progress or Silent(), confirm=lease.confirm)
            return self._list.move(identifier, ExportEvent.DEIDENTIFY)

        return self._step(identifier, ExportEvent.DEIDENTIFY, work)

    def convert(self, identifier: str, progress: Progress | None = None) -> Export:
        """Convert what is safe to OME-Zarr stores, with pictures."""

        def work(export: Export, lease: Lease) -> Export:
            """Convert under the lease."""
            staging, parameters = self._staging(identifier), export.parameters
            make_stores(self._upstream, staging, parameters=parameters, progress=progress or Silent(), confirm=lease.confirm)
            return self._list.move(identifier, ExportEvent.CONVERT)

        return self._step(identifier, ExportEvent.CONVERT, work)

    def describe(self, identifier: str) -> Export:
        """Build record, crates and manifest, check every view, and search all of it for what identifies somebody."""
        return self._step(identifier, ExportEvent.DESCRIBE, self._describe)

    def publish(self, identifier: str) -> DatasetRecord:
        """Make the dataset visible in one step and return its record; staging is removed afterwards.

        Raises
        ------
        ServiceUnreachable : other exports of the same cohort version were faster :data:`RACES` times.
        CheckFailed : the folder is not any more what was described, or a store is not valid.
        """
        published = self._step(identifier, ExportEvent.PUBLISH, self._publish)
        self._staging(identifier).remove()
        if published.record is None:
            raise CheckFailed("The export has no record.", remedy="Request a new export.")
        return published.record

    def _publish(self, export: Export, lease: Lease) -> Export:
        staging = self._staging(export.id)
        placing = Placing(self._engine, self._settings.published_folder, staging)
        for _ in range(RACES):
            if staging.dataset.is_dir() and export.record is not None:
                require_sound(staging.dataset, export.record)
            lease.confirm()
            try:
                placing.publish(export, now=self._clock())
            except Overtaken:
                export = self._describe(export, lease)
                continue
            return self.get(export.id)
        raise ServiceUnreachable("Other exports of this cohort version keep publishing first.", remedy="Repeat the publish step.")

    def _step(self, identifier: str, event: ExportEvent, work: Callable[[Export, Lease], Export]) -> Export:
        """Do a step once: not when it was done, and not while another attempt is at it."""
        export = self._ready(identifier, event)
        if is_past(export.state, event):
            return export
        try:
            with leased(self._engine, identifier, clock=self._clock) as lease:
                export = self._ready(identifier, event)
                return export if is_past(export.state, event) else self._logged(export, lease, event, work)
        except Conflict:
            export = self.get(identifier)
            if is_past(export.state, event):
                return export  # the other attempt has done it
            raise

    def _logged(self, export: Export, lease: Lease, event: ExportEvent, work: Callable[[Export, Lease], Export]) -> Export:
        with about(export=export.id, cohort=str(export.parameters.cohort)):
            done = work(export, lease)
            logger.info("export %s", event.value)
            return done

    def get(self, identifier: str) -> Export:
        """Return one export; raise NotFound."""
        return self._list.get(identifier)

    def list(self) -> tuple[Export, ...]:
        """Return every export, the oldest first."""
        return self._list.list()

    def fail(self, identifier: str, reason: str) -> Export:
        """Record why an export ended without a result and remove its staging.

        A finished export stays as it is, and so does one that another process is working at.
        """
        export = self.get(identifier)
        if export.state in FINAL:
            return export
        try:
            with leased(self._engine, identifier, clock=self._clock):
                failed = self._list.move(identifier, ExportEvent.FAIL, changes={"reason": reason})
                self._staging(identifier).remove()
        except Conflict:
            return self.get(identifier)
        return failed

    def _sweep(self) -> None:
        """Remove what ended exports left in staging, of processes that died before they could."""
        for folder in self._settings.staging_folder.glob("ex-*"):
            with suppress(NotFound):
                export = self.get(folder.name)
                if export.state in FINAL and not is_leased(self._engine, export.id, now=self._clock()):
                    self._staging(export.id).remove()

    def _describe(self, export: Export, lease: Lease) -> Export:
        staging = self._staging(export.id)
        made = staging.load(StagedStores)
        if export.approval is None:
            raise CheckFailed("The export has no approval.", remedy="Ask a steward to decide on it.")
        with database_errors(), self._engine.connect() as connection:
            newest = newest_row(connection, export.dataset_id)
        cohort = self._upstream.cohort(export.parameters.cohort)
        given = Ingredients(
            site=Site.of(self._settings),
            parameters=export.parameters,
            cohort=cohort,
            sentence=self._upstream.sentence(cohort),
            approval=export.approval,
            stores=made.stores,
            records=records_of(self._upstream, {item.record_id for item in made.stores}),
            refused=made.refused,
            codes=made.codes,
            made={},
            threshold=self._upstream.threshold(),
        )
        version = newest["version"] + 1 if newest is not None else 1
        issued = DatasetRecord.model_validate_json(newest["record"]).issued if newest is not None else None
        record, digest = write_dataset(staging.dataset, given, version=version, now=self._clock(), issued=issued)
        self._require_no_residue(staging.dataset, record, given)
        lease.confirm()
        changes = {"record": record.model_dump_json(), "content_sha256": digest, "reason": in_house(made.refused)}
        return self._list.move(export.id, ExportEvent.DESCRIBE, changes=changes)

    def _require_no_residue(self, folder: Path, record: DatasetRecord, given: Ingredients) -> None:
        text = texts_of(folder)
        words_of_ours = given.site.words
        ours = (words_of_ours.contact_email, words_of_ours.health.access_body_email)
        require_no_address(text, ours=ours)
        for words in filter(None, (words_of_ours.publisher_name, words_of_ours.health.access_body, *ours)):
            text = text.replace(words, "")  # a centre publishes under the name that its headers hold
        dates = {f"{moment:%Y-%m-%d}" for moment in (record.issued, record.modified, given.approval.decided_at)}
        traces = self._upstream.identity(given.records.values(), profile=given.parameters.profile)
        if kinds := traces.found_in(text, dates=dates):
            raise residue(f"a {' and a '.join(sorted(kinds))}")

    def _ready(self, identifier: str, event: ExportEvent) -> Export:
        export = self.get(identifier)
        if export.state == ExportState.REFUSED:
            raise ApprovalRefused("The steward refused this export; nothing was published.")
        if not is_past(export.state, event):
            advance(export.state, event)
        return export

    def _staging(self, identifier: str) -> Staging:
        return Staging.of(self._settings.staging_folder, identifier)
