"""GA4GH Beacon v2 (2.1): ``/info``, ``/filtering_terms`` and ``/individuals`` with count granularity, all giving protected numbers.

A beacon speaks for a hub: its clients sign nothing, so the centre names in its policy under which hub and project beacon
questions count. Filters are joined by AND and nothing else (Beacon v2, Filters); what AND cannot say is refused, not guessed.
Beacon has no field for uncertainty, so ± and threshold stand in ``info``, outside the specification's own part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from fairlead.errors import InvalidInput, UnsupportedInput
from fairlead.extract import FieldCatalogue, FieldDeclaration, filtering_terms, vocabulary
from fairlead.federation.gateway import Gateway
from fairlead.records import JsonObject

API: Final = "v2.1.0"
ENTITY: Final = "individual"
SCHEMA: Final = "https://github.com/ga4gh-beacon/beacon-v2/blob/main/models/json/beacon-v2-default-model/individuals/defaultSchema.json"
OPERATORS: Final[Mapping[str, str]] = {"=": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!": "!="}
MOST_FILTERS: Final = 20
CURIE: Final = re.compile(r"[A-Za-z][A-Za-z0-9.]*:\S{1,100}")


def beacon_id(gateway: Gateway) -> str:
    """Return the beacon's id."""
    return f"org.fairlead.{gateway.center}"


def info_of(gateway: Gateway, url: str) -> JsonObject:
    """Return the document of ``/info``."""
    organization = {"id": gateway.center, "name": gateway.center}
    response = {
        "id": beacon_id(gateway),
        "name": f"Beacon of {gateway.center}",
        "apiVersion": API,
        "environment": "prod",
        "organization": organization,
        "description": "Counts of patients with medical images, protected by the centre's policy.",
        "welcomeUrl": url or "http://localhost",
        "info": {"policy": gateway.policy().version, "policySha256": gateway.policy().sha256},
    }
    return {"meta": _informational(gateway), "response": response}


def terms_of(gateway: Gateway) -> JsonObject:
    """Return the document of ``/filtering_terms``: the fields of the catalogue that may be asked about, and their terms."""
    return {"meta": _informational(gateway), "response": filtering_terms(gateway.catalogue)}


def _informational(gateway: Gateway) -> JsonObject:
    return {"beaconId": beacon_id(gateway), "apiVersion": API, "returnedSchemas": [{"entityType": ENTITY, "schema": SCHEMA}]}


def definition_of(filters: list[Any], catalogue: FieldCatalogue) -> JsonObject:
    """Return the definition that Beacon filters mean.

    Raises
    ------
    InvalidInput : a filter is none of Beacon's; UnsupportedInput : it is one that is not answered here.
    """
    if len(filters) > MOST_FILTERS:
        raise UnsupportedInput(f"More than {MOST_FILTERS} filters.")
    criteria = [_criterion(one, catalogue) for one in filters] or [{"field": "kind", "op": "exists"}]
    return {"schemaVersion": "1", "title": "Beacon", "unit": "patient", "include": {"all": criteria}}


def _criterion(given: Any, catalogue: FieldCatalogue) -> JsonObject:
    if isinstance(given, str):
        given = {"id": given}
    if not isinstance(given, dict) or not isinstance(given.get("id"), str):
        raise InvalidInput("A filter has an id.")
    if "operator" in given or "value" in given:
        return _alphanumeric(given, catalogue)
    if CURIE.fullmatch(given["id"]):
        return _ontology(given, catalogue)
    return {"has": "series", "where": {"field": given["id"], "op": "exists"}}


def _alphanumeric(given: JsonObject, catalogue: FieldCatalogue) -> JsonObject:
    operator, value = str(given.get("operator", "=")), given.get("value")
    if operator not in OPERATORS or not isinstance(value, str | int | float):
        raise InvalidInput("An alphanumeric filter has an operator of Beacon's and a value.")
    if isinstance(value, str) and "%" in value:
        raise UnsupportedInput("Filters with % are not answered here.", remedy="Name the value; /filtering_terms lists the fields.")
    field = catalogue.get(given["id"])
    return {"has": "series", "where": {"field": field.id, "op": OPERATORS[operator], "value": _typed(field, value)}}


def _typed(field: FieldDeclaration, value: str | float) -> str | float:
    """Return the value as the field's type: Beacon clients send numbers as text as well."""
    if field.type not in ("integer", "float") or not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError as error:
        raise InvalidInput(f"The field {field.id} takes a number.") from error


def _ontology(given: JsonObject, catalogue: FieldCatalogue) -> JsonObject:
    if given.get("similarity") not in (None, "exact"):
        raise UnsupportedInput("Filters by similarity are not answered here.", remedy="Leave `similarity` out.")
    curie = given["id"]
    fields = [one.id for one in catalogue.fields.values() if one.vocabulary and curie in vocabulary(one.vocabulary).labels]
    if not fields:
        raise UnsupportedInput("The term is in no vocabulary of this centre.", remedy="/filtering_terms lists the terms.")
    below = given.get("includeDescendantTerms", True)
    return {"has": "series", "where": {"any": [{"concept": curie, "field": one, "includeDescendantTerms": bool(below)} for one in fields]}}


def read_request(document: Any) -> tuple[list[Any], str]:
    """Return the filters and the granularity of a request body; raise InvalidInput for what is no Beacon request."""
    if not isinstance(document, dict):
        raise InvalidInput("A Beacon request is a JSON object.")
    query = document.get("query") or {}
    if not isinstance(query, dict):
        raise InvalidInput("The query of a Beacon request is an object.")
    filters, granularity = query.get("filters") or [], query.get("requestedGranularity") or "count"
    if not isinstance(filters, list) or granularity not in ("boolean", "count", "record"):
        raise InvalidInput("A Beacon query has a list of filters and a granularity of Beacon's.")
    if query.get("requestParameters"):
        raise UnsupportedInput("Request parameters of genomic variants are not answered here.")
    return filters, granularity


def response_of(gateway: Gateway, answer: JsonObject, *, filters: list[Any], granularity: str) -> JsonObject:
    """Return the response to a query; ``record`` is answered as ``count``, and says so.

    A number below the threshold is no number: ``exists`` is false, as it is for nobody.
    """
    patients = answer["patients"]
    wanted = "boolean" if granularity == "boolean" else "count"
    summary: JsonObject = {"exists": bool(patients)}
    summary |= {} if wanted == "boolean" else {"numTotalResults": patients or 0}
    received = {
        "apiVersion": API,
        "requestedSchemas": [{"entityType": ENTITY, "schema": SCHEMA}],
        "pagination": {"skip": 0, "limit": 0},
        "requestedGranularity": granularity,
        "filters": [one if isinstance(one, str) else str(one["id"]) for one in filters],  # the schema has texts here
    }
    said = {"plusMinus": answer["plus_minus"], "policy": answer["policy"], "below": answer.get("below")}
    return {
        "meta": {**_informational(gateway), "returnedGranularity": wanted, "receivedRequestSummary": received},
        "responseSummary": summary,
        "info": {"fairlead": {key: value for key, value in said.items() if value is not None}},
    }
