"""Search, OAI-PMH, linksets, sitemap and the JSON views, read back by parsers that are not ours."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from lxml import etree
from rdflib import DCTERMS, RDF, Graph, URIRef
from sqlalchemy import Engine, text

from catalog.conftest import Publish, TestClient
from catalog.test_write_api import Bearer, a_dataset, create, publish_entry
from fairlead.catalog.oai import stamp
from fairlead.publish import Site, withdraw

pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")  # rdflib's own JSON-LD parser
BASE = "http://127.0.0.1:8000"
NS = {
    "o": "http://www.openarchives.org/OAI/2.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "s": "http://www.sitemaps.org/schemas/sitemap/0.9",
}


def oai(client: TestClient, **arguments: str) -> etree._Element:
    """Return the answer to an OAI-PMH request."""
    answer = client.get("/oai", params=arguments)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    root = etree.fromstring(answer.content)
    assert root.tag == f"{{{NS['o']}}}OAI-PMH"
    return root


def texts(root: etree._Element, path: str) -> list[str]:
    """Return the text of every element on a path."""
    return [str(item.text) for item in root.findall(path, NS)]


def test_oai_says_who_it_is(client: TestClient):
    root = oai(client, verb="Identify")
    assert texts(root, ".//o:protocolVersion") + texts(root, ".//o:deletedRecord") == ["2.0", "persistent"]
    assert texts(oai(client, verb="ListMetadataFormats"), ".//o:metadataPrefix") == ["oai_dc", "oai_datacite", "dcat"]


def test_oai_lists_published_written_and_withdrawn_datasets(client: TestClient, publish: Publish, bearer: Bearer, settings, engine):
    record, me = publish(title="Chest & abdomen <CT>"), bearer()
    written, draft = create(client, me, body=a_dataset(title="Bees")), create(client, me, body=a_dataset(title="Secret draft"))
    publish_entry(client, me, written)
    root = oai(client, verb="ListRecords", metadataPrefix="oai_dc")
    assert sorted(texts(root, ".//dc:title")) == ["Bees", "Chest & abdomen <CT>"]
    assert draft.rpartition("/")[2] not in etree.tostring(root).decode()
    withdraw(settings, engine, record.id, "consent")
    root = oai(client, verb="GetRecord", metadataPrefix="oai_dc", identifier=f"oai:127.0.0.1:{record.id}")
    assert [header.get("status") for header in root.findall(".//o:header", NS)] == ["deleted"]
    assert root.findall(".//o:metadata", NS) == []
    assert len(texts(oai(client, verb="ListIdentifiers", metadataPrefix="oai_dc"), ".//o:identifier")) == 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, "badVerb"),
        ({"verb": "Dance"}, "badVerb"),
        ({"verb": "Identify", "x": "y"}, "badArgument"),
        ({"verb": "ListRecords"}, "badArgument"),
        ({"verb": "ListRecords", "metadataPrefix": "marc"}, "cannotDisseminateFormat"),
        ({"verb": "ListRecords", "metadataPrefix": "oai_dc", "set": "x"}, "noSetHierarchy"),
        ({"verb": "ListSets"}, "noSetHierarchy"),
        ({"verb": "ListRecords", "metadataPrefix": "oai_dc", "from": "yesterday"}, "badArgument"),
        ({"verb": "ListRecords", "metadataPrefix": "oai_dc", "from": "2026-02-31"}, "badArgument"),
        ({"verb": "ListRecords", "metadataPrefix": "oai_dc", "from": "2026-01-02", "until": "2026-01-01"}, "badArgument"),
        ({"verb": "ListRecords", "metadataPrefix": "oai_dc"}, "noRecordsMatch"),
        ({"verb": "ListRecords", "resumptionToken": "x"}, "badResumptionToken"),
        ({"verb": "ListRecords", "resumptionToken": "WzEsMiwtNV0="}, "badResumptionToken"),
        ({"verb": "ListRecords", "resumptionToken": "x", "metadataPrefix": "oai_dc"}, "badArgument"),
        ({"verb": "GetRecord", "metadataPrefix": "oai_dc", "identifier": "oai:127.0.0.1:x"}, "idDoesNotExist"),
    ],
)
def test_oai_errors_are_answers_of_the_protocol(client: TestClient, arguments: dict[str, str], code: str):
    root = oai(client, **arguments)
    (error,) = root.findall("o:error", NS)
    assert error.get("code") == code
    assert [child.tag.rpartition("}")[2] for child in root] == ["responseDate", "request", "error"]


def test_oai_lists_by_date_and_in_parts(client: TestClient, bearer: Bearer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fairlead.catalog.oai.PAGE", 2)
    me = bearer()
    for number in range(5):
        publish_entry(client, me, create(client, me, body=a_dataset(title=f"Bees {number}")))
    found, token, asked = [], None, 0
    while token != "" and asked < 9:
        given = {"resumptionToken": token} if token else {"metadataPrefix": "oai_dc"}
        root = oai(client, verb="ListIdentifiers", **given)
        found += texts(root, ".//o:header/o:identifier")
        token = (root.findtext(".//o:resumptionToken", namespaces=NS) or "") if found else ""
        asked += 1
    assert (len(found), len(set(found)), asked) == (5, 5, 3)
    today = stamp(datetime.now(UTC))[:10]
    assert len(texts(oai(client, verb="ListIdentifiers", metadataPrefix="oai_dc", until=today), ".//o:identifier")) == 2
    early = oai(client, verb="ListIdentifiers", metadataPrefix="oai_dc", until="2020-01-01")
    assert early.find(".//o:error", NS).get("code") == "noRecordsMatch"


def test_oai_takes_forms(client: TestClient):
    assert b"protocolVersion" in client.post("/oai", data={"verb": "Identify"}).content


def test_search_finds_by_every_word(client: TestClient, publish: Publish, bearer: Bearer):
    record, me = publish(title="Chest CT of smokers"), bearer()
    written = create(client, me, body=a_dataset(title="Bees"))
    publish_entry(client, me, written)
    assert [hit["uri"] for hit in client.get("/search", params={"q": "SMOKERS chest"}).json()] == [f"{BASE}/dataset/{record.id}"]
    assert [hit["title"] for hit in client.post("/search", json={"query": "bees"}).json()] == ["Bees"]
    assert client.get("/search", params={"q": "smokers bees"}).json() == []
    assert client.get("/search", params={"q": "%"}).json() == []
    answer = client.get("/search", params={"q": "computed", "size": 1})
    assert (len(answer.json()), answer.headers["x-total-count"]) == (1, "1")


def test_search_narrows_by_facets_and_counts_them(client: TestClient, publish: Publish, bearer: Bearer):
    record, me = publish(title="Chest CT"), bearer()
    publish_entry(client, me, create(client, me, body=a_dataset(title="Chest of bees")))
    assert len(client.get("/search", params={"q": "chest"}).json()) == 2
    narrowed = client.get("/search", params={"q": "chest", "facet": ["modality:Computed Tomography", "type:dataset"]}).json()
    assert [hit["uri"] for hit in narrowed] == [f"{BASE}/dataset/{record.id}"]
    assert client.get("/search/facets", params={"q": "chest"}).json()["type"] == [{"value": "dataset", "count": 2}]
    assert client.get("/search/facets", params={"q": "chest"}).json()["access"] == [{"value": "public", "count": 1}]
    assert client.get("/search", params={"facet": "modality:<b>"}).json() == []
    page = client.get("/search", params={"q": "chest", "facet": "type:dataset"}, headers={"Accept": "text/html"}).text
    assert 'href="?q=chest"' in page
    for wrong in ("planet:x", "type", ""):
        assert client.get("/search", params={"facet": wrong}).status_code == 400


def test_search_is_a_page_too(client: TestClient, publish: Publish):
    publish(title="Chest <i>CT</i>")
    page = client.get("/search", params={"q": "<i>ct"}, headers={"Accept": "text/html"})
    assert "1 found" in page.text
    assert "<i>" not in page.text
    assert client.get("/search", headers={"Accept": "image/png"}).status_code == 406


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"query": 1}'])
def test_a_search_without_words_is_400(client: TestClient, body: str):
    assert client.post("/search", content=body).status_code == 400


@pytest.mark.parametrize("path", ["/search?q=x", "/oai?verb=Identify", "/sitemap.xml", "/sparql?query=ASK%7B%7D"])
def test_finding_says_503_when_the_store_is_down(client: TestClient, engine: Engine, path: str):
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE datasets"))
    assert client.get(path).status_code == 503


@pytest.mark.parametrize("table", ["catalog_entries", "catalog_harvested"])
def test_a_part_of_the_store_that_is_down_is_not_left_out(client: TestClient, engine: Engine, table: str):
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {table}"))
    assert client.get("/search?q=x").status_code == 503


def test_the_sitemap_names_the_pages(client: TestClient, publish: Publish, settings):
    record = publish()
    root = etree.fromstring(client.get("/sitemap.xml").content)
    assert set(texts(root, ".//s:loc")) == {
        f"{BASE}/",
        f"{BASE}/catalog/local",
        f"{BASE}/dataset/{record.id}",
        Site("http://127.0.0.1:8000", "local", settings.catalog).series(record),
    }
    assert f"Sitemap: {BASE}/sitemap.xml" in client.get("/robots.txt").text


def test_the_linkset_has_every_item_and_the_way_back(client: TestClient, publish: Publish):
    record = publish()
    link = client.head(f"/dataset/{record.id}").headers["link"]
    address = re.search(r'<([^>]+)>; rel="linkset"', link).group(1)
    document = client.get(address).json()
    page, *items = document["linkset"]
    assert page["anchor"] == f"{BASE}/dataset/{record.id}"
    assert {item["href"] for item in page["item"]} == {item["anchor"] for item in items}
    assert len(items) == len(record.distributions)
    assert {answer["href"]: client.get(answer["href"]).status_code for answer in page["describedby"]} == dict.fromkeys(
        [answer["href"] for answer in page["describedby"]], 200
    )
    plain = client.get(address, headers={"Accept": "application/linkset"})
    assert 'rel="collection"' in plain.text
    assert client.get(address, headers={"Accept": "text/html"}).status_code == 406


def test_the_linkset_of_restricted_data_has_no_items(client: TestClient, publish: Publish):
    record = publish(access_rights="restricted")
    (page,) = client.get(f"/.well-known/linkset/dataset/{record.id}").json()["linkset"]
    assert "item" not in page


def test_the_page_tells_search_engines_what_it_is(client: TestClient, publish: Publish):
    record = publish(title="</script><script>alert(1)</script>")
    page = client.get(f"/dataset/{record.id}", headers={"Accept": "text/html"}).text
    data = json.loads(re.search(r'<script type="application/ld\+json">(.*?)</script>', page, re.DOTALL).group(1))
    assert (data["@type"], data["name"]) == ("Dataset", "</script><script>alert(1)</script>")
    assert data == client.get(f"/dataset/{record.id}?profile=schemaorg").json()
    graph = Graph().parse(data=json.dumps(data), format="json-ld")
    assert graph.value(URIRef(data["@id"]), URIRef("https://schema.org/license")) == URIRef(record.license)


def test_croissant_leads_a_loader_to_the_rows_and_the_rows_to_the_stores(client: TestClient, publish: Publish):
    """What mlcroissant does: fetch the file object, compare its checksum, read the columns that the fields name."""
    record = publish()
    document = client.get(f"/dataset/{record.id}?profile=croissant").json()
    (file,), (rows,) = document["distribution"], document["recordSet"]
    content = client.get(file["contentUrl"]).content
    assert hashlib.sha256(content).hexdigest() == file["sha256"]
    table = list(csv.DictReader(io.StringIO(content.decode())))
    assert [field["source"]["extract"]["column"] for field in rows["field"]] == list(table[0])
    assert client.get(f"/data/{record.id}/v1/{table[0]['store']}/zarr.json").status_code == 200


def test_datacite_has_what_is_mandatory(client: TestClient, publish: Publish):
    answer = client.get(f"/dataset/{publish().id}?profile=datacite")
    assert answer.headers["content-type"] == "application/vnd.datacite.datacite+json"
    document = answer.json()
    mandatory = ("identifiers", "creators", "titles", "publisher", "publicationYear", "types", "schemaVersion")
    assert all(document[name] for name in mandatory)
    assert document["types"]["resourceTypeGeneral"] == "Dataset"


def test_the_crate_is_served_detached_and_every_part_resolves(client: TestClient, publish: Publish):
    record = publish()
    document = client.get(f"/dataset/{record.id}?profile=ro-crate").json()
    entities = {item["@id"]: item for item in document["@graph"]}
    root = entities[entities["ro-crate-metadata.json"]["about"]["@id"]]
    assert root["@id"] == f"{BASE}/data/{record.id}/v1/"
    parts = [part["@id"] for part in root["hasPart"]]
    assert {part: client.get(part).status_code for part in parts} == dict.fromkeys(parts, 200)


@pytest.mark.parametrize("profile", ["schemaorg", "croissant", "datacite", "ro-crate"])
def test_json_views_are_of_datasets_and_cached_by_etag(client: TestClient, publish: Publish, profile: str):
    path = f"/dataset/{publish().id}?profile={profile}"
    first = client.get(path)
    assert client.get(path, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    assert client.get(path, headers={"Accept": "image/png"}).status_code == 406
    assert client.get(f"/catalog/local?profile={profile}").status_code == 406


def test_sparql_reads_what_is_public_and_nothing_else(client: TestClient, publish: Publish, bearer: Bearer):
    publish(title="Chest CT")
    create(client, bearer(), body=a_dataset(title="Secret draft"))
    query = (
        "PREFIX dct: <http://purl.org/dc/terms/> PREFIX dcat: <http://www.w3.org/ns/dcat#> SELECT ?t { ?d a dcat:Dataset; dct:title ?t }"
    )
    answer = client.get("/sparql", params={"query": query}, headers={"Accept": "text/csv"})
    assert (answer.status_code, answer.text.split()) == (200, ["t", "Chest", "CT"])
    graph = client.post("/sparql", content="DESCRIBE <http://127.0.0.1:8000/>", headers={"Accept": "text/turtle"})
    assert "FAIRDataPoint" in graph.text


@pytest.mark.parametrize(
    "query",
    [
        "",
        "SELECT",
        "INSERT DATA { <urn:a> <urn:b> <urn:c> }",
        "SELECT * { SERVICE <http://127.0.0.1/> { ?s ?p ?o } }",
        "SELECT * { ?s ?p ?o.SERVICE<http://127.0.0.1/> { ?s ?p ?o } }",
        "# '''\nSELECT * FROM <file:///etc/passwd> { ?s ?p ?o } # '''",
        '#"""\nSELECT * { SERVICE <http://127.0.0.1/> { ?s ?p ?o } } #"""',
        "SELECT * { ?s ?p '#' . SERVICE <http://127.0.0.1/> { ?s ?p ?o } }",
        "SELECT * FROM <file:///etc/passwd> { ?s ?p ?o }",
        "LOAD <http://127.0.0.1/>",
        r"SELECT * \u0046ROM <file:///etc/passwd> { ?s ?p ?o }",
        r"SELECT * { \U00000053ERVICE <http://127.0.0.1/> { ?s ?p ?o } }",
        "SELECT * { ?s ?p ?o } #" + "x" * 20_000,
    ],
)
def test_sparql_that_is_no_query_over_this_catalogue_is_400(client: TestClient, query: str):
    answer = client.post("/sparql", data={"query": query})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


