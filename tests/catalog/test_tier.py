"""Tiers of our own dataset and of datasets that each lack one thing; the servers are scripted."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from catalog.conftest import Publish, TestClient
from fairlead.catalog.fetching import Fetcher
from fairlead.catalog.tier import evaluate, read_attestations, rubric
from fairlead.cli import run
from fairlead.errors import InvalidInput, ServiceUnreachable

BASE = "http://127.0.0.1:8000"
NOW = datetime(2026, 11, 5, tzinfo=UTC)
MAIL = {"criterion": "G1.reachable", "result": "pass", "date": "2026-11-01"}
type Change = Callable[[httpx.Request, httpx.Response], httpx.Response | None]


def grade(client: TestClient, url: str, change: Change | None = None, attestations: tuple[dict[str, Any], ...] = (MAIL,)) -> dict[str, Any]:
    """Return the tier of a dataset that the application serves, after ``change`` has had a look at each answer."""

    def handler(request: httpx.Request) -> httpx.Response:
        answer = client.request(request.method, request.url.raw_path.decode(), headers=dict(request.headers))
        headers = {name: value for name, value in answer.headers.items() if name not in ("content-length", "content-encoding")}
        plain = httpx.Response(answer.status_code, headers=headers, content=answer.content)
        return (change(request, plain) if change else None) or plain

    fetcher = Fetcher(private=True, resolve=lambda host, port: ["127.0.0.1"], transport=httpx.MockTransport(handler))
    return evaluate(url, attestations=attestations, fetcher=fetcher, clock=lambda: NOW)


def results(document: dict[str, Any]) -> dict[str, str]:
    """Return the result of each criterion."""
    return {item["id"]: item["result"] for item in document["criteria"]}


@pytest.fixture
def address(publish: Publish) -> str:
    """Return the IRI of a public dataset."""
    return f"{BASE}/dataset/{publish().id}"


NO_TERM = "our test cohort names no body part by an IRI"


def with_term(request: httpx.Request, answer: httpx.Response) -> httpx.Response | None:
    """Add a body part to the dataset's record."""
    if "/dataset/" not in request.url.path or "turtle" not in answer.headers.get("content-type", ""):
        return None
    more = f"\n<{BASE}{request.url.path}> <http://purl.org/dc/terms/subject> <http://snomed.info/id/816094009> .\n"
    return httpx.Response(200, headers=answer.headers, content=answer.content + more.encode())


def test_our_export_is_fetched_without_a_hand_and_lacks_only_a_pid(client: TestClient, address: str):
    document = grade(client, address, with_term)
    missing = {name for name, result in results(document).items() if result != "pass"}
    assert (document["tier"], missing) == ("A4", {"G5.pid", "G5.fuji", "G5.tombstone"})
    assert (document["minutes"], document["waiting_days"]) == (0, 0)
    assert document["probes"][0]["status"] == 200


def test_a_second_run_finds_the_same(client: TestClient, address: str):
    first, second = grade(client, address), grade(client, address)
    assert first["criteria"] == second["criteria"]


def test_a_record_that_lacks_the_body_part_stays_below_a3_and_says_what_to_do(client: TestClient, address: str):
    document = grade(client, address)
    assert (document["tier"], results(document)["G3.terms"]) == ("A2", "fail"), NO_TERM
    assert document["next"][0]["do"] == "name modality and body site or organism by ontology IRIs"
    assert document["minutes"] == 120


@pytest.mark.parametrize(
    ("body", "headers"),
    [(b'<form><input type="password"></form>', {}), (b"", {}), (b"x", {"WWW-Authenticate": "Basic"})],
    ids=["login page", "empty", "challenge"],
)
def test_a_page_that_asks_for_a_login_is_no_landing_page(client: TestClient, address: str, body: bytes, headers: dict[str, str]):
    def login(request: httpx.Request, answer: httpx.Response) -> httpx.Response | None:
        wants_page = "text/html" in request.headers.get("accept", "")
        return httpx.Response(200, headers={"Content-Type": "text/html", **headers}, content=body) if wants_page else None

    document = grade(client, address, login)
    assert (document["tier"], results(document)["G1.landing"]) == ("A0", "fail")


def test_an_attestation_older_than_180_days_is_unknown(client: TestClient, address: str):
    document = grade(client, address, attestations=({**MAIL, "date": "2026-05-08"},))
    assert (document["tier"], results(document)["G1.reachable"]) == ("A0", "unknown")
    assert results(grade(client, address, attestations=({**MAIL, "date": "2026-05-09"},)))["G1.reachable"] == "pass"


