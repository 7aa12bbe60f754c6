"""Two versions side by side, and the regions of two or three: what the tabs Compare and Sets show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

from fairlead.records import CohortSummary, ImagingRecord, JsonObject
from fairlead.workbench.cards import short_label
from fairlead.workbench.definition import definition_of
from fairlead.workbench.services import Bucket, User, Workbench
from fairlead.workbench.state import PageState

COMPARED: Final = (("modality", "Modality"), ("body_part", "Body part"), ("patient.sex", "Sex"), ("manufacturer", "Manufacturer"))
SHOWN: Final = 8
PICTURES: Final = 6
CAUSE_WORDS: Final[Mapping[str, str]] = {
    "definition": "the definition was changed",
    "data": "data arrived, left or were corrected",
    "mapping": "terms are mapped otherwise",
    "withdrawn": "consent was withdrawn",
}
LETTERS: Final = "ABC"
WORKABLE: Final = (2, 3)


@dataclass(frozen=True, slots=True)
class Pair:
    """One value in both versions: patients and the share of the commonest."""

    label: str
    before: int
    after: int
    before_percent: float
    after_percent: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed from ``a`` to ``b``: words, numbers, causes, distributions, and links to who joined and who left."""

    a: CohortSummary
    b: CohortSummary
    words: tuple[str, ...]
    numbers: tuple[tuple[str, int], ...]
    causes: tuple[tuple[str, int], ...]
    exact: bool
    distributions: tuple[tuple[str, tuple[Pair, ...]], ...]
    joined: tuple[ImagingRecord, ...]
    left: tuple[ImagingRecord, ...]
    joined_link: str
    left_link: str


def comparison(state: PageState, workbench: Workbench, user: User) -> Comparison | None:
    """Return the comparison that the link asks for: the version in view with ``against``, else with the version before it."""
    if not state.version:
        return None
    b = workbench.versions.get(state.version)
    a = workbench.versions.get(state.against) if state.against else _before(b, workbench)
    if a is None or a.ref == b.ref:
        return None
    found = workbench.versions.diff(a.ref, b.ref)
    new, old = (PageState(of=refs, how="subtract") for refs in ((b.ref, a.ref), (a.ref, b.ref)))
    seen = PICTURES if user.sees_records else 0
    return Comparison(
        a,
        b,
        words=found.definition_changes,
        numbers=tuple((kind, found.count(kind)) for kind in ("added", "removed", "revised")),
        causes=tuple((CAUSE_WORDS[cause], number) for cause, number in found.causes().items() if number),
        exact=found.exact,
        distributions=tuple(_distributions(a, b, workbench)),
        joined=workbench.data.sample(definition_of(new), size=seen, seed=state.seed) if seen else (),
        left=workbench.data.sample(definition_of(old), size=seen, seed=state.seed) if seen else (),
        joined_link=new.link(),
        left_link=old.link(),
    )


def _before(version: CohortSummary, workbench: Workbench) -> CohortSummary | None:
    earlier = [other for other in workbench.versions.history(version.id) if other.version < version.version]
    return max(earlier, key=lambda other: other.version, default=None)


def _distributions(a: CohortSummary, b: CohortSummary, workbench: Workbench) -> Iterator[tuple[str, tuple[Pair, ...]]]:
    named = {field: title for field, title in COMPARED if field in workbench.catalogue.fields}
    before, after = (workbench.data.facets(_members(version), list(named)) for version in (a, b))
    for field, title in named.items():
        pairs = _pairs(before.get(field, ()), after.get(field, ()))
        if pairs:
            yield title, pairs


def _members(version: CohortSummary) -> JsonObject:
    return definition_of(PageState(of=(version.ref,), how="union"))