def test_a_query_without_end_is_ended(client: TestClient, settings, engine):
    from fairlead.catalog.corpus import Corpus
    from fairlead.catalog.documents import Documents
    from fairlead.catalog.entries import Entries
    from fairlead.catalog.series import SeriesBook
    from fairlead.catalog.sparql import Queries, TooCostly
    from fairlead.publish import DatasetStore, Site

    site, store = Site.of(settings), DatasetStore(settings, engine)
    corpus = Corpus(Documents(site, store, Entries(engine), SeriesBook(site, store, engine)), engine)
    values = " ".join(str(number) for number in range(300))
    query = "SELECT (COUNT(*) AS ?n) { " + " ".join(f"VALUES ?v{name} {{ {values} }}" for name in "abcd") + " }"
    with pytest.raises(TooCostly, match=r"more than .* of processor time"):
        Queries(corpus, time_s=1).run(query, "text/csv")


def test_the_engine_itself_reaches_no_server_and_makes_no_endless_result():
    from fairlead.catalog.sparql import WORKER

    statements = b"".join(f"<urn:s{number}> <urn:p> <urn:o> .\n".encode() for number in range(400))

    def error(query: str) -> str:
        """Return what the worker says to a query that nobody has checked."""
        request = json.dumps({"query": query, "media_type": "text/csv", "time_s": 5}).encode() + b"\n"
        done = subprocess.run([sys.executable, "-I", str(WORKER)], input=request + statements, capture_output=True, check=True, timeout=60)
        return str(json.loads(done.stdout.partition(b"\n")[0])["error"])

    assert "Too many open files" in error("SELECT * { SERVICE <http://127.0.0.1:8000/sparql> { ?s ?p ?o } }")
    assert "more than 5000000 bytes" in error("SELECT * { ?a ?b ?c . ?d ?e ?f }")


