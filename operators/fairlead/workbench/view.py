"""The page as values: everything the templates show, worked out before a template sees it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fairlead.errors import UnsupportedInput
from fairlead.extract import FieldCatalogue
from fairlead.index import label_of
from fairlead.records import CohortSummary, ImagingRecord, JsonObject, Scalar
from fairlead.workbench.access import own_drafts, unscoped
from fairlead.workbench.cards import cards_for, short_label
from fairlead.workbench.checklist import Check, checklist
from fairlead.workbench.definition import definition_of, funnel_of, state_of
from fairlead.workbench.drafting import DraftView, draft_views
from fairlead.workbench.facets import CardView, after, view_of
from fairlead.workbench.rules import Part, RuleView, funnel, guilty_rule, sentence_parts
from fairlead.workbench.search import Suggestions, suggest
from fairlead.workbench.services import Answer, ExportState, User, Workbench
from fairlead.workbench.state import PageState

ROWS_PER_PAGE: Final = 50
LAST_PAGE: Final = 200
"""Nobody reads on by hand beyond 10,000 records; `fairlead cohort members` lists all of them."""
SHOWN_VERSIONS: Final = 30
NO_FILTER: Final = "All records. Choose values on the left to narrow them."
BYTE_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")


@dataclass(frozen=True, slots=True)
class TableRow:
    """One record of the table: pseudonyms and acquisition facts, never identity or free text of a header."""

    patient: str
    study: str
    modality: str
    body_part: str
    date: str
    manufacturer: str
    images: int
    size: str
    kind: str


@dataclass(frozen=True, slots=True)
class VersionView:
    """The frozen version in view, with its exports."""

    version: CohortSummary
    history: tuple[CohortSummary, ...]
    exports: tuple[ExportState, ...]
    withdrawn: int
    others: tuple[CohortSummary, ...]
    checks: tuple[Check, ...] = ()
    same: bool = False
    """Whether the page asks what it asks: its filters, or its members where filters cannot say its definition."""
    again: bool = False
    """Whether a version of the cohort was published, so that an export keeps what its form leaves open."""


@dataclass(frozen=True, slots=True)
class PageView:
    """The whole page."""

    state: PageState
    answer: Answer
    sentence: tuple[Part, ...]
    size: str
    definition: str
    query: str
    """The question as OpenSearch is asked it, or the words why it is not one question."""
    cards: tuple[CardView, ...]
    funnel: tuple[RuleView, ...]
    guilty: str
    table: tuple[TableRow, ...]
    pages: int
    versions: tuple[CohortSummary, ...]
    selected: VersionView | None
    drafts: tuple[DraftView, ...]
    draft: DraftView | None
    user: User
    suggestions: Suggestions
    whole: bool = True


def page_view(state: PageState, workbench: Workbench, user: User, *, whole: bool = True) -> PageView:
    """Ask the rooms and return the page; what can come a moment later (``becoming``) is left out unless it is asked for as a ``whole``."""
    definition = definition_of(state)
    answer = workbench.data.answer(funnel_of(state, workbench.catalogue))  # the same members, rule by rule
    steps = answer.attrition
    cards = cards_for(workbench.catalogue.fields)
    facets = workbench.data.facets(definition, [card.field for card in cards])
    shown = [view_of(card, facets.get(card.field, ()), state, catalogue=workbench.catalogue) for card in cards]
    shown = [after(view, state, workbench, now=answer.counts.patients) for view in shown] if whole else shown
    versions = workbench.versions.newest()[:SHOWN_VERSIONS]
    drafts = draft_views(own_drafts(workbench, user), workbench.catalogue)
    return PageView(
        state=state,
        answer=answer,
        sentence=sentence(state, definition, workbench),
        size=human_bytes(answer.counts.size_bytes),
        definition=json.dumps(definition, indent=2, ensure_ascii=False),
        query=asked_of_opensearch(definition, workbench),
        cards=tuple(view for view in shown if view.card.always or view.filter or any(row.patients for row in view.rows)),
        funnel=funnel(steps, state, workbench),
        guilty=guilty_rule(steps) if not answer.counts.series else "",
        table=table(workbench, definition, state.page) if state.tab == "table" and user.sees_records else (),
        pages=max(1, min(LAST_PAGE, -(-answer.counts.series // ROWS_PER_PAGE))),
        versions=versions,
        selected=selected_version(workbench, state, user, versions) if state.version else None,
        drafts=drafts,
        draft=next((draft for draft in drafts if draft.draft.id == state.draft), None),
        user=user,
        suggestions=suggest(state, facets, cards),
        whole=whole,
    )


def sentence(state: PageState, definition: JsonObject, workbench: Workbench) -> tuple[Part, ...]:
    """Return the sentence in pieces, with the titles of the versions it names, which people know, in the place of their ids."""
    if not state.narrows:
        return (Part(NO_FILTER),)
    titles = {f"cohort {one.ref}": f"“{one.title}” v{one.version}" for one in map(workbench.versions.get, (*state.of, *state.less))}
    parts = sentence_parts(workbench.data.sentence(definition), state, workbench)
    return tuple(
        replace(part, text=_called(_titled(part.text, titles), part.link.removeprefix("#card-"), state, workbench)) for part in parts
    )


def _called(text: str, name: str, state: PageState, workbench: Workbench) -> str:
    """Return a phrase with the word of the card before the vocabulary's, so that one finds in the sentence what one has clicked."""
    asked = state.active.get(name)
    if asked is None:
        return text
    vocabulary = workbench.catalogue.get(name).vocabulary
    labels = {label_of(value, vocabulary): value for value in (*asked.include, *asked.exclude) if isinstance(value, str)}
    named = {label: short for label, value in labels.items() if (short := short_label(value, label)) != label}
    longest_first = "|".join(re.escape(label) for label in sorted(named, key=len, reverse=True))
    return re.sub(longest_first, lambda found: f"{named[found[0]]} ({found[0]})", text) if named else text


