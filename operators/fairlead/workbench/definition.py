"""The page's filters as a cohort definition document: what ``{}`` shows, what is counted, what is frozen.

The unit is the series: every filter speaks about one series or image, and the page counts the patients and studies they
belong to. ``include`` holds the criteria of every card in use. A value that is taken out leaves the records that do not say
where they are (``not`` alone would drop them too: truth has three values); the Unknown bucket decides about those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from fairlead.cohort import definition_sha256, parse_definition
from fairlead.errors import FairleadError
from fairlead.extract import FieldCatalogue
from fairlead.index import label_of
from fairlead.records import Grain, JsonObject, Scalar
from fairlead.workbench.cards import CARDS, short_label
from fairlead.workbench.reading import read_state
from fairlead.workbench.state import Filter, PageState, parameter_text

EVERYTHING: Final[Mapping[str, str]] = {"field": "kind", "op": "exists"}
"""Every record has a kind, so this criterion takes all of them in."""

TITLES: Final[Mapping[str, str]] = {card.field: card.title for card in CARDS}
DEFAULT_TITLE: Final = "Cohort of the Cohorts page"
MAX_NAMED: Final = 4


def definition_of(state: PageState, *, title: str = "") -> JsonObject:
    """Return the definition document for the page's filters."""
    criteria = [criterion for name, asked in state.active.items() for criterion in _criteria(name, asked)]
    return _document(title, [*_sets(state), *criteria])


def funnel_of(state: PageState, catalogue: FieldCatalogue) -> JsonObject:
    """Return the same cohort with one named rule for each card, in the order of the funnel: its attrition is the funnel."""
    active = state.active
    rules = [
        {"name": rule_name(name, active[name], catalogue), "where": {"all": list(_criteria(name, active[name]))}}
        for name in state.rules
        if name in active
    ]
    if state.how or state.less:
        words = f"{state.how} of {len(state.of) + len(state.less)}" if state.how else f"without {len(state.less)}"
        rules = [
            {"name": f"Sets: {words} version{'s' if state.how or len(state.less) > 1 else ''}", "where": {"all": _sets(state)}},
            *rules,
        ]
    return {**_document("", []), "rules": rules}


def _sets(state: PageState) -> list[JsonObject]:
    """Return the set operation on the chosen versions; what is subtracted is subtracted from the first, ``less`` from the result."""
    return [*_operation(state), *({"not": {"cohort": ref}} for ref in state.less)]


def _operation(state: PageState) -> list[JsonObject]:
    named: list[JsonObject] = [{"cohort": ref} for ref in state.of]
    match state.how:
        case "union":
            return [{"any": named}]
        case "intersect":
            return named
        case "subtract":
            return [named[0], *({"not": one} for one in named[1:])]
        case _:
            return []


def _document(title: str, criteria: list[JsonObject]) -> JsonObject:
    return {
        "schemaVersion": "1",
        "title": title or DEFAULT_TITLE,
        "unit": Grain.SERIES.value,
        "include": {"all": criteria or [dict(EVERYTHING)]},
    }


def _criteria(name: str, asked: Filter) -> Iterator[JsonObject]:
    missing: JsonObject = {"orMissing": True} if asked.unknown == "in" else {}
    narrowed = bool(asked.include) or asked.is_range
    if asked.include:
        yield {"field": name, "op": "in", "value": list(asked.include), **missing}
    if asked.every and len(asked.include) > 1:
        for value in asked.include:
            yield {"has": "series", "same": asked.every, "where": {"field": name, "op": "in", "value": [value]}}
    if asked.is_range:
        yield {"field": name, **_range(asked), **missing}
    if asked.exclude:
        left: JsonObject = {"not": {"field": name, "op": "in", "value": list(asked.exclude)}}
        keeps_unknown = asked.unknown == "in" or (not asked.unknown and not narrowed)
        yield {"any": [left, {"field": name, "op": "missing"}]} if keeps_unknown else left
    elif asked.unknown and not narrowed:
        yield {"field": name, "op": "missing" if asked.unknown == "in" else "exists"}


def _range(asked: Filter) -> JsonObject:
    if asked.low is not None and asked.high is not None:
        return {"op": "between", "value": [asked.low, asked.high]}
    return {"op": ">=", "value": asked.low} if asked.low is not None else {"op": "<=", "value": asked.high}


