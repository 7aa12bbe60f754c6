"""GA4GH Beacon v2 filters from a definition: a list joined by AND over individuals, and nothing else (Beacon v2.1, Filters)."""

from __future__ import annotations

import re
from typing import Final

from fairlead.cohort.nodes import Definition
from fairlead.cohort.persons import Demand, Every, Having, Person, cannot, demands
from fairlead.extract import FieldCatalogue
from fairlead.records import JsonObject

TARGET: Final = "Beacon"
CURIE: Final = re.compile(r"[A-Za-z][A-Za-z0-9.]*:\S{1,100}")
COMPARED: Final = ("<", "<=", ">", ">=")


def beacon_request(definition: Definition, catalogue: FieldCatalogue) -> JsonObject:
    """Return the body of a request for the number of individuals.

    Raises
    ------
    UnsupportedInput : Beacon cannot say a rule, which is named.
    """
    filters = [one for demand in demands(definition, TARGET, catalogue) for one in _filters(demand, demand.person)]
    return {"meta": {"apiVersion": "2.1"}, "query": {"filters": filters, "requestedGranularity": "count"}}


def _filters(demand: Demand, person: Person) -> list[JsonObject]:
    match person:
        case Every(of):
            return [one for part in of for one in _filters(demand, part)]
        case Having():
            return [_filter(demand, person)]
        case _:
            raise cannot(TARGET, demand.rule, "its filters are joined by AND; there is no OR, NOT or number of them")


def _filter(demand: Demand, having: Having) -> JsonObject:
    where = having.where
    if where.op == "exists" and not having.denied:
        return {"id": where.field, "scope": "individuals"}
    if where.op in COMPARED and not having.denied:
        return {"id": where.field, "operator": where.op, "value": where.values[0], "scope": "individuals"}
    if where.op == "between":
        raise cannot(TARGET, demand.rule, "two bounds are two filters, which two different series may meet")
    if where.op != "in" or len(where.values) != 1:
        raise cannot(TARGET, demand.rule, f"a filter names one value, and the rule says {where.op!r} of {len(where.values)}")
    value = where.values[0]
    if isinstance(value, str) and CURIE.fullmatch(value) and not having.denied:
        return {"id": value, "includeDescendantTerms": False, "scope": "individuals"}
    return {"id": where.field, "operator": "!" if having.denied else "=", "value": value, "scope": "individuals"}
