"""FAIR assessment: F-UJI itself where it is installed, and everywhere the features of a page that it gives points for."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import extruct
import pytest
from rdflib import DCTERMS, Graph, URIRef

from catalog.conftest import Publish, TestClient
from catalog.five import five
from fairlead.publish.vocabulary import DCAT

PYTHON = os.environ.get("FAIRLEAD_FUJI_PYTHON")
ARTEFACT = Path(__file__).parents[2] / "docs" / "fair-assessment.json"


@pytest.mark.skipif(not PYTHON, reason="F-UJI is not on PyPI; install its source into a venv and set FAIRLEAD_FUJI_PYTHON to its python")
def test_fuji_gives_25_points_of_26(tmp_path: Path) -> None:
    with five(tmp_path / "home") as site:
        command = [str(PYTHON), str(Path(__file__).parent / "fuji_report.py"), site.iri("ct")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    report = json.loads(done.stdout)
    (tmp_path / "fuji.json").write_text(done.stdout)
    assert report["earned"] >= 25, report
    assert report == json.loads(ARTEFACT.read_text())["report"]


def test_the_kept_report_has_25_points() -> None:
    report = json.loads(ARTEFACT.read_text())["report"]
    lost = [name for name, score in report["metrics"].items() if score.split("/")[0] != score.split("/")[1]]
    assert (report["earned"], report["total"], lost) == (25, 26, ["FsF-F1-02MD"])


def test_what_an_assessment_looks_for_is_on_the_page(client: TestClient, publish: Publish) -> None:
    """Each line is a metric of F-UJI 0.8; without one of them the kept report would not be true any more."""
    record = publish()
    iri = f"http://127.0.0.1:8000/dataset/{record.id}"
    answer = client.get(iri, headers={"Accept": "text/html, */*"})
    assert answer.headers["content-type"].startswith("text/html")  # F4: what a crawler asks for is a page, not Turtle
    (found,) = extruct.extract(answer.text, base_url=iri, syntaxes=["json-ld"])["json-ld"]
    assert found["@context"]["@vocab"] == "https://schema.org/"  # F2, F4: readable without asking schema.org
    core = ("creator", "name", "identifier", "datePublished", "publisher", "description", "keywords", "@type")
    assert all(found[name] for name in core)  # F2-01M
    assert found["identifier"] == iri  # F1, F3
    assert all(item["contentUrl"] and item["encodingFormat"] and item["contentSize"] for item in found["distribution"])  # F3, R1
    assert "text/csv" in {item["encodingFormat"] for item in found["distribution"]}  # R1.3-02D: Zarr is not on its list of formats
    assert found["license"] == "https://creativecommons.org/licenses/by/4.0/"  # R1.1
    assert {"cite-as", "describedby", "item", "license", "type", "author"} <= {
        part.partition('rel="')[2].partition('"')[0] for part in answer.headers["link"].split(", ")
    }  # A1, F1
    graph = Graph().parse(data=client.get(iri, headers={"Accept": "text/turtle"}).text, format="turtle")
    node = URIRef(iri)
    for predicate in (DCTERMS.creator, DCTERMS.issued, DCAT.keyword, DCTERMS.accessRights, DCTERMS.subject, DCTERMS.publisher):
        assert (node, predicate, None) in graph  # I1, I2, R1.2, A1-01M
    assert client.head(iri).status_code == client.head(found["distribution"][0]["contentUrl"]).status_code == 200  # A1-02MD
