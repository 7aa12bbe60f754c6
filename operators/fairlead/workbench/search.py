"""The search box: words such as "chest ct siemens 2019" become values of cards, each with its count and a link that adds it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fairlead.workbench.cards import Card, CardKind, short_label
from fairlead.workbench.services import Bucket
from fairlead.workbench.state import Filter, PageState

MAX_WORDS: Final = 8
PER_WORD: Final = 5
YEAR: Final = re.compile(r"(?:18|19|20)\d\d")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One value that a word may mean, how many patients have it in the present cohort, and the link that adds it."""

    title: str
    label: str
    patients: int
    link: str
    change: tuple[str, Filter]


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What the words may mean; ``all`` is the link that takes the best meaning of every word, empty when one has none."""

    found: tuple[Suggestion, ...] = ()
    unknown: tuple[str, ...] = ()
    all: str = ""


def suggest(state: PageState, facets: Mapping[str, Sequence[Bucket]], cards: Sequence[Card]) -> Suggestions:
    """Return what the words of ``state.q`` may mean, the commonest value of each word first."""
    words = state.q.casefold().split()[:MAX_WORDS]
    if not words:
        return Suggestions()
    meanings = [sorted(_meanings(word, state, facets, cards), key=lambda one: -one.patients)[:PER_WORD] for word in words]
    unknown = tuple(word for word, found in zip(words, meanings, strict=True) if not found)
    best = [found[0] for found in meanings if found]
    every = _together(state, best) if len(best) > 1 and not unknown else ""
    return Suggestions(tuple(one for found in meanings for one in found), unknown, every)


def _meanings(word: str, state: PageState, facets: Mapping[str, Sequence[Bucket]], cards: Sequence[Card]) -> Iterator[Suggestion]:
    for card in cards:
        if card.kind is CardKind.NUMBER:
            continue
        for bucket in facets.get(card.field, ()):
            if bucket.value is None:
                continue
            label = short_label(bucket.value, bucket.label)
            if card.kind is CardKind.DATE:
                if YEAR.fullmatch(word) and str(bucket.value) == word:
                    yield _suggestion(state, card, label, bucket.patients, Filter(low=f"{word}-01-01", high=f"{word}-12-31"))
            elif _fits(word, f"{label} {bucket.label}"):
                asked = state.filters.get(card.field, Filter())
                include = tuple(sorted({*asked.include, bucket.value}, key=str))
                exclude = tuple(value for value in asked.exclude if value != bucket.value)
                yield _suggestion(state, card, label, bucket.patients, replace(asked, include=include, exclude=exclude))


def _suggestion(state: PageState, card: Card, label: str, patients: int, asked: Filter) -> Suggestion:
    filters = {**state.filters, card.field: asked}
    return Suggestion(card.title, label, patients, _link(state, filters), (card.field, asked))


def _fits(word: str, text: str) -> bool:
    """Return whether a word of the text begins with the word.

    >>> _fits("sie", "Siemens Healthineers"), _fits("ct", "Chest")
    (True, False)
    """
    return any(part.startswith(word) for part in re.findall(r"\w+", text.casefold()))


def _together(state: PageState, best: Sequence[Suggestion]) -> str:
    filters = dict(state.filters)
    for name, asked in (one.change for one in best):
        before = filters.get(name, Filter())
        both = tuple(sorted({*before.include, *asked.include}, key=str))
        filters[name] = replace(asked, include=both)
    return _link(state, filters)


def _link(state: PageState, filters: Mapping[str, Filter]) -> str:
    return f"./?{replace(state, filters=filters, page=1, q='').query()}"
