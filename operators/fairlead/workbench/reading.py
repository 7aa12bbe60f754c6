"""From a query string to the page's state: hostile until every parameter, field and value is checked."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from fairlead.errors import UnknownField
from fairlead.extract import FieldCatalogue
from fairlead.records import Scalar
from fairlead.workbench.cards import Card, CardKind, cards_for
from fairlead.workbench.state import MAX_PARAMETERS, TABS, Every, Filter, InvalidQuery, PageState, Unknown

SORTS: Final = ("", "name")
HOW: Final = ("union", "intersect", "subtract")
MAX_SETS: Final = 8
MAX_NUMBER: Final = 1_000_000_000
MAX_VALUE_LENGTH: Final = 256
MAX_PAGE: Final = 10_000
VERSION_PATTERN: Final = re.compile(r"[0-9a-f-]{1,64}(@[1-9][0-9]{0,8})?")
DRAFT_PATTERN: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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
    find: dict[str, str] = {}
    for name, text in given:
        verb, dot, field_id = name.partition(".")
        if dot:
            card = _card(field_id, cards, catalogue)
            if verb == "find":
                find[card.field] = text.strip()[:MAX_VALUE_LENGTH]
                continue
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
        find={name: text for name, text in find.items() if text and cards[name].kind is CardKind.VALUES},
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


def _shown(text: str) -> str:
    return repr(text[:40])
