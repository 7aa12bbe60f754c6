"""The page's filters as a cohort definition document: what ``{}`` shows, what is counted, what is frozen.

The unit is the series: every filter speaks about one series or image, and the page counts the patients and studies they
belong to. ``include`` holds one criterion for each card in use, ``exclude`` one named rule for each card with excluded values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fairlead.errors import FairleadError
from fairlead.extract import FieldCatalogue
from fairlead.records import Grain, JsonObject
from fairlead.workbench.cards import CARDS
from fairlead.workbench.state import Filter, PageState, parameter_text, read_state

EVERYTHING: JsonObject = {"field": "kind", "op": "exists"}
"""Every record has a kind, so this criterion takes all of them in."""

TITLES: Mapping[str, str] = {card.field: card.title for card in CARDS}


def definition_of(state: PageState, *, title: str = "") -> JsonObject:
    """Return the definition document for the page's filters."""
    criteria = [criterion for name, asked in state.filters.items() for criterion in _criteria(name, asked)]
    exclusions = [rule for name, asked in state.filters.items() for rule in _exclusions(name, asked)]
    document: JsonObject = {
        "schemaVersion": "1",
        "title": title or "Cohort of the Cohorts page",
        "unit": Grain.SERIES.value,
        "include": {"all": criteria or [EVERYTHING]},
    }
    return {**document, "exclude": exclusions} if exclusions else document


def _criteria(name: str, asked: Filter) -> Iterator[JsonObject]:
    missing: JsonObject = {"orMissing": True} if asked.unknown == "in" else {}
    if asked.include:
        yield {"field": name, "op": "in", "value": list(asked.include), **missing}
    if asked.is_range:
        yield {"field": name, **_range(asked), **missing}
    if asked.unknown == "in" and not asked.include and not asked.is_range:
        yield {"field": name, "op": "missing"}
    if asked.unknown == "out" and not asked.include and not asked.is_range:
        yield {"field": name, "op": "exists"}


def _range(asked: Filter) -> JsonObject:
    if asked.low is not None and asked.high is not None:
        return {"op": "between", "value": [asked.low, asked.high]}
    return {"op": ">=", "value": asked.low} if asked.low is not None else {"op": "<=", "value": asked.high}


def _exclusions(name: str, asked: Filter) -> Iterator[JsonObject]:
    if asked.exclude:
        yield {
            "name": f"not {TITLES[name].lower()} {', '.join(map(str, asked.exclude))}"[:200],
            "where": {"field": name, "op": "in", "value": list(asked.exclude)},
        }


def state_of(document: JsonObject, catalogue: FieldCatalogue) -> PageState | None:
    """Return the filters that give this definition, or None when it says more than filters can."""
    try:
        pairs = [pair for node in _leaves(document) for pair in _pairs(node)]
        state = read_state(pairs, catalogue)
    except (FairleadError, KeyError, TypeError, ValueError):
        return None
    same = definition_of(state, title=str(document.get("title", "")))
    return state if _meaning(same) == _meaning(document) else None


def _meaning(document: JsonObject) -> tuple[object, ...]:
    rules = [rule.get("where") for rule in document.get("exclude", ())]
    return document.get("unit"), document.get("include"), rules, document.get("rules") or [], document.get("scope") or {}


def _leaves(document: JsonObject) -> Iterator[JsonObject]:
    yield from (node for node in document["include"]["all"] if node != EVERYTHING)
    yield from ({**rule["where"], "op": "not in"} for rule in document.get("exclude", ()))


def _pairs(node: JsonObject) -> Iterator[tuple[str, str]]:
    name, value = node["field"], node.get("value", ())
    match node["op"]:
        case "in" | "not in":
            yield from ((f"{'in' if node['op'] == 'in' else 'not'}.{name}", parameter_text(one)) for one in value)
        case "between":
            low, high = value
            yield from ((f"from.{name}", parameter_text(low)), (f"to.{name}", parameter_text(high)))
        case ">=":
            yield f"from.{name}", parameter_text(node["value"])
        case "<=":
            yield f"to.{name}", parameter_text(node["value"])
    if node.get("orMissing") or node["op"] in {"missing", "exists"}:
        yield f"unknown.{name}", "out" if node["op"] == "exists" else "in"
