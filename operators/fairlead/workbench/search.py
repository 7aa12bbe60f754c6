"""The search box: words such as "chest ct siemens 2019" become values of cards, each with its count and a link that adds it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fairlead.records import Scalar
from fairlead.workbench.cards import Card, CardKind, short_label
from fairlead.workbench.services import Bucket
from fairlead.workbench.state import Filter, PageState

MAX_WORDS: Final = 8
PER_WORD: Final = 5
AGE: Final = "patient.age_years"
YEAR: Final = re.compile(r"(?:18|19|20)\d\d")
OVER: Final = re.compile(r"(?:over|above|older than|from|>=?)\s*(\d{1,3})\b(?!\s*(?:-|to)\s*\d)(?:\s*years?\b)?(?:\s*old\b)?")
UNDER: Final = re.compile(r"(?:under|below|younger than|up to|<=?)\s*(\d{1,3})\b(?:\s*years?\b)?(?:\s*old\b)?")
BETWEEN: Final = re.compile(r"(?:between\s+|from\s+|aged?\s+)?\b(\d{1,3})\s*(?:-|to|and)\s*(\d{1,3})\b(?:\s*years?\b)?(?:\s*old\b)?")
FILLERS: Final = frozenset(
    {"a", "all", "and", "image", "images", "in", "of", "patient", "patients", "scan", "scans", "the", "with", "years"}
)
SEX: Final = "patient.sex"
_FEMALE, _MALE = ((SEX, "F"),), ((SEX, "M"),)
_XRAY: Final = tuple(("modality", f"DCM:{code}") for code in ("DX", "CR", "RG"))
MEANT: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "mri": (("modality", "DCM:MR"),),
    "pet": (("modality", "DCM:PT"),),
    "cat": (("modality", "DCM:CT"),),
    "ultrasound": (("modality", "DCM:US"),),
    "sonography": (("modality", "DCM:US"),),
    "mammogram": (("modality", "DCM:MG"),),
    "mammograms": (("modality", "DCM:MG"),),
    **dict.fromkeys(("x-ray", "x-rays", "xray", "xrays", "radiograph", "radiographs"), _XRAY),
    **dict.fromkeys(("female", "females", "woman", "women", "girl", "girls"), _FEMALE),
    **dict.fromkeys(("male", "males", "man", "men", "boy", "boys"), _MALE),
    "brain": (("body_part", "SCT:12738006"), ("body_part", "SCT:69536005")),
    "lung": (("body_part", "SCT:39607008"), ("body_part", "SCT:816094009")),
    "lungs": (("body_part", "SCT:39607008"), ("body_part", "SCT:816094009")),
}
"""Values that people call otherwise than the vocabularies do, the best meaning first."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One value that a word may mean, how many patients have it in the present cohort (None of a bound), and the link that adds it."""

    title: str
    label: str
    patients: int | None
    link: str
    change: tuple[str, Filter]


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What the words may mean; ``all`` is the link that takes the best meaning of every word, empty when one has none."""

    found: tuple[Suggestion, ...] = ()
    unknown: tuple[str, ...] = ()
    all: str = ""


def suggest(state: PageState, facets: Mapping[str, Sequence[Bucket]], cards: Sequence[Card]) -> Suggestions:
    """Return what the words of ``state.q`` may mean, the commonest value of each word first; each value once."""
    rest, bound = _age(state.q.casefold(), state)
    words = [word for word in rest.split() if word not in FILLERS][:MAX_WORDS]
    meanings, unknown = [[bound]] if bound else [], []
    while words:
        taken, found = _longest(words, state, facets, cards)
        unknown += [] if found else words[:taken]
        meanings += [found] if found else []
        words = words[taken:]
    best = [found[0] for found in meanings]
    every = _together(state, best) if len(best) > 1 and not unknown else ""
    once = {one.link: one for found in meanings for one in found}
    return Suggestions(tuple(once.values()), tuple(unknown), every)


def _age(text: str, state: PageState) -> tuple[str, Suggestion | None]:
    """Return the words without those that bound the age, and what they ask."""
    asked = state.filters.get(AGE, Filter())
    for pattern in (BETWEEN, OVER, UNDER):
        if (found := pattern.search(text)) is None:
            continue
        numbers = sorted(float(number) for number in found.groups())
        low = numbers[0] if pattern is not UNDER else asked.low
        high = numbers[-1] if pattern is not OVER else asked.high
        words = {BETWEEN: f"{numbers[0]:g} to {numbers[-1]:g}", OVER: f"from {numbers[0]:g}", UNDER: f"up to {numbers[0]:g}"}[pattern]
        bounded = replace(asked, low=low, high=high)
        link = _link(state, {**state.filters, AGE: bounded})
        return pattern.sub(" ", text, count=1), Suggestion("Age", f"{words} years", None, link, (AGE, bounded))
    return text, None


def _longest(
    words: Sequence[str], state: PageState, facets: Mapping[str, Sequence[Bucket]], cards: Sequence[Card]
) -> tuple[int, list[Suggestion]]:
    """Return how many of the first words belong together, and what they mean: "computed tomography" is one thing, not two."""
    for taken in range(len(words), 0, -1):
        found = list(_meanings(words[:taken], state, facets, cards))
        if found:
            named = MEANT.get(words[0], ()) if taken == 1 else ()
            rank = {value: place for place, (_, value) in enumerate(named)}
            found.sort(key=lambda one: (rank.get(str(one[0]), len(rank)), -(one[1].patients or 0)))
            return taken, [suggestion for _, suggestion in found[:PER_WORD]]
    return 1, []


def _meanings(
    words: Sequence[str], state: PageState, facets: Mapping[str, Sequence[Bucket]], cards: Sequence[Card]
) -> Iterator[tuple[Scalar, Suggestion]]:
    for card in cards:
        if card.kind is CardKind.NUMBER:
            continue
        for bucket in facets.get(card.field, ()):
            if bucket.value is None:
                continue
            label = short_label(bucket.value, bucket.label)
            if card.kind is CardKind.DATE:
                if len(words) == 1 and YEAR.fullmatch(words[0]) and str(bucket.value) == words[0]:
                    asked = Filter(low=f"{words[0]}-01-01", high=f"{words[0]}-12-31")
                    yield bucket.value, _suggestion(state, card, label, bucket.patients, asked)
            elif _means(words, card.field, bucket.value, f"{label} {bucket.label}"):
                asked = state.filters.get(card.field, Filter())
                include = tuple(sorted({*asked.include, bucket.value}, key=str))
                exclude = tuple(value for value in asked.exclude if value != bucket.value)
                yield bucket.value, _suggestion(state, card, label, bucket.patients, replace(asked, include=include, exclude=exclude))


def _means(words: Sequence[str], field: str, value: Scalar, text: str) -> bool:
    if len(words) == 1 and (field, value) in MEANT.get(words[0], ()):
        return True
    return all(_fits(word, text) for word in words)


def _suggestion(state: PageState, card: Card, label: str, patients: int | None, asked: Filter) -> Suggestion:
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
