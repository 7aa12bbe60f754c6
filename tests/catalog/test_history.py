"""Earlier contents of a record: kept, shown to who may change it, and brought back through today's shapes."""

from __future__ import annotations

from collections.abc import Callable

from rdflib import DCTERMS, Graph, Literal
from sqlalchemy import Engine, select, text, update

from catalog.conftest import TestClient
from catalog.test_write_api import TURTLE, a_dataset, create, graph_at, publish_entry
from fairlead.catalog.tables import revisions

type Bearer = Callable[..., dict[str, str]]


def changed(client: TestClient, me: dict[str, str]) -> str:
    """Return a published record that was called Bees, then Wasps, then Ants."""
    iri = create(client, me, body=a_dataset(title="Bees"))
    publish_entry(client, me, iri)
    for title in ("Wasps", "Ants"):
        assert client.put(iri, content=a_dataset(title=title), headers={**me, **TURTLE}).status_code == 200
    return iri


def test_every_content_is_kept_and_can_be_brought_back(client: TestClient, bearer: Bearer):
    me = bearer()
    iri = changed(client, me)
    listed = client.get(f"{iri}/history", headers=me).json()
    assert [item["title"] for item in listed["revisions"]] == ["Wasps", "Bees"]
    bees = listed["revisions"][1]
    assert (None, DCTERMS.title, Literal("Bees")) in Graph().parse(data=client.get(bees["url"], headers=me).text, format="nt")
    assert client.post(f"{bees['url']}/restore", headers=me).status_code == 200
    assert (None, DCTERMS.title, Literal("Bees")) in graph_at(client, iri)
    assert [item["title"] for item in client.get(f"{iri}/history", headers=me).json()["revisions"]] == ["Ants", "Wasps", "Bees"]
    assert [hit["uri"] for hit in client.get("/search", params={"q": "bees"}).json()] == [iri]


def test_the_history_is_nobody_elses(client: TestClient, bearer: Bearer):
    iri = changed(client, bearer())
    url = client.get(f"{iri}/history", headers=bearer()).json()["revisions"][0]["url"]
    for path in (f"{iri}/history", url):
        assert [client.get(path, headers=who).status_code for who in ({}, bearer("bob@example.org"), bearer("root@example.org"))] == [
            401,
            403,
            200,
        ]
    assert client.post(f"{url}/restore", headers=bearer("bob@example.org")).status_code == 403
    assert client.post(f"{url}/restore").status_code == 401
    assert client.get(f"{iri}/history/99", headers=bearer()).status_code == 404


def test_what_breaks_todays_shapes_is_not_brought_back(client: TestClient, bearer: Bearer, engine: Engine):
    me = bearer()
    iri = changed(client, me)
    with engine.begin() as connection:
        connection.execute(update(revisions).values(body="<http://127.0.0.1:8000/dataset/x> <urn:p> <urn:o> ."))
    url = client.get(f"{iri}/history", headers=me).json()["revisions"][0]["url"]
    assert client.post(f"{url}/restore", headers=me).status_code in (400, 422)
    assert (None, DCTERMS.title, Literal("Ants")) in graph_at(client, iri)


def test_a_restore_minds_what_the_client_had_seen(client: TestClient, bearer: Bearer):
    me = bearer()
    iri = changed(client, me)
    url = client.get(f"{iri}/history", headers=me).json()["revisions"][0]["url"]
    assert client.post(f"{url}/restore", headers={**me, "If-Match": '"another"'}).status_code == 412


def test_the_history_goes_with_the_record_and_says_503_when_it_is_down(client: TestClient, bearer: Bearer, engine: Engine):
    me = bearer()
    gone, stays = changed(client, me), changed(client, me)
    assert client.delete(gone, headers=me).status_code == 204
    with engine.begin() as connection:
        assert len(connection.execute(select(revisions)).all()) == 2
    assert client.get(f"{gone}/history", headers=me).status_code == 410
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE catalog_revisions"))
    assert client.get(f"{stays}/history", headers=me).status_code == 503


def test_who_wants_an_old_address_gone_can_have_it_removed(client: TestClient, bearer: Bearer, engine: Engine):
    me = bearer()
    iri = changed(client, me)
    bees = client.get(f"{iri}/history", headers=me).json()["revisions"][1]["url"]
    assert [client.delete(bees, headers=who).status_code for who in ({}, bearer("bob@example.org"))] == [401, 403]
    assert [client.delete(bees, headers=me).status_code for _ in range(2)] == [204, 204]
    assert client.get(bees, headers=me).status_code == client.post(f"{bees}/restore", headers=me).status_code == 404
    assert [client.get(f"{iri}/history/{number}", headers=me).status_code for number in (2**70, -(2**70), 0)] == [404] * 3
    with engine.connect() as connection:
        assert not [body for body in connection.scalars(select(revisions.c.body)) if "Bees" in body]
