"""The AI-readiness datasheet: seven requirements as a page and as quality measurements."""

from __future__ import annotations

import pytest
from rdflib import RDF, Graph, Literal, URIRef
from sqlalchemy import Engine, text

from catalog.conftest import Publish, TestClient
from catalog.test_pages import page
from fairlead.publish import Site, datasheet, withdraw
from fairlead.publish.vocabulary import DQV
from fairlead.records import Tally
from fairlead.settings import CatalogSettings
from publish.samples import a_record

pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")  # rdflib's own JSON-LD parser
BASE = "http://127.0.0.1:8000"
SITE = Site(BASE, "local", CatalogSettings())
SEVEN = ["accessibility", "quality", "variety", "context", "structure", "formats", "infrastructure"]


def test_every_measure_is_a_quality_measurement_in_one_of_seven_dimensions(client: TestClient, publish: Publish):
    record = publish()
    answer = client.get(f"/dataset/{record.id}/datasheet", headers={"Accept": "application/ld+json"})
    graph = Graph().parse(data=answer.text, format="json-ld")
    node = URIRef(f"{BASE}/dataset/{record.id}")
    measurements = list(graph.objects(node, DQV.hasQualityMeasurement))
    shares = sum(len(tally.cells) for tally in record.tallies)
    assert len(measurements) == shares + sum(len(item.measures) for item in datasheet(record, site=SITE))
    metrics = [graph.value(item, DQV.isMeasurementOf) for item in measurements]
    assert len(set(graph.objects(None, DQV.inDimension))) == 7
    assert all(graph.value(item, RDF.type) == DQV.Metric and graph.value(item, DQV.inDimension) for item in metrics)
    verified = URIRef(f"{BASE}/dataset/{record.id}/datasheet#voxels-verified")
    assert graph.value(verified, DQV.value) == Literal(True)


def test_the_page_draws_every_distribution_without_script(client: TestClient, publish: Publish):
    record = publish()
    assert f'href="/dataset/{record.id}/datasheet"' in page(client, f"/dataset/{record.id}")[0]
    shown, outline = page(client, f"/dataset/{record.id}/datasheet")
    assert outline.headings.count("h1") == 1
    assert [name for name in SEVEN if f'<h2 id="{name}">' in shown] == SEVEN
    assert "<script" not in shown
    assert shown.count('<svg class="plot" role="img" aria-label=') == sum(bool(tally.cells) for tally in record.tallies) == 5
    assert "the groups have fewer than 5 subjects" in shown


def test_the_requirements_are_measured_and_not_stated():
    plain = {item.name: item for item in datasheet(a_record(), site=SITE)}
    assert list(plain) == SEVEN
    closed = {item.name: item for item in datasheet(a_record(access_rights="restricted", counts_below=9), site=SITE)}
    assert closed["accessibility"].met == plain["accessibility"].met - 1
    assert "patients" in {item.name for item in plain["variety"].measures}
    assert "patients" not in {item.name for item in closed["variety"].measures}


def test_hostile_labels_stay_text(client: TestClient, publish: Publish):
    from fairlead.catalog.pages import Pages

    record = a_record(tallies=(Tally(name="<b>", unit="series", cells=(("</svg><script>", 100),)),))
    assert "<script>" not in Pages(SITE).datasheet(record).decode()


@pytest.mark.parametrize(("accept", "status"), [("image/png", 406), ("text/turtle", 200), ("text/html", 200)])
def test_the_datasheet_is_negotiated(client: TestClient, publish: Publish, accept: str, status: int):
    assert client.get(f"/dataset/{publish().id}/datasheet", headers={"Accept": accept}).status_code == status


def test_the_datasheet_of_what_is_gone_is_gone(client: TestClient, publish: Publish, settings, engine: Engine):
    record = publish()
    assert client.get("/dataset/ds-0/datasheet").status_code == 404
    withdraw(settings, engine, record.id, "consent")
    assert client.get(f"/dataset/{record.id}/datasheet").status_code == 410
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE datasets"))
    assert client.get(f"/dataset/{record.id}/datasheet").status_code == 503
