"""A cohort across centres: two centres publish their parts, the hub harvests both, and a withdrawal reaches it at the next harvest."""

from __future__ import annotations

from pathlib import Path

import httpx
from fastapi.testclient import TestClient
from rdflib import Graph, URIRef

from catalog.conftest import published_once
from fairlead.catalog import create_app, harvest
from fairlead.catalog.fetching import Fetcher
from fairlead.publish import withdraw
from fairlead.settings import CatalogSettings, Settings
from migrated import migrated_engine

HUB = "http://hub.example.org"
SERIES = f"{HUB}/series/lung-ct"


def parts_at(hub: TestClient) -> set[str]:
    """Return the members of the series as the hub's catalogue lists them."""
    response = hub.get("/series/lung-ct")
    if response.status_code == 404:
        return set()
    graph = Graph().parse(data=response.text, format="turtle")
    return {str(member) for member in graph.objects(URIRef(SERIES), URIRef("http://www.w3.org/ns/dcat#seriesMember"))}


def test_the_hubs_series_lists_the_parts_of_both_centres_until_one_is_withdrawn(tmp_path: Path) -> None:
    opened, parts = {}, {}
    for name in ("north", "south"):
        address = f"http://{name}.example.org"
        settings = Settings(home=tmp_path / name, center=name, catalog=CatalogSettings(base_url=address))
        engine = migrated_engine(settings)
        record = published_once(settings, engine, {"views": ("fdp",), "series": SERIES})
        parts[name] = f"{address}/dataset/{record.id}"
        opened[name] = settings, engine, TestClient(create_app(settings, engine), base_url=address), record
    hub_settings = Settings(home=tmp_path / "hub", catalog=CatalogSettings(base_url=HUB))
    hub_engine = migrated_engine(hub_settings)
    hub = TestClient(create_app(hub_settings, hub_engine), base_url=HUB)

    def answer(request: httpx.Request) -> httpx.Response:
        client = opened[request.headers["host"].split(".")[0]][2]
        got = client.get(str(request.url.raw_path, "ascii"), headers={"accept": request.headers.get("accept", "*/*")})
        return httpx.Response(got.status_code, headers={"content-type": got.headers["content-type"]}, content=got.content)

    def harvest_both() -> None:
        fetcher = Fetcher(resolve=lambda host, port: ["93.184.216.34"], transport=httpx.MockTransport(answer))
        report = harvest(hub_settings, [f"http://{name}.example.org/" for name in opened], fetcher=fetcher, engine=hub_engine)
        assert report.errors == ()

    assert parts_at(hub) == set()
    harvest_both()
    assert parts_at(hub) == set(parts.values())
    settings, engine, _, record = opened["south"]
    withdraw(settings, engine, record.id, "consent withdrawn")
    harvest_both()
    assert parts_at(hub) == {parts["north"]}
    for _, engine, _, _ in opened.values():
        engine.dispose()
    hub_engine.dispose()
