from __future__ import annotations

from pathlib import Path

import pytest
from rdflib import DCTERMS, RDF, Graph, URIRef
from rdflib.compare import isomorphic
from sqlalchemy import Engine, text

from catalog.conftest import Publish, TestClient
from fairlead.publish import Site, check_shapes, withdraw
from fairlead.publish.vocabulary import DCAT, FDP, LDP
from fairlead.settings import Settings

BASE = "http://127.0.0.1:8000"
PARSERS = {
    "text/turtle": "turtle",
    "application/ld+json": "json-ld",
    "application/rdf+xml": "xml",
    "application/n-triples": "nt",
}
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")  # rdflib's own JSON-LD parser


def graph_of(client: TestClient, iri: str, accept: str = "text/turtle", **query: str) -> Graph:
    """Return what an address answers as a graph."""
    answer = client.get(iri, headers={"Accept": accept}, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].split(";")[0] == accept
    return Graph().parse(data=answer.content, format=PARSERS[accept], publicID=iri)


def test_an_empty_point_still_has_a_root_and_a_catalogue(client: TestClient):
    root = graph_of(client, f"{BASE}/")
    (catalog,) = root.objects(URIRef(f"{BASE}/"), FDP.metadataCatalog)
    assert check_shapes(root).results == ()
    assert check_shapes(graph_of(client, str(catalog))).results == ()


def test_the_harvesters_walk_reaches_every_record(client: TestClient, publish: Publish):
    """The reference implementation's walk: Turtle only, every container, every ``ldp:contains``; each record valid as served."""
    record = publish()
    waiting, seen = [f"{BASE}/"], set()
    while waiting:
        iri = waiting.pop()
        seen.add(iri)
        graph = graph_of(client, iri)
        assert check_shapes(graph).results == ()
        assert (URIRef(iri), RDF.type, DCAT.Resource) in graph
        for container in graph.subjects(RDF.type, LDP.DirectContainer):
            waiting += [str(child) for child in graph.objects(container, LDP.contains) if str(child) not in seen]
    names = {f"{BASE}/distribution/{record.id}.{item.id}" for item in record.distributions}
    series = Site.of(Settings()).series(record)
    assert seen == {f"{BASE}/", f"{BASE}/catalog/local", series, f"{BASE}/dataset/{record.id}", *names}


@pytest.mark.parametrize("media_type", PARSERS)
def test_every_serialisation_of_a_dataset_says_the_same(client: TestClient, publish: Publish, media_type: str):
    iri = f"{BASE}/dataset/{publish().id}"
    assert isomorphic(graph_of(client, iri, media_type), graph_of(client, iri))


@pytest.mark.parametrize(
    ("name", "media_type"), [("ttl", "text/turtle"), ("jsonld", "application/ld+json"), ("nt", "application/n-triples")]
)
def test_format_overrides_accept(client: TestClient, name: str, media_type: str):
    answer = client.get("/", params={"format": name}, headers={"Accept": "image/png"})
    assert answer.headers["content-type"].startswith(media_type)


@pytest.mark.parametrize(("query", "accept"), [({}, "image/png"), ({"format": "json"}, "*/*"), ({"profile": "gide"}, "*/*")])
def test_what_is_not_offered_is_406_with_what_is(client: TestClient, query: dict[str, str], accept: str):
    answer = client.get("/", params=query, headers={"Accept": accept})
    assert answer.status_code == 406
    assert answer.headers["content-type"] == "application/problem+json"
    assert "text/turtle" in answer.text or "Leave ?profile= out" in answer.text


@pytest.mark.parametrize("profile", ["dcat-ap", "health-ri"])
def test_other_profiles_are_other_views_of_the_same_address(client: TestClient, publish: Publish, profile: str):
    iri = f"{BASE}/dataset/{publish().id}"
    graph = graph_of(client, iri, profile=profile)
    assert check_shapes(graph, profile).results == ()
    assert (URIRef(iri), RDF.type, DCAT.Resource) not in graph