def without_range(request: httpx.Request, answer: httpx.Response) -> httpx.Response | None:
    """Answer as a server that does not know Range."""
    return httpx.Response(200, headers={"Content-Type": "application/octet-stream"}, content=b"x") if answer.status_code == 206 else None


def other_bytes(request: httpx.Request, answer: httpx.Response) -> httpx.Response | None:
    """Answer with a members table that is not the one of the checksum."""
    return httpx.Response(200, headers=answer.headers, content=b"x") if request.url.path.endswith("members.csv") else None


def no_chunks(request: httpx.Request, answer: httpx.Response) -> httpx.Response | None:
    """Answer as a store whose chunks are gone, which reads as zeros."""
    return httpx.Response(404) if "/c/" in request.url.path else None


def form_for_bytes(request: httpx.Request, answer: httpx.Response) -> httpx.Response | None:
    """Answer with a page where bytes are asked for."""
    return httpx.Response(200, headers={"Content-Type": "text/html"}, content=b"<form>") if "/data/" in request.url.path else None


@pytest.mark.parametrize(
    ("change", "criterion"),
    [(without_range, "G5.range"), (other_bytes, "G5.checksum"), (no_chunks, "G5.standard"), (form_for_bytes, "G4.noClick")],
)
def test_a_server_that_does_one_thing_wrong_fails_that_criterion(client: TestClient, address: str, change: Change, criterion: str):
    assert results(grade(client, address, change))[criterion] == "fail"


def test_restricted_bytes_cost_an_agreement(client: TestClient, publish: Publish):
    document = grade(client, f"{BASE}/dataset/{publish(access_rights='restricted').id}", with_term)
    assert (document["tier"], results(document)["G4.bytes"]) == ("A3", "fail")
    assert document["waiting_days"] == 7


def test_a_withdrawn_dataset_is_reported_as_withdrawn(client: TestClient, publish: Publish, settings, engine):
    from fairlead.publish import withdraw

    record = publish()
    withdraw(settings, engine, record.id, "consent")
    assert grade(client, f"{BASE}/dataset/{record.id}")["tier"] == "withdrawn"


def test_a_server_that_is_busy_is_no_verdict(client: TestClient, address: str):
    with pytest.raises(ServiceUnreachable, match="503"):
        grade(client, address, lambda request, answer: httpx.Response(503))


def test_prose_on_a_page_is_a1(client: TestClient):
    def prose(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        data = {"@context": {"@vocab": "https://schema.org/"}, "@id": f"{BASE}/x", "@type": "Dataset", "name": "x"}
        data["contactPoint"] = {"@type": "ContactPoint", "email": "a@example.org"}
        page = f'<script type="application/ld+json">{json.dumps(data)}</script>'
        return httpx.Response(200, headers={"Content-Type": "text/html"}, content=page.encode())

    assert grade(client, f"{BASE}/x", prose)["tier"] == "A1"


def test_the_rubric_has_a_check_for_each_criterion_and_a_cost_for_each_step():
    from fairlead.catalog.tier_checks import CHECKS

    criteria = rubric()["criteria"]
    assert {item.id for item in criteria} == set(CHECKS)
    assert {item.removes for item in criteria if item.removes} == set(rubric()["labour"])


def test_a_file_alone_is_a0_with_an_upper_bound(data: Path, capfd: pytest.CaptureFixture[str]):
    assert run(["tier", str(data / "fair" / "health-ri" / "examples" / "example-distribution.ttl"), "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["tier"] == "A0"
    assert {"tier", "minutes", "waiting_days", "criteria", "next"} <= document.keys()
    assert {item["result"] for item in document["criteria"] if item["method"] in "PD"} == {"unknown"}


def test_people_read_the_tier_in_words(data: Path, capfd: pytest.CaptureFixture[str]):
    assert run(["tier", str(data / "fair" / "fdp-records" / "fantom5.ttl")]) == 0
    assert "minutes of labour" in capfd.readouterr().out


@pytest.mark.parametrize("text", ["{}", "[1]", "- criterion: [", "nonsense"])
def test_attestations_that_are_no_list_are_refused(tmp_path: Path, text: str):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InvalidInput):
        read_attestations(tmp_path / "a.yaml")


def test_an_attestation_without_a_date_is_refused(client: TestClient, address: str):
    with pytest.raises(InvalidInput, match="date"):
        grade(client, address, attestations=({"criterion": "G1.reachable", "result": "pass"},))