def rule_name(name: str, asked: Filter, catalogue: FieldCatalogue) -> str:
    """Return what the funnel calls the filter of one card, such as ``Modality: CT or MR; not SR``."""
    vocabulary = catalogue.get(name).vocabulary
    group = f"all in one {asked.every}: " if asked.every else ""
    words = [group + _listed(asked.include, vocabulary, " and " if asked.every else " or ")] if asked.include else []
    words += [_bounds(asked)] if asked.is_range else []
    words += [f"not {_listed(asked.exclude, vocabulary, ' or ')}"] if asked.exclude else []
    words += {"in": ["unknown too" if words else "unknown only"], "out": ["known only"]}.get(asked.unknown, [])
    return f"{TITLES[name]}: {'; '.join(words)}"[:200]


def _listed(values: tuple[Scalar, ...], vocabulary: str | None, joint: str) -> str:
    shown = [short_label(value, label_of(value, vocabulary)) for value in values[:MAX_NAMED]]
    return joint.join(shown + ([f"{len(values) - MAX_NAMED} more"] if len(values) > MAX_NAMED else []))


def _bounds(asked: Filter) -> str:
    low, high = (None if bound is None else parameter_text(bound) for bound in (asked.low, asked.high))
    if low is not None and high is not None:
        return f"{low} to {high}"
    return f"from {low}" if low is not None else f"up to {high}"


# --- back from a frozen definition to filters -------------------------------------------------------------------------


def state_of(document: JsonObject, catalogue: FieldCatalogue) -> PageState | None:
    """Return the filters that give this definition, or None when it says more than filters can.

    Whether it is the same is decided by the hash of the normal form, so a wrong guess here can never show a wrong cohort.
    """
    try:
        parts = _parts(document["include"])
        pairs = [pair for node in parts if not _is_set(node) for pair in _pairs(node)]
        state = read_state([*pairs, *_set_pairs([node for node in parts if _is_set(node)])], catalogue)
        same = _sha256(definition_of(state), catalogue) == _sha256(document, catalogue)
    except (FairleadError, KeyError, TypeError, ValueError):
        return None
    return state if same else None


def _sha256(document: JsonObject, catalogue: FieldCatalogue) -> str:
    return definition_sha256(parse_definition({"title": DEFAULT_TITLE, **document}, catalogue))


def _parts(include: JsonObject) -> list[JsonObject]:
    parts: list[JsonObject] = include.get("all", [include])
    return [part for part in parts if part != EVERYTHING]


def _is_set(node: JsonObject) -> bool:
    inner = node.get("not", node)
    return "cohort" in inner or ("any" in node and all("cohort" in part for part in node["any"]))


def _set_pairs(nodes: list[JsonObject]) -> list[tuple[str, str]]:
    """Return the versions and the operation that :func:`_sets` makes these criteria of."""
    if not nodes:
        return []
    taken = [node["not"]["cohort"] for node in nodes if "not" in node]
    if "any" in nodes[0]:
        return [("how", "union"), *(("of", part["cohort"]) for part in nodes[0]["any"]), *(("less", ref) for ref in taken)]
    kept = [node["cohort"] for node in nodes if "cohort" in node]
    if not kept:
        return [("less", ref) for ref in taken]
    if len(kept) == 1 and taken:
        return [("how", "subtract"), *(("of", ref) for ref in (*kept, *taken))]
    return [("how", "intersect"), *(("of", ref) for ref in kept), *(("less", ref) for ref in taken)]


def _pairs(node: JsonObject) -> Iterator[tuple[str, str]]:
    if "any" in node:
        [inner] = [part["not"] for part in node["any"] if "not" in part]  # anything else is no filter: ValueError
        yield from ((f"not.{inner['field']}", parameter_text(value)) for value in inner["value"])
        return
    if "has" in node:
        yield f"every.{node['where']['field']}", node["same"]
        return
    if "not" in node:
        inner = node["not"]
        yield from ((f"not.{inner['field']}", parameter_text(value)) for value in inner["value"])
        yield f"unknown.{inner['field']}", "out"
        return
    yield from _leaf(node["field"], node)


def _leaf(name: str, node: JsonObject) -> Iterator[tuple[str, str]]:
    match node["op"]:
        case "in":
            yield from ((f"in.{name}", parameter_text(value)) for value in node["value"])
        case "between":
            low, high = node["value"]
            yield from ((f"from.{name}", parameter_text(low)), (f"to.{name}", parameter_text(high)))
        case ">=" | "<=":
            yield f"{'from' if node['op'] == '>=' else 'to'}.{name}", parameter_text(node["value"])
        case "missing" | "exists":
            yield f"unknown.{name}", "in" if node["op"] == "missing" else "out"
    if node.get("orMissing"):
        yield f"unknown.{name}", "in"