def test_the_profile_a_record_names_leads_to_the_shapes_it_passes(client: TestClient, publish: Publish):
    iri = f"{BASE}/dataset/{publish().id}"
    record = graph_of(client, iri)
    (profile,) = record.objects(URIRef(iri), DCTERMS.conformsTo)
    shapes = graph_of(client, str(profile))
    assert check_shapes(record, shapes=shapes).valid
    assert not check_shapes(Graph().parse(data=f"<{iri}> a <{DCAT.Dataset}> .", format="turtle"), shapes=shapes).valid


def test_an_unchanged_record_is_304(client: TestClient, publish: Publish):
    path = f"/dataset/{publish().id}"
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])


def test_a_new_version_has_a_new_etag(client: TestClient, publish: Publish):
    path = f"/dataset/{publish().id}"
    before = client.get(path).headers["etag"]
    publish(license="CC0-1.0")
    assert client.get(path, headers={"If-None-Match": before}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/catalog/local", "/healthz", "/profile/fdp", "/spec"])
def test_head_answers_like_get_without_a_body(client: TestClient, path: str):
    got, asked = client.get(path), client.head(path)
    assert (asked.status_code, asked.headers["content-type"]) == (200, got.headers["content-type"])
    assert asked.headers["content-length"] == got.headers["content-length"]


def test_caches_are_told_that_accept_matters(client: TestClient):
    assert "Accept" in client.get("/").headers["vary"]


def test_other_origins_may_read(client: TestClient):
    answer = client.get("/", headers={"Origin": "https://viewer.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "ETag" in answer.headers["access-control-expose-headers"]
    preflight = client.options("/", headers={"Origin": "https://viewer.example", "Access-Control-Request-Method": "GET"})
    assert preflight.status_code == 200


def test_signposts_lead_a_machine_from_the_page(client: TestClient, publish: Publish):
    record = publish()
    link = client.head(f"/dataset/{record.id}", headers={"Accept": "text/html"}).headers["link"]
    for relation in ("cite-as", "describedby", "license", "item", "type", "author"):
        assert f'rel="{relation}"' in link
    assert f"{BASE}/data/{record.id}/v1/members.csv" in link


@pytest.mark.parametrize("path", ["/catalog/", "/catalog/local/dataset/"])
def test_containers_are_addresses_too(client: TestClient, publish: Publish, path: str):
    publish()
    graph = graph_of(client, BASE + path)
    assert len(list(graph.objects(URIRef(BASE + path), LDP.contains))) == 1


def test_the_container_of_distributions_lists_all(client: TestClient, publish: Publish):
    record = publish()
    iri = f"{BASE}/dataset/{record.id}/distribution/"
    assert len(list(graph_of(client, iri).objects(URIRef(iri), LDP.contains))) == len(record.distributions) == 4


def test_pages_of_children_are_linked(client: TestClient, publish: Publish):
    path = f"/dataset/{publish().id}/page/distribution"
    first = client.get(path, params={"size": 3})
    assert set(first.links) == {"first", "last", "next"}
    second = client.get(first.links["next"]["url"])
    assert set(second.links) == {"first", "last", "prev"}
    both = Graph().parse(data=first.text, format="turtle") + Graph().parse(data=second.text, format="turtle")
    assert len(list(both.objects(None, DCAT.distribution))) == 4


@pytest.mark.parametrize("path", ["/catalog/local/page/dataset", "/page/catalog"])
def test_an_empty_list_has_one_page_and_no_minus_one(client: TestClient, path: str):
    answer = client.get(path)
    assert answer.status_code == 200
    assert "page=0" in answer.links["last"]["url"]


@pytest.mark.parametrize("query", [{"page": "-1"}, {"size": "0"}, {"size": "100000"}, {"page": "x"}])
def test_impossible_pages_are_400(client: TestClient, query: dict[str, str]):
    answer = client.get("/page/catalog", params=query)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/catalog/other",
        "/dataset/ds-0",
        "/distribution/ds-0.image-1",
        "/distribution/x",
        "/profile/x",
        "/data/ds-0/v1/members.csv",
    ],
)
def test_what_does_not_exist_is_404_in_words(client: TestClient, path: str):
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["title"]


def test_a_distribution_that_a_dataset_does_not_have_is_404(client: TestClient, publish: Publish):
    assert client.get(f"/distribution/{publish().id}.image-0").status_code == 404


@pytest.mark.parametrize("accept", ["text/turtle", "text/html", "application/ld+json"])
@pytest.mark.parametrize("kind", ["dataset/{}", "distribution/{}.members"])
def test_a_withdrawn_dataset_is_410_with_its_tombstone(client, publish, settings, engine, accept: str, kind: str):
    record = publish()
    withdraw(settings, engine, record.id, "consent <b>withdrawn</b>")
    answer = client.get("/" + kind.format(record.id), headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (410, accept)
    assert "withdrawn" in answer.text
    assert f"mailto:{settings.catalog.contact_email}" in answer.text
    assert accept != "text/html" or "<b>withdrawn" not in answer.text
    assert client.get(f"/data/{record.id}/v1/members.csv").status_code == 410
    assert record.id not in client.get("/catalog/local").text


@pytest.mark.parametrize("path", ["/", "/catalog/local", "/catalog/", "/healthz", "/metrics", "/dataset/{}", "/distribution/{}.members"])
def test_an_outage_is_503_and_never_an_empty_answer(client: TestClient, publish: Publish, engine: Engine, path: str):
    record = publish()
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE datasets"))
    answer = client.get(path.format(record.id))
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert "Retry-After" in answer.headers
    assert "sqlite" not in answer.text.lower()
    assert "datasets" not in answer.json()["title"]


def test_storage_that_is_gone_is_503_while_records_stay(client: TestClient, publish: Publish, settings: Settings):
    import shutil

    record = publish()
    shutil.rmtree(settings.published_folder)
    assert client.get(f"/data/{record.id}/v1/members.csv").status_code == 503
    assert client.get(f"/dataset/{record.id}").status_code == 200


@pytest.mark.parametrize(("method", "path"), [("POST", "/"), ("POST", "/api-keys"), ("GET", "/index/entries")])
def test_what_is_not_built_says_so(client: TestClient, method: str, path: str):
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (501, "application/problem+json")
    assert "does not do" in answer.json()["title"]


def test_counters_have_no_labels_that_clients_can_make(client: TestClient):
    client.get("/nope/secret")
    client.request("BREW", "/")
    body = client.get("/metrics").text
    assert 'fairlead_catalog_requests_total{method="GET",status="404"} 1' in body
    assert 'method="other"' in body
    assert "secret" not in body
    assert "BREW" not in body


def test_a_mistake_of_the_server_tells_nothing_but_a_reference(client: TestClient, publish: Publish, settings: Settings):
    record = publish()
    store = Path(settings.published_folder)
    folder = next(store.glob(f"{record.id}/v1-*"))
    (folder / "members.csv").chmod(0)
    (folder / "members.csv").unlink()
    (folder / "members.csv").symlink_to("/etc/passwd")
    answer = client.get(f"/data/{record.id}/v1/members.csv")
    assert (answer.status_code, "root:" in answer.text) == (404, False)


def test_the_records_words_reach_no_page_unescaped(client: TestClient, publish: Publish):
    record = publish(title='"><script>alert(1)</script>')
    for path in ("/", "/catalog/local", f"/dataset/{record.id}", f"/distribution/{record.id}.members"):
        page = client.get(path, headers={"Accept": "text/html"}).text
        assert "<script>" not in page
        assert "alert(1)</script" not in page
        assert "&lt;script&gt;" in page
