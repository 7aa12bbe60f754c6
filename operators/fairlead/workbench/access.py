"""What one user may see: the page's services narrowed to the user's projects, in one place that no route can go around."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from fairlead.cohort import CohortDiff, Draft, Region
from fairlead.errors import NotFound, NotPermitted
from fairlead.records import CohortSummary, CohortVersion, Counts, ImagingRecord, JsonObject
from fairlead.workbench.services import Answer, Bucket, DataSource, User, VersionSource, Workbench
from fairlead.workbench.state import PageState

SEPARATOR: Final = ","
MAX_PROJECT: Final = 64


def visible(project: str, user: User) -> bool:
    """Return whether the user may see what belongs to a project, or to several joined by commas.

    >>> visible("lung", User("1", "ada")), visible("", User("1", "ada", projects=frozenset({"lung"})))
    (True, False)
    """
    return user.projects is None or (bool(project) and set(project.split(SEPARATOR)) <= user.projects)


def project_of(state: PageState, user: User) -> str:
    """Return whose a cohort is that this user makes of this state: the one project it is about, else all of the user's.

    Raises
    ------
    NotPermitted : the user has more projects than one cohort can belong to.
    """
    if user.projects is None:
        return ""
    asked = state.active.get("project")
    named = {str(value) for value in asked.include} & user.projects if asked else set()
    joined = SEPARATOR.join(sorted(named or user.projects))
    if len(joined) > MAX_PROJECT:
        raise NotPermitted("A cohort belongs to a few projects, not to all of yours.", remedy="Choose one under Project.")
    return joined


def narrowed(services: Workbench, user: User) -> Workbench:
    """Return the services as this user may use them.

    Raises
    ------
    NotPermitted : the user belongs to no project.
    """
    if user.projects is None:
        return services
    if not user.projects:
        raise NotPermitted("You belong to no project of this installation.", remedy="Ask an administrator (workbench.projects).")
    versions = OwnVersions(services.versions, user)
    return replace(services, data=OwnData(services.data, versions, user), versions=versions)


def unscoped(definition: JsonObject, user: User) -> JsonObject:
    """Return a frozen definition without the scope that :class:`OwnVersions` gave it, where this user's questions have the same."""
    scope = definition.get("scope", {})
    if user.projects is None or scope.get("centers") or set(scope.get("projects", ())) != user.projects:
        return definition
    return {name: part for name, part in definition.items() if name != "scope"}


def own_drafts(services: Workbench, user: User) -> tuple[Draft, ...]:
    """Return the drafts that the user may see."""
    return tuple(draft for draft in services.drafts.list() if visible(draft.project, user))


def own_draft(services: Workbench, draft_id: str, user: User) -> Draft:
    """Return one draft; NotFound also for another project's."""
    draft = services.drafts.get(draft_id)
    if not visible(draft.project, user):
        raise NotFound("There is no such draft (any more).")
    return draft


def require_records(user: User) -> None:
    """Refuse whoever may see counts only.

    Raises
    ------
    NotPermitted : the user may not look at single records.
    """
    if not user.sees_records:
        raise NotPermitted("You may see counts, not single records.", remedy="Ask an administrator for the right to read the export DAG.")


