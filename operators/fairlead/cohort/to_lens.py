"""The search tree of Lens (EUCAIM, BBMRI, DKTK) from a definition: AND, OR and NOT over the facets that those catalogues have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fairlead.cohort.nodes import Compare, Definition
from fairlead.cohort.persons import Denied, Either, Every, Having, Person, cannot, demands
from fairlead.extract import FieldCatalogue
from fairlead.records import JsonObject, Scalar

TARGET: Final = "Lens"
KEYS: Final[Mapping[str, str]] = {
    "patient.sex": "SNOMEDCT263495000",
    "patient.age_years": "SNOMEDCT423493009",
    "modality": "RID10311",
    "body_part": "SNOMEDCT123037004",
    "manufacturer": "birnlex_3067",
}
"""Our field -> the facet of EUCAIM's catalogue."""

VALUES: Final[Mapping[str, str]] = {
    "DCM:CT": "RID10321", "DCM:MR": "RID10312", "DCM:PT": "RID10337", "DCM:US": "RID10326", "DCM:CR": "RID10345", "DCM:MG": "RID10357",
    "F": "SNOMEDCT248152002", "M": "SNOMEDCT248153007",
    "SCT:816094009": "SNOMEDCT51185008", "SCT:818981001": "SNOMEDCT113345001", "SCT:816092008": "SNOMEDCT12921003",
    "SCT:76752008": "SNOMEDCT76752008", "SCT:41216001": "SNOMEDCT41216001", "SCT:10200004": "SNOMEDCT10200004",
}  # fmt: skip
"""RadLex and SNOMED CT as EUCAIM writes them (older body regions among them); what is not here goes as it is."""


def lens_tree(definition: Definition, catalogue: FieldCatalogue) -> JsonObject:
    """Return the tree of a search.

    Raises
    ------
    UnsupportedInput : the catalogue has no facet for a field, or the tree no words for a rule; the rule is named.
    """
    return _branch("AND", [_node(demand.person, demand.rule) for demand in demands(definition, TARGET, catalogue)])


def _branch(operand: str, children: list[JsonObject]) -> JsonObject:
    return {"operand": operand, "children": children}


def _node(person: Person, rule: str) -> JsonObject:
    match person:
        case Having():
            return _leaf(person, rule)
        case Every(of):
            return _branch("AND", [_node(part, rule) for part in of])
        case Either(of, count=1):
            return _branch("OR", [_node(part, rule) for part in of])
        case Denied(of=inner):
            return _branch("NOT", [_node(inner, rule)])
        case _:
            raise cannot(TARGET, rule, "it has no 'at least n of'")


def _leaf(having: Having, rule: str) -> JsonObject:
    where = having.where
    key = KEYS.get(where.field)
    if key is None:
        raise cannot(TARGET, rule, f"its catalogue has no facet for {where.field}")
    leaf: JsonObject = {"key": key, "system": ""}
    if where.op == "in" and not having.denied:
        values = [_value(value) for value in where.values]
        return leaf | ({"type": "EQUALS", "value": values[0]} if len(values) == 1 else {"type": "IN", "value": values})
    if where.op == "in" and len(where.values) == 1:
        return leaf | {"type": "NOT_EQUALS", "value": _value(where.values[0])}
    if where.op in ("between", ">=", "<=") and not having.denied:
        return leaf | {"type": "BETWEEN", "value": _bounds(where)}
    raise cannot(TARGET, rule, f"a leaf equals, is one of, or lies between; the rule says {where.op!r}")


def _value(value: Scalar) -> str:
    return VALUES.get(str(value), str(value))


def _bounds(where: Compare) -> JsonObject:
    if where.op == "between":
        return {"min": where.values[0], "max": where.values[1]}
    return {"min" if where.op == ">=" else "max": where.values[0]}
