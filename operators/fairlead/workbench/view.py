"""The page as values: everything the templates show, worked out before a template sees it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fairlead.errors import NotFound
from fairlead.extract import FieldCatalogue
from fairlead.index import label_of
from fairlead.records import CohortSummary, ImagingRecord, JsonObject, Scalar
from fairlead.workbench.access import own_drafts
from fairlead.workbench.cards import Card, CardKind, cards_for, short_label
from fairlead.workbench.definition import definition_of, funnel_of
from fairlead.workbench.drafting import DraftView, draft_views
from fairlead.workbench.search import Suggestions, suggest
from fairlead.workbench.services import Answer, Bucket, ExportState, Step, User, Workbench
from fairlead.workbench.state import Filter, PageState, parameter_text

SHOWN_VALUES: Final = 8
MAX_OFFERED: Final = 40
"""Values of a card in the page; the search box finds the others. Hundreds of models would make every answer half a megabyte."""
ROWS_PER_PAGE: Final = 50
LAST_PAGE: Final = 200
"""Nobody reads on by hand beyond 10,000 records; `fairlead cohort members` lists all of them."""
SHOWN_VERSIONS: Final = 30
NO_FILTER: Final = "All records. Choose values on the left to narrow them."
BYTE_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")


@dataclass(frozen=True, slots=True)
class Row:
    """One value of a card, its bar in percent of the card's commonest value, and how it is chosen."""

    value: str
    raw: Scalar
    label: str
    hint: str
    patients: int
    series: int
    percent: float
    included: bool
    excluded: bool
    hidden: bool
    after: int | None = None
    """How many patients there would be with this value chosen (or taken away again); None where nobody asked yet."""


@dataclass(frozen=True, slots=True)
class CardView:
    """One facet card; ``unknown`` is the bucket of records that do not say."""

    card: Card
    rows: tuple[Row, ...]
    unknown: Row | None
    filter: Filter
    clear: str
    help: str
    beyond: int = 0

    @property
    def low(self) -> str:
        """The lower bound as the form shows it."""
        return "" if self.filter.low is None else parameter_text(self.filter.low)

    @property
    def high(self) -> str:
        """The upper bound as the form shows it."""
        return "" if self.filter.high is None else parameter_text(self.filter.high)

    @property
    def counts_after(self) -> bool:
        """Whether its values get a number of what they would make of the whole."""
        return self.card.kind is CardKind.VALUES and bool(self.filter.include or self.filter.exclude)

    @property
    def more(self) -> int:
        """How many values are folded away."""
        return sum(row.hidden for row in self.rows)


@dataclass(frozen=True, slots=True)
class StepView:
    """One bar of the funnel."""

    rule: str
    patients: int
    series: int
    lost: int
    percent: float


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


