"""Drafts never leak: not by themselves, and not as the parent of something that was published below them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, event, select, update

from catalog.conftest import Publish, TestClient
from catalog.test_write_api import a_catalog, a_dataset, create, graph_at, publish_entry
from fairlead.catalog import branches
from fairlead.catalog.tables import entries
from fairlead.publish.vocabulary import LDP

BASE = "http://127.0.0.1:8000"
LOCAL = f"{BASE}/catalog/local"
WAITING = {"current": "PUBLISHED", "visible": False, "detail": "Its parent is a draft: it becomes visible when that is published."}
type Bearer = Callable[..., dict[str, str]]


def a_distribution(parent: str) -> str:
    """Return a distribution of a dataset."""
    return f"""@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> .
        <> a dcat:Distribution ; dct:title "Honey table" ; dcat:mediaType "text/csv" ; dct:isPartOf <{parent}> ."""


def a_branch(client: TestClient, me: dict[str, str]) -> list[str]:
    """Return a catalogue that is a draft, and a dataset and a distribution below it that were published."""
    catalog = create(client, me, "catalog", a_catalog("Secret hive"))
    dataset = create(client, me, body=a_dataset(catalog, title="Honey"))
    distribution = create(client, me, "distribution", a_distribution(dataset))
    for iri in (dataset, distribution):
        answer = client.put(f"{iri}/meta/state", json={"current": "PUBLISHED"}, headers=me)
        assert (answer.status_code, answer.json()) == (200, WAITING)
    return [catalog, dataset, distribution]


def surfaces(client: TestClient, dataset: str) -> Iterator[tuple[str, str]]:
    """Yield every public answer: address and content."""
    query = "SELECT * { ?s ?p ?o }"
    asked = ["/", "/catalog/", "/catalog/local", "/catalog/local/dataset/", "/catalog/local/series/", "/page/catalog?size=1000"]
    asked += ["/catalog/local/page/dataset?size=1000", "/search?q=honey", "/search?q=secret", "/search?q=hive", "/search/facets"]
    asked += ["/sitemap.xml", "/robots.txt", "/.well-known/void", "/dump.nt", "/sparql", "/oai?verb=Identify"]
    asked += [f"/oai?verb=ListRecords&metadataPrefix={prefix}" for prefix in ("oai_dc", "oai_datacite", "dcat")]
    asked += [f"/dataset/{dataset}", f"/dataset/{dataset}/datasheet", f"/.well-known/linkset/dataset/{dataset}"]
    asked += [f"/dataset/{dataset}?profile={name}" for name in ("schemaorg", "datacite", "ro-crate", "beacon", "fhir", "fdo")]
    for path in asked:
        for accept in ("text/html", "text/turtle", "application/ld+json", "*/*"):
            yield path, client.get(path, headers={"Accept": accept}).text
    yield "/sparql", client.get("/sparql", params={"query": query}).text


def test_what_is_below_a_draft_waits_for_it_on_every_surface(client: TestClient, publish: Publish, bearer: Bearer):
    me, record = bearer(), publish()
    branch = a_branch(client, me)
    names = [iri.rpartition("/")[2] for iri in branch]
    for where, content in surfaces(client, record.id):
        assert not [name for name in (*names, "Secret hive", "Honey table") if name in content], where
    for iri in branch:
        paths = (iri, f"{iri}/meta", f"{iri}/dataset/", f"{iri}/distribution/", f"{iri}/page/dataset", f"{iri}/page/distribution")
        assert {client.get(path).status_code for path in paths} == {404}
        assert {client.get(f"{iri}/history", headers=who).status_code for who in ({}, bearer("bob@example.org"))} == {401, 404}
        assert client.get(iri, headers=me).status_code == 200
    assert client.get(f"{branch[1]}/meta", headers=me).json()["state"] == WAITING | {"children": {}}
    assert "waits until what it is part of is published" in client.get(branch[1], headers=me | {"Accept": "text/html"}).text


def test_with_its_top_the_whole_branch_becomes_visible(client: TestClient, bearer: Bearer):
    me = bearer()
    catalog, dataset, distribution = a_branch(client, me)
    publish_entry(client, me, catalog)
    assert [client.get(iri).status_code for iri in (catalog, dataset, distribution)] == [200, 200, 200]
    assert {str(iri) for iri in graph_at(client, dataset).objects(None, LDP.contains)} == {distribution}
    assert sorted(hit["uri"] for hit in client.get("/search?q=ho").json()) == sorted([dataset, distribution])
    assert client.delete(catalog, headers=me).status_code == 204
    assert [client.get(iri).status_code for iri in (catalog, dataset, distribution)] == [410, 410, 410]


def test_what_earlier_programs_showed_below_drafts_is_hidden_at_the_start(client: TestClient, bearer: Bearer, engine: Engine):
    me, seen = bearer(), datetime(2026, 1, 1, tzinfo=UTC)
    branch, other = a_branch(client, me), create(client, me, "catalog", a_catalog("Open hive"))
    publish_entry(client, me, other)
    child = create(client, me, body=a_dataset(other))
    publish_entry(client, me, child)
    with engine.begin() as connection:  # as programs before this rule left them
        connection.execute(update(entries).where(entries.c.state == "waiting").values(state="published", published_at=seen))

    def address(kind: str, name: str) -> str:
        """Return the address of a record."""
        return f"{BASE}/{kind}/{name}"

    assert [client.get(iri).status_code for iri in (*branch, other, child)] == [404, 200, 200, 200, 200]
    assert [branches.hide_early(engine, iri=address, now=seen) for _ in range(2)] == [2, 0]
    assert [client.get(iri).status_code for iri in (*branch, other, child)] == [404, 404, 404, 200, 200]
    publish_entry(client, me, branch[0])
    assert [client.get(iri).status_code for iri in branch] == [200, 200, 200]


def test_what_waited_leaves_no_mark_when_it_goes(client: TestClient, bearer: Bearer, engine: Engine):
    me = bearer()
    branch = a_branch(client, me)
    assert client.delete(branch[0], headers=me).status_code == 204
    assert {client.get(iri, headers=me).status_code for iri in branch} == {404}
    with engine.connect() as connection:
        assert connection.execute(select(entries.c.id)).all() == []


def test_a_bundle_below_a_draft_waits_too(client: TestClient, bearer: Bearer):
    me = bearer("root@example.org")
    catalog = create(client, me, "catalog", a_catalog())
    bundle = {"publish": True, "records": [{"kind": "dataset", "body": a_dataset(catalog)}, {"kind": "dataset", "body": a_dataset()}]}
    answer = client.post("/bulk", json=bundle, headers=me).json()
    assert answer["waiting"] == answer["created"][:1]
    assert [client.get(iri).status_code for iri in answer["created"]] == [404, 200]
    publish_entry(client, me, catalog)
    assert [client.get(iri).status_code for iri in answer["created"]] == [200, 200]


def test_a_catalogue_of_many_goes_in_statements_of_bounded_size(
    client: TestClient, bearer: Bearer, engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(branches, "CHUNK", 3)
    me = bearer()
    catalog = create(client, me, "catalog", a_catalog())
    publish_entry(client, me, catalog)
    records = [{"kind": "dataset", "body": a_dataset(catalog)} for _ in range(8)]
    created = client.post("/bulk", json={"publish": True, "records": records}, headers=me).json()["created"]
    with engine.begin() as connection:
        connection.execute(update(entries).where(entries.c.id == created[0].rpartition("/")[2]).values(published_at=None, state="draft"))
    asked: list[int] = []
    event.listen(engine, "before_cursor_execute", lambda *parts: asked.append(len(parts[3])))
    assert client.delete(catalog, headers=me).status_code == 204
    assert [client.get(iri).status_code for iri in (catalog, *created)] == [410, 404, *[410] * 7]
    assert max(asked) <= 10