def test_the_service_says_what_it_is_and_where_everything_is(client: TestClient, publish: Publish):
    record = publish()
    sd, void = "http://www.w3.org/ns/sparql-service-description#", "http://rdfs.org/ns/void#"
    for path in ("/sparql", "/.well-known/void"):
        graph = Graph().parse(data=client.get(path, headers={"Accept": "text/turtle"}).text, format="turtle")
        (service,) = graph.subjects(RDF.type, URIRef(f"{sd}Service"))
        assert (service, URIRef(f"{sd}supportedLanguage"), URIRef(f"{sd}SPARQL11Query")) in graph
    (node,) = graph.subjects(RDF.type, URIRef(f"{void}Dataset"))
    everything = Graph()
    for dump in graph.objects(node, URIRef(f"{void}dataDump")):
        answer = client.get(str(dump))
        assert answer.status_code == 200
        part = Graph().parse(data=answer.text, format="nt" if str(dump).endswith(".nt") else "turtle")
        assert (URIRef(f"http://127.0.0.1:8000/dataset/{record.id}"), DCTERMS.title, None) in part
        everything = part if str(dump).endswith(".nt") else everything
    (count,) = graph.objects(node, URIRef(f"{void}triples"))
    assert int(count) == client.get("/dump.nt").text.count("\n") >= len(everything)
    assert client.get("/dump.nt", headers={"If-None-Match": client.get("/dump.nt").headers["etag"]}).status_code == 304
    assert client.get("/sparql", headers={"Accept": "image/png"}).status_code == 406