def _pairs(before: Sequence[Bucket], after: Sequence[Bucket]) -> tuple[Pair, ...]:
    counts: dict[str, list[int]] = {}
    for side, buckets in enumerate((before, after)):
        for bucket in buckets:
            label = short_label(bucket.value, bucket.label)
            counts.setdefault(label, [0, 0])[side] += bucket.patients
    largest = max((max(both) for both in counts.values()), default=0) or 1
    ranked = sorted(counts.items(), key=lambda item: (-max(item[1]), item[0]))[:SHOWN]
    return tuple(Pair(label, was, now, round(100 * was / largest, 1), round(100 * now / largest, 1)) for label, (was, now) in ranked)


@dataclass(frozen=True, slots=True)
class Circle:
    """One version of the diagram under its letter."""

    letter: str
    version: CohortSummary


@dataclass(frozen=True, slots=True)
class Combination:
    """A set operation on offer, with the numbers that it opens with; ``link`` is empty where it would be nobody."""

    words: str
    series: int
    patients: int
    link: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class RegionView:
    """One region of the diagram: the letters inside, what it is in words, its series, and the link that opens it (none of nobody)."""

    inside: str
    words: str
    series: int
    link: str


@dataclass(frozen=True, slots=True)
class SetsView:
    """A Venn diagram of two or three versions: its regions, and the operations."""

    circles: tuple[Circle, ...]
    regions: tuple[RegionView, ...]
    combinations: tuple[Combination, ...]


def sets_view(state: PageState, workbench: Workbench) -> SetsView | None:
    """Return the diagram of the versions that the link names; None when they are not two or three."""
    if len(state.of) not in WORKABLE:
        return None
    found = workbench.versions.venn(state.of)
    letters = LETTERS[: len(state.of)]
    circles = tuple(Circle(letter, workbench.versions.get(ref)) for letter, ref in zip(letters, state.of, strict=True))
    series = {_inside(region.inside): region.series for region in found}
    state = replace(state, of=tuple(circle.version.ref for circle in circles))  # a version of a day, where the link names the newest
    drawn = tuple(_region(state, letters, inside, number) for inside, number in series.items())
    return SetsView(circles, drawn, tuple(_combinations(state, letters, workbench)))


def _region(state: PageState, letters: str, inside: str, series: int) -> RegionView:
    outside = "".join(letter for letter in letters if letter not in inside)
    of, less = (tuple(state.of[letters.index(letter)] for letter in side) for side in (inside, outside))
    query = replace(state, of=of, less=less, how="intersect", filters={}, tab="funnel", version="", against="", order=(), off=()).query()
    words = _without(" and ".join(inside), outside)
    return RegionView(inside, words, series, f"./?{query}" if series else "")


def _without(words: str, outside: str) -> str:
    return ", ".join([f"{words} without {outside[0]}", *(f"without {letter}" for letter in outside[1:])]) if outside else words


def _inside(inside: Sequence[bool]) -> str:
    return "".join(letter for letter, member in zip(LETTERS, inside, strict=False) if member)


def _combinations(state: PageState, letters: str, workbench: Workbench) -> Iterator[Combination]:
    def offered(words: str, how: str, chosen: str) -> Combination:
        """Return one set operation with its numbers and the link that opens it."""
        of = tuple(state.of[letters.index(letter)] for letter in chosen)
        counts = workbench.data.count(definition_of(PageState(of=of, how=how)))
        link = replace(state, of=of, less=(), how=how, filters={}, tab="funnel", version="", against="", order=(), off=()).query()
        return Combination(words, counts.series, counts.patients, f"./?{link}" if counts.series else "", (state.of, state.how) == (of, how))

    yield offered(" or ".join(letters), "union", letters)
    yield offered(" and ".join(letters), "intersect", letters)
    for pair in combinations(letters, 2) if len(letters) > 2 else ():
        yield offered(" and ".join(pair), "intersect", "".join(pair))
    for letter in letters:
        rest = letters.replace(letter, "")
        yield offered(_without(letter, rest), "subtract", letter + rest)
