"""Whose projects are whose: what the Cohorts page shows a user, and what an export may be asked of by that user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fairlead.errors import NotFound

if TYPE_CHECKING:
    from fairlead.settings import WorkbenchSettings

SEPARATOR: Final = ","
"""Between the projects of a cohort that belongs to several."""


def projects_of(name: str, settings: WorkbenchSettings) -> frozenset[str] | None:
    """Return the projects of a user; None, every project, where the installation does not tell them apart.

    >>> from fairlead.settings import WorkbenchSettings
    >>> projects_of("ada", WorkbenchSettings(projects={"lung": ("ada",), "brain": ("*",), "liver": ()})) == {"lung", "brain"}
    True
    """
    if settings.projects is None:
        return None
    return frozenset(project for project, names in settings.projects.items() if name in names or "*" in names)


def require_own_cohort(ref: str, project: str, *, name: str, settings: WorkbenchSettings) -> None:
    """Refuse the export of a cohort that its requester could not see on the page: Airflow's form takes any ID@N.

    Raises
    ------
    NotFound : the cohort belongs to another project, or to none.
    """
    own = projects_of(name, settings)
    if own is not None and not (project and set(project.split(SEPARATOR)) <= own):
        raise NotFound(f"There is no cohort {ref[:60]!r} in your projects.", remedy="Open it on the Cohorts page, or ask its project.")
