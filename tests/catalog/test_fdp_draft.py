"""The FDP 2.0 draft behind its setting, and compressed representations."""

from __future__ import annotations

import gzip

import pytest
from rdflib import DCTERMS, FOAF, RDF, Graph, Literal, URIRef
from sqlalchemy import Engine

from catalog.conftest import Publish, TestClient
from catalog.test_write_api import a_catalog, a_dataset, create, publish_entry
from fairlead.catalog import create_app
from fairlead.publish import check_shapes
from fairlead.publish.graph import new_graph
from fairlead.publish.vocabulary import DCAT, FDP, LDP
from fairlead.settings import CatalogSettings, Settings

BASE = "http://127.0.0.1:8000"
BOTH = (DCTERMS.title, DCTERMS.publisher, DCTERMS.license, DCTERMS.conformsTo, FOAF.isPrimaryTopicOf)


@pytest.fixture
def draft(settings: Settings, engine: Engine) -> TestClient:
    """Return a client of a catalogue that follows the draft."""
    chosen = settings.model_copy(update={"catalog": CatalogSettings(fdp_draft=True)})
    return TestClient(create_app(chosen, engine), base_url=BASE)


def read(client: TestClient, iri: str) -> Graph:
    """Return what an address says in Turtle."""
    answer = client.get(iri, headers={"Accept": "text/turtle"})
    assert answer.status_code == 200, answer.text
    return Graph().parse(data=answer.text, format="turtle", publicID=iri)


def test_every_record_leads_to_its_metadata_record(draft: TestClient, publish: Publish, bearer):
    record, me = publish(), bearer()
    written = create(draft, me)
    assert draft.get(f"{written}/metadata").status_code == 404
    publish_entry(draft, me, written)
    (series,) = read(draft, f"{BASE}/dataset/{record.id}").objects(None, DCAT["inSeries"])
    part = f"{BASE}/distribution/{record.id}.{record.distributions[0].id}"
    for iri in (f"{BASE}/", f"{BASE}/catalog/local", f"{BASE}/dataset/{record.id}", part, written, str(series)):
        (link,) = read(draft, iri).objects(URIRef(iri), FDP.hasMetadata)
        found = read(draft, str(link))
        assert {(link, RDF.type, FDP.MetadataRecord), (link, FDP.isMetadataOf, URIRef(iri)), (link, FOAF.primaryTopic, URIRef(iri))} <= set(
            found
        )
        assert (link, DCTERMS.identifier, Literal(str(link))) in found
        assert len(list(found.objects(link, DCTERMS.modified))) == len(list(found.objects(link, DCTERMS.issued))) == 1


def test_every_answer_passes_the_shapes_of_the_draft(draft: TestClient, publish: Publish, bearer):
    record, me = publish(), bearer()
    written = create(draft, me, "catalog", a_catalog())
    publish_entry(draft, me, written)
    part = f"{BASE}/distribution/{record.id}.{record.distributions[0].id}"
    found = new_graph()
    for iri in (f"{BASE}/", f"{BASE}/catalog/local", f"{BASE}/dataset/{record.id}", part, written):
        one, about = read(draft, iri), read(draft, f"{iri.rstrip('/')}/metadata")
        for graph in (one, about):
            report = check_shapes(graph, "fdp-draft")
            assert report.valid, [str(item) for item in report.results]
        found += one
        found += about
    assert (
        (URIRef(f"{part}/metadata"), RDF.type, DCAT.CatalogRecord) in found,
        len(set(found.subjects(RDF.type, DCAT.CatalogRecord))),
    ) == (False, 4)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (kind, path)
        for kind, paths in {
            FDP.FAIRDataPoint: (*BOTH, DCAT.endpointURL, FDP.conformsToFdpSpec),
            DCAT.Catalog: (*BOTH, DCTERMS.isPartOf, DCAT.themeTaxonomy),
            LDP.DirectContainer: (DCTERMS.title, LDP.membershipResource, LDP.hasMemberRelation),
            FDP.MetadataRecord: (FOAF.primaryTopic, DCTERMS.issued, DCTERMS.modified),
        }.items()
        for path in paths
    ],
)
def test_each_property_that_the_draft_makes_mandatory_is_missed(draft: TestClient, kind: URIRef, path: URIRef):
    address = {FDP.MetadataRecord: "/metadata", DCAT.Catalog: "/catalog/local"}.get(kind, "/")
    graph = read(draft, f"{BASE}{address}")
    (node, *_) = graph.subjects(RDF.type, kind)
    graph.remove((node, path, None))
    assert not check_shapes(graph, "fdp-draft").valid


def test_without_the_setting_nothing_of_the_draft_is_there(client: TestClient, publish: Publish):
    iri = f"{BASE}/dataset/{publish().id}"
    assert (None, FDP.hasMetadata, None) not in read(client, iri)
    assert [client.get(path).status_code for path in ("/metadata", f"{iri}/metadata")] == [404, 404]


def raw(client: TestClient, iri: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and the bytes as they were sent."""
    with client.stream("GET", iri, headers=headers) as answer:
        return answer.status_code, dict(answer.headers), b"".join(answer.iter_raw())


def test_documents_are_compressed_under_an_entity_tag_of_their_own(client: TestClient, publish: Publish):
    record = publish()
    iri = f"/dataset/{record.id}"
    _, plain, body = raw(client, iri, **{"Accept-Encoding": "identity"})
    status, packed, data = raw(client, iri, **{"Accept-Encoding": "br, gzip"})
    assert (status, packed["content-encoding"], gzip.decompress(data)) == (200, "gzip", body)
    assert len(data) < len(body) / 2
    assert packed["etag"] == plain["etag"].removesuffix('"') + '-gzip"'
    assert "Accept-Encoding" in packed["vary"]
    for etag in (plain["etag"], packed["etag"]):
        status, headers, data = raw(client, iri, **{"Accept-Encoding": "gzip", "If-None-Match": etag})
        assert (status, headers["etag"], data) == (304, etag, b"")
    assert "content-encoding" not in raw(client, iri, **{"Accept-Encoding": "gzip;q=0, identity"})[1]


def test_bytes_of_datasets_are_never_compressed(client: TestClient, publish: Publish):
    path = f"/data/{publish().id}/v1/record.ttl"
    status, headers, _ = raw(client, path, **{"Accept-Encoding": "gzip"})
    assert (status, "content-encoding" in headers) == (200, False)
    status, headers, data = raw(client, path, **{"Accept-Encoding": "gzip", "Range": "bytes=0-9"})
    assert (status, len(data)) == (206, 10)


def test_a_change_may_name_the_tag_of_the_compressed_record(client: TestClient, bearer):
    me = bearer()
    iri = create(client, me)
    publish_entry(client, me, iri)
    sent = client.get(iri, headers={"Accept-Encoding": "gzip", "Accept": "text/turtle"})
    assert sent.headers["etag"].endswith('-gzip"')
    change = {**me, "Content-Type": "text/turtle", "If-Match": sent.headers["etag"]}
    assert client.put(iri, content=a_dataset(title="Wasps"), headers=change).status_code == 200
    assert client.put(iri, content=sent.text, headers=change).status_code == 412
