"""Where a user's record may appear: drafts anywhere, published ones below what is the user's own; and conditions of a change."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from catalog.conftest import Publish, TestClient
from catalog.test_write_api import LOCAL, TURTLE, a_catalog, a_dataset, create, publish_entry

type Bearer = Callable[..., dict[str, str]]
WANTED = {"current": "PUBLISHED"}


def test_nobody_but_an_administrator_publishes_beside_the_exports(client: TestClient, bearer: Bearer, publish: Publish):
    record, ada = publish(), bearer()
    draft = create(client, ada)
    answer = client.put(f"{draft}/meta/state", json=WANTED, headers=ada)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:fairlead:error:not-permitted")
    assert "Ask an administrator" in answer.json()["detail"]
    many = {"publish": True, "records": [{"kind": "dataset", "body": a_dataset()}]}
    answer = client.post("/bulk", json=many, headers=ada)
    assert (answer.status_code, answer.json()["records"][0]["code"]) == (422, "not-permitted")
    listed = client.get(f"{LOCAL}/dataset/").text
    assert record.id in listed
    assert draft not in listed
    assert client.get(draft, headers=ada).status_code == 200
    assert client.put(f"{draft}/meta/state", json=WANTED, headers=bearer("root@example.org")).status_code == 200
    assert draft in client.get(f"{LOCAL}/dataset/").text
    assert client.put(f"{draft}/meta/state", json=WANTED, headers=ada).json() == WANTED  # again is no change


def test_a_catalogue_lists_what_its_owner_published(client: TestClient, bearer: Bearer):
    ada, bob = bearer(), bearer("bob@example.org")
    catalog = create(client, ada, "catalog", a_catalog())
    publish_entry(client, ada, catalog)
    foreign, own = create(client, bob, body=a_dataset(catalog)), create(client, ada, body=a_dataset(catalog))
    assert client.put(f"{foreign}/meta/state", json=WANTED, headers=bob).status_code == 403
    assert client.put(f"{own}/meta/state", json=WANTED, headers=ada).status_code == 200
    listed = client.get(f"{catalog}/dataset/").text
    assert (own in listed, foreign in listed) == (True, False)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("tag", ["*", "its own"])
def test_a_change_of_what_must_not_be_there_changes_nothing(client: TestClient, bearer: Bearer, method: str, tag: str):
    me = bearer()
    iri = create(client, me)
    before = client.get(iri, headers=me)
    unwanted = {"If-None-Match": before.headers["etag"] if tag == "its own" else tag}
    answer = client.request(method, iri, content=a_dataset(title="Wasps"), headers={**me, **TURTLE, **unwanted})
    assert (answer.status_code, answer.json()["type"]) == (412, "urn:fairlead:error:precondition-failed")
    assert client.get(iri, headers=me).content == before.content


def test_a_change_of_what_is_not_as_known_is_made(client: TestClient, bearer: Bearer):
    me = bearer()
    iri = create(client, me)
    answer = client.put(iri, content=a_dataset(title="Wasps"), headers={**me, **TURTLE, "If-None-Match": '"another"'})
    assert (answer.status_code, "Wasps" in answer.text) == (200, True)
