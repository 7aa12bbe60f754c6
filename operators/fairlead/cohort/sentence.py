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
from fairlead.cohort.tree import ANNOTATIONS
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
COMPARED_DAYS: Final = {"<": "before", "<=": "on or before", ">": "after", ">=": "on or after"}
MAX_LISTED: Final = 8
GROUP_WORDS: Final[Mapping[str, str]] = {"patient": "patient", "study": "study", "frameOfReference": "same frame of reference"}
COUNTED: Final = {"series": "where", "study": "with a series where", "image": "in series where"}
PLURALS: Final = {"series": "series", "study": "studies", "image": "images", "annotation": "annotations"}
KINDS: Final[Mapping[Scalar, str]] = {"dicom-series": "DICOM series", "ome-image": "OME image"}
EVERYBODY: Final = Compare("kind", "exists")
"""What every record states: a criterion for all of them."""
CLOSED: Final = frozenset({"kind", "plane", "positions", "transfer_syntax", "verdict"})
"""What readers work out in words of their own."""
APART: Final = re.compile(r"\(.*\)| on or ")
"""Where an "or" belongs to no choice that could reach too far."""
DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def sentence(definition: Definition, catalogue: FieldCatalogue) -> str:
    """Return what the definition asks for, as one English sentence."""
    words = _subject(definition, definition.include, catalogue)
    for name, listed in (("centre", definition.centers), ("project", definition.projects)):
        words += f", from {name} {_either(listed)}" if listed else ""
    for rule in definition.rules:
        words += f"; and {_named(rule, catalogue)}"
    for rule in definition.exclude:
        words += f"; except “{rule.name}”: those where {_excluded(rule.where, catalogue)}"
    return words + "."


def public_sentence(definition: Definition, catalogue: FieldCatalogue) -> str:
    """Return the same in words that may be published: field titles, coded and numeric values, and dates.

    Names that people gave (rules, centres, projects, other cohorts) and free text say that they are there, not what they are:
    a rule may be called after a doctor, and words to be matched may be a patient's.
    """
    words = _subject(definition, _without_words(definition.include, catalogue), catalogue)
    for name, listed in (("centres", definition.centers), ("projects", definition.projects)):
        words += f", from {'one' if len(listed) == 1 else len(listed)} of the {name}" if listed else ""
    for rule in definition.rules:
        words += f"; and a named rule: {phrase(_without_words(rule.where, catalogue), catalogue)}"
    for rule in definition.exclude:
        words += f"; except those where {_excluded(_without_words(rule.where, catalogue), catalogue)}"
    return words + "."


def _subject(definition: Definition, include: Node, catalogue: FieldCatalogue) -> str:
    everybody = include == EVERYBODY
    return SUBJECT[definition.unit] + (" of any kind" if everybody else f" where {phrase(include, catalogue)}")


def _excluded(node: Node, catalogue: FieldCatalogue) -> str:
    """Return the words of an exclusion, which also leaves out whom it cannot judge; nobody, where it asks first whether all is stated."""
    compared = [part for part in node.of if isinstance(part, Compare)] if isinstance(node, AllOf) else []
    stated = {part.field for part in compared if part.op == "exists"}
    rest = tuple(part for part in compared if part.op != "exists")
    if isinstance(node, AllOf) and len(compared) == len(node.of) and rest and stated >= {part.field for part in rest}:
        alone = stated - {part.field for part in rest}
        return phrase(AllOf((*(Compare(name, "exists") for name in sorted(alone)), *rest)), catalogue)
    return phrase(node, catalogue) + (
        "" if isinstance(node, Compare) and node.op in ("exists", "missing") else ", or where that is not known"
    )


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
            return _compare(compared, catalogue, verb="is stated but not" if len(compared.values) == 1 else "is stated but none of")
        case NotOf(of=part):
            return f"it is known not to hold that ({phrase(part, catalogue)})"
        case AtLeastOf(count, of):
            return f"at least {count} of these hold: ({'; '.join(phrase(part, catalogue, inner=True) for part in of)})"
        case HasWhere():
            text = f"the {GROUP_WORDS[node.same]} has {_counted(node, catalogue)}"
            return f"({text})" if inner else text
        case LatestWhere(where):
            text = f"it is from the last study day on which the patient has a series where {phrase(where, catalogue, inner=True)}"
            return f"({text})" if inner else text
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


def _amount(node: HasWhere, thing: str) -> str:
    many = PLURALS[thing]
    if node.maximum == 0:
        return f"no {thing}"
    if node.maximum is None:
        return f"at least {node.minimum} {thing if node.minimum == 1 else many}"
    if node.minimum == node.maximum:
        return f"exactly {node.minimum} {thing if node.minimum == 1 else many}"
    return f"{node.minimum} to {node.maximum} {many}"


def _counted(node: HasWhere, catalogue: FieldCatalogue) -> str:
    """Return what is counted; annotations, which are series of some modalities, by their name."""
    if node.grain == "series" and isinstance(node.where, AllOf) and any(map(_is_annotations, node.where.of)):
        rest = tuple(part for part in node.where.of if not _is_annotations(part) and part != EVERYBODY)
        return _amount(node, "annotation") + (f" where {phrase(AllOf(rest), catalogue, inner=True)}" if rest else "")
    return f"{_amount(node, node.grain)} {COUNTED[node.grain]} {phrase(node.where, catalogue, inner=True)}"


def _is_annotations(node: Node) -> bool:
    return (
        isinstance(node, Compare)
        and node.op == "in"
        and not node.or_missing
        and len(node.values) == len(ANNOTATIONS)
        and {str(value).removeprefix("DCM:") for value in node.values} == set(ANNOTATIONS)
    )


def _joined(of: tuple[Node, ...], word: str, catalogue: FieldCatalogue, *, inner: bool) -> str:
    """Return the parts joined; a comma parts those of which one holds an "or" of its own, which would reach too far."""
    texts = [phrase(part, catalogue, inner=True) for part in of]
    apart = word == " and " and any(" or " in APART.sub("", text) for text in texts)
    text = f",{word}".join(texts) if apart else word.join(texts)
    return f"({text})" if inner and len(of) > 1 else text


def _compare(node: Compare, catalogue: FieldCatalogue, *, verb: str) -> str:
    declared = catalogue.get(node.field)
    title = declared.title if declared.title[1:2].isupper() else declared.title[:1].lower() + declared.title[1:]
    shown = [_shown(value, node.field, catalogue) for value in node.values]
    unit = WORDS.get(declared.unit or "", declared.unit or "")
    tail = (f" {unit}" if unit else "") + (" or not stated" if node.or_missing else "")
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
            return f"{title} {verb} {(COMPARED_DAYS if declared.type == 'date' else COMPARED)[node.op]} {shown[0]}{tail}"


def _shown(value: Scalar, field: str, catalogue: FieldCatalogue) -> str:
    return KINDS.get(value, "") if field == "kind" and value in KINDS else label_of(value, catalogue.get(field).vocabulary)


def _either(shown: tuple[str, ...] | list[str]) -> str:
    listed = list(shown[:MAX_LISTED]) + ([f"{len(shown) - MAX_LISTED} more"] if len(shown) > MAX_LISTED else [])
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} or {listed[-1]}"
