from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

from catalog.conftest import Publish, TestClient
from fairlead.catalog import create_app
from fairlead.catalog.redirecting import Mirrored
from fairlead.progress import Silent
from fairlead.publish import mirror_folder, withdraw
from fairlead.settings import CatalogSettings, Settings
from fairlead.storage import open_store
from s3_server import s3_server


def folder_of(settings: Settings, dataset: str) -> Path:
    """Return the published folder of version 1."""
    return next((settings.published_folder / dataset).glob("v1-*"))


def test_every_file_of_the_manifest_is_served_with_its_checksum(client: TestClient, publish: Publish):
    base = f"/data/{publish().id}/v1"
    lines = client.get(f"{base}/manifest-sha256.txt").text.splitlines()
    assert len(lines) > 10
    for line in lines:
        digest, name = line.split("  ", 1)
        answer = client.get(f"{base}/{name}")
        assert hashlib.sha256(answer.content).hexdigest() == digest
        assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(
    ("header", "status", "part"),
    [("bytes=0-4", 206, slice(0, 5)), ("bytes=5-", 206, slice(5, None)), ("bytes=-3", 206, slice(-3, None)), (None, 200, slice(None))],
)
def test_parts_of_a_file_can_be_fetched(client: TestClient, publish: Publish, header: str | None, status: int, part: slice):
    path = f"/data/{publish().id}/v1/members.csv"
    whole = client.get(path).content
    answer = client.get(path, headers={"Range": header} if header else {})
    assert (answer.status_code, answer.content) == (status, whole[part])
    assert answer.headers["accept-ranges"] == "bytes"
    assert status == 200 or answer.headers["content-range"].endswith(f"/{len(whole)}")


@pytest.mark.parametrize("header", ["bytes=999999-", "bytes=-0"])
def test_a_part_beyond_the_end_is_416_and_a_problem_document(client: TestClient, publish: Publish, header: str):
    path = f"/data/{publish().id}/v1/members.csv"
    answer = client.get(path, headers={"Range": header})
    assert (answer.status_code, answer.headers["content-type"]) == (416, "application/problem+json")
    assert answer.headers["content-range"] == f"bytes */{len(client.get(path).content)}"


@pytest.mark.parametrize(
    "header", ["items=0-1", "bytes", "bytes=", "bytes=-", "bytes=5-3", "bytes=a-b", "bytes=0x0-1", "", "=", "bytes=1-2-3"]
)
def test_a_range_that_is_none_is_ignored(client: TestClient, publish: Publish, header: str):
    path = f"/data/{publish().id}/v1/members.csv"
    answer = client.get(path, headers={"Range": header})
    assert (answer.status_code, answer.content) == (200, client.get(path).content)


def test_of_several_ranges_those_that_the_file_has_are_served(client: TestClient, publish: Publish):
    path = f"/data/{publish().id}/v1/members.csv"
    answer = client.get(path, headers={"Range": "bytes=0-1, 999999-"})
    assert (answer.status_code, answer.content) == (206, client.get(path).content[:2])


@pytest.mark.parametrize(("header", "status"), [('"x"', 412), ("W/{etag}", 412), ("*", 200), ('"x", {etag}', 200)])
def test_a_file_that_is_not_the_one_expected_is_412(client: TestClient, publish: Publish, header: str, status: int):
    path = f"/data/{publish().id}/v1/members.csv"
    etag = client.get(path).headers["etag"]
    assert client.get(path, headers={"If-Match": header.format(etag=etag)}).status_code == status


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("members.csv", "text/csv; charset=utf-8"),
        ("members.parquet", "application/vnd.apache.parquet"),
        ("ro-crate-metadata.json", "application/ld+json"),
        ("record.jsonld", "application/ld+json"),
        ("manifest-sha256.txt", "text/plain; charset=utf-8"),
        ("record.ttl", "text/turtle; charset=utf-8"),
    ],
)
def test_a_file_has_the_type_that_the_record_says(client: TestClient, publish: Publish, name: str, media_type: str):
    assert client.get(f"/data/{publish().id}/v1/{name}").headers["content-type"] == media_type


