"""``fairlead validate`` for records and crates."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from catalog.conftest import Publish, TestClient
from fairlead.catalog.fetching import Fetcher
from fairlead.catalog.validating import validate_record
from fairlead.cli import run
from fairlead.errors import NotFound, ServiceUnreachable
from fairlead.settings import Settings


def folder_of(settings: Settings, dataset: str) -> Path:
    """Return the published folder of version 1."""
    return next((settings.published_folder / dataset).glob("v1-*"))


def test_what_was_published_is_valid_in_every_view(publish: Publish, settings: Settings):
    folder = folder_of(settings, publish(views=("fdp", "dcat-ap", "health-ri")).id)
    found = {
        name: validate_record(str(folder / name), profile)
        for name, profile in (
            ("record.ttl", None),
            ("record.jsonld", "fdp"),
            ("record.dcat-ap.ttl", None),
            ("record.health-ri.ttl", "health-ri"),
        )
    }
    assert {name: (item["valid"], item["profile"]) for name, item in found.items()} == {
        "record.ttl": (True, "fdp"),
        "record.jsonld": (True, "fdp"),
        "record.dcat-ap.ttl": (True, "dcat-ap"),
        "record.health-ri.ttl": (True, "health-ri"),
    }
    assert validate_record(str(folder / "ro-crate-metadata.json"))["valid"]
    assert validate_record(str(folder))["profile"] == "fdp"


@pytest.mark.parametrize(
    ("name", "words"),
    [("missing_title", "title"), ("syntax_error", "not valid turtle"), ("undefined_prefix", "not valid turtle"), ("invalid_iri", "IRI")],
)
def test_broken_records_are_not_valid_and_say_why(data: Path, capfd: pytest.CaptureFixture[str], name: str, words: str):
    assert run(["validate", str(data / "fair" / "malformed" / f"{name}.ttl"), "--profile", "fdp", "--json"]) == 1
    document = json.loads(capfd.readouterr().out)
    assert document["valid"] is False
    assert any(words in item["message"] for item in document["results"])


def test_a_record_that_no_shape_looks_at_is_not_valid(tmp_path: Path):
    (tmp_path / "x.ttl").write_text("<urn:a> <urn:b> <urn:c> .")
    assert validate_record(str(tmp_path / "x.ttl"))["valid"] is False


def test_a_dataset_typed_as_nothing_else_does_not_slip_through(tmp_path: Path):
    (tmp_path / "x.ttl").write_text("<urn:a> a <http://www.w3.org/ns/dcat#Dataset> .")
    assert validate_record(str(tmp_path / "x.ttl"), "fdp")["valid"] is False


@pytest.mark.parametrize("text", ["{}", "[]", "nonsense", '{"@graph": [{"@id": "./"}]}', '{"@graph": [1]}'])
def test_a_broken_crate_is_not_valid(tmp_path: Path, text: str):
    (tmp_path / "ro-crate-metadata.json").write_text(text)
    assert validate_record(str(tmp_path))["valid"] is False


def test_an_unknown_profile_is_named(tmp_path: Path):
    (tmp_path / "x.ttl").write_text("<urn:a> a <http://www.w3.org/ns/dcat#Dataset> .")
    with pytest.raises(NotFound, match="no shapes"):
        validate_record(str(tmp_path / "x.ttl"), "nobodys")


def test_a_served_record_is_validated_at_its_address(client: TestClient, publish: Publish):
    record = publish()

    def handler(request: httpx.Request) -> httpx.Response:
        answer = client.get(request.url.path, headers={"Accept": request.headers["accept"]})
        return httpx.Response(answer.status_code, headers={"Content-Type": answer.headers["content-type"]}, content=answer.content)

    def asking() -> Fetcher:
        return Fetcher(resolve=lambda host, port: ["93.184.216.34"], transport=httpx.MockTransport(handler))

    assert validate_record(f"http://127.0.0.1:8000/dataset/{record.id}", fetcher=asking())["valid"]
    with pytest.raises(ServiceUnreachable, match="404"):
        validate_record("http://127.0.0.1:8000/dataset/nobody", fetcher=asking())
