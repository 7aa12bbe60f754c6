"""The page's protocols answered by the real rooms: index, cohort store and exports of one installation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Never

from fairlead.cohort import (
    AuditTrail,
    CohortDiff,
    CohortStore,
    DraftStore,
    Region,
    attrition,
    compile_definition,
    facet_definition,
    narrowed,
    parse_definition,
    phrase,
    sentence_of,
    venn,
)
from fairlead.database import open_database
from fairlead.errors import NotFound, UnsupportedInput
from fairlead.extract import FieldCatalogue, load_catalogue
from fairlead.index import Criterion, Index, open_index, opensearch_body
from fairlead.keys import load_project_key, pseudonym
from fairlead.records import CohortSummary, CohortVersion, Counts, ImagingRecord, JsonObject
from fairlead.resources import configs_folder
from fairlead.settings import Settings
from fairlead.workbench.centers import HubCenters
from fairlead.workbench.pictures import ArchivedPictures
from fairlead.workbench.services import Answer, Bucket, ExportState, Step, Workbench
from fairlead.workbench.taking import member_file

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
        """Count and break down a definition."""
        parsed = parse_definition(definition, self.catalogue)
        found, counts = attrition(parsed, self.index, self.cohorts.resolve, within=self.cohorts.consenting())
        steps = (step for step in found if step.rule != EVERY_RECORD)
        return Answer(counts, tuple(Step(STEP_WORDS.get(step.rule, step.rule), step.patients, step.series) for step in steps))

    def sentence(self, definition: JsonObject) -> str:
        """Word a definition without counting."""
        return sentence_of(parse_definition(definition, self.catalogue), self.catalogue)

    def query(self, definition: JsonObject) -> JsonObject:
        """Return a definition as OpenSearch is asked it, whichever engine answers here."""
        return opensearch_body(compile_definition(parse_definition(definition, self.catalogue), _looked_up_first), self.catalogue)

    def phrases(self, definition: JsonObject) -> tuple[str, ...]:
        """Word each rule of a definition, as the sentence words it."""
        return tuple(phrase(rule.where, self.catalogue) for rule in parse_definition(definition, self.catalogue).rules)

    def facets(self, definition: JsonObject, fields: Sequence[str]) -> Mapping[str, tuple[Bucket, ...]]:
        """Count the values of each field, its own filter left out."""
        parsed = parse_definition(definition, self.catalogue)
        found = facet_definition(
            parsed,
            index=self.index,
            catalogue=self.catalogue,
            fields=fields,
            cohorts=self.cohorts.resolve,
            within=self.cohorts.consenting(),
        )
        return {name: tuple(Bucket(one.value, one.label, one.patients, one.series) for one in hit) for name, hit in found.facets.items()}

    def records(self, definition: JsonObject, *, offset: int, limit: int) -> tuple[ImagingRecord, ...]:
        """Return one page of members, patient by patient."""
        return self.index.page(self._criterion(definition), offset=offset, limit=limit)

    def sample(self, definition: JsonObject, *, size: int, seed: int) -> tuple[ImagingRecord, ...]:
        """Return members drawn evenly; the same seed gives the same."""
        return self.index.sample(self._criterion(definition), size, seed=seed)

    def count(self, definition: JsonObject) -> Counts:
        """Count only."""
        return self.index.count(self._criterion(definition))

    def record(self, record_id: str) -> ImagingRecord:
        """Return one record; NotFound also for one whose consent was withdrawn."""
        found, gone = self.index.get(record_id), self.cohorts.withdrawn_subjects()
        if found.id in gone["series"] or _patient(found) in gone["patient"]:
            raise NotFound("There is no such record in the index.")
        return found

    def _criterion(self, definition: JsonObject) -> Criterion:
        return narrowed(compile_definition(parse_definition(definition, self.catalogue), self.cohorts.resolve), self.cohorts.consenting())


def _looked_up_first(ref: str) -> Never:
    raise UnsupportedInput(
        f"The members of {ref} are looked up first, and handed over as a list of their ids.", remedy="Its own filters are one question."
    )


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

    def holds(self, ref: str, record_id: str) -> bool:
        """Return whether a record is a member of a version."""
        return record_id in self.cohorts.resolve(ref)

    def listed(self, ref: str, form: str, *, base: str = "") -> Iterator[bytes]:
        """Yield a file of the members that were not withdrawn since."""
        return member_file(self.cohorts.exportable(ref), self.index, form, base=base)


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
