"""One plain sentence for a definition, in the words of the field catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, assert_never

from fairlead.cohort.nodes import AllOf, AnyOf, AtLeastOf, CohortRef, Compare, Definition, HasWhere, Node, NotOf, Rule
from fairlead.cohort.units import WORDS
from fairlead.extract import FieldCatalogue
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
            text = f"the same {node.same} has {_amount(node)} {things} where {phrase(node.where, catalogue, inner=True)}"
            return f"({text})" if inner else text
        case CohortRef(ref):
            return f"it is in cohort {ref}"
        case Compare():
            return _compare(node, catalogue, verb="is")
        case _:
            assert_never(node)


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
