"""The page's state: the filters, the open tab and the version in view, all of it in the query string, so that a link is a cohort.

Parameters: ``in.FIELD=value`` and ``not.FIELD=value`` (repeatable), ``from.FIELD``/``to.FIELD`` for dates and numbers,
``unknown.FIELD=in|out`` for records that do not say, ``every.FIELD=patient|study`` where all values are asked of one patient or
study instead of any of them; ``order=FIELD`` and ``off=FIELD`` (repeatable) for the rules of the funnel; ``tab``, ``page``,
``version=ID@N``; ``against=ID@N`` to compare that version with; ``of=ID@N`` (repeatable) for versions chosen for sets, with
``how`` as a criterion, and ``less=ID@N`` (repeatable) for versions that are taken out; ``draft`` and ``rev`` for the
draft that is being edited and the revision it was opened at; ``seed`` of the sample; ``sort=name`` for values by
name; ``q`` for words to search, ``find.FIELD`` for what is searched for among the values of one card (neither is ever in links).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal
from urllib.parse import urlencode

from fairlead.errors import InvalidInput
from fairlead.records import Scalar

type Unknown = Literal["", "in", "out"]
type Every = Literal["", "patient", "study"]

TABS: Final = ("funnel", "charts", "samples", "table", "compare", "sets")
MAX_PARAMETERS: Final = 1000


class InvalidQuery(InvalidInput):
    """A link or form that asks for something this page does not have."""

    code = "invalid-query"
    default_remedy = "Open the page without its parameters and choose again."


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked of one field; ``unknown`` says whether records without a value are taken in or left out explicitly.

    ``every`` names the group that must have each of the included values; empty asks for any of them.
    """

    include: tuple[Scalar, ...] = ()
    exclude: tuple[Scalar, ...] = ()
    low: Scalar | None = None
    high: Scalar | None = None
    unknown: Unknown = ""
    every: Every = ""

    def __bool__(self) -> bool:
        return self != Filter()

    @property
    def is_range(self) -> bool:
        """Whether a bound is set."""
        return self.low is not None or self.high is not None


@dataclass(frozen=True, slots=True)
class PageState:
    """Everything a link holds. ``filters`` has no empty entries and follows the order of the cards.

    ``order`` is that of the rules in the funnel, empty where it is the cards' own; ``off`` names rules that ask nothing at present.
    Both are ways of looking: a definition knows only the rules that are on, and its hash no order.
    """

    filters: Mapping[str, Filter] = field(default_factory=dict)
    tab: str = TABS[0]
    page: int = 1
    version: str = ""
    against: str = ""
    of: tuple[str, ...] = ()
    how: str = ""
    draft: str = ""
    rev: int = 0
    seed: int = 0
    q: str = ""
    order: tuple[str, ...] = ()
    off: tuple[str, ...] = ()
    less: tuple[str, ...] = ()
    find: Mapping[str, str] = field(default_factory=dict)
    """What is searched for among the values of a card; like ``q`` never in links."""
    sort: str = ""
    """``name`` where the values of the cards stand in the order of their names; else the commonest come first."""

    @property
    def narrows(self) -> bool:
        """Whether anything is asked of the records."""
        return bool(self.active or (self.of and self.how) or self.less)

    @property
    def active(self) -> Mapping[str, Filter]:
        """The filters whose rules are on."""
        return {name: asked for name, asked in self.filters.items() if name not in self.off} if self.off else self.filters

    @property
    def rules(self) -> tuple[str, ...]:
        """The fields of all rules as the funnel shows them, those that are off too."""
        return self.order or tuple(self.filters)

    def moved(self, name: str, places: int) -> str:
        """Return a relative link to this state with one rule further up or down."""
        others = [other for other in self.rules if other != name]
        others.insert(max(0, self.rules.index(name) + places), name)
        return self.link(order=tuple(others))

    def switched(self, name: str) -> str:
        """Return a relative link to this state with one rule switched on or off."""
        return self.link(off=tuple(other for other in self.off if other != name) if name in self.off else (*self.off, name))

    def parameters(self) -> list[tuple[str, str]]:
        """Return the query parameters, defaults left out, in a fixed order: the same state gives the same link."""
        found = [pair for name, asked in self.filters.items() for pair in _parameters(name, asked)]
        found += [("tab", self.tab)] if self.tab != TABS[0] else []
        found += [("page", str(self.page))] if self.page != 1 else []
        return found + self.kept()

    def kept(self, *names: str) -> list[tuple[str, str]]:
        """Return what is neither a filter nor a place in the page (without ``names``): forms carry it along as it is."""
        single = (("version", self.version), ("against", self.against), ("how", self.how), ("draft", self.draft), ("sort", self.sort))
        numbers = (("rev", self.rev), ("seed", self.seed))
        found = [*((name, text) for name, text in single if text), *(("of", ref) for ref in self.of)]
        found += [(name, str(number)) for name, number in numbers if number]
        found += [*(("order", name) for name in self.order), *(("off", name) for name in self.off)]
        found += [("less", ref) for ref in self.less]
        return [pair for pair in found if pair[0] not in names]

    def query(self) -> str:
        """Return the query string without ``?``."""
        return urlencode(self.parameters())

    def searching(self) -> str:
        """Return the query string with what is searched for in the cards, for parts of this very page."""
        return urlencode([*self.parameters(), *((f"find.{name}", text) for name, text in self.find.items())])

    def link(self, *, tab: str | None = None, page: int = 1, version: str | None = None, **changes: Any) -> str:
        """Return a relative link to this state with another tab, page, version or other changes."""
        changed = replace(self, tab=tab or self.tab, page=page, version=self.version if version is None else version, **changes)
        return f"./?{changed.query()}"

    def opening(self, ref: str) -> str:
        """Return a relative link that opens a frozen version in the same tab; the server works out its filters."""
        tab = [("tab", self.tab)] if self.tab != TABS[0] else []
        return f"./open?{urlencode([*tab, *([('sort', self.sort)] if self.sort else []), ('version', ref)])}"

    def adding(self, name: str, **changes: Any) -> str:
        """Return a relative link to this state with the filter of one field changed."""
        changed = {**self.filters, name: replace(self.filters.get(name, Filter()), **changes)}
        return f"./?{replace(self, filters=changed, page=1).query()}"

    def without(self, name: str) -> str:
        """Return a relative link to this state without the filter of one field."""
        kept = {other: asked for other, asked in self.filters.items() if other != name}
        return f"./?{replace(self, filters=kept, page=1).query()}"


def _parameters(name: str, asked: Filter) -> Iterable[tuple[str, str]]:
    yield from ((f"in.{name}", parameter_text(value)) for value in asked.include)
    yield from ((f"not.{name}", parameter_text(value)) for value in asked.exclude)
    bounds = (("from", asked.low), ("to", asked.high))
    yield from ((f"{verb}.{name}", parameter_text(value)) for verb, value in bounds if value is not None)
    if asked.unknown:
        yield f"unknown.{name}", asked.unknown
    if asked.every:
        yield f"every.{name}", asked.every


def parameter_text(value: Scalar) -> str:
    """Return a value as the query string writes it; reading it back gives the same value.

    >>> parameter_text(True), parameter_text(2.0), parameter_text(2.5), parameter_text("CT")
    ('true', '2', '2.5', 'CT')
    """
    return str(value).lower() if isinstance(value, bool) else str(value).removesuffix(".0") if isinstance(value, float) else str(value)
