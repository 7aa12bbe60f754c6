"""The write side as clients of the reference implementation use it, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from rdflib import DCTERMS, RDF, BNode, Graph, URIRef
from rdflib.compare import isomorphic

from catalog.conftest import Publish, TestClient
from fairlead.publish.vocabulary import DCAT, LDP

BASE = "http://127.0.0.1:8000"
LOCAL = f"{BASE}/catalog/local"
COUNTS = {"catalog": 5, "dataset": 9, "distribution": 11}
"""Entities of each type in the fixtures, counted by hand."""
type Bearer = Callable[..., dict[str, str]]
TURTLE = {"Content-Type": "text/turtle"}
TYPES = {"catalog": DCAT.Catalog, "dataset": DCAT.Dataset, "distribution": DCAT.Distribution}


def a_dataset(parent: str = LOCAL, title: str = "Bees", more: str = "") -> str:
    """Return a dataset as the end-to-end fixtures of the reference have it."""
    return f"""@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
<> a dcat:Dataset, dcat:Resource ; dct:title "{title}" ; dcat:version "1.0" ; dct:isPartOf <{parent}> ;
  dcat:theme <http://example.org/bee> ;
  dct:publisher [ a foaf:Agent ; foaf:name "Hive" ] {more} ."""


def a_catalog(title: str = "My catalogue") -> str:
    """Return a catalogue."""
    return f"""@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> .
