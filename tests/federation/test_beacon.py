"""Beacon v2 and Lens ask in their own words and get the protected numbers; documents are judged by Beacon's own schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from federation.builders import definition

SCHEMAS = json.loads((Path(__file__).parent / "beacon" / "schemas.json").read_text())["schemas"]
BASE = "https://beacon.test/"
REGISTRY: Any = Registry().with_resources(
    [(BASE + name, Resource.from_contents(schema | {"$id": BASE + name})) for name, schema in SCHEMAS.items()]
)
DOOR = {"hub": "hub-a", "project": "lung", "purpose": "feasibility"}
FEMALE_CT = definition(
    {
        "all": [
            {"has": "series", "where": {"concept": "DCM:CT"}},
            {"has": "series", "where": {"field": "patient.sex", "op": "=", "value": "F"}},
        ]
    }
)


def judged(document: Any, name: str) -> None:
    """Fail when Beacon's schema does not accept the document."""
    validator = Draft202012Validator({"$ref": f"{BASE}responses/{name}.json"}, registry=REGISTRY)
    assert [f"{list(error.absolute_path)}: {error.message}" for error in validator.iter_errors(document)] == []


@pytest.fixture
def networked(open_center):
    """Return a centre that opened both networks."""
    gateway, asker = open_center()
    policy = type(gateway.policy()).model_validate(gateway.policy().model_dump() | {"beacon": DOOR, "lens": DOOR})
    gateway.policy = lambda: policy
    return gateway, asker


def test_every_document_of_the_beacon_is_valid_and_its_number_is_the_gateways(networked):
    _, asker = networked
    get, post = asker.client.get, asker.client.post
    judged(get("/beacon/info").json(), "beaconInfoResponse")
    judged(get("/beacon/filtering_terms").json(), "beaconFilteringTermsResponse")
    judged(get("/beacon/individuals").json(), "beaconCountResponse")
    filters = [{"id": "DCM:CT"}, {"id": "patient.sex", "operator": "=", "value": "F"}]
    counted = post("/beacon/individuals", json={"meta": {}, "query": {"filters": filters, "requestedGranularity": "record"}}).json()
    judged(counted, "beaconCountResponse")
    assert counted["responseSummary"]["numTotalResults"] == asker.count(FEMALE_CT)
    assert counted["meta"]["returnedGranularity"] == "count"
    assert counted["info"]["fairlead"]["plusMinus"] > 0
    exists = post("/beacon/individuals", json={"query": {"filters": filters, "requestedGranularity": "boolean"}}).json()
    judged(exists, "beaconBooleanResponse")
    assert exists["responseSummary"] == {"exists": True}


def test_a_few_and_nobody_are_the_same_to_a_beacon(networked):
    _, asker = networked
    few = [{"id": "model", "operator": "=", "value": "Rare"}, {"id": "manufacturer", "operator": "=", "value": "Maker 3"}]
    none = [few[0], {"id": "manufacturer", "operator": "=", "value": "No Maker"}]
    told = [asker.client.post("/beacon/individuals", json={"query": {"filters": one}}).json()["responseSummary"] for one in (few, none)]
    assert told == [{"exists": False, "numTotalResults": 0}] * 2


@pytest.mark.parametrize(
    ("filters", "status"),
    [
        ([{"id": "model", "operator": "=", "value": "Ra%"}], 422),
        ([{"id": "no.such", "operator": "=", "value": 1}], 400),
        ([{}], 400),
        ([{"id": "DCM:NOPE"}], 422),
    ],
)
def test_a_filter_that_is_not_answered_is_refused_with_its_reason(networked, filters, status):
    _, asker = networked
    response = asker.client.post("/beacon/individuals", json={"query": {"filters": filters}})
    assert response.status_code == status
    assert response.json()["title"]


def test_lens_trees_give_the_protected_number(networked):
    _, asker = networked

    def leaf(key, value):
        return {"key": key, "type": "EQUALS", "system": "", "value": value}

    tree = {
        "operand": "AND",
        "children": [leaf("imaging_modality", "RID10321"), {"operand": "OR", "children": [leaf("gender", "SNOMEDCT248152002")]}],
    }
    answer = asker.client.post("/lens/query", json=tree).json()
    assert answer["totals"]["subjects"] == asker.count(FEMALE_CT)
    unknown = asker.client.post("/lens/query", json={"operand": "AND", "children": [leaf("diagnosis", "C50")]})
    assert (unknown.status_code, unknown.json()["type"]) == (422, "cannot-map")


def test_networks_that_the_policy_does_not_open_do_not_exist(open_center):
    _, asker = open_center()
    assert [asker.client.get(f"/beacon{path}").status_code for path in ("", "/info", "/individuals")] == [404] * 3
    assert asker.client.post("/lens/query", json={}).status_code == 404
