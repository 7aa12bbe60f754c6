"""The normal form of a definition and its hash: two definitions that say the same in other words get the same.

Order of commutative parts, repeated and nested groups, aliases, units, spellings and defaults do not show; titles and
descriptions are no part of it. The bytes are RFC 8785 JSON, and the normal form is itself a definition of the language.
"""

from __future__ import annotations

import hashlib
from typing import Any, assert_never

import rfc8785

from fairlead.cohort.nodes import (
    AllOf,
    AnyOf,
    AtLeastOf,
    CohortRef,
    Compare,
    Definition,
    HasWhere,
    LatestWhere,
    Listed,
    Node,
    NotOf,
    Rule,
    TailIs,
)
from fairlead.records import JsonObject


def normal_form(definition: Definition) -> JsonObject:
    """Return what the definition means, as a JSON document with one spelling."""
    form: JsonObject = {"schemaVersion": "1", "unit": definition.unit.value, "include": normal_node(definition.include)}
    scope = {"centers": list(definition.centers), "projects": list(definition.projects)}
    scope = {key: names for key, names in scope.items() if names}
    rules: dict[str, tuple[Rule, ...]] = {"rules": definition.rules, "exclude": definition.exclude}
    listed = {key: [{"name": rule.name, "where": normal_node(rule.where)} for rule in found] for key, found in rules.items() if found}
    return form | ({"scope": scope} if scope else {}) | listed


def definition_sha256(definition: Definition) -> str:
    """Return the sha256 over the canonical bytes (RFC 8785) of the normal form."""
    return hashlib.sha256(canonical_bytes(normal_form(definition))).hexdigest()


def canonical_bytes(document: Any) -> bytes:
    """Return RFC 8785 JSON."""
    return rfc8785.dumps(document)


def normal_node(node: Node) -> JsonObject:
    """Return one node in the normal form."""
    match node:
        case AllOf(of):
            return _group("all", of)
        case AnyOf(of):
            return _group("any", of)
        case NotOf(of=inner):
            form = normal_node(inner)  # a double negation may only show when what is inside is in its normal form
            denied: JsonObject | None = form.get("not")
            return {"not": form} if denied is None else denied
        case AtLeastOf(count, of):
            return _at_least(count, of)
        case HasWhere():
            amount = {"min": node.minimum} | ({} if node.maximum is None else {"max": node.maximum})
            return {"has": node.grain, "same": node.same, "count": amount, "where": normal_node(node.where)}
        case LatestWhere(where):
            return {"latest": "study", "where": normal_node(where)}
        case TailIs(path, values):
            return {"tail": path, "value": list(values)}
        case Compare():
            return _compare(node)
        case Listed() | CohortRef():
            return {"cohort": node.ref} if isinstance(node, CohortRef) else {"ids": list(node.ids), "reason": node.reason}
        case _:
            assert_never(node)


def _group(key: str, of: tuple[Node, ...]) -> JsonObject:
    parts: dict[bytes, JsonObject] = {}
    for part in of:
        form = normal_node(part)
        for one in form[key] if set(form) == {key} else (form,):
            parts[canonical_bytes(one)] = one
    ordered = [parts[name] for name in sorted(parts)]
    return ordered[0] if len(ordered) == 1 else {key: ordered}


def _at_least(count: int, of: tuple[Node, ...]) -> JsonObject:
    forms = sorted((normal_node(part) for part in of), key=canonical_bytes)
    if len(forms) == count:
        return _group("all", of)
    return _group("any", of) if count == 1 else {"atLeast": count, "of": forms}


def _compare(node: Compare) -> JsonObject:
    form: JsonObject = {"field": node.field, "op": node.op}
    match node.op:
        case "exists" | "missing":
            return form
        case "in" | "between":
            form["value"] = list(node.values)
        case "match":
            form["value"] = " ".join(str(word) for word in node.values)
        case _:
            form["value"] = node.values[0]
    return form | ({"orMissing": True} if node.or_missing else {})