<> a dcat:Catalog ; dct:title "{title}" ; dct:hasVersion "2" ; dct:isPartOf <{BASE}> ."""


def create(client: TestClient, headers: dict[str, str], kind: str = "dataset", body: str | None = None) -> str:
    """Create a draft and return its IRI."""
    answer = client.post(f"/{kind}", content=body or a_dataset(), headers={**headers, **TURTLE})
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def publish_entry(client: TestClient, headers: dict[str, str], iri: str) -> None:
    """Publish a draft; what is drafted in the catalogue of the exports is published by an administrator."""
    answer = client.put(f"{iri}/meta/state", json={"current": "PUBLISHED"}, headers=headers)
    if answer.status_code == 403:
        answer = client.put(f"{iri}/meta/state", json={"current": "PUBLISHED"}, headers=getattr(headers, "steward", {}))
    assert (answer.status_code, answer.json()) == (200, {"current": "PUBLISHED"})


def graph_at(client: TestClient, iri: str, headers: dict[str, str] | None = None) -> Graph:
    """Return what an address says in Turtle."""
    answer = client.get(iri, headers={**(headers or {}), "Accept": "text/turtle"})
    assert answer.status_code == 200, answer.text
    return Graph().parse(data=answer.text, format="turtle", publicID=iri)


def test_create_and_publish_as_fairclient_does(client: TestClient, accounts):
    """The four HTTP steps of ``FDPClient.create_and_publish``: token, create, Location, state."""
    token = client.post("/tokens", json={"email": "root@example.org", "password": "correct horse battery"}).json()["token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "text/turtle"}
    created = client.post("/dataset", content=a_dataset(), headers=headers)
    location = created.headers["Location"]
    assert (created.status_code, location.rpartition("/")[0]) == (201, f"{BASE}/dataset")
    state = client.put(f"{location}/meta/state", json={"current": "PUBLISHED"}, headers=headers | {"Content-Type": "application/json"})
    assert state.status_code == 200
    graph = graph_at(client, location)
    assert (URIRef(location), DCTERMS.title, None) in graph
    assert URIRef(location) in set(graph_at(client, LOCAL).objects(None, LDP.contains))


def test_a_whole_branch_is_reached_by_the_harvesters_walk(client: TestClient, bearer: Bearer):
    me = bearer()
    catalog = create(client, me, "catalog", a_catalog())
    dataset = create(client, me, body=a_dataset(catalog))
    body = f"""@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> .
        <> a dcat:Distribution ; dct:title "CSV" ; dcat:mediaType "text/csv" ; dct:isPartOf <{dataset}> ."""
    distribution = create(client, me, "distribution", body)
    for iri in (catalog, dataset, distribution):
        publish_entry(client, me, iri)
    waiting, seen = [f"{BASE}/"], set()
    while waiting:
        seen.add(iri := waiting.pop())
        graph = graph_at(client, iri)
        for container in graph.subjects(RDF.type, LDP.DirectContainer):
            waiting += [str(child) for child in graph.objects(container, LDP.contains)]
    assert seen == {f"{BASE}/", LOCAL, catalog, dataset, distribution}
    page = client.get(f"{catalog}/page/dataset")
    assert dataset in page.text
    assert catalog in client.get("/page/catalog").text
    assert dataset in client.get(f"{catalog}/dataset/").text
    assert client.get(dataset, headers={"Accept": "text/html"}).text.count("<h1>Bees</h1>") == 1
    assert "My catalogue" in client.get("/", headers={"Accept": "text/html"}).text


@pytest.mark.parametrize("email", [None, "bob@example.org"])
@pytest.mark.parametrize("end", ["", "/meta", "?format=html"])
def test_a_draft_does_not_exist_for_others(client: TestClient, bearer: Bearer, email: str | None, end: str):
    mine = bearer()
    draft = create(client, mine)
    other = bearer(email) if email else {}
    assert client.get(draft + end, headers=other).status_code == 404
    assert client.get(draft + end, headers=mine).status_code == 200
    for path in ("/", "/catalog/local", "/catalog/local/dataset/", "/catalog/local/page/dataset", "/search?q=bees", "/sitemap.xml"):
        answer = client.get(path, headers=other)
        assert draft not in answer.text
        assert "Bees" not in answer.text


def test_a_draft_is_not_kept_by_caches(client: TestClient, bearer: Bearer):
    mine = bearer()
    answer = client.get(create(client, mine), headers=mine)
    assert "no-store" in answer.headers["cache-control"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "STATE"])
@pytest.mark.parametrize(("who", "status"), [(None, 401), ("forged", 401), ("bob@example.org", 403)])
def test_others_cannot_change_what_is_published(client: TestClient, bearer: Bearer, method: str, who: str | None, status: int):
    mine = bearer()
    iri = create(client, mine)
    publish_entry(client, mine, iri)
    headers = {} if who is None else {"Authorization": "Bearer a.b.c"} if who == "forged" else bearer(who)
    path, verb = (f"{iri}/meta/state", "PUT") if method == "STATE" else (iri, method)
    answer = client.request(verb, path, content=a_dataset(), headers={**headers, **TURTLE})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert status != 401 or "Bearer" in answer.headers["www-authenticate"]


def test_an_administrator_may_change_what_others_wrote(client: TestClient, bearer: Bearer):
    iri = create(client, bearer())
    admin = bearer("root@example.org")
    publish_entry(client, admin, iri)
    assert client.delete(iri, headers=admin).status_code == 204


def test_what_was_published_and_deleted_is_410_with_all_below_it(client: TestClient, bearer: Bearer):
    me = bearer()
    catalog = create(client, me, "catalog", a_catalog())
    dataset, draft = create(client, me, body=a_dataset(catalog)), create(client, me, body=a_dataset(catalog, "Draft"))
    publish_entry(client, me, catalog)
    publish_entry(client, me, dataset)
    assert client.delete(catalog, headers=me).status_code == 204
    assert [client.get(iri, headers=me).status_code for iri in (catalog, dataset, draft)] == [410, 410, 404]
    assert client.get(catalog, headers={"Accept": "text/html"}).status_code == 410
    assert catalog not in client.get("/").text


def test_putting_back_what_was_got_loses_nothing(client: TestClient, bearer: Bearer):
    me = bearer()
    catalog = create(client, me, "catalog", a_catalog())
    dataset = create(client, me, body=a_dataset(catalog))
    publish_entry(client, me, catalog)
    publish_entry(client, me, dataset)
    before = client.get(catalog, headers={"Accept": "text/turtle"})
    answer = client.put(catalog, content=before.content, headers={**me, **TURTLE, "If-Match": before.headers["etag"]})
    assert answer.status_code == 200
    assert URIRef(dataset) in set(graph_at(client, catalog).objects(None, DCAT.dataset))
    changed = {"http://www.w3.org/1999/02/22-rdf-syntax-ns#type", "https://w3id.org/fdp/fdp-o#metadataModified"}
    keep = [Graph(), Graph()]
    for graph, text in zip(keep, (before.text, client.get(catalog).text), strict=True):
        for triple in Graph().parse(data=text, format="turtle"):
            if str(triple[1]) not in changed:
                graph.add(triple)
    assert isomorphic(*keep)


def test_the_second_of_two_writers_is_told(client: TestClient, bearer: Bearer):
    me = bearer()
    iri = create(client, me)
    seen = client.get(iri, headers=me).headers["etag"]
    first = client.put(iri, content=a_dataset(title="First"), headers={**me, **TURTLE, "If-Match": seen})
    second = client.put(iri, content=a_dataset(title="Second"), headers={**me, **TURTLE, "If-Match": seen})
    assert (first.status_code, second.status_code) == (200, 412)
    assert "First" in client.get(iri, headers=me).text
    assert client.delete(iri, headers={**me, "If-Match": seen}).status_code == 412


@pytest.mark.parametrize("state", ['{"current":"DRAFT"}', '{"current":"X"}', "{}", "[]", "nonsense"])
def test_there_is_no_way_back_to_a_draft(client: TestClient, bearer: Bearer, state: str):
    me = bearer()
    iri = create(client, me)
    publish_entry(client, me, iri)
    assert client.put(f"{iri}/meta/state", content=state, headers=me).status_code == 400
    publish_entry(client, me, iri)


def test_a_record_that_breaks_the_shapes_is_422_with_the_report(client: TestClient, bearer: Bearer):
    body = a_dataset().replace('dct:title "Bees" ;', "")
    answer = client.post("/dataset", content=body, headers={**bearer(), **TURTLE})
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (422, "text/turtle")
    report = Graph().parse(data=answer.text, format="turtle")
    assert "A resource has a title, one in each language." in {str(value) for value in report.objects()}
    words = client.post("/dataset", content=body, headers={**bearer(), **TURTLE, "Accept": "application/problem+json"})
    assert "A resource has a title" in words.json()["title"]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("dataset", "this is no turtle", 400),
        ("dataset", "", 400),
        ("dataset", a_dataset(f"{BASE}/catalog/nobody"), 400),
        ("dataset", a_dataset(f"{BASE}/"), 400),
        ("dataset", a_dataset().replace(f"dct:isPartOf <{LOCAL}> ;", ""), 400),
        ("distribution", a_dataset().replace("a dcat:Dataset", "a dcat:Distribution"), 400),
        ("catalog", a_dataset(), 400),
        ("catalog", a_catalog() + a_catalog().replace("<>", "<urn:x>").replace("@prefix", "@prefix"), 201),
        ("nothing", a_dataset(), 404),
    ],
)
def test_what_cannot_be_stored_says_why(client: TestClient, bearer: Bearer, kind: str, body: str, status: int):
    answer = client.post(f"/{kind}", content=body, headers={**bearer(), **TURTLE})
    assert answer.status_code == status, answer.text
    assert status == 201 or answer.json()["title"]


def test_an_unknown_media_type_is_415_and_not_guessed(client: TestClient, bearer: Bearer):
    answer = client.post("/dataset", content=a_dataset(), headers={**bearer(), "Content-Type": "application/pdf"})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("media_type", "form"), [("application/ld+json", "json-ld"), ("application/rdf+xml", "xml"), ("text/n3", "turtle")]
)
def test_other_serialisations_are_read(client: TestClient, bearer: Bearer, media_type: str, form: str):
    graph = Graph().parse(data=a_dataset(), format="turtle", publicID="http://example.org/x")
    answer = client.post("/dataset", content=graph.serialize(format=form), headers={**bearer(), "Content-Type": media_type})
    assert answer.status_code == 201, answer.text


def test_exported_records_follow_their_dataset(client: TestClient, publish: Publish, bearer: Bearer):
    record, me = publish(), bearer("root@example.org")
    for path in (f"/dataset/{record.id}", "/catalog/local", f"/distribution/{record.id}.members"):
        answer = client.delete(path, headers=me)
        assert (answer.status_code, "comes from an export" in answer.json()["title"]) == (403, True)
        assert client.get(f"{path}/meta").json()["state"] == {"current": "PUBLISHED", "children": {}}
    assert client.get(f"/dataset/{record.id}").status_code == 200


def test_patch_is_not_allowed(client: TestClient, bearer: Bearer):
    answer = client.patch(create(client, bearer()), headers=bearer())
    assert answer.status_code == 405
    assert answer.headers["allow"]


@pytest.mark.parametrize("asked", [{"email": "ada@example.org", "password": "wrong"}, {"email": "nobody@example.org", "password": "x"}])
def test_a_wrong_password_is_401_and_does_not_tell_who_exists(client: TestClient, accounts, asked: dict[str, str]):
    answer = client.post("/tokens", json=asked)
    assert (answer.status_code, answer.json()["title"]) == (401, "The e-mail address or the password is wrong.")


@pytest.mark.parametrize("asked", [{}, {"email": "ada@example.org"}, [], {"email": 1, "password": 2}])
def test_a_request_for_a_token_that_lacks_something_is_400(client: TestClient, accounts, asked: object):
    assert client.post("/tokens", json=asked).status_code == 400


def parts_of(file: Path, kind: str) -> list[Graph]:
    """Return each entity of a type in a file as a document of its own, with the blank nodes it needs."""
    whole = Graph().parse(file, format="turtle")
    found = []
    for node in sorted(whole.subjects(RDF.type, TYPES[kind]), key=str):
        if isinstance(node, BNode):
            continue
        part, waiting = Graph(), [node]
        while waiting:
            for triple in whole.triples((waiting.pop(), None, None)):
                part.add(triple)
                waiting += [triple[2]] if isinstance(triple[2], BNode) and (triple[2], None, None) not in part else []
        found.append(part)
    return found


def test_every_valid_record_of_the_fixtures_loads(client: TestClient, bearer: Bearer, data: Path):
    """Records of the DTL FAIR Data Point and Health-RI's examples: catalogues, then datasets, then distributions."""
    me = bearer()
    files = sorted((data / "fair" / "fdp-records").glob("*.ttl")) + sorted((data / "fair" / "health-ri" / "examples").glob("*.ttl"))
    parents, loaded = {"catalog": f"{BASE}/"}, []
    for kind, below in (("catalog", "dataset"), ("dataset", "distribution"), ("distribution", None)):
        for file in files:
            for part in parts_of(file, kind):
                (node,) = {subject for subject in part.subjects(RDF.type, TYPES[kind]) if not isinstance(subject, BNode)}
                part.set((node, DCTERMS.isPartOf, URIRef(parents[kind])))
                answer = client.post(f"/{kind}", content=part.serialize(format="turtle"), headers={**me, **TURTLE})
                assert answer.status_code == 201, (file.name, answer.text)
                iri = answer.headers["location"]
                publish_entry(client, me, iri)
                loaded.append((kind, file.name))
                if below:
                    parents.setdefault(below, iri)
    names = {name for _, name in loaded}
    assert {file.name for file in files} - names == {"dtl-fdp.ttl", "example-dataservice.ttl"}  # a service, not one of the three types
    assert {kind: sum(1 for other, _ in loaded if other == kind) for kind in TYPES} == COUNTS


@pytest.mark.parametrize("name", ["invalid_iri", "syntax_error", "undefined_prefix", "missing_title"])
def test_every_invalid_record_of_the_fixtures_is_refused_with_the_reason(client: TestClient, bearer: Bearer, data: Path, name: str):
    text = (data / "fair" / "malformed" / f"{name}.ttl").read_text()
    linked = text + f"\n<http://www.dtls.nl/fdp/textmining/gene-disease-association_disgenet> <{DCTERMS.isPartOf}> <{LOCAL}> ."
    answer = client.post("/dataset", content=linked, headers={**bearer(), **TURTLE, "Accept": "application/problem+json"})
    reasons = {
        "invalid_iri": "no valid IRI",
        "syntax_error": "not valid turtle",
        "undefined_prefix": "not valid turtle",
        "missing_title": "has a title",
    }
    assert answer.status_code == (422 if name == "missing_title" else 400)
    assert reasons[name] in answer.json()["title"]
