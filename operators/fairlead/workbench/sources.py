"""The page's protocols answered by the real rooms: index, cohort store and exports of one installation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fairlead.cohort import (
    AuditTrail,
    CohortDiff,
    CohortStore,
    DraftStore,
    Region,
    compile_definition,
    count_definition,
    facet_definition,
    parse_definition,
    venn,
)
from fairlead.database import open_database
from fairlead.errors import NotFound
from fairlead.extract import FieldCatalogue, load_catalogue
from fairlead.index import Criterion, Index, open_index
from fairlead.keys import load_project_key, pseudonym
from fairlead.records import CohortSummary, CohortVersion, Counts, ImagingRecord, JsonObject
from fairlead.resources import configs_folder
from fairlead.settings import Settings
from fairlead.workbench.centers import HubCenters
from fairlead.workbench.pictures import ArchivedPictures
from fairlead.workbench.services import Answer, Bucket, ExportState, Step, Workbench

if TYPE_CHECKING:
    from fairlead.publish import Export, Exports

STEP_WORDS: Final[Mapping[str, str]] = {"in scope": "All records"}
EVERY_RECORD: Final = "include"
FORM_PURPOSE: Final = "workbench-forms"


@dataclass(frozen=True, slots=True)
class IndexedData:
    """Answers from the index through the cohort language."""

    index: Index
    catalogue: FieldCatalogue
    cohorts: CohortStore

    def answer(self, definition: JsonObject) -> Answer:
        """Count, word and break down a definition."""
        parsed = parse_definition(definition, self.catalogue)
        found = count_definition(parsed, index=self.index, catalogue=self.catalogue, cohorts=self.cohorts.resolve)
        steps = (step for step in found.attrition if step.rule != EVERY_RECORD)
        return Answer(
            found.counts, found.sentence, tuple(Step(STEP_WORDS.get(step.rule, step.rule), step.patients, step.series) for step in steps)
        )

    def facets(self, definition: JsonObject, fields: Sequence[str]) -> Mapping[str, tuple[Bucket, ...]]:
        """Count the values of each field, its own filter left out."""
        parsed = parse_definition(definition, self.catalogue)
        found = facet_definition(parsed, index=self.index, catalogue=self.catalogue, fields=fields, cohorts=self.cohorts.resolve)
        return {name: tuple(Bucket(one.value, one.label, one.patients, one.series) for one in hit) for name, hit in found.facets.items()}

    def records(self, definition: JsonObject, *, offset: int, limit: int) -> tuple[ImagingRecord, ...]:
        """Return one page of members in the order of their ids."""
        found = self.index.members(self._criterion(definition)).ids[offset : offset + limit]
        return self._shown(self.index.get(record_id) for record_id in found)

    def sample(self, definition: JsonObject, *, size: int, seed: int) -> tuple[ImagingRecord, ...]:
        """Return members drawn evenly; the same seed gives the same."""
        return self._shown(self.index.sample(self._criterion(definition), size, seed=seed))

    def count(self, definition: JsonObject) -> Counts:
        """Count only."""
        return self.index.count(self._criterion(definition))

    def record(self, record_id: str) -> ImagingRecord:
        """Return one record; NotFound also for one whose consent was withdrawn."""
        for found in self._shown([self.index.get(record_id)]):
            return found
        raise NotFound("There is no such record in the index.")

    def _shown(self, records: Iterable[ImagingRecord]) -> tuple[ImagingRecord, ...]:
        """Return the records without those whose consent was withdrawn: they are counted until they leave the index, never shown."""
        gone = self.cohorts.withdrawn_subjects()
        return tuple(record for record in records if record.id not in gone["series"] and _patient(record) not in gone["patient"])

    def _criterion(self, definition: JsonObject) -> Criterion:
        return compile_definition(parse_definition(definition, self.catalogue), self.cohorts.resolve)


def _patient(record: ImagingRecord) -> str:
    """Return the patient as the index names it."""
    core = record.core
    return f"{core.center}:{core.project}:{core.patient_key}"


@dataclass(frozen=True, slots=True)
class StoredVersions:
    """Frozen cohorts of the database."""

    cohorts: CohortStore
    index: Index
    catalogue: FieldCatalogue

    def freeze(self, definition: JsonObject, *, author: str, title: str, purpose: str, project: str = "") -> CohortVersion:
        """Freeze the members of a definition; the same title in the same project makes the next version of the same cohort."""
        parsed = parse_definition(definition, self.catalogue)
        return self.cohorts.freeze(
            parsed, index=self.index, catalogue=self.catalogue, author=author, title=title, purpose=purpose, project=project
        )

    def newest(self) -> tuple[CohortSummary, ...]:
        """Return the newest version of every cohort, newest first."""
        return self.cohorts.list()

    def history(self, identity: str) -> tuple[CohortSummary, ...]:
        """Return every version of one cohort, newest first."""
        return self.cohorts.versions(identity)

    def get(self, ref: str) -> CohortSummary:
        """Return ``ID@N`` without its members."""
        return self.cohorts.summary(ref)

    def diff(self, older: str, newer: str) -> CohortDiff:
        """Return what changed between two versions."""
        return self.cohorts.diff(older, newer, index=self.index, catalogue=self.catalogue)

    def venn(self, refs: Sequence[str]) -> tuple[Region, ...]:
        """Return the regions of two or three versions."""
        return venn(self.cohorts, refs)

    def withdrawn(self, ref: str) -> int:
        """Return how many members of a version were withdrawn since."""
        return len(self.cohorts.withdrawn(ref))


@dataclass(frozen=True, slots=True)
class ListedExports:
    """Exports of the work list; a published one gets the address that the catalogue serves."""

    exports: Exports
    settings: Settings

    def of_run(self, run_id: str) -> ExportState | None:
        """Return the export that an Airflow run started."""
        from fairlead.publish import export_id

        try:
            return self._state(self.exports.get(export_id(run_id)))
        except NotFound:
            return None

    def of_cohort(self, ref: str) -> tuple[ExportState, ...]:
        """Return the exports of a cohort version, newest first."""
        return tuple(self._state(export) for export in reversed(self.exports.list()) if export.parameters.cohort == ref)

    def _state(self, export: Export) -> ExportState:
        from fairlead.publish import ExportState as State
        from fairlead.publish import Site

        published = export.state is State.PUBLISHED
        return ExportState(
            run_id=export.run_id,
            cohort=export.parameters.cohort,
            title=export.title,
            state=export.state.value,
            reason=export.reason,
            requested_by=export.requested_by,
            updated_at=export.requested_at,
            dataset_iri=Site.of(self.settings).dataset(export.dataset_id) if published else None,
        )


def open_workbench(settings: Settings) -> Workbench:
    """Return the services of the installation that the settings name.

    The form key is derived from the installation's project key, so every worker of the server has the same one.
    """
    from fairlead.federation import Hub
    from fairlead.publish import AccessRights, Exports

    engine = open_database(settings)
    catalogue = load_catalogue(settings.fields_file)
    index = open_index(settings, catalogue)
    cohorts = CohortStore(engine)
    return Workbench(
        catalogue=catalogue,
        data=IndexedData(index, catalogue, cohorts),
        versions=StoredVersions(cohorts, index, catalogue),
        exports=ListedExports(Exports(settings, engine), settings),
        drafts=DraftStore(engine),
        audit=AuditTrail(engine),
        pictures=ArchivedPictures(settings),
        form_key=pseudonym(load_project_key(settings.secrets_folder, settings.project), FORM_PURPOSE, ""),
        licence=settings.catalog.license,
        profiles=profiles(settings),
        access_rights=tuple(right.value for right in AccessRights),
        centers=HubCenters(Hub.open(settings, engine)) if settings.federation.project else None,
    )


def profiles(settings: Settings) -> tuple[str, ...]:
    """Return the names of the packaged de-identification profiles, the configured one first."""
    packaged = sorted(file.stem for file in (configs_folder() / "deidentify").glob("*.yaml"))
    first = settings.export.profile
    return (first, *(name for name in packaged if name != first))
