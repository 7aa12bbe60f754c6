"""Every view of five records, judged by programs that we did not write."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import datacite.schema45
import extruct
import httpx
import mlcroissant
import pytest
import requests_cache
import rocrate
import signposting
from oaipmh_scythe import Scythe
from rdflib import DCTERMS, RDF, Graph, URIRef
from requests_cache import CachedRequest, CachedResponse
from rocrate_validator import models, services

from catalog.five import NAMES, RIGHTS, VOXELS, Five, five
from fairlead.publish import check_shapes
from fairlead.publish.vocabulary import DCAT, FDP, LDP

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::UserWarning")  # the judges' own
LIVE = tuple(name for name in NAMES if name != "withdrawn")
OPEN = tuple(name for name in LIVE if RIGHTS[name] == "public")
RI = tuple(f"fdp-shapes/shape-{name}.ttl" for name in ("resource", "dataset", "distribution", "catalog", "fdp", "data-service"))
AP = ("dcat-ap-3.0.1/shapes/shapes.ttl", "dcat-ap-3.0.1/shapes/range.ttl")
JUDGES = {
    "fdp": (RI,),
    "dcat-ap": (AP,),
    "health-ri": (AP, ("health-ri/shapes/Dataset.ttl",)),
    "healthdcat-ap": (AP, ("healthdcat-ap/hdap-validator-sensitivity-shape.ttl",)),
    "imaging": (RI,),
}
"""Shapes of others for each view; the EHDS validator's set for sensitive data is stricter than Release 8 for all access rights."""
RELEASE_8 = os.environ.get("FAIRLEAD_HEALTHDCAT_SHAPES", "")
"""Read before the tests empty the environment."""
CRATE_ACCEPT = "application/ld+json, application/json, */*;q=0.1"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Five]:
    """Return the five records on a running server."""
    with five(tmp_path_factory.mktemp("five")) as served:
        yield served


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """Return a client that keeps its connection."""
    with httpx.Client() as client:
        yield client


@cache
def shapes(folder: Path, names: tuple[str, ...]) -> Graph:
    """Return somebody else's shapes."""
    graph = Graph()
    for name in names:
        graph.parse(folder / "fair" / name, format="turtle")
    return graph


def document(http: httpx.Client, address: str, profile: str) -> dict[str, Any]:
    """Return a view that is one JSON document."""
    answer = http.get(address, params={"profile": profile})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("profile", JUDGES)
@pytest.mark.parametrize("name", LIVE)
def test_every_graph_passes_the_shapes_of_its_profile(site: Five, http: httpx.Client, data: Path, name: str, profile: str) -> None:
    text = http.get(site.iri(name), params={"profile": profile, "format": "ttl"}).text
    graph = Graph().parse(data=text, format="turtle")
    ours = f"{profile}-{RIGHTS[name]}" if profile == "healthdcat-ap" else profile
    assert check_shapes(graph, ours).results == ()
    for judge in JUDGES[profile]:
        assert check_shapes(graph, shapes=shapes(data, judge)).results == ()


@pytest.mark.skipif(not RELEASE_8, reason="the shapes of Release 8 are fetched by hand, see docs/catalog.md")
@pytest.mark.parametrize("name", LIVE)
def test_health_records_pass_the_shapes_of_release_8(site: Five, http: httpx.Client, data: Path, name: str) -> None:
    judge = Graph()
    for file in (f"shapes/{RIGHTS[name]}-shapes.ttl", "ranges/range.ttl", "controlled-vocabularies/mdr-vocabularies.shape.ttl"):
        judge.parse(Path(RELEASE_8) / file, format="turtle")
    text = http.get(site.iri(name), params={"profile": "healthdcat-ap", "format": "ttl"}).text
    report = check_shapes(Graph().parse(data=text, format="turtle"), shapes=shapes(data, AP) + judge)
    assert [str(item) for item in report.results if item.severity == "violation"] == []