@dataclass(frozen=True, slots=True)
class PageView:
    """The whole page."""

    state: PageState
    answer: Answer
    sentence: str
    size: str
    definition: str
    cards: tuple[CardView, ...]
    funnel: tuple[StepView, ...]
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
    shown = [_card(card, facets.get(card.field, ()), state, catalogue=workbench.catalogue) for card in cards]
    shown = [_after(view, state, workbench) for view in shown] if whole else shown
    versions = workbench.versions.newest()[:SHOWN_VERSIONS]
    drafts = draft_views(own_drafts(workbench, user), workbench.catalogue)
    return PageView(
        state=state,
        answer=answer,
        sentence=titled(workbench.data.sentence(definition), state, workbench) if state.narrows else NO_FILTER,
        size=human_bytes(answer.counts.size_bytes),
        definition=json.dumps(definition, indent=2, ensure_ascii=False),
        cards=tuple(view for view in shown if view.card.always or view.filter or any(row.patients for row in view.rows)),
        funnel=funnel(steps),
        guilty=guilty_rule(steps) if not answer.counts.series else "",
        table=table(workbench, definition, state.page) if state.tab == "table" and user.sees_records else (),
        pages=max(1, min(LAST_PAGE, -(-answer.counts.series // ROWS_PER_PAGE))),
        versions=versions,
        selected=selected_version(workbench, state.version, versions) if state.version else None,
        drafts=drafts,
        draft=next((draft for draft in drafts if draft.draft.id == state.draft), None),
        user=user,
        suggestions=suggest(state, facets, cards),
        whole=whole,
    )


def becoming(state: PageState, workbench: Workbench) -> tuple[CardView, ...]:
    """Return the cards in use with what every shown value would make of the whole."""
    used = [card for card in cards_for(workbench.catalogue.fields) if card.field in state.filters and card.kind is CardKind.VALUES]
    facets = workbench.data.facets(definition_of(state), [card.field for card in used])
    return tuple(_after(_card(card, facets[card.field], state, catalogue=workbench.catalogue), state, workbench) for card in used)


def card_view(name: str, state: PageState, workbench: Workbench) -> CardView:
    """Return one card; NotFound for a field without one."""
    for card in cards_for(workbench.catalogue.fields):
        if card.field == name:
            return _card(card, workbench.data.facets(definition_of(state), [name])[name], state, catalogue=workbench.catalogue)
    raise NotFound("There is no such card.")


def titled(sentence: str, state: PageState, workbench: Workbench) -> str:
    """Return the sentence with the titles of the versions it names, which people know, in the place of their ids."""
    for ref in state.of:
        version = workbench.versions.get(ref)
        sentence = sentence.replace(f"cohort {version.ref}", f"“{version.title}” v{version.version}")
    return sentence


def selected_version(workbench: Workbench, ref: str, newest: Sequence[CohortSummary]) -> VersionView:
    """Return the version in view; NotFound when the link names one that does not exist."""
    version = workbench.versions.get(ref)
    history = workbench.versions.history(version.id)
    others = tuple(other for other in (*history, *newest) if other.ref != version.ref)
    exports = workbench.exports.of_cohort(version.ref)
    return VersionView(
        version, history, exports, workbench.versions.withdrawn(version.ref), tuple({one.ref: one for one in others}.values())
    )


def _after(card: CardView, state: PageState, workbench: Workbench) -> CardView:
    """Work out what every shown value of a card in use would make of the whole; an unused card's own numbers say it already."""
    asked, name = card.filter, card.card.field
    if not card.counts_after:
        return card
    counted = []
    for row in card.rows:
        if row.hidden or row.excluded:
            counted.append(row)
            continue
        chosen = {parameter_text(value): value for value in asked.include}
        other = tuple(value for text, value in chosen.items() if text != row.value)
        include = other if row.included else (*asked.include, row.raw)
        changed = replace(state, filters={**state.filters, name: replace(asked, include=include)})
        counted.append(replace(row, after=workbench.data.count(definition_of(changed)).patients))
    return replace(card, rows=tuple(counted))


def _card(card: Card, buckets: Sequence[Bucket], state: PageState, *, catalogue: FieldCatalogue) -> CardView:
    asked = state.filters.get(card.field, Filter())
    offered = (bucket for bucket in buckets if bucket.value is not None and card.kind is CardKind.VALUES)
    ranked = sorted(offered, key=lambda bucket: (-bucket.patients, bucket.label))
    chosen = {*asked.include, *asked.exclude}
    known = [bucket for rank, bucket in enumerate(ranked) if rank < MAX_OFFERED or bucket.value in chosen]
    largest = known[0].patients if known else 0
    rows = [_row(bucket, rank, largest, asked) for rank, bucket in enumerate(known)]
    rows += [_absent_row(value, asked) for value in (*asked.include, *asked.exclude) if value not in {bucket.value for bucket in known}]
    missing = next((bucket for bucket in buckets if bucket.value is None and bucket.patients), None)
    unknown = _unknown_row(missing, largest, asked) if missing or asked.unknown else None
    beyond = len(ranked) - len(known)
    return CardView(card, tuple(rows), unknown, asked, clear=state.without(card.field), help=catalogue.get(card.field).help, beyond=beyond)


def _row(bucket: Bucket, rank: int, largest: int, asked: Filter) -> Row:
    value = bucket.value if bucket.value is not None else ""
    included, excluded = value in asked.include, value in asked.exclude
    return Row(
        value=parameter_text(value),
        raw=value,
        label=short_label(bucket.value, bucket.label),
        hint=bucket.label,
        patients=bucket.patients,
        series=bucket.series,
        percent=percent(bucket.patients, largest),
        included=included,
        excluded=excluded,
        hidden=rank >= SHOWN_VALUES and not included and not excluded,
    )


def _absent_row(value: Scalar, asked: Filter) -> Row:
    """Keep a chosen value on the page although no record has it any more, so that it can be taken away."""
    text = parameter_text(value)
    return Row(text, value, text, text, 0, 0, 0.0, included=value in asked.include, excluded=value in asked.exclude, hidden=False)


def _unknown_row(bucket: Bucket | None, largest: int, asked: Filter) -> Row:
    patients, series = (bucket.patients, bucket.series) if bucket else (0, 0)
    share = min(100.0, percent(patients, largest or patients))  # unknown may be most of an archive; it must not flatten the others
    return Row(
        "",
        "",
        "Unknown",
        "Not stated",
        patients,
        series,
        share,
        included=asked.unknown == "in",
        excluded=asked.unknown == "out",
        hidden=False,
    )


def percent(part: int, whole: int) -> float:
    """Return a share in percent with one decimal, 0 of nothing.

    >>> percent(1, 3), percent(0, 0)
    (33.3, 0.0)
    """
    return round(100 * part / whole, 1) if whole else 0.0


def funnel(steps: Sequence[Step]) -> tuple[StepView, ...]:
    """Return the attrition as bars: percent of the first step's patients, and how many each rule removed."""
    first = steps[0].patients if steps else 0
    before = (first, *(step.patients for step in steps))
    return tuple(
        StepView(step.rule, step.patients, step.series, lost=before[place] - step.patients, percent=percent(step.patients, first))
        for place, step in enumerate(steps)
    )


def guilty_rule(steps: Sequence[Step]) -> str:
    """Return the rule that removed the last series, or an empty text when there was nothing to remove."""
    return next((step.rule for step in steps if not step.series), "")


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
