"""FHIR R6 Group from a cohort: definitional (characteristics of persons) from a definition, enumerated (pseudonyms) from a version."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Final

from fairlead.cohort.nodes import Compare, Definition
from fairlead.cohort.persons import Denied, Either, Every, Having, Person, cannot, demands
from fairlead.extract import FieldCatalogue
from fairlead.index import label_of
from fairlead.records import CohortSummary, JsonObject, Scalar

TARGET: Final = "FHIR Group"
FIELDS: Final = "urn:fairlead:field"
PATIENTS: Final = "urn:fairlead:patient"
SYSTEMS: Final[Mapping[str, str]] = {
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "SCT": "http://snomed.info/sct",
    "NCBITaxon": "http://purl.obolibrary.org/obo/ncbitaxon.owl",
    "FBbi": "http://purl.obolibrary.org/obo/fbbi.owl",
}
CURIE: Final = re.compile(r"([A-Za-z]+):(\S{1,100})")
DAY: Final = timedelta(days=1)


def fhir_group(definition: Definition, catalogue: FieldCatalogue) -> JsonObject:
    """Return a definitional Group: ``all-of`` its characteristics, groups within it contained (Group.combinationMethod).

    Raises
    ------
    UnsupportedInput : a rule that characteristics cannot say; it is named.
    """
    writing = _Writing(catalogue)
    told = [writing.characteristic(demand.person, demand.rule) for demand in demands(definition, TARGET, catalogue)]
    group: JsonObject = {**_head("definitional", definition.title), "combinationMethod": "all-of", "characteristic": told}
    return group | ({"contained": writing.contained} if writing.contained else {})


def fhir_members(version: CohortSummary, patients: Iterable[str]) -> JsonObject:
    """Return an enumerated Group of the patients of a frozen version, by their pseudonyms."""
    named = [{"entity": {"type": "Patient", "identifier": {"system": PATIENTS, "value": one}}} for one in sorted(set(patients))]
    told = {"identifier": [{"system": "urn:fairlead:cohort", "value": version.ref}], "quantity": len(named)}
    return {**_head("enumerated", version.title), **told, "description": version.sentence, "member": named}


def _head(membership: str, title: str) -> JsonObject:
    return {"resourceType": "Group", "type": "person", "membership": membership, "name": title}


class _Writing:
    """One Group being written, with the groups that it contains."""

    def __init__(self, catalogue: FieldCatalogue) -> None:
        self._catalogue = catalogue
        self.contained: list[JsonObject] = []

    def characteristic(self, person: Person, rule: str) -> JsonObject:
        """Return what is asked of a person as one characteristic of the group."""
        match person:
            case Having(where, denied=False):
                return self._compared(where, rule)
            case Every(of):
                return self._group([self.characteristic(part, rule) for part in of], rule, "all-of")
            case Either(of, count):
                return self._group([self.characteristic(part, rule) for part in of], rule, "any-of" if count == 1 else "at-least", count)
            case Denied(of=inner):
                return self._excluded(inner, rule)
            case _:
                raise cannot(TARGET, rule, "it takes in those who are known to be otherwise; `exclude` takes in the unknown as well")

    def _excluded(self, inner: Person, rule: str) -> JsonObject:
        if not _always_known(inner):
            raise cannot(TARGET, rule, "what is not stated decides nothing here, and `exclude` takes it in")
        return self.characteristic(inner, rule) | {"exclude": True}

    def _group(self, told: list[JsonObject], rule: str, how: str, count: int = 1) -> JsonObject:
        name = f"g{len(self.contained) + 1}"
        threshold = {"combinationThreshold": count} if how == "at-least" else {}
        head = {"id": name, **_head("definitional", rule)}
        self.contained.append({**head, "combinationMethod": how, **threshold, "characteristic": told})
        return {"code": {"text": rule}, "valueReference": {"reference": f"#{name}"}, "exclude": False}

    def _compared(self, where: Compare, rule: str) -> JsonObject:
        declared = self._catalogue.get(where.field)
        told: JsonObject = {"code": {"coding": [{"system": FIELDS, "code": declared.id, "display": declared.title}]}, "exclude": False}
        if where.op == "in":
            each = [told | _one(value, declared.unit, declared.vocabulary) for value in where.values]
            return each[0] if len(each) == 1 else self._group(each, rule, "any-of")
        if where.op == "exists":
            return told | {"valueBoolean": True, "description": "The field is stated."}
        if declared.type == "date" and where.op in ("<", "<=", ">", ">=", "between"):
            return told | {"valueBoolean": True, "period": _period(where)}
        if where.op == "between":
            low, high = (_quantity(value, declared.unit) for value in where.values)
            return told | {"valueRange": {"low": low, "high": high}}
        if where.op in ("<", "<=", ">", ">="):
            return told | {"valueQuantity": {**_quantity(where.values[0], declared.unit), "comparator": where.op}}
        raise cannot(TARGET, rule, f"a characteristic has no {where.op!r}")


def _always_known(person: Person) -> bool:
    """Return whether nobody is unknown: only presence is never unknown."""
    match person:
        case Having(where):
            return where.op in ("exists", "missing")
        case Denied(of=inner):
            return _always_known(inner)
        case Every(of) | Either(of):
            return all(_always_known(part) for part in of)


def _one(value: Scalar, unit: str | None, vocabulary: str | None) -> JsonObject:
    if isinstance(value, bool):
        return {"valueBoolean": value}
    if isinstance(value, int | float):
        return {"valueQuantity": _quantity(value, unit)}
    found = CURIE.fullmatch(value)
    if found and found[1] in SYSTEMS:
        return {
            "valueCodeableConcept": {"coding": [{"system": SYSTEMS[found[1]], "code": found[2], "display": label_of(value, vocabulary)}]}
        }
    return {"valueCodeableConcept": {"text": value}}


def _quantity(value: Scalar, unit: str | None) -> JsonObject:
    return {"value": value} | ({"unit": unit, "system": "http://unitsofmeasure.org", "code": unit} if unit else {})


def _period(where: Compare) -> JsonObject:
    days = [date.fromisoformat(str(value)) for value in where.values]
    match where.op:
        case "between":
            return {"start": days[0].isoformat(), "end": days[1].isoformat()}
        case ">" | ">=":
            return {"start": (days[0] + (DAY if where.op == ">" else timedelta())).isoformat()}
        case _:
            return {"end": (days[0] - (DAY if where.op == "<" else timedelta())).isoformat()}