@pytest.mark.parametrize(
    "path", ["dataset/{id}%0a", "dataset/{id}%20", "data/{id}/v01/members.csv", "data/{id}/v1/members.csv/", "data/{id}/v1//members.csv"]
)
def test_one_thing_has_one_address(client: TestClient, publish: Publish, path: str):
    record = publish()
    assert client.get(f"/dataset/{record.id}").status_code == 200
    assert client.get(f"/{path.format(id=record.id)}").status_code == 404


def test_an_unchanged_file_is_304(client: TestClient, publish: Publish):
    path = f"/data/{publish().id}/v1/members.csv"
    etag = client.get(path).headers["etag"]
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304


def test_head_tells_the_length_without_the_bytes(client: TestClient, publish: Publish):
    path = f"/data/{publish().id}/v1/members.csv"
    answer = client.head(path)
    assert (answer.content, answer.headers["content-length"]) == (b"", str(len(client.get(path).content)))


@pytest.mark.parametrize("end", ["", "/"])
def test_the_address_of_a_store_answers_with_its_root(client: TestClient, publish: Publish, end: str):
    record = publish()
    answer = client.get(f"/data/{record.id}/v1/{record.distributions[0].path}{end}")
    assert answer.json()["node_type"] == "group"


def test_other_origins_may_read_parts(client: TestClient, publish: Publish):
    path = f"/data/{publish().id}/v1/members.csv"
    answer = client.get(path, headers={"Origin": "https://viewer.example", "Range": "bytes=0-1"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "Content-Range" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    "path",
    [
        "../../fairlead.sqlite",
        "..%2f..%2ffairlead.sqlite",
        "%2e%2e/%2e%2e/fairlead.sqlite",
        "images/../../../fairlead.sqlite",
        "/etc/passwd",
        "..\\..\\fairlead.sqlite",
        ".hidden",
        "images/.hidden",
        "members.csv%00.png",
        "",
        "images",
        "nothing.txt",
        "a" * 5000,
        "/".join("a" * 5000),
        "members.csv/x",
        "%ED%A0%80",
        "images/%FF",
    ],
)
def test_nothing_outside_or_hidden_is_served(client: TestClient, publish: Publish, settings: Settings, path: str):
    record = publish()
    folder = folder_of(settings, record.id)
    (folder / ".hidden").write_text("secret")
    (folder / "images" / ".hidden").write_text("secret")
    answer = client.get(f"/data/{record.id}/v1/{path}")
    assert answer.status_code == 404
    assert "secret" not in answer.text


@pytest.mark.parametrize("target", ["outside.txt", "folder"])
def test_links_out_of_the_folder_are_not_followed(client, publish, settings: Settings, tmp_path: Path, target: str):
    record = publish()
    folder = folder_of(settings, record.id)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "outside.txt").write_text("secret")
    (tmp_path / "outside.txt").write_text("secret")
    (folder / "link").symlink_to(tmp_path / target)
    for path in ("link", "link/outside.txt"):
        assert client.get(f"/data/{record.id}/v1/{path}").status_code == 404


@pytest.mark.parametrize("version", ["v2", "v0", "v-1", "vx", "v1-000000000000"])
def test_only_published_versions_are_visible(client: TestClient, publish: Publish, version: str):
    assert client.get(f"/data/{publish().id}/{version}/members.csv").status_code in (400, 404)


def test_the_old_version_stays_readable_beside_the_new_one(client: TestClient, publish: Publish):
    record = publish()
    publish(license="CC0-1.0")
    for version in (1, 2):
        assert client.get(f"/data/{record.id}/v{version}/members.csv").status_code == 200


