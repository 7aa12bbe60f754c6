"""The facet cards as values: what each row shows, how it is chosen, and what it would make of the whole."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fairlead.errors import NotFound
from fairlead.extract import FieldCatalogue
from fairlead.index import label_of
from fairlead.records import Scalar
from fairlead.workbench.cards import Card, CardKind, cards_for, short_label
from fairlead.workbench.definition import definition_of
from fairlead.workbench.services import Bucket, Workbench
from fairlead.workbench.state import Filter, PageState, parameter_text

SHOWN_VALUES: Final = 8
MAX_FOUND: Final = 20
"""Values that a search within a card shows."""
MAX_OFFERED: Final = 40
"""Values of a card in the page; the search box finds the others. Hundreds of models would make every answer half a megabyte."""


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
    after_percent: float = 0.0
    now_percent: float = 0.0
    """That number and the present one as bars, in percent of the largest of them in the card."""
    now: int = 0

    @property
    def change(self) -> str:
        """What that number is beside the present one, in words."""
        moved = (self.after or 0) - self.now
        return f"{abs(moved)} {'more' if moved > 0 else 'fewer'} than now" if moved else "as many as now"


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
    find: str = ""
    """What is searched for among its values."""
    findable: bool = False
    """Whether it has more values than it shows at once."""
    on: bool = True
    """False while its rule is switched off in the funnel."""

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
        return self.on and self.card.kind is CardKind.VALUES and bool(self.filter.include or self.filter.exclude)

    @property
    def several(self) -> bool:
        """Whether several values are chosen, so that "any" and "all" differ."""
        return self.card.kind is CardKind.VALUES and len(self.filter.include) > 1

    @property
    def more(self) -> int:
        """How many values are folded away."""
        return sum(row.hidden for row in self.rows)


def becoming(state: PageState, workbench: Workbench) -> tuple[CardView, ...]:
    """Return the cards in use with what every shown value would make of the whole."""
    used = [card for card in cards_for(workbench.catalogue.fields) if card.field in state.active and card.kind is CardKind.VALUES]
    definition = definition_of(state)
    facets, now = workbench.data.facets(definition, [card.field for card in used]), workbench.data.count(definition).patients
    views = (view_of(card, facets[card.field], state, catalogue=workbench.catalogue) for card in used)
    return tuple(after(view, state, workbench, now=now) for view in views)


def card_view(name: str, state: PageState, workbench: Workbench) -> CardView:
    """Return one card; NotFound for a field without one."""
    for card in cards_for(workbench.catalogue.fields):
        if card.field == name:
            return view_of(card, workbench.data.facets(definition_of(state), [name])[name], state, catalogue=workbench.catalogue)
    raise NotFound("There is no such card.")


def found_view(name: str, state: PageState, workbench: Workbench) -> CardView:
    """Return one card with the values that are searched for, and what they would make of the whole where the card is in use."""
    card = card_view(name, state, workbench)
    return after(card, state, workbench, now=workbench.data.count(definition_of(state)).patients) if card.counts_after else card


def after(card: CardView, state: PageState, workbench: Workbench, *, now: int) -> CardView:
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
    largest = max(now, *(row.after or 0 for row in counted))
    return replace(card, rows=tuple(_beside(row, now, largest) for row in counted))


def _beside(row: Row, now: int, largest: int) -> Row:
    if row.after is None:
        return row
    return replace(row, now=now, after_percent=percent(row.after, largest), now_percent=percent(now, largest))


def view_of(card: Card, buckets: Sequence[Bucket], state: PageState, *, catalogue: FieldCatalogue) -> CardView:
    """Return a card with its commonest values, those that are chosen, and the bucket of records that do not say."""
    asked = state.filters.get(card.field, Filter())
    offered = (bucket for bucket in buckets if bucket.value is not None and card.kind is CardKind.VALUES)
    ranked = sorted(offered, key=lambda bucket: (-bucket.patients, bucket.label))
    chosen = {*asked.include, *asked.exclude}
    find = state.find.get(card.field, "")
    known, beyond = _offered(ranked, find, chosen)
    largest = ranked[0].patients if ranked else 0
    rows = [_row(bucket, 0 if find else rank, largest, asked) for rank, bucket in enumerate(known)]
    rows += [
        _absent_row(value, asked, catalogue.get(card.field).vocabulary)
        for value in (*asked.include, *asked.exclude)
        if value not in {bucket.value for bucket in known}
    ]
    rows = sorted(rows, key=lambda row: row.label.casefold()) if state.sort == "name" else rows
    missing = next((bucket for bucket in buckets if bucket.value is None and bucket.patients), None)
    unknown = _unknown_row(missing, largest, asked) if missing or asked.unknown else None
    return CardView(
        card,
        tuple(rows),
        unknown,
        asked,
        clear=state.without(card.field),
        help=catalogue.get(card.field).help,
        beyond=beyond,
        find=find,
        findable=len(ranked) > SHOWN_VALUES or bool(find),
        on=card.field not in state.off,
    )


def _offered(ranked: Sequence[Bucket], find: str, chosen: Collection[Scalar]) -> tuple[list[Bucket], int]:
    """Return the values that are in the page, those that are chosen always, and how many more fit what is searched for."""
    wanted = [bucket.value for bucket in ranked if (not find or _holds(bucket, find)) and bucket.value not in chosen]
    taken = {*wanted[: MAX_FOUND if find else MAX_OFFERED], *chosen}
    known = [bucket for bucket in ranked if bucket.value in taken]
    return known, sum(value not in taken for value in wanted)


def _holds(bucket: Bucket, text: str) -> bool:
    """Return whether every word of the text occurs in what the card says of the value, letter case ignored."""
    shown = f"{short_label(bucket.value, bucket.label)} {bucket.label} {bucket.value}".casefold()
    return all(word in shown for word in text.casefold().split())


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


def _absent_row(value: Scalar, asked: Filter, vocabulary: str | None) -> Row:
    """Keep a chosen value on the page although no record has it any more, so that it can be taken away."""
    text = parameter_text(value)
    label = label_of(value, vocabulary)
    return Row(
        text,
        value,
        short_label(value, label),
        label,
        0,
        0,
        0.0,
        included=value in asked.include,
        excluded=value in asked.exclude,
        hidden=False,
    )


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
