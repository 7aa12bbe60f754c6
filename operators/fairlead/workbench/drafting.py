"""Drafts on the page: how one is listed and opened, and what the second of two people at one draft is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fairlead.cohort import Draft, DraftChanged, changes_in_words, normal_form, parse_definition
from fairlead.extract import FieldCatalogue
from fairlead.records import JsonObject
from fairlead.workbench.definition import DEFAULT_TITLE, definition_of, state_of
from fairlead.workbench.services import User, Workbench
from fairlead.workbench.state import PageState


@dataclass(frozen=True, slots=True)
class DraftView:
    """A draft and the link that opens it for editing; the link is empty when the page's filters cannot show it."""

    draft: Draft
    link: str


@dataclass(frozen=True, slots=True)
class ConflictView:
    """Both sides of a draft that two people saved: theirs, mine, and the difference in words."""

    current: Draft
    theirs: str
    words: tuple[str, ...]
    state: PageState
    title: str
    purpose: str


def draft_views(drafts: Sequence[Draft], catalogue: FieldCatalogue) -> tuple[DraftView, ...]:
    """Return the drafts with links that open them."""
    return tuple(DraftView(draft, opened(draft, catalogue)) for draft in drafts)


def opened(draft: Draft, catalogue: FieldCatalogue) -> str:
    """Return the link to the filters of a draft, at the revision that was saved."""
    state = state_of(draft.definition, catalogue)
    return state.link(draft=draft.id, rev=draft.revision) if state else ""


def save_draft(state: PageState, workbench: Workbench, user: User, *, title: str, purpose: str, project: str) -> Draft:
    """Save the page's filters: over the revision that was opened, or as a new draft when none was.

    Raises
    ------
    DraftChanged : somebody else was faster.
    """
    definition = document_of(state, title)
    if not state.draft:
        return workbench.drafts.create(definition, title=title, purpose=purpose, author=user.name, project=project)
    return workbench.drafts.save(state.draft, definition, revision=state.rev, title=title, purpose=purpose, author=user.name)


def document_of(state: PageState, title: str) -> JsonObject:
    """Return the definition that a draft keeps."""
    return definition_of(state, title=title)


def conflict(error: DraftChanged, state: PageState, catalogue: FieldCatalogue, *, title: str, purpose: str) -> ConflictView:
    """Return both sides; nothing of either is thrown away."""
    theirs, mine = (_normal(one, catalogue) for one in (error.current.definition, document_of(state, title)))
    words = changes_in_words(theirs, mine, catalogue)
    if error.current.title != title:
        words = (*words, f"title: theirs “{error.current.title}”, yours “{title}”")
    return ConflictView(error.current, opened(error.current, catalogue), words, replace(state, page=1), title, purpose)


def _normal(document: JsonObject, catalogue: FieldCatalogue) -> JsonObject:
    return normal_form(parse_definition({"title": DEFAULT_TITLE, **document}, catalogue))
