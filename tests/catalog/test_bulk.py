"""Many records in one request: each as checked as a single one, and all of them or none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, text

from catalog.conftest import TestClient
from catalog.test_write_api import a_catalog, a_dataset

type Bearer = Callable[..., dict[str, str]]


def bundle(*bodies: str, publish: bool = False, kind: str = "dataset") -> dict[str, object]:
    """Return a bundle of Turtle records."""
    return {"publish": publish, "records": [{"kind": kind, "body": body} for body in bodies]}


def found(client: TestClient, word: str) -> list[str]:
    """Return the addresses that a search finds."""
    return [hit["uri"] for hit in client.get("/search", params={"q": word}).json()]


def test_a_bundle_is_stored_in_order_and_published_when_asked(client: TestClient, bearer: Bearer):
    answer = client.post(
        "/bulk", json=bundle(*(a_dataset(title=f"Bees {n}") for n in range(3)), publish=True), headers=bearer("root@example.org")
    )
    assert (answer.status_code, answer.json()["state"]) == (201, "PUBLISHED")
    created = answer.json()["created"]
    assert [client.get(iri).text.count(f'"Bees {n}"') > 0 for n, iri in enumerate(created)] == [True] * 3
    assert sorted(found(client, "bees")) == sorted(created)
    assert client.delete(created[0], headers=bearer("root@example.org")).status_code == 204
    assert client.get(created[0]).status_code == 410


def test_drafts_of_a_bundle_are_nobody_elses(client: TestClient, bearer: Bearer):
    (iri,) = client.post("/bulk", json=bundle(a_dataset()), headers=bearer()).json()["created"]
    assert [client.get(iri, headers=who).status_code for who in ({}, bearer("bob@example.org"), bearer())] == [404, 404, 200]
    assert found(client, "bees") == []


def test_one_record_that_breaks_the_shapes_stops_all_and_is_named(client: TestClient, bearer: Bearer):
    bad = a_dataset().replace("dcat:theme <http://example.org/bee>", 'dcat:theme "bees"')
    assert bad != a_dataset()
    answer = client.post("/bulk", json=bundle(a_dataset(), bad, "no turtle", a_dataset(), publish=True), headers=bearer("root@example.org"))
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    failed = answer.json()["records"]
    assert [(item["record"], item["code"]) for item in failed] == [(1, "record-refused"), (2, "invalid-input")]
    assert "A dataset has a theme, an IRI." in failed[0]["title"]
    assert found(client, "bees") == []


def test_children_of_somebody_elses_draft_are_refused(client: TestClient, bearer: Bearer):
    (parent,) = client.post("/bulk", json=bundle(a_catalog(), kind="catalog"), headers=bearer()).json()["created"]
    assert client.post("/bulk", json=bundle(a_dataset(parent)), headers=bearer("bob@example.org")).status_code == 422
    assert client.post("/bulk", json=bundle(a_dataset(parent)), headers=bearer()).status_code == 201


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("x", 400),
        ("[]", 400),
        ('{"records": []}', 400),
        ('{"records": {}}', 400),
        ('{"records": [1]}', 422),
        ('{"records": [{"kind": "planet", "body": "x"}]}', 422),
        ('{"records": [{"kind": "dataset", "body": "\\ud800"}]}', 400),
        ('{"records": [{"kind": "dataset", "type": 1, "body": "x"}]}', 422),
        ('{"publish": "yes", "records": [{"kind": "dataset", "body": "x"}]}', 400),
        ('{"records": [' + ",".join(["1"] * 1001) + "]}", 400),
    ],
)
def test_what_is_no_bundle_is_refused_in_words(client: TestClient, bearer: Bearer, body: str, status: int):
    answer = client.post("/bulk", content=body, headers=bearer())
    assert (answer.status_code, bool(answer.json()["title"])) == (status, True)
    assert ("publish" in answer.json()["title"]) == ("publish" in body)


def test_strangers_and_outages_store_nothing(client: TestClient, bearer: Bearer, engine: Engine):
    assert client.post("/bulk", json=bundle(a_dataset())).status_code == 401
    headers = bearer()
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE catalog_entries"))
    assert client.post("/bulk", json=bundle(a_dataset()), headers=headers).status_code == 503
