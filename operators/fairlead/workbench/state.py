"""The page's state: the filters, the open tab and the version in view, all of it in the query string, so that a link is a cohort.

Parameters: ``in.FIELD=value`` and ``not.FIELD=value`` (repeatable), ``from.FIELD``/``to.FIELD`` for dates and numbers,
``unknown.FIELD=in|out`` for records that do not say, ``every.FIELD=patient|study`` where all values are asked of one patient or
study instead of any of them; ``order=FIELD`` and ``off=FIELD`` (repeatable) for the rules of the funnel; ``tab``, ``page``,
``version=ID@N``; ``against=ID@N`` to compare that version with; ``of=ID@N`` (repeatable) for versions chosen for sets, with
``how`` as a criterion, and ``less=ID@N`` (repeatable) for versions that are taken out; ``draft`` and ``rev`` for the
draft that is being edited and the revision it was opened at; ``seed`` of the sample; ``sort=name`` for values by
name; ``q`` for words to search (never in links).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final, Literal
from urllib.parse import urlencode

from fairlead.errors import InvalidInput, UnknownField
from fairlead.extract import FieldCatalogue
from fairlead.records import Scalar
from fairlead.workbench.cards import Card, CardKind, cards_for

type Unknown = Literal["", "in", "out"]
type Every = Literal["", "patient", "study"]

TABS: Final = ("funnel", "charts", "samples", "table", "compare", "sets")
HOW: Final = ("union", "intersect", "subtract")
SORTS: Final = ("", "name")
MAX_SETS: Final = 8
MAX_NUMBER: Final = 1_000_000_000
MAX_PARAMETERS: Final = 1000
MAX_VALUE_LENGTH: Final = 256
MAX_PAGE: Final = 10_000
VERSION_PATTERN: Final = re.compile(r"[0-9a-f-]{1,64}(@[1-9][0-9]{0,8})?")
DRAFT_PATTERN: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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

    def link(self, *, tab: str | None = None, page: int = 1, version: str | None = None, **changes: Any) -> str:
        """Return a relative link to this state with another tab, page, version or other changes."""
        changed = replace(self, tab=tab or self.tab, page=page, version=self.version if version is None else version, **changes)
        return f"./?{changed.query()}"

    def adding(self, name: str, **changes: Any) -> str:
        """Return a relative link to this state with the filter of one field changed."""
        changed = {**self.filters, name: replace(self.filters.get(name, Filter()), **changes)}
        return f"./?{replace(self, filters=changed, page=1).query()}"

    def without(self, name: str) -> str:
        """Return a relative link to this state without the filter of one field."""
        kept = {other: asked for other, asked in self.filters.items() if other != name}
        return f"./?{replace(self, filters=kept, page=1).query()}"


def read_state(pairs: Iterable[tuple[str, str]], catalogue: FieldCatalogue) -> PageState:
    """Return the state that a query string asks for.

    Raises
    ------
    InvalidQuery : a parameter, tab, version or value that cannot be.
    UnknownField : a field the catalogue does not declare, or that has no card.
    """
    given = list(pairs)
    if len(given) > MAX_PARAMETERS:
        raise InvalidQuery(f"The link has {len(given)} parameters; {MAX_PARAMETERS} are the most.")
    cards = {card.field: card for card in cards_for(catalogue.fields)}
    asked: dict[str, Filter] = {}
    plain: dict[str, str] = dict.fromkeys(PLAIN, "")
    sets: dict[str, tuple[str, ...]] = {"of": (), "less": ()}
    rules: dict[str, list[str]] = {"order": [], "off": []}
    for name, text in given:
        verb, dot, field_id = name.partition(".")
        if dot:
            card = _card(field_id, cards, catalogue)
            asked[card.field] = _extended(asked.get(card.field, Filter()), verb, text, card=card, catalogue=catalogue)
        elif name in sets:
            sets[name] = tuple(dict.fromkeys((*sets[name], _version(text))))
        elif name in rules:
            rules[name].append(_card(text, cards, catalogue).field)
        elif name in PLAIN:
            plain[name] = text
        else:
            raise InvalidQuery(f"This page has no parameter {_shown(name)}.")
    checked = {name: _checked(asked[name], cards[name]) for name in cards if name in asked}
    filters = {name: wanted for name, wanted in checked.items() if wanted}
    if (chosen := len(sets["of"]) + len(sets["less"])) > MAX_SETS:
        raise InvalidQuery(f"{chosen} versions are chosen; {MAX_SETS} are the most.")
    return PageState(
        filters,
        tab=_one_of(plain["tab"] or TABS[0], TABS, "tab"),
        page=_page(plain["page"]),
        version=_version(plain["version"]),
        against=_version(plain["against"]),
        of=sets["of"],
        how=_one_of(plain["how"], HOW, "set operation") if plain["how"] and sets["of"] else "",
        less=sets["less"],
        sort=_one_of(plain["sort"], SORTS, "order of values"),
        draft=_draft(plain["draft"]),
        rev=_number(plain["rev"]),
        seed=_number(plain["seed"]),
        q=plain["q"].strip()[:MAX_VALUE_LENGTH],
        order=_order(rules["order"], filters),
        off=tuple(name for name in filters if name in rules["off"]),
    )


PLAIN: Final = ("tab", "page", "version", "against", "how", "draft", "rev", "seed", "q", "sort")


def _order(asked: Sequence[str], filters: Mapping[str, Filter]) -> tuple[str, ...]:
    """Return every rule once, those that are named first; nothing where that is the order of the cards."""
    named = tuple(dict.fromkeys((*(name for name in asked if name in filters), *filters)))
    return named if named != tuple(filters) else ()


def _card(field_id: str, cards: Mapping[str, Card], catalogue: FieldCatalogue) -> Card:
    declared = catalogue.get(field_id)  # UnknownField names the nearest ones
    if declared.id not in cards:
        raise UnknownField(f"The field {declared.id} is not a facet of this page.", remedy=f"Choose one of: {', '.join(cards)}.")
    return cards[declared.id]


def _extended(asked: Filter, verb: str, text: str, *, card: Card, catalogue: FieldCatalogue) -> Filter:
    text = text.strip()
    if verb == "unknown":
        return replace(asked, unknown=_unknown(text))
    if verb == "every" and card.kind is CardKind.VALUES:
        return replace(asked, every=_every(text))
    if verb in {"from", "to"} and card.kind is not CardKind.VALUES:
        bound = _value(text, catalogue.get(card.field).type) if text else None  # an empty box of a form sets no bound
        return replace(asked, low=bound) if verb == "from" else replace(asked, high=bound)
    if verb in {"in", "not"}:
        value = _value(text, catalogue.get(card.field).type)
        before = asked.include if verb == "in" else asked.exclude
        after = tuple(sorted({*before, value}, key=str))
        return replace(asked, include=after) if verb == "in" else replace(asked, exclude=after)
    raise InvalidQuery(f"{_shown(verb)} cannot be asked of {card.field}.")


def _value(text: str, kind: str) -> Scalar:
    if not text or len(text) > MAX_VALUE_LENGTH or not text.isprintable():
        raise InvalidQuery("A value is empty, too long or holds control characters.")
    try:
        return _typed(text, kind)
    except ValueError as error:
        raise InvalidQuery(f"{_shown(text)} is not of type {kind}.") from error


def _typed(text: str, kind: str) -> Scalar:
    match kind:
        case "integer":
            return int(text)
        case "float":
            if not math.isfinite(number := float(text)):
                raise ValueError(text)
            return number
        case "date":
            return date.fromisoformat(text).isoformat()
        case "boolean":
            if text not in {"true", "false"}:
                raise ValueError(text)
            return text == "true"
        case _:
            return text


def _checked(asked: Filter, card: Card) -> Filter:
    if asked.low is not None and asked.high is not None and asked.low > asked.high:  # type: ignore[operator]  # one field, one type
        raise InvalidQuery(f"{card.title}: the first bound is above the second.", remedy="Exchange the two bounds.")
    if both := set(asked.include) & set(asked.exclude):
        raise InvalidQuery(f"{card.title}: {_shown(str(min(both, key=str)))} is included and excluded.", remedy="Take one of the two away.")
    return replace(asked, every="") if len(asked.include) < 2 else asked


def _unknown(text: str) -> Unknown:
    match text:
        case "in" | "out" | "":
            return text
        case _:
            raise InvalidQuery(f"Unknown values are taken 'in' or left 'out', not {_shown(text)}.")


def _every(text: str) -> Every:
    match text:
        case "patient" | "study" | "":
            return text
        case _:
            raise InvalidQuery(f"All values are asked of one 'patient' or 'study', not of {_shown(text)}.")


def _one_of(text: str, known: tuple[str, ...], what: str) -> str:
    if text not in known:
        raise InvalidQuery(f"There is no {what} {_shown(text)}.", remedy=f"Choose one of: {', '.join(known)}.")
    return text


def _number(text: str) -> int:
    if text and not (text.isascii() and text.isdigit() and int(text[:10]) <= MAX_NUMBER):
        raise InvalidQuery(f"{_shown(text)} is no number this page knows.")
    return int(text) if text else 0


def _draft(text: str) -> str:
    if text and not DRAFT_PATTERN.fullmatch(text):
        raise InvalidQuery(f"{_shown(text)} is no draft.")
    return text


def _page(text: str) -> int:
    if text and not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_PAGE):
        raise InvalidQuery(f"There is no page {_shown(text)} of the table.")
    return int(text) if text else 1


def _version(text: str) -> str:
    if text and not VERSION_PATTERN.fullmatch(text):
        raise InvalidQuery(f"{_shown(text)} is not a cohort version (ID@N).")
    return text


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


def _shown(text: str) -> str:
    return repr(text[:40])
