"""Dataset series as records: reached from the root, valid, with every version of a cohort, and gone when all are withdrawn."""

from __future__ import annotations

import pytest
from rdflib import RDF, Graph, URIRef
from sqlalchemy import Engine, text

from catalog.conftest import Publish, TestClient
from fairlead.publish import Exports, Site, check_shapes, withdraw
from fairlead.publish.vocabulary import DCAT, LDP
from fairlead.records import DatasetRecord
from fairlead.settings import Settings
from publish.conftest import Clock, run
from publish.fakes import FakeUpstream, a_cohort, an_imaging_record

BASE = "http://127.0.0.1:8000"


def a_version(settings: Settings, engine: Engine, number: int) -> DatasetRecord:
    """Publish one version of a cohort."""
    members = [an_imaging_record(item) for item in range(1, number + 1)]
    upstream = FakeUpstream(a_cohort(members, reference=f"chest@{number}", title=f"Chest {number}"), members)
    exports = Exports(settings, engine, upstream=upstream, clock=Clock())
    return exports.publish(run(exports, run_id=f"run-{number}", cohort=f"chest@{number}", views=("fdp",)))


def graph_of(client: TestClient, iri: str, **query: str) -> Graph:
    """Return a record as a graph."""
    answer = client.get(iri, params=query, headers={"Accept": "text/turtle"})
    assert answer.status_code == 200, answer.text
    return Graph().parse(data=answer.text, format="turtle")


def test_a_cohorts_versions_are_one_series_that_the_catalogue_leads_to(client: TestClient, settings: Settings, engine: Engine):
    first, second = a_version(settings, engine, 1), a_version(settings, engine, 2)
    series = URIRef(Site.of(settings).series(first))
    one, two = (URIRef(f"{BASE}/dataset/{record.id}") for record in (first, second))
    assert list(graph_of(client, f"{BASE}/catalog/local/series/").objects(None, LDP.contains)) == [series]
    assert list(graph_of(client, str(two)).objects(two, DCAT.inSeries)) == [series]
    graph = graph_of(client, str(series))
    assert set(graph.objects(series, DCAT.seriesMember)) == {one, two}
    assert (graph.value(series, DCAT.first), graph.value(series, DCAT.last)) == (one, two)
    assert set(graph_of(client, f"{series}/dataset/").objects(None, LDP.contains)) == {one, two}
    page = client.get(str(series), headers={"Accept": "text/html"}).text
    assert page.count('<a href="/dataset/ds-') == 2


@pytest.mark.parametrize("profile", ["fdp", "dcat-ap", "health-ri", "healthdcat-ap", "imaging"])
def test_every_view_of_a_series_is_valid(client: TestClient, publish: Publish, settings: Settings, profile: str):
    iri = Site.of(settings).series(publish())
    graph = graph_of(client, iri, profile=profile)
    assert (URIRef(iri), RDF.type, DCAT.DatasetSeries) in graph
    assert check_shapes(graph, profile).results == ()


def test_a_series_without_datasets_is_410_and_an_unknown_one_404(client: TestClient, publish: Publish, settings: Settings, engine: Engine):
    record = publish()
    iri = Site.of(settings).series(record)
    withdraw(settings, engine, record.id, "consent")
    assert client.get(iri).status_code == 410
    assert iri not in client.get("/catalog/local").text
    assert client.get("/series/se-0").status_code == 404


@pytest.mark.parametrize("table", ["datasets", "catalog_harvested"])
@pytest.mark.parametrize("path", ["/series/se-0", "/series/se-0/dataset/", "/catalog/local/series/"])
def test_series_say_503_when_the_store_is_down(client: TestClient, engine: Engine, path: str, table: str):
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {table}"))
    assert client.get(path).status_code == 503
