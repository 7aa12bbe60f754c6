"""The leaves of a definition: one criterion each, whose fields, units, terms and dates become the catalogue's on the way."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

from fairlead.cohort.nodes import AnyOf, CohortRef, Compare, Listed, Node, NotOf, Op, TailIs
from fairlead.cohort.values import ACCEPTED, period, scalar, spelling
from fairlead.errors import InvalidDefinition, UnsupportedInput
from fairlead.extract import FieldCatalogue, FieldDeclaration, vocabulary
from fairlead.records import Grain, Scalar

MAX_VALUES: Final = 65_536
MAX_TAILS: Final = 10
"""Values of the long tail in one criterion: the embedded engine looks through documents for each."""
CURIE: Final = re.compile(r"[A-Za-z][A-Za-z0-9.]+:[^\s:]\S*")
RECORD: Final = re.compile(r"[^:\s]{1,64}:[^:\s]{1,64}:[^:\s]{1,128}")
MAX_REASON: Final = 500
COHORT: Final = re.compile(r"([0-9a-f-]{36})@([1-9][0-9]{0,8}|latest)")
TAIL: Final = re.compile(r"(?:dicom|rembi|vendor)/[^*]{1,400}")
CONCEPT_FIELDS: Final = ("modality", "body_part", "organism", "imaging_method")
OPS: Final[Mapping[str, frozenset[str]]] = {
    "keyword": frozenset({"=", "!=", "in", "exists", "missing"}),
    "boolean": frozenset({"=", "!=", "in", "exists", "missing"}),
    "text": frozenset({"match", "exists", "missing"}),
    "integer": frozenset({"=", "!=", "in", "<", "<=", ">", ">=", "between", "exists", "missing"}),
    "float": frozenset({"=", "!=", "in", "<", "<=", ">", ">=", "between", "exists", "missing"}),
    "date": frozenset({"=", "!=", "in", "<", "<=", ">", ">=", "between", "exists", "missing"}),
}


@dataclass(slots=True)
class Reading:
    """What reading a tree needs to know, and how many leaves it has met."""

    catalogue: FieldCatalogue
    unit: Grain
    concept_sets: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    leaves: int = 0


def read_concept(given: Mapping[str, Any], reading: Reading, where: str, depth: int) -> Node:
    """Return a concept, or a set of them, as a comparison of the fields that may hold it."""
    if "concept" in given and "set" in given:
        raise InvalidDefinition(f"At {where}: `concept` and `set` exclude each other.", remedy="Put each in its own, under `any`.")
    if "set" in given and given["set"] not in reading.concept_sets:
        raise InvalidDefinition(f"At {where}.set: conceptSets has no {str(given['set'])[:60]!r}.", remedy="Name one of conceptSets.")
    wanted = reading.concept_sets[given["set"]] if "set" in given else ({**given, "id": given["concept"]},)
    names = (given["field"],) if "field" in given else CONCEPT_FIELDS
    fields = [reading.catalogue.get(str(name)) for name in names]
    covered = [(bool(concept.get("exclude")), _covered(concept, fields, where)) for concept in wanted]
    dropped = {curie for exclude, curies in covered if exclude for curie in curies}
    kept = sorted({curie for exclude, curies in covered if not exclude for curie in curies} - dropped)
    if not kept:
        raise InvalidDefinition(f"At {where}: every concept of the set is excluded.")
    parts = tuple(_compare_in(declared, curies, where) for declared in fields if (curies := _holdable(kept, declared, fields)))
    return parts[0] if len(parts) == 1 else AnyOf(parts)


def _holdable(curies: Sequence[str], declared: FieldDeclaration, among: Sequence[FieldDeclaration]) -> list[str]:
    """Return the concepts to look for in a field: what is known to another one, and not to this, nobody states here."""
    knowing = {curie: [one.id for one in among if _knows(one, curie)] for curie in curies}
    return [curie for curie, fields in knowing.items() if declared.id in fields or not fields]


def _knows(declared: FieldDeclaration, curie: str) -> bool:
    if declared.vocabulary is None:
        return False
    known = vocabulary(declared.vocabulary)
    return curie in known.labels or (known.scheme is not None and known.knows(curie.removeprefix(f"{known.scheme}:")))


def _covered(concept: Mapping[str, Any], fields: Sequence[FieldDeclaration], where: str) -> frozenset[str]:
    """Return the concept, with ``includeDescendantTerms`` also all that lie below it in the vocabularies of the fields."""
    curie = concept["id"]
    if not isinstance(curie, str) or not CURIE.fullmatch(curie):
        raise InvalidDefinition(f"At {where}: {str(curie)[:60]!r} is no CURIE.", remedy="Write PREFIX:CODE, e.g. DCM:CT or SCT:816094009.")
    if not concept.get("includeDescendantTerms"):
        return frozenset({curie})
    found, known = {curie}, curie.startswith("DCM:")  # modality codes have no hierarchy: each covers itself
    for declared in (one for one in fields if one.vocabulary is not None):
        words, own = vocabulary(str(declared.vocabulary)), spelling(declared, curie, where=where)
        if words.children and own in words.labels:
            found, known = found | words.descendants(own), True
    if not known:
        raise UnsupportedInput(
            f"At {where}: descendants of {curie[:60]} are not known; no vocabulary here has it in a hierarchy.",
            remedy="List the concepts, or write `includeDescendantTerms: false`.",
        )
    return frozenset(found)


def _compare_in(declaration: FieldDeclaration, curies: list[str], where: str) -> Compare:
    if declaration.type != "keyword":
        raise InvalidDefinition(f"At {where}: {declaration.id} holds no concepts; it is of type {declaration.type}.")
    return Compare(declaration.id, "in", tuple(sorted({spelling(declaration, curie, where=where) for curie in curies})))


def read_field(given: Mapping[str, Any], reading: Reading, where: str, depth: int) -> Node:
    """Return one comparison of one field."""
    declaration = reading.catalogue.get(str(given["field"]))
    op = given.get("op")
    allowed = OPS[declaration.type]
    if op not in allowed:
        raise InvalidDefinition(
            f"At {where}.op: {str(op)[:20]!r} does not go with {declaration.id}, which is of type {declaration.type}.",
            remedy=f"Use one of: {', '.join(sorted(allowed))}.",
        )
    or_missing = given.get("orMissing", False)
    if not isinstance(or_missing, bool):
        raise InvalidDefinition(f"At {where}.orMissing: true or false is expected.")
    if op in ("exists", "missing"):
        return _presence(declaration, op, given, where)
    if "value" not in given:
        raise InvalidDefinition(f"At {where}: 'value' is missing.", remedy=f"Give {ACCEPTED[declaration.type]}.")
    unit = given.get("unit")
    if unit is not None and (not isinstance(unit, str) or declaration.unit is None):
        raise InvalidDefinition(f"At {where}.unit: {declaration.id} has no unit.", remedy="Leave `unit` out.")
    values = _values(given["value"], op, f"{where}.value")
    if declaration.type == "date":
        return _dates(declaration, op, [period(declaration, value, where=f"{where}.value") for value in values], or_missing=or_missing)
    typed = [scalar(declaration, value, unit=unit, where=f"{where}.value") for value in values]
    return _comparison(declaration, op, typed, or_missing=or_missing, where=where)


def _presence(declaration: FieldDeclaration, op: Literal["exists", "missing"], given: Mapping[str, Any], where: str) -> Node:
    for key in ("value", "unit", "orMissing"):
        if key in given:
            raise InvalidDefinition(f"At {where}: {key!r} does not go with `op: {op}`.", remedy=f"Leave {key!r} out.")
    return Compare(declaration.id, op)


def _values(given: Any, op: str, where: str) -> list[Any]:
    if op not in ("in", "between"):
        if isinstance(given, list | dict):
            raise InvalidDefinition(f"At {where}: one value is expected.", remedy="Use `op: in` for a list of values.")
        return [given]
    if not isinstance(given, list) or not given:
        raise InvalidDefinition(f"At {where}: a list is expected.", remedy=f"E.g. `op: {op}`, `value: [a, b]`.")
    if op == "between" and len(given) != 2:
        raise InvalidDefinition(f"At {where}: lower and upper bound are expected.", remedy="E.g. `value: [40, 75]`.")
    if len(given) > MAX_VALUES:
        raise InvalidDefinition(f"At {where}: more than {MAX_VALUES} values.", remedy="Freeze the list as a cohort and name that.")
    return given


def _comparison(declaration: FieldDeclaration, op: str, values: list[Scalar], *, or_missing: bool, where: str) -> Node:
    match op:
        case "=" | "in":
            return Compare(declaration.id, "in", _sorted(values), or_missing)
        case "!=":
            return _unless(Compare(declaration.id, "in", _sorted(values)), or_missing=or_missing)
        case "match":
            words = tuple(sorted(set(re.findall(r"\w+", str(values[0]).casefold()))))
            if not words or re.search(r"[*?]", str(values[0])):
                raise InvalidDefinition(f"At {where}.value: whole words are expected; there are no wildcards.")
            return Compare(declaration.id, "match", words, or_missing)
        case "between" if values[0] > values[1]:  # type: ignore[operator]  # both are numbers here
            raise InvalidDefinition(f"At {where}.value: the lower bound is above the upper one.")
        case _:
            return Compare(declaration.id, cast("Op", op), tuple(values), or_missing)


def _unless(node: Node, *, or_missing: bool) -> Node:
    if not or_missing:
        return NotOf(node)
    names = {part.field for part in (node.of if isinstance(node, AnyOf) else (node,)) if isinstance(part, Compare)}
    return AnyOf((NotOf(node), *(Compare(name, "missing") for name in sorted(names))))


def _sorted(values: list[Scalar]) -> tuple[Scalar, ...]:
    return tuple(sorted(set(values)))


def _dates(declaration: FieldDeclaration, op: str, periods: list[tuple[str, str]], *, or_missing: bool) -> Node:
    (first, last), name = periods[0], declaration.id
    match op:
        case "<":
            return Compare(name, "<", (first,), or_missing)
        case "<=":
            return Compare(name, "<=", (last,), or_missing)
        case ">":
            return Compare(name, ">", (last,), or_missing)
        case ">=":
            return Compare(name, ">=", (first,), or_missing)
        case "between":
            if first > periods[1][1]:
                raise InvalidDefinition(f"The first date given for {name} is after the second.")
            return Compare(name, "between", (first, periods[1][1]), or_missing)
        case _:
            keep = or_missing and op != "!="
            parts = tuple(Compare(name, "between", one, keep) for one in sorted(set(periods)))
            node: Node = parts[0] if len(parts) == 1 else AnyOf(parts)
            return _unless(node, or_missing=or_missing) if op == "!=" else node


def read_listed(given: Mapping[str, Any], reading: Reading, where: str, depth: int) -> Node:
    """Return a list of records, which says why they were chosen."""
    ids, reason = given["ids"], given.get("reason")
    if not isinstance(ids, list) or not ids or not all(isinstance(one, str) and RECORD.fullmatch(one) for one in ids):
        raise InvalidDefinition(f"At {where}.ids: a list of record ids is expected.", remedy="`fairlead cohort import` makes one of UIDs.")
    if len(ids) > MAX_VALUES:
        raise InvalidDefinition(f"At {where}.ids: more than {MAX_VALUES} ids.", remedy="Freeze parts of the list, and unite them.")
    if not isinstance(reason, str) or not reason.strip() or len(reason) > MAX_REASON:
        raise InvalidDefinition(f"At {where}.reason: a list of ids says why it was chosen, in up to {MAX_REASON} characters.")
    return Listed(tuple(sorted(set(ids))), reason.strip())


def read_cohort(given: Mapping[str, Any], reading: Reading, where: str, depth: int) -> Node:
    """Return the reference to a frozen version, or to the latest one."""
    found = COHORT.fullmatch(str(given["cohort"]))
    try:
        uuid.UUID(found[1] if found else "")
    except ValueError as error:
        raise InvalidDefinition(f"At {where}.cohort: ID@N is expected.", remedy="`fairlead cohort list` shows ids and versions.") from error
    return CohortRef(str(given["cohort"]))


def read_tail(given: Mapping[str, Any], reading: Reading, where: str, depth: int) -> Node:
    """Return a comparison of the long tail."""
    path = given["tail"]
    if not isinstance(path, str) or not TAIL.fullmatch(path):
        raise InvalidDefinition(f"At {where}.tail: an exact path of the long tail is expected.", remedy="E.g. dicom/00181030.")
    values = given.get("value")
    wanted = _values(values, "in" if isinstance(values, list) else "=", f"{where}.value")
    if len(wanted) > MAX_TAILS or not all(isinstance(value, str | int | float) and value != "" for value in wanted):
        raise InvalidDefinition(f"At {where}.value: a text, a number, true or false, or a list of at most {MAX_TAILS} is expected.")
    return TailIs(path, tuple(sorted({str(value).lower() if isinstance(value, bool) else str(value) for value in wanted})))
