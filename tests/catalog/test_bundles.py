"""Bundles of the FDP 2.0 draft: TriG in and out, all or in part, now or later; and records that are sent to a container."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import pytest
from rdflib import DCTERMS, FOAF, RDF, Dataset, Graph, Literal, URIRef
from sqlalchemy import Connection, Engine, insert, select, text, update

from catalog.conftest import Publish, TestClient
from catalog.test_fdp_draft import BASE, draft, read
from catalog.test_write_api import TURTLE, a_catalog, a_dataset, create, graph_at, publish_entry
from fairlead.catalog import bundle_writing, writing
from fairlead.catalog.accounts import User
from fairlead.catalog.bundle_jobs import LOST_AFTER, BundleJobs
from fairlead.catalog.bundle_writing import Outcome, Wanted
from fairlead.catalog.tables import bundles, entries, users
from fairlead.database import utc_now
from fairlead.publish import withdraw
from fairlead.publish.vocabulary import DCAT, FDP, LDP
from fairlead.settings import Settings

__all__ = ["draft"]
type Bearer = Callable[..., dict[str, str]]
LOCAL = f"{BASE}/catalog/local"
SHACL_REPORT = URIRef("http://www.w3.org/ns/shacl#ValidationReport")
HEAD = """@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
"""
TREE = f"""{HEAD}
<#hive> {{ <#hive> a dcat:Catalog ; dct:title "Hive" ; dct:publisher [ a foaf:Agent ; foaf:name "Keeper" ] ; dcat:dataset <#bees> . }}
<#bees> {{ <> a dcat:Dataset ; dct:title "Bees" ; dcat:theme <http://example.org/bee> . }}
GRAPH <#honey> {{ <#honey> a dcat:Distribution ; dct:title "Honey" ; dcat:mediaType "text/csv" ; dct:isPartOf <#bees> . }}
"""


def send(client: TestClient, me: dict[str, str], body: str, path: str = "/catalog/", prefer: str = ""):
    """Send a bundle and return the answer."""
    return client.post(path, content=body, headers={**me, "Content-Type": "application/trig", **({"Prefer": prefer} if prefer else {})})


def stored(engine: Engine) -> int:
    """Return how many written records there are."""
    with engine.connect() as connection:
        return len(connection.execute(select(entries.c.id)).all())


def test_a_whole_branch_in_one_request_is_found_by_the_walk(draft: TestClient, bearer: Bearer):
    answer = send(draft, bearer(), TREE, "/catalog/?publish=true")
    assert answer.status_code == 201, answer.text
    found = {item["graph"].rpartition("#")[2]: item["iri"] for item in answer.json()["records"]}
    assert [item["state"] for item in answer.json()["records"]] == ["PUBLISHED"] * 3
    walk = [(f"{BASE}/", found["hive"]), (found["hive"], found["bees"]), (found["bees"], found["honey"])]
    for parent, child in walk:
        assert URIRef(child) in set(graph_at(draft, parent).objects(None, LDP.contains))
    hive, bees = graph_at(draft, found["hive"]), graph_at(draft, found["bees"])
    assert "Keeper" in {str(name) for name in hive.objects(None, FOAF.name)} & {str(name) for name in bees.objects(None, FOAF.name)}
    assert (URIRef(found["bees"]), DCTERMS.isPartOf, URIRef(found["hive"])) in bees


def test_drafts_of_a_bundle_are_nobody_elses_and_go_public_from_the_top(draft: TestClient, bearer: Bearer):
    me = bearer()
    found = [item["iri"] for item in send(draft, me, TREE).json()["records"]]
    assert [[draft.get(iri, headers=who).status_code for iri in found] for who in ({}, me)] == [[404] * 3, [200] * 3]
    for iri in reversed(found):
        assert draft.put(f"{iri}/meta/state", json={"current": "PUBLISHED"}, headers=me).status_code == 200
    assert [draft.get(iri).status_code for iri in found] == [200] * 3


BAD = TREE.replace("dcat:theme <http://example.org/bee>", 'dcat:theme "bees"')


def test_by_default_one_bad_record_stops_all_and_its_graph_is_named(draft: TestClient, bearer: Bearer, engine: Engine):
    answer = send(draft, bearer(), BAD)
    assert (answer.status_code, answer.headers["content-type"], stored(engine)) == (422, "application/problem+json", 0)
    document = answer.json()
    assert (document["stored"], document["refused"], document["total"]) == (0, 2, 3)
    bees, honey = sorted(document["records"], key=lambda item: str(item["graph"]))
    assert (bees["graph"].rpartition("#")[2], bees["code"]) == ("bees", "record-refused")
    assert (None, RDF.type, SHACL_REPORT) in Graph().parse(data=bees["report"], format="turtle")
    assert honey["title"] == "The record of this bundle that it is part of is refused."


def test_leniently_what_can_be_stored_is(draft: TestClient, bearer: Bearer, engine: Engine):
    answer = send(draft, bearer(), BAD, prefer='handling="lenient"; foo, wait=1')
    assert (answer.status_code, answer.headers["preference-applied"], stored(engine)) == (201, "handling=lenient", 1)
    assert [(item["graph"].rpartition("#")[2], item["outcome"]) for item in answer.json()["records"]] == [
        ("hive", "created"),
        ("bees", "rejected"),
        ("honey", "rejected"),
    ]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ('; dct:issued "soon"^^<http://www.w3.org/2001/XMLSchema#date>', "literal-ill-formed"),
        ('; dct:abstract "a\\u0000"', "invalid-input"),
        ("; dct:relation <http://example.org/a\\u0020b>", "invalid-input"),
        ('; dct:relation "x"^^<javascript:x>', "invalid-input"),
    ],
)
def test_one_odd_literal_stops_its_own_record_only(draft: TestClient, bearer: Bearer, engine: Engine, said: str, code: str):
    answer = send(draft, bearer(), TREE.replace('dct:title "Honey"', f'dct:title "Honey" {said}'), prefer="handling=lenient")
    assert (answer.status_code, stored(engine)) == (201, 2)
    assert [item.get("code") for item in answer.json()["records"]] == [None, None, code]


def ended(client: TestClient, me: dict[str, str], address: str) -> dict[str, object]:
    """Return the state of a bundle once it is no longer in progress."""
    until = time.monotonic() + 20
    while (found := client.get(address, headers=me).json())["state"] == "in progress" and time.monotonic() < until:
        time.sleep(0.01)
    return dict(found)


def test_later_the_report_is_at_an_address_that_only_the_sender_reads(draft: TestClient, bearer: Bearer, engine: Engine):
    me = bearer()
    answers = [send(draft, me, body, "/catalog/?publish=true", "respond-async") for body in (TREE, BAD, "no TriG {")]
    assert [answer.status_code for answer in answers] == [202] * 3
    good, bad, broken = (answer.headers["location"] for answer in answers)
    assert ended(draft, me, good)["state"] == "succeeded"
    assert [draft.get(item["iri"]).status_code for item in ended(draft, me, good)["result"]["records"]] == [200] * 3
    assert (ended(draft, me, bad)["state"], ended(draft, me, bad)["result"]["refused"]) == ("failed", 2)
    assert ended(draft, me, broken)["result"]["code"] == "invalid-input"
    assert stored(engine) == 3
    assert [draft.get(good, headers=who).status_code for who in ({}, bearer("bob@example.org"), bearer("root@example.org"))] == [
        401,
        404,
        200,
    ]


def test_a_bundle_whose_sender_was_told_that_it_failed_is_not_stored_any_more(settings: Settings, engine: Engine):
    ada, moments = User("ada@example.org", "user"), iter([utc_now() - 2 * LOST_AFTER])

    def store(wanted: Wanted, also: Callable[[Connection, Outcome], None]) -> Outcome:
        """Store a row and what belongs to it in one transaction."""
        with engine.begin() as connection:
            connection.execute(insert(users).values(email="x@example.org", role="user", password_hash="", created_at=utc_now()))
            also(connection, Outcome(stored=True))
        return Outcome(stored=True)

    jobs = BundleJobs(engine, store, clock=lambda: next(moments, utc_now()))
    name = jobs.later(Wanted(b"", ada, "", ""))
    until = time.monotonic() + 20
    while not jobs.is_idle and time.monotonic() < until:
        time.sleep(0.01)
    assert jobs.status(name, ada)["result"] == {
        "code": "service-unreachable",
        "title": "The bundle waited too long, so nothing was stored.",
        "detail": "Send it again.",
    }
    with engine.connect() as connection:
        assert connection.execute(select(users)).all() == []


def test_the_reports_of_a_bundle_have_an_end(draft: TestClient, bearer: Bearer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bundle_writing, "MAX_REFUSED", 3)
    monkeypatch.setattr(writing, "MAX_JUDGED", 20)
    themes = ", ".join(f'"{number}"' for number in range(20))
    said = (f"dcat:theme {themes}", 'dcat:theme "b"', 'dcat:theme "b"')
    body = HEAD + "".join(
        f'<#d{number}> {{ <> a dcat:Dataset ; dct:title "D" ; dct:isPartOf <{LOCAL}> ; {one} . }}' for number, one in enumerate(said)
    )
    found = send(draft, bearer("root@example.org"), body, "/catalog/local/dataset/").json()
    assert [("report" in item, item["title"][:24]) for item in found["records"]] == [
        (False, "The record breaks the sh"),
        (False, "The record was not looke"),
        (False, "The record was not looke"),
    ]


def test_a_bundle_that_a_crash_took_away_is_told_as_failed(draft: TestClient, bearer: Bearer, engine: Engine):
    me = bearer()
    address = send(draft, me, TREE, prefer="respond-async").headers["location"]
    ended(draft, me, address)
    with engine.begin() as connection:
        connection.execute(update(bundles).values(state="running", created_at=utc_now() - 2 * LOST_AFTER))
    found = draft.get(address, headers=me).json()
    assert (found["state"], found["result"]["detail"]) == ("failed", "Send it again: nothing was stored.")


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ("<#a> { <#a> a <http://www.w3.org/ns/dcat#Dataset> ", 400, "not valid trig"),
        ("", 400, "named graphs"),
        (f"{HEAD} <> a dcat:Catalog ; dct:title 'outside' .", 400, "named graphs"),
        ("".join(f"<#a{n}> {{ <#a{n}> <urn:p> 1 }}\n" for n in range(1001)), 400, "1 to 1000"),
        (f"{HEAD} <#a> {{ <#a> a dcat:Catalog ; dct:title 'x' ; foaf:page <file:///etc/passwd> }}", 422, "scheme"),
        (f"{HEAD} <#a> {{ <#a> dct:title 'no type' }}", 422, "describes 0"),
        (f"{HEAD} <#a> {{ <#x> a dcat:Catalog . <#y> a dcat:Catalog }}", 422, "describes 2"),
        (f"{HEAD} <#a> {{ <#a> a dcat:Catalog ; dct:title 'x' ; dct:isPartOf <{LOCAL}> }}", 422, "outside of this bundle"),
        (f"{HEAD} <#a> {{ <#a> a dcat:Dataset ; dct:title 'x' }}", 422, "not of the correct type"),
        (f"{HEAD} <#a> {{ <#a> a dcat:Catalog ; dct:title 'x' ; dct:isPartOf <#a> }}", 422, "is refused"),
        ("x" * (8 * 1024 * 1024 + 1), 413, "more than"),
    ],
)
def test_what_is_no_bundle_is_refused_in_words(draft: TestClient, bearer: Bearer, engine: Engine, body: str, status: int, says: str):
    answer = send(draft, bearer(), body)
    assert (answer.status_code, says in answer.text, stored(engine)) == (status, True, 0), answer.text[:500]


def test_strangers_and_outages_store_nothing(draft: TestClient, bearer: Bearer, engine: Engine):
    assert (send(draft, {}, TREE).status_code, stored(engine)) == (401, 0)
    me = bearer()
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE catalog_entries"))
    assert send(draft, me, TREE).status_code == 503


def test_a_container_takes_a_single_record_too(draft: TestClient, bearer: Bearer):
    me = bearer()
    body = a_dataset().replace(f"dct:isPartOf <{LOCAL}> ;", "")
    answer = draft.post("/catalog/local/dataset/", content=body, headers={**me, **TURTLE})
    assert answer.status_code == 201, answer.text
    graph = graph_at(draft, answer.headers["location"], me)
    assert (URIRef(answer.headers["location"]), DCTERMS.isPartOf, URIRef(LOCAL)) in graph
    assert draft.post("/catalog/", content=a_dataset(), headers={**me, **TURTLE}).status_code == 400
    other = create(draft, me, "catalog", a_catalog())
    assert draft.post(f"{other}/dataset/", content=a_dataset(), headers={**me, **TURTLE}).status_code == 400
    assert draft.post("/catalog/local/dataset/", content=body, headers={**me, "Content-Type": "text/csv"}).status_code == 415


def bundle(client: TestClient, path: str = "/bundle", **headers: str) -> Graph:
    """Return a bundle as one graph."""
    answer = client.get(path, headers={"Accept": "text/turtle", **headers})
    assert answer.status_code == 200, answer.text
    return Graph().parse(data=answer.text, format="turtle")


def test_the_bundle_holds_everything_public_with_its_metadata_records(draft: TestClient, publish: Publish, bearer: Bearer):
    record, me = publish(), bearer()
    hidden = create(draft, me, body=a_dataset(title="Hidden"))
    written = create(draft, me, "catalog", a_catalog())
    publish_entry(draft, me, written)
    found = bundle(draft)
    own = f"{BASE}/dataset/{record.id}"
    parts = [f"{BASE}/distribution/{record.id}.{item.id}" for item in record.distributions]
    topics = {str(topic) for topic in found.objects(None, FOAF.primaryTopic)}
    assert {f"{BASE}/", LOCAL, own, written, *parts} <= topics
    assert {(URIRef(iri), DCTERMS.title, None) in found for iri in topics} == {True}
    assert hidden not in draft.get("/bundle").text
    assert len(bundle(draft, "/catalog/local/bundle")) < len(found)
    links = draft.get("/").headers["link"]
    assert f'<{BASE}/bundle>; rel="https://w3id.org/fdp/rel/bundle"' in links
    assert f'<{BASE}/metadata>; rel="describedby"' in links
    assert draft.get(f"{written}/bundle").status_code == 200
    assert draft.get(f"{BASE}/catalog/none/bundle").status_code == 404
    sets = Dataset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # rdflib's parser uses what rdflib deprecates
        sets.parse(data=draft.get("/bundle", headers={"Accept": "application/trig"}).text, format="trig")
        same = Graph().parse(data=draft.get("/bundle", headers={"Accept": "application/ld+json"}).text, format="json-ld")
    assert {str(graph.identifier) for graph in sets.graphs() if len(graph)} == topics
    assert len(same) == len(found)
    assert draft.get("/bundle", headers={"If-None-Match": draft.get("/bundle").headers["etag"]}).status_code == 304


def test_since_an_instant_what_changed_and_what_went_is_told(
    draft: TestClient, settings: Settings, engine: Engine, publish: Publish, bearer: Bearer
):
    record, me = publish(), bearer()
    gone = create(draft, me)
    publish_entry(draft, me, gone)
    draft.delete(gone, headers=me)
    never = create(draft, me)
    draft.delete(never, headers=me)
    withdraw(settings, engine, record.id, "A subject took the consent back.")
    found = bundle(draft, "/bundle?since=2026-01-02T00:00:00Z")
    for iri in (gone, f"{BASE}/dataset/{record.id}"):
        (stone,) = found.subjects(FOAF.primaryTopic, URIRef(iri))
        assert (stone, RDF.type, FDP.MetadataRecord) in found
        assert len(list(found.objects(stone, URIRef("http://www.w3.org/ns/prov#invalidatedAtTime")))) == 1
        assert (URIRef(iri), DCTERMS.title, None) not in found
    assert (None, FOAF.primaryTopic, URIRef(never)) not in found
    assert len(bundle(draft, "/bundle?since=2999-01-01T00:00:00%2B00:00")) == 0
    assert [draft.get(f"/bundle?since={text}").status_code for text in ("yesterday", "2026-01-02")] == [400, 400]


def test_without_the_setting_there_are_no_bundles(client: TestClient, bearer: Bearer):
    assert [send(client, bearer(), TREE).status_code, client.get("/bundle").status_code] == [405, 404]
    assert "rel/bundle" not in client.get("/").headers.get("link", "")
    assert (URIRef(f"{BASE}/"), FOAF.isPrimaryTopicOf, None) not in read(client, f"{BASE}/")


def test_an_identifier_in_the_bundle_is_no_address_of_ours(draft: TestClient, bearer: Bearer):
    """A name of the bundle is replaced wherever it stands, other addresses stay what they are."""
    body = f"{HEAD} <urn:x:a> {{ <urn:x:a> a dcat:Catalog ; dct:title 'A' ; dct:relation <urn:x:b>, <urn:x:a> }}"
    iri = send(draft, bearer(), body, "/catalog/?publish=1").json()["records"][0]["iri"]
    assert set(graph_at(draft, iri).objects(URIRef(iri), DCTERMS.relation)) == {URIRef("urn:x:b"), URIRef(iri)}
    assert (URIRef(iri), DCTERMS.title, Literal("A")) in graph_at(draft, iri)
    assert (URIRef(iri), RDF.type, DCAT.Catalog) in graph_at(draft, iri)
