"""One plain sentence for a definition, in the words of the field catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, assert_never

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
from fairlead.cohort.units import WORDS
from fairlead.extract import FieldCatalogue, vocabulary
from fairlead.index import label_of
from fairlead.records import Grain, Scalar

SUBJECT: Final[Mapping[Grain, str]] = {
    Grain.PATIENT: "Patients with series",
    Grain.STUDY: "Studies with series",
    Grain.SERIES: "Series",
    Grain.IMAGE: "Images of series",
}
COMPARED: Final = {"<": "below", "<=": "at most", ">": "above", ">=": "at least"}
MAX_LISTED: Final = 5
GROUP_WORDS: Final[Mapping[str, str]] = {"patient": "patient", "study": "study", "frameOfReference": "frame of reference"}
CLOSED: Final = frozenset({"kind", "plane", "positions", "transfer_syntax", "verdict"})
"""What readers work out in words of their own."""
DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def sentence(definition: Definition, catalogue: FieldCatalogue) -> str:
    """Return what the definition asks for, as one English sentence."""
    words = f"{SUBJECT[definition.unit]} where {phrase(definition.include, catalogue)}"
    for name, listed in (("centre", definition.centers), ("project", definition.projects)):
        words += f", from {name} {_either(listed)}" if listed else ""
    for rule in definition.rules:
        words += f"; and {_named(rule, catalogue)}"
    for rule in definition.exclude:
        words += f"; except “{rule.name}”: those where {phrase(rule.where, catalogue)}, or where that is not known"
    return words + "."


def public_sentence(definition: Definition, catalogue: FieldCatalogue) -> str:
    """Return the same in words that may be published: field titles, coded and numeric values, and dates.

    Names that people gave (rules, centres, projects, other cohorts) and free text say that they are there, not what they are:
    a rule may be called after a doctor, and words to be matched may be a patient's.
    """
    words = f"{SUBJECT[definition.unit]} where {phrase(_without_words(definition.include, catalogue), catalogue)}"
    for name, listed in (("centres", definition.centers), ("projects", definition.projects)):
        words += f", from {'one' if len(listed) == 1 else len(listed)} of the {name}" if listed else ""
    for rule in definition.rules:
        words += f"; and a named rule: {phrase(_without_words(rule.where, catalogue), catalogue)}"
    for rule in definition.exclude:
        words += f"; except those where {phrase(_without_words(rule.where, catalogue), catalogue)}, or where that is not known"
    return words + "."


def _without_words(node: Node, catalogue: FieldCatalogue) -> Node:
    """Return the tree with a mark in the place of every value that somebody wrote freely."""
    match node:
        case AllOf(of) | AnyOf(of):
            return replace(node, of=tuple(_without_words(part, catalogue) for part in of))
        case AtLeastOf(_, of):
            return replace(node, of=tuple(_without_words(part, catalogue) for part in of))
        case NotOf(part):
            return replace(node, of=_without_words(part, catalogue))
        case HasWhere() | LatestWhere():
            return replace(node, where=_without_words(node.where, catalogue))
        case Listed():
            return replace(node, reason="a given reason")
        case CohortRef():
            return CohortRef("of this installation")
        case TailIs():
            return TailIs("a given place", ("a given text",))
        case Compare(op="match"):
            return Compare(node.field, "in", ("a text match",), node.or_missing)
        case Compare():
            kept = tuple(value for value in node.values if _is_coded(value, node.field, catalogue))
            hidden = len(node.values) - len(kept)
            marks = ("a given text" if hidden == 1 else f"{hidden} given texts",) if hidden else ()
            return replace(node, values=(*kept, *marks))


def _is_coded(value: Scalar, field: str, catalogue: FieldCatalogue) -> bool:
    declared = catalogue.get(field)
    if declared.type in ("integer", "float", "boolean") or (declared.type == "date" and DATE.fullmatch(str(value))):
        return True
    return (
        declared.source.derived in CLOSED
        or label_of(value, declared.vocabulary) != str(value)
        or (declared.vocabulary is not None and str(value) in vocabulary(declared.vocabulary).labels)
    )


def _named(rule: Rule, catalogue: FieldCatalogue) -> str:
    return f"“{rule.name}”: {phrase(rule.where, catalogue)}"


def phrase(node: Node, catalogue: FieldCatalogue, *, inner: bool = False) -> str:
    """Return the words of one node, in brackets where it is a group inside a group."""
    match node:
        case AllOf(of):
            return _joined(of, " and ", catalogue, inner=inner)
        case AnyOf(of):
            return _joined(of, " or ", catalogue, inner=inner)
        case NotOf(of=Compare(op="in") as compared):
            return _compare(compared, catalogue, verb="is stated and not")
        case NotOf(of=part):
            return f"it is known that not ({phrase(part, catalogue)})"
        case AtLeastOf(count, of):
            return f"at least {count} of these hold: ({'; '.join(phrase(part, catalogue, inner=True) for part in of)})"
        case HasWhere():
            things = {"series": "series", "study": "studies", "image": "images"}[node.grain]
            text = f"the same {GROUP_WORDS[node.same]} has {_amount(node)} {things} where {phrase(node.where, catalogue, inner=True)}"
            return f"({text})" if inner else text
        case LatestWhere(where):
            return f"it is of the patient's last day of studies where {phrase(where, catalogue, inner=True)}"
        case CohortRef() | TailIs() | Listed():
            return _beyond_fields(node)
        case Compare():
            return _compare(node, catalogue, verb="is")
        case _:
            assert_never(node)


def _beyond_fields(node: CohortRef | TailIs | Listed) -> str:
    if isinstance(node, Listed):
        return f"it is one of {len(node.ids)} listed series ({node.reason})"
    if isinstance(node, CohortRef):
        return f"it is in cohort {node.ref}"
    return f"its header states {_either(node.values)} under {node.path}"


def _amount(node: HasWhere) -> str:
    if node.maximum == 0:
        return "no"
    if node.maximum is None:
        return f"at least {node.minimum}"
    return f"exactly {node.minimum}" if node.minimum == node.maximum else f"{node.minimum} to {node.maximum}"


def _joined(of: tuple[Node, ...], word: str, catalogue: FieldCatalogue, *, inner: bool) -> str:
    text = word.join(phrase(part, catalogue, inner=True) for part in of)
    return f"({text})" if inner and len(of) > 1 else text


def _compare(node: Compare, catalogue: FieldCatalogue, *, verb: str) -> str:
    declared = catalogue.get(node.field)
    title = declared.title if declared.title[1:2].isupper() else declared.title[:1].lower() + declared.title[1:]
    shown = [_shown(value, node.field, catalogue) for value in node.values]
    unit = WORDS.get(declared.unit or "", declared.unit or "")
    tail = (f" {unit}" if unit else "") + (" or is not stated" if node.or_missing else "")
    match node.op:
        case "exists":
            return f"{title} is stated"
        case "missing":
            return f"{title} is not stated"
        case "match":
            return f"{title} has the words “{' '.join(shown)}”{tail}"
        case "in":
            return f"{title} {verb} {_either(shown)}{tail}"
        case "between":
            return f"{title} {verb} {' to '.join(dict.fromkeys(shown))}{tail}"
        case _:
            return f"{title} {verb} {COMPARED[node.op]} {shown[0]}{tail}"


def _shown(value: Scalar, field: str, catalogue: FieldCatalogue) -> str:
    return label_of(value, catalogue.get(field).vocabulary)


def _either(shown: tuple[str, ...] | list[str]) -> str:
    listed = list(shown[:MAX_LISTED]) + ([f"{len(shown) - MAX_LISTED} more"] if len(shown) > MAX_LISTED else [])
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} or {listed[-1]}"
