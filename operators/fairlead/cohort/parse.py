"""From a submitted document to a :class:`Definition`: every refusal names the place, what is wrong there, and what would be right."""

from __future__ import annotations

import difflib
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

from fairlead.cohort.leaves import Reading
from fairlead.cohort.nodes import Definition, Node, Rule
from fairlead.cohort.texts import MAX_NAME, is_broken
from fairlead.cohort.tree import read_node
from fairlead.errors import InvalidDefinition
from fairlead.extract import FieldCatalogue
from fairlead.records import Grain

TOP_KEYS: Final = (
    *("schemaVersion", "id", "version", "parent", "title", "description", "purpose", "unit", "scope"),
    *("vocabularies", "conceptSets", "include", "exclude", "rules"),
)
REQUIRED: Final = ("schemaVersion", "title", "unit", "include")
PARENT: Final = re.compile(r"sha256:[0-9a-f]{64}")


def parse_definition(document: Mapping[str, Any], catalogue: FieldCatalogue) -> Definition:
    """Return the definition, checked against the language and the field catalogue.

    Raises
    ------
    InvalidDefinition : the document breaks the language or its meaning; UnknownField : a field is not declared;
    UnsupportedInput : the language allows it, this version does not do it.
    """
    check_keys(document, TOP_KEYS, where="the definition", required=REQUIRED)
    if is_broken(document):
        raise InvalidDefinition("The definition holds a control character or half of a character.", remedy="Write that text anew.")
    if str(document["schemaVersion"]) != "1":
        raise InvalidDefinition("At schemaVersion: only version 1 is known.", remedy='Write `schemaVersion: "1"`.')
    reading = Reading(catalogue, _unit(document["unit"]), _concept_sets(document.get("conceptSets", {})))
    scope = document.get("scope", {})
    check_keys(scope, ("centers", "projects"), where="scope")
    identity, version, parent = _identity(document)
    definition = Definition(
        title=_text(document["title"], "title", maximum=MAX_NAME),
        unit=reading.unit,
        include=read_node(document["include"], reading, where="include"),
        rules=_rules(document.get("rules", ()), reading, where="rules"),
        exclude=_rules(document.get("exclude", ()), reading, where="exclude"),
        centers=_names(scope.get("centers", ()), "scope.centers"),
        projects=_names(scope.get("projects", ()), "scope.projects"),
        id=identity,
        version=version,
        parent=parent,
        description=_text(document.get("description", ""), "description", empty=True),
        purpose=_text(document.get("purpose", ""), "purpose", empty=True),
    )
    _unique_names((*definition.rules, *definition.exclude))
    return definition


def check_keys(document: Any, allowed: tuple[str, ...], *, where: str, required: Iterable[str] = ()) -> None:
    """Refuse what is no mapping, has unknown keys (with the nearest known ones) or lacks a required one."""
    if not isinstance(document, Mapping):
        raise InvalidDefinition(f"At {where}: a mapping is expected.", remedy=f"Its keys: {', '.join(allowed)}.")
    for key in document:
        if key not in allowed:
            close = difflib.get_close_matches(str(key), allowed, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known here: {', '.join(allowed)}."
            raise InvalidDefinition(f"At {where}: {str(key)[:60]!r} is not a key of the language.", remedy=hint)
    for key in required:
        if key not in document:
            raise InvalidDefinition(f"At {where}: {key!r} is missing.", remedy="See docs/cohorts.md and the examples in configs/cohorts/.")


def _text(given: Any, where: str, *, maximum: int = 10_000, empty: bool = False) -> str:
    if not isinstance(given, str) or len(given) > maximum or not (empty or given.strip()):
        raise InvalidDefinition(f"At {where}: a text of {0 if empty else 1} to {maximum} characters is expected.")
    return given.strip()


def _unit(given: Any) -> Grain:
    if given not in list(Grain):
        raise InvalidDefinition(f"At unit: {str(given)[:40]!r} cannot be counted.", remedy=f"Use one of: {', '.join(Grain)}.")
    return Grain(given)


def _identity(document: Mapping[str, Any]) -> tuple[str | None, int | None, str | None]:
    identity, version, parent = (document.get(key) for key in ("id", "version", "parent"))
    if identity is not None:
        try:
            identity = str(uuid.UUID(identity))
        except (ValueError, AttributeError, TypeError) as error:
            raise InvalidDefinition("At id: a UUID is expected.", remedy="Leave `id` out; freezing gives one.") from error
    if version is not None and (isinstance(version, bool) or not isinstance(version, int) or version < 1):
        raise InvalidDefinition("At version: a number from 1 is expected.", remedy="Leave `version` out; freezing gives one.")
    if parent is not None and not (isinstance(parent, str) and PARENT.fullmatch(parent)):
        raise InvalidDefinition("At parent: `sha256:` and 64 hexadecimal digits are expected.", remedy="Leave `parent` out.")
    if version is not None and version > 1 and parent is None:
        raise InvalidDefinition("At version: a version above 1 names its parent.", remedy="Leave `version` out; freezing gives one.")
    return identity, version, parent


def _names(given: Any, where: str) -> tuple[str, ...]:
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) and name for name in given):
        raise InvalidDefinition(f"At {where}: a list of names is expected.")
    return tuple(sorted(set(given)))


def _rules(given: Any, reading: Reading, *, where: str) -> tuple[Rule, ...]:
    if not isinstance(given, list | tuple):
        raise InvalidDefinition(f"At {where}: a list of named rules is expected.", remedy="Each has `name` and `where`.")
    return tuple(_rule(rule, reading, where=f"{where}[{number}]") for number, rule in enumerate(given))


def _rule(given: Any, reading: Reading, *, where: str) -> Rule:
    check_keys(given, ("name", "where"), where=where, required=("name", "where"))
    node: Node = read_node(given["where"], reading, where=f"{where}.where")
    return Rule(_text(given["name"], f"{where}.name", maximum=MAX_NAME), node)


def _unique_names(rules: tuple[Rule, ...]) -> None:
    seen: set[str] = set()
    for rule in rules:
        if rule.name in seen:
            raise InvalidDefinition(f"Two rules are called {rule.name!r}.", remedy="Attrition needs a name for each.")
        seen.add(rule.name)


def _concept_sets(given: Any) -> dict[str, tuple[Mapping[str, Any], ...]]:
    if not isinstance(given, Mapping):
        raise InvalidDefinition("At conceptSets: a mapping from name to list of concepts is expected.")
    for name, concepts in given.items():
        if not isinstance(concepts, list) or not concepts:
            raise InvalidDefinition(f"At conceptSets.{str(name)[:60]}: a list with at least one concept is expected.")
        for number, concept in enumerate(concepts):
            allowed = ("id", "label", "includeDescendantTerms", "exclude")
            check_keys(concept, allowed, where=f"conceptSets.{str(name)[:60]}[{number}]", required=("id",))
    return {str(name): tuple(concepts) for name, concepts in given.items()}
