"""The search of Lens (EUCAIM, BBMRI, DKTK): its tree of AND, OR, XOR and NOT becomes a definition, its answer a protected number.

EUCAIM's catalogue asks for seven facets: gender, age at diagnosis, diagnosis, year of diagnosis, modality, body part and
manufacturer. Of those, diagnosis is not in image headers and cannot be mapped; years are years of the study.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fairlead.errors import CannotMap, InvalidInput
from fairlead.records import JsonObject

FIELDS: Final[Mapping[str, str]] = {
    "gender": "patient.sex",
    "SNOMEDCT263495000": "patient.sex",
    "age": "patient.age_years",
    "age_at_diagnosis": "patient.age_years",
    "SNOMEDCT423493009": "patient.age_years",
    "imaging_modality": "modality",
    "modality": "modality",
    "RID10311": "modality",
    "body_part": "body_part",
    "SNOMEDCT123037004": "body_part",
    "manufacturer": "manufacturer",
    "birnlex_3067": "manufacturer",
    "year_of_diagnosis": "study_date",
    "SNOMEDCT432213005": "study_date",
}
VALUES: Final[Mapping[str, str]] = {
    "RID10321": "CT", "RID10312": "MR", "RID10337": "PT", "RID10326": "US", "RID10345": "CR", "RID10357": "MG",
    "SNOMEDCT248152002": "F", "SNOMEDCT248153007": "M", "female": "F", "male": "M",
    "SNOMEDCT51185008": "SCT:816094009", "SNOMEDCT113345001": "SCT:818981001", "SNOMEDCT12921003": "SCT:816092008",
    "SNOMEDCT76752008": "SCT:76752008", "SNOMEDCT41216001": "SCT:41216001", "SNOMEDCT10200004": "SCT:10200004",
}  # fmt: skip
"""RadLex modalities and SNOMED CT, older codes among them, as PS3.16 has them today."""

MOST_DEPTH: Final = 6


def definition_of(tree: Any) -> JsonObject:
    """Return the definition of a Lens tree; raise CannotMap for a facet that this catalogue does not have, InvalidInput for no tree."""
    return {"schemaVersion": "1", "title": "Lens", "unit": "patient", "include": _node(tree, MOST_DEPTH)}


def _node(given: Any, depth: int) -> JsonObject:
    if not isinstance(given, dict) or depth == 0:
        raise InvalidInput("The search is no tree of Lens.")
    if "children" in given:
        return _branch(given, depth)
    return {"has": "series", "where": _leaf(given)}


def _branch(given: JsonObject, depth: int) -> JsonObject:
    if not isinstance(given["children"], list):
        raise InvalidInput("The children of a search are a list.")
    children = [_node(child, depth - 1) for child in given["children"]]
    if not children:
        return {"field": "kind", "op": "exists"}
    match given.get("operand"):
        case "AND":
            return {"all": children}
        case "OR":
            return {"any": children}
        case "XOR" if len(children) == 2:
            return {"all": [{"any": children}, {"not": {"all": children}}]}
        case "NOT":
            return {"not": {"any": children}}
        case _:
            raise InvalidInput("A branch of a search has the operand AND, OR, NOT, or XOR of two.")


def _leaf(given: JsonObject) -> JsonObject:
    key, kind, value = str(given.get("key")), given.get("type"), given.get("value")
    field = FIELDS.get(key)
    if field is None:
        raise CannotMap(f"This centre has no facet {key[:60]!r}.")
    match kind, value:
        case "EQUALS", str():
            return {"field": field, "op": "=", "value": VALUES.get(value, value)}
        case "NOT_EQUALS", str():
            return {"field": field, "op": "!=", "value": VALUES.get(value, value)}
        case "IN", list() if value:
            return {"field": field, "op": "in", "value": [VALUES.get(str(one), str(one)) for one in value]}
        case "BETWEEN", dict():
            return _between(field, value)
        case _:
            raise InvalidInput("A leaf of a search has a type and a value of Lens.")


def _between(field: str, value: JsonObject) -> JsonObject:
    low, high = value.get("min"), value.get("max")
    bounds = [{"field": field, "op": op, "value": bound} for op, bound in ((">=", low), ("<=", high)) if bound is not None]
    if not bounds:
        raise InvalidInput("BETWEEN has a min or a max.")
    return {"all": bounds} if len(bounds) > 1 else bounds[0]
