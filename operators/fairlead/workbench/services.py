"""What the page needs from the rooms to its left, as three small protocols; ``sources.py`` answers them with the real rooms."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from fairlead.cohort import AuditTrail, CohortDiff, DraftStore, Region
from fairlead.extract import FieldCatalogue
from fairlead.records import CohortSummary, CohortVersion, Counts, ImagingRecord, JsonObject, Scalar
from fairlead.workbench.pictures import Picture

EXPORT_DAG: Final = "export_cohort"
STATE_WORDS: Final[Mapping[str, str]] = {
    "starting": "started, waiting for a worker",
    "requested": "waiting for a steward's approval",
    "approved": "approved, de-identification runs",
    "deidentified": "de-identified, conversion runs",
    "converted": "converted, the record is being written",
    "described": "described, publication runs",
    "published": "published",
    "refused": "refused by the steward",
    "failed": "failed",
}
"""States of an export (``publish.ExportState``, and ``starting`` before Airflow's first task) for people."""

FINAL_STATES: Final = frozenset({"published", "refused", "failed"})


@dataclass(frozen=True, slots=True)
class User:
    """Who is signed in: a stable ``id`` that binds the form token, the ``name`` that is written as author, and what they may.

    ``projects`` None is every project; ``sees_records`` False is counts only: no table, no samples, no single record.
    """

    id: str
    name: str
    may_change: bool = True
    sees_records: bool = True
    projects: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """One value of a facet with its counts; ``value`` None is the bucket of records that do not say."""

    value: Scalar | None
    label: str
    patients: int
    series: int


@dataclass(frozen=True, slots=True)
class Step:
    """What is left after one rule of the definition."""

    rule: str
    patients: int
    series: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The numbers and the attrition of one definition."""

    counts: Counts
    attrition: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class ExportState:
    """Where one export stands; ``dataset_iri`` is set when it is published."""

    run_id: str
    cohort: str
    title: str
    state: str
    reason: str
    requested_by: str
    updated_at: datetime
    dataset_iri: str | None = None

    @property
    def words(self) -> str:
        """The state in a clinician's words."""
        return STATE_WORDS.get(self.state, self.state)

    @property
    def waiting(self) -> bool:
        """Whether a steward has to decide."""
        return self.state == "requested"

    @property
    def final(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in FINAL_STATES


class DataSource(Protocol):
    """Questions about the data; each takes a cohort definition document."""

    def answer(self, definition: JsonObject) -> Answer:
        """Count and break down a definition."""
        ...

    def sentence(self, definition: JsonObject) -> str:
        """Word a definition without counting."""
        ...

    def query(self, definition: JsonObject) -> JsonObject:
        """Return a definition as OpenSearch is asked it; UnsupportedInput where that is no single question."""
        ...

    def phrases(self, definition: JsonObject) -> tuple[str, ...]:
        """Word each rule of a definition, as the sentence words it."""
        ...

    def facets(self, definition: JsonObject, fields: Sequence[str]) -> Mapping[str, tuple[Bucket, ...]]:
        """Count the values of each field, its own filter left out."""
        ...

    def records(self, definition: JsonObject, *, offset: int, limit: int) -> tuple[ImagingRecord, ...]:
        """Return one page of members, patient by patient."""
        ...

    def sample(self, definition: JsonObject, *, size: int, seed: int) -> tuple[ImagingRecord, ...]:
        """Return members drawn evenly; the same seed gives the same."""
        ...

    def count(self, definition: JsonObject) -> Counts:
        """Count only."""
        ...

    def record(self, record_id: str) -> ImagingRecord:
        """Return one record; NotFound otherwise."""
        ...


class VersionSource(Protocol):
    """Frozen cohorts."""

    def freeze(self, definition: JsonObject, *, author: str, title: str, purpose: str, project: str = "") -> CohortVersion:
        """Freeze the members of a definition as the next version."""
        ...

    def newest(self) -> tuple[CohortSummary, ...]:
        """Return the newest version of every cohort, newest first."""
        ...

    def history(self, identity: str) -> tuple[CohortSummary, ...]:
        """Return every version of one cohort, newest first."""
        ...

    def get(self, ref: str) -> CohortSummary:
        """Return ``ID@N`` without its members; NotFound otherwise."""
        ...

    def diff(self, older: str, newer: str) -> CohortDiff:
        """Return what changed between two versions."""
        ...

    def venn(self, refs: Sequence[str]) -> tuple[Region, ...]:
        """Return the regions of two or three versions."""
        ...

    def withdrawn(self, ref: str) -> int:
        """Return how many members of a version were withdrawn since."""
        ...

    def holds(self, ref: str, record_id: str) -> bool:
        """Return whether a record is a member of a version."""
        ...

    def listed(self, ref: str, form: str, *, base: str = "") -> Iterator[bytes]:
        """Yield a file of the members that were not withdrawn since; ``base`` is the address of a DICOMweb service."""
        ...


class ExportSource(Protocol):
    """Exports that were asked for."""

    def of_run(self, run_id: str) -> ExportState | None:
        """Return the export that an Airflow run started; None before its first task ran."""
        ...

    def of_cohort(self, ref: str) -> tuple[ExportState, ...]:
        """Return the exports of a cohort version, newest first."""
        ...


class PictureSource(Protocol):
    """Small pictures of records."""

    def picture(self, record: ImagingRecord) -> Picture:
        """Return the picture, or a drawing of the words why there is none."""
        ...


class CenterSource(Protocol):
    """Other centres, which answer under their own policies."""

    def names(self) -> tuple[str, ...]:
        """Return the centres that would be asked."""
        ...

    def project(self) -> str:
        """Return the project that is asked under."""
        ...

    def ask(self, definition: JsonObject, *, person: str) -> AsyncIterator[JsonObject]:
        """Yield the answer of each centre as it comes, and a sum at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Workbench:
    """Everything the page needs. ``form_key`` signs form tokens: 32 bytes, the same in every worker of the server."""

    catalogue: FieldCatalogue
    data: DataSource
    versions: VersionSource
    exports: ExportSource
    drafts: DraftStore
    audit: AuditTrail
    pictures: PictureSource
    form_key: bytes
    licence: str
    profiles: tuple[str, ...] = ("basic",)
    access_rights: tuple[str, ...] = ("public", "restricted", "non-public")
    export_dag: str = EXPORT_DAG
    centers: CenterSource | None = None