def asked_of_opensearch(definition: JsonObject, workbench: Workbench) -> str:
    """Return the body of the search, or the words why it is more than one."""
    try:
        return json.dumps(workbench.data.query(definition), indent=2, ensure_ascii=False)
    except UnsupportedInput as error:
        return f"{error.message} {error.remedy}".strip()


def _titled(text: str, titles: Mapping[str, str]) -> str:
    for ref, title in titles.items():
        text = text.replace(ref, title)
    return text


def selected_version(workbench: Workbench, state: PageState, user: User, newest: Sequence[CohortSummary]) -> VersionView:
    """Return the version in view; NotFound when the link names one that does not exist."""
    version = workbench.versions.get(state.version)
    filters = opened(version, workbench, user)
    history = workbench.versions.history(version.id)
    others = tuple(other for other in (*history, *newest) if other.ref != version.ref)
    exports = workbench.exports.of_cohort(version.ref)
    gone = workbench.versions.withdrawn(version.ref)
    return VersionView(
        version,
        history,
        exports,
        gone,
        others=tuple({one.ref: one for one in others}.values()),
        checks=checklist(version, gone, workbench, user) if user.may_change else (),
        same=definition_of(filters) == definition_of(state),
        again=any(export.dataset_iri for other in history for export in workbench.exports.of_cohort(other.ref)),
    )


def opened(version: CohortSummary, workbench: Workbench, user: User) -> PageState:
    """Return the state that shows a version: its filters, or its members by name where filters cannot say its definition."""
    filters = state_of(unscoped(version.definition, user), workbench.catalogue)
    return filters if filters is not None else PageState(of=(version.ref,), how="union")


def table(workbench: Workbench, definition: JsonObject, page: int) -> tuple[TableRow, ...]:
    """Return one page of the pseudonymous record table."""
    records = workbench.data.records(definition, offset=(page - 1) * ROWS_PER_PAGE, limit=ROWS_PER_PAGE)
    return tuple(_table_rows(records, workbench.catalogue))


def _table_rows(records: Sequence[ImagingRecord], catalogue: FieldCatalogue) -> Iterator[TableRow]:
    for record in records:
        values = catalogue.values(record)
        core = record.core
        yield TableRow(
            patient=core.patient_key[:9],
            study=hashlib.sha256(core.study_uid.encode()).hexdigest()[:8],
            modality=_first(values, "modality", catalogue),
            body_part=_first(values, "body_part", catalogue),
            date=_first(values, "study_date", catalogue),
            manufacturer=_first(values, "manufacturer", catalogue),
            images=core.instances,
            size=human_bytes(core.size_bytes),
            kind=short_label(core.kind, core.kind),
        )


def _first(values: Mapping[str, tuple[Scalar, ...]], name: str, catalogue: FieldCatalogue) -> str:
    found = values.get(name, ())
    return short_label(found[0], label_of(found[0], catalogue.get(name).vocabulary)) if found else ""


def human_bytes(size: int) -> str:
    """Return a size for people, in decimal units.

    >>> human_bytes(999), human_bytes(1_500_000)
    ('999 B', '1.5 MB')
    """
    amount = float(size)
    for unit in BYTE_UNITS[:-1]:
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} {BYTE_UNITS[-1]}"