@dataclass(frozen=True, slots=True)
class OwnData:
    """Answers about the records of the user's projects."""

    data: DataSource
    versions: VersionSource
    user: User

    def _own(self, definition: JsonObject) -> JsonObject:
        for ref in _cohorts(definition):
            self.versions.get(ref)
        return {**definition, "scope": {**definition.get("scope", {}), "projects": sorted(self.user.projects or ())}}

    def answer(self, definition: JsonObject) -> Answer:
        """Count and break down a definition."""
        return self.data.answer(self._own(definition))

    def sentence(self, definition: JsonObject) -> str:
        """Word a definition, with the projects that the user sees."""
        return self.data.sentence(self._own(definition))

    def query(self, definition: JsonObject) -> JsonObject:
        """Return a definition as OpenSearch is asked it, with the projects that the user sees."""
        return self.data.query(self._own(definition))

    def phrases(self, definition: JsonObject) -> tuple[str, ...]:
        """Word each rule of a definition."""
        return self.data.phrases(self._own(definition))

    def facets(self, definition: JsonObject, fields: Sequence[str]) -> Mapping[str, tuple[Bucket, ...]]:
        """Count the values of each field; of projects only the user's own."""
        found = dict(self.data.facets(self._own(definition), fields))
        if "project" in found:  # a card counts without its own condition, which the scope is here
            found["project"] = tuple(bucket for bucket in found["project"] if bucket.value in (self.user.projects or ()))
        return found

    def records(self, definition: JsonObject, *, offset: int, limit: int) -> tuple[ImagingRecord, ...]:
        """Return one page of members."""
        return self.data.records(self._own(definition), offset=offset, limit=limit)

    def sample(self, definition: JsonObject, *, size: int, seed: int) -> tuple[ImagingRecord, ...]:
        """Return members drawn evenly."""
        return self.data.sample(self._own(definition), size=size, seed=seed)

    def count(self, definition: JsonObject) -> Counts:
        """Count only."""
        return self.data.count(self._own(definition))

    def record(self, record_id: str) -> ImagingRecord:
        """Return one record; NotFound also for another project's."""
        found = self.data.record(record_id)
        if not visible(found.core.project, self.user):
            raise NotFound("There is no such record in the index.")
        return found


@dataclass(frozen=True, slots=True)
class OwnVersions:
    """Frozen cohorts of the user's projects."""

    versions: VersionSource
    user: User

    def freeze(self, definition: JsonObject, *, author: str, title: str, purpose: str, project: str = "") -> CohortVersion:
        """Freeze within the projects that the cohort is given to."""
        for ref in _cohorts(definition):
            self.get(ref)
        scope = {**definition.get("scope", {}), "projects": project.split(SEPARATOR)}
        return self.versions.freeze({**definition, "scope": scope}, author=author, title=title, purpose=purpose, project=project)

    def newest(self) -> tuple[CohortSummary, ...]:
        """Return the newest version of every cohort of the user's."""
        return tuple(version for version in self.versions.newest() if visible(version.project, self.user))

    def history(self, identity: str) -> tuple[CohortSummary, ...]:
        """Return every version of one cohort."""
        return tuple(version for version in self.versions.history(identity) if visible(version.project, self.user))

    def get(self, ref: str) -> CohortSummary:
        """Return ``ID@N``; NotFound also for another project's."""
        found = self.versions.get(ref)
        if not visible(found.project, self.user):
            raise NotFound(f"There is no cohort {ref[:60]!r}.")
        return found

    def diff(self, older: str, newer: str) -> CohortDiff:
        """Return what changed between two versions of the user's."""
        return self.versions.diff(self.get(older).ref, self.get(newer).ref)

    def venn(self, refs: Sequence[str]) -> tuple[Region, ...]:
        """Return the regions of versions of the user's."""
        return self.versions.venn([self.get(ref).ref for ref in refs])

    def withdrawn(self, ref: str) -> int:
        """Return how many members were withdrawn since."""
        return self.versions.withdrawn(self.get(ref).ref)

    def holds(self, ref: str, record_id: str) -> bool:
        """Return whether a record is a member of a version of the user's."""
        return self.versions.holds(self.get(ref).ref, record_id)

    def listed(self, ref: str, form: str, *, base: str = "") -> Iterator[bytes]:
        """Yield a file of the members of a version of the user's."""
        return self.versions.listed(self.get(ref).ref, form, base=base)


def _cohorts(node: Any) -> Iterator[str]:
    """Yield every reference to a cohort in a definition."""
    if isinstance(node, Mapping):
        if isinstance(node.get("cohort"), str):
            yield node["cohort"]
        for inner in node.values():
            yield from _cohorts(inner)
    elif isinstance(node, list | tuple):
        for inner in node:
            yield from _cohorts(inner)