@pytest.mark.parametrize("rights", ["restricted", "non-public"])
def test_bytes_that_are_not_public_are_refused_and_the_record_is_not(client: TestClient, publish: Publish, rights: str):
    record = publish(access_rights=rights)
    store = record.distributions[0]
    for path in (store.path, f"{store.path}/0/zarr.json", "members.csv", store.store.preview, "ro-crate-metadata.json"):
        answer = client.get(f"/data/{record.id}/v1/{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    page = client.get(f"/dataset/{record.id}", headers={"Accept": "text/html"}).text
    assert "How to get access" in page
    assert "<img" not in page
    assert client.get(f"/data/{record.id}/v1/record.ttl").status_code == 200


def test_bytes_that_were_mirrored_are_fetched_from_the_bucket(
    settings: Settings, engine: Engine, publish: Publish, monkeypatch: pytest.MonkeyPatch
):
    record = publish()
    folder = folder_of(settings, record.id)
    path = f"/data/{record.id}/v1/members.csv"
    now = [0.0]
    with s3_server() as (endpoint, bucket):
        for name, value in {
            "ENDPOINT": endpoint,
            "ALLOW_HTTP": "true",
            "ACCESS_KEY_ID": "x",
            "SECRET_ACCESS_KEY": "y",
            "REGION": "z",
        }.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        monkeypatch.setattr("fairlead.catalog.app.Mirrored", partial(Mirrored, clock=lambda: now[0]))
        chosen = settings.model_copy(update={"catalog": CatalogSettings(bucket="s3://lab/open")})
        client = TestClient(create_app(chosen, engine), base_url="http://127.0.0.1:8000", follow_redirects=False)
        assert client.get(path).status_code == 200
        store = open_store("s3://lab/open")
        mirror_folder(folder, store, prefix=f"{record.id}/{folder.name}", progress=Silent())
        assert client.get(path).status_code == 200  # not asked again yet
        now[0] = 61.0
        for ask in (client.get, client.head):
            answer = ask(path)
            assert (answer.status_code, answer.headers["cache-control"]) == (307, "no-store")
            assert "X-Amz-Signature=" in answer.headers["location"]
            assert httpx.get(answer.headers["location"]).content == (folder / "members.csv").read_bytes()
        assert client.get(path, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
        assert client.get(f"/data/{record.id}/v1/none").status_code == 404
        assert next(key.split("/")[:2] for key in sorted(bucket.objects)) == ["open", record.id]
        withdraw(settings, engine, record.id, "Consent was taken back.")
        assert client.get(path).status_code == 410


@pytest.mark.parametrize("rights", ["restricted", "non-public"])
def test_no_address_is_signed_for_what_is_not_public_even_if_the_bucket_has_it(
    settings: Settings, engine: Engine, publish: Publish, monkeypatch: pytest.MonkeyPatch, rights: str
):
    record = publish(access_rights=rights)
    monkeypatch.setattr(Mirrored, "_has", lambda self, version: True)
    chosen = settings.model_copy(update={"catalog": CatalogSettings(bucket="s3://lab/open")})
    client = TestClient(create_app(chosen, engine), base_url="http://127.0.0.1:8000", follow_redirects=False)
    for path, status in (
        ("members.csv", 403),
        (record.distributions[0].path, 403),
        ("record.ttl", 200),
        ("record.zarr/../members.csv", 403),
    ):
        answer = client.get(f"/data/{record.id}/v1/{path}")
        assert (answer.status_code, "location" in answer.headers) == (status, False)


def test_a_bucket_that_does_not_answer_hides_nothing(settings: Settings, engine: Engine, publish: Publish, monkeypatch: pytest.MonkeyPatch):
    for name, value in {"ENDPOINT": "http://127.0.0.1:9", "ALLOW_HTTP": "true", "ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "y"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    chosen = settings.model_copy(update={"catalog": CatalogSettings(bucket="s3://lab/open")})
    client = TestClient(create_app(chosen, engine), base_url="http://127.0.0.1:8000", follow_redirects=False)
    assert client.get(f"/data/{publish().id}/v1/members.csv").status_code == 200