def test_a_health_record_never_passes_the_shapes_of_another_access_right(site: Five, http: httpx.Client) -> None:
    text = http.get(site.iri("mr"), params={"profile": "healthdcat-ap", "format": "ttl"}).text
    report = check_shapes(Graph().parse(data=text, format="turtle"), "healthdcat-ap-public")
    assert [item.message for item in report.results] == ["The access right is PUBLIC."]


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an HTTP cache with the RO-Crate contexts: the validator needs no network."""
    file = tmp_path_factory.mktemp("crate") / "http"
    session = requests_cache.CachedSession(str(file), backend="sqlite")
    for version in ("1.1", "1.2", "1.3"):
        url = f"https://w3id.org/ro/crate/{version}/context"
        asked = CachedRequest(method="GET", url=url, headers={"Accept": CRATE_ACCEPT})
        answer = CachedResponse(status_code=200, url=url, headers={"Content-Type": "application/ld+json"}, request=asked)
        answer._content = (Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld").read_bytes()
        session.cache.save_response(answer, expires=None)
    session.close()
    return file


def objections(crate: Path, contexts: Path, **more: Any) -> list[str]:
    """Return what the RO-Crate 1.2 validator requires and does not find."""
    wanted = models.ValidationSettings(
        rocrate_uri=str(crate),
        profile_identifier="ro-crate-1.2",
        requirement_severity=models.Severity.REQUIRED,
        validate_profile_checks=False,
        offline=True,
        cache_path=contexts,
        **more,
    )
    return [str(issue.message) for issue in services.validate(wanted).get_issues()]


@pytest.mark.parametrize("name", LIVE)
def test_every_crate_is_ro_crate_1_2(site: Five, contexts: Path, name: str) -> None:
    folder = site.folder(name)
    assert objections(folder, contexts) == []
    if name == "plate":  # the judge is slow; the store of a CT is judged in tests/publish
        store = next(item.path for item in site.records[name].distributions if item.store is not None)
        assert objections(folder / store, contexts) == []


@pytest.mark.parametrize("name", LIVE)
def test_the_crates_for_archives_are_valid_and_lead_to_pixels(
    site: Five, http: httpx.Client, contexts: Path, tmp_path: Path, name: str
) -> None:
    record = site.records[name]
    crate = document(http, site.iri(name), "gide")
    image = document(http, f"{site.iri(name).replace('/dataset/', '/distribution/')}.{record.distributions[0].id}", "micrate")
    specimen = next(item for item in image["@graph"] if item["@id"] == "#specimen")
    assert specimen["organism_classification"][0]["@id"].startswith("http://purl.obolibrary.org/obo/NCBITaxon_")
    for found in (crate, image):
        assert check_shapes(_as_graph(found), "gide").results == ()
    (tmp_path / "ro-crate-metadata.json").write_text(json.dumps(image if name == "ct" else crate))
    assert objections(tmp_path, contexts, metadata_only=True) == []
    parts = [item["contentSize"] for item in crate["@graph"] if item["@type"] == "File"]
    assert len(parts) == (len(record.distributions) if RIGHTS[name] == "public" else 0)


def _as_graph(crate: dict[str, Any]) -> Graph:
    context = json.loads((Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld").read_text())["@context"]
    return Graph().parse(data=json.dumps(crate | {"@context": [context, crate["@context"][1]]}), format="json-ld")


@pytest.mark.parametrize("name", LIVE)
def test_croissant_is_valid_and_its_record_sets_are_read(site: Five, http: httpx.Client, tmp_path: Path, name: str, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    found = mlcroissant.Dataset(jsonld=document(http, site.iri(name), "croissant"))
    assert list(found.metadata.ctx.issues.errors) == []
    if name in OPEN:
        rows = list(found.records("images"))
        stores = {item.path for item in site.records[name].distributions if item.store is not None}
        assert {row["images/store"].decode() for row in rows} == stores


@pytest.mark.parametrize("name", LIVE)
def test_datacite_metadata_pass_the_schema(site: Five, http: httpx.Client, name: str) -> None:
    found = document(http, site.iri(name), "datacite")
    assert datacite.schema45.validator.is_valid(found), [error.message for error in datacite.schema45.validator.iter_errors(found)]
    assert found["doi"] == f"10.5072/{site.records[name].id}.v1"
    assert "10.5072" in datacite.schema45.tostring(found)


@pytest.mark.parametrize("name", LIVE)
def test_signposting_is_read_back(site: Five, name: str) -> None:
    found = signposting.find_signposting_http(site.iri(name))
    assert found.citeAs.target == f"https://doi.org/10.5072/{site.records[name].id}.v1"
    assert {link.type for link in found.describedBy} == {"text/turtle", "application/ld+json"}
    assert (found.license.target, len(found.authors)) == ("https://creativecommons.org/licenses/by/4.0/", 1)
    assert len(found.items) == (len(site.records[name].distributions) if name in OPEN else 0)
    assert next(iter(found.linksets)).target.startswith(site.base)


@pytest.mark.parametrize("prefix", ["oai_dc", "oai_datacite", "dcat"])
def test_oai_lists_all_and_the_withdrawn_one_as_deleted(site: Five, prefix: str) -> None:
    with Scythe(f"{site.base}/oai") as oai:
        found = list(oai.list_records(metadata_prefix=prefix))
        assert prefix in {form.metadataPrefix for form in oai.list_metadata_formats()}
    deleted = {record.header.identifier.rpartition(":")[2] for record in found if record.deleted}
    assert (len(found), deleted) == (5, {site.records["withdrawn"].id})


def test_the_harvesters_walk_reaches_every_record_but_the_withdrawn(site: Five, http: httpx.Client) -> None:
    waiting, seen = [f"{site.base}/"], set()
    while waiting:
        address = waiting.pop()
        seen.add(address)
        graph = Graph().parse(data=http.get(address, headers={"Accept": "text/turtle"}).text, format="turtle")
        for container in graph.subjects(RDF.type, LDP.DirectContainer):
            waiting += [str(child) for child in graph.objects(container, LDP.contains) if str(child) not in seen]
    wanted = {site.iri(name) for name in LIVE}
    assert {address for address in seen if "/dataset/" in address} == wanted
    assert sum("/distribution/" in address for address in seen) == sum(len(site.records[name].distributions) for name in LIVE)
    root = Graph().parse(f"{site.base}/", format="turtle")
    assert (URIRef(f"{site.base}/"), RDF.type, FDP.MetadataService) in root


@pytest.mark.parametrize("name", LIVE)
def test_a_page_says_to_machines_what_it_says_to_people(site: Five, http: httpx.Client, name: str) -> None:
    page = http.get(site.iri(name), headers={"Accept": "text/html"}).text
    (found,) = extruct.extract(page, base_url=site.iri(name), syntaxes=["json-ld"])["json-ld"]
    assert (found["@type"], found["name"]) == ("Dataset", f"The {name} cohort")
    assert len(found.get("distribution", ())) == (len(site.records[name].distributions) if name in OPEN else 0)


@pytest.mark.parametrize("name", ["ct"])
def test_the_lines_of_python_on_the_page_run_as_they_stand(site: Five, http: httpx.Client, name: str) -> None:
    page = http.get(site.iri(name), headers={"Accept": "text/html"}).text
    (code,) = [html.unescape(text) for text in re.findall(r"<pre[^>]*><code>(import zarr.*?)</code>", page, re.DOTALL)]
    assert code.count("\n") == 2
    known: dict[str, Any] = {}
    exec(code, known)  # noqa: S102  (what a reader would paste)
    assert (known["voxels"] == VOXELS).all()


def test_numbers_for_cohort_exchanges_name_nobody(site: Five, http: httpx.Client) -> None:
    group, beacon = document(http, site.iri("ct"), "fhir"), document(http, site.iri("ct"), "beacon")
    assert (group["resourceType"], group["quantity"], "member" in group) == ("Group", 1, False)
    assert group["characteristic"][0]["valueCodeableConcept"]["coding"][0]["code"] == "CT"
    assert (beacon["cohortType"], beacon["cohortSize"]) == ("study-defined", 1)
    kernel = document(http, site.iri("ct"), "fdo")
    assert kernel["pid"] == f"https://doi.org/10.5072/{site.records['ct'].id}.v1"
    assert kernel["record"][0]["value"] == "21.T11148/076759916209e5d62bd5"


@pytest.mark.parametrize("profile", ["", "fdp", "dcat-ap", "healthdcat-ap", "croissant", "datacite", "gide", "fhir", "fdo"])
def test_every_view_of_the_withdrawn_one_is_its_tombstone(site: Five, http: httpx.Client, profile: str) -> None:
    answer = http.get(site.iri("withdrawn"), params={"profile": profile} if profile else {}, headers={"Accept": "text/turtle"})
    assert answer.status_code == 410
    graph = Graph().parse(data=answer.text, format="turtle")
    assert str(graph.value(URIRef(site.iri("withdrawn")), DCTERMS.title)) == "The withdrawn cohort"
    assert (None, DCAT.distribution, None) not in graph


def test_the_members_are_the_same_in_both_tables(site: Five, http: httpx.Client) -> None:
    import csv
    import io

    import pyarrow.parquet as pq

    record = site.records["ct"]
    folder = f"{site.base}/data/{record.id}/v1"
    rows = list(csv.DictReader(io.StringIO(http.get(f"{folder}/members.csv").text)))
    assert pq.read_table(io.BytesIO(http.get(f"{folder}/members.parquet").content)).to_pylist() == rows
    described = http.get(f"{folder}/members.csv-metadata.json").json()
    assert [column["name"] for column in described["tableSchema"]["columns"]] == list(rows[0])
