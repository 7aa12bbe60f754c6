"""Object storage: both adapters keep the promise; addresses that cannot be are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from conformance.storage_contract import StorageContract
from fairlead.errors import ServiceUnreachable, UnsupportedInput
from fairlead.storage import PART_BYTES, BucketObjects, LocalObjects, ObjectStore, open_store
from s3_server import Handler, s3_server


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Handler]]:
    with s3_server() as (endpoint, bucket):
        access = {"ENDPOINT": endpoint, "ALLOW_HTTP": "true", "ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "y", "REGION": "z"}
        for name, value in access.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        yield bucket


class TestLocalObjects(StorageContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return LocalObjects(tmp_path / "objects")


class TestBucketObjects(StorageContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return BucketObjects(MemoryStore())


class TestS3(StorageContract):
    @pytest.fixture
    def store(self, s3: type[Handler]) -> ObjectStore:
        return open_store("s3://vault/node-1")


def test_what_is_large_goes_to_s3_in_parts_below_the_prefix_and_is_sent_once(s3: type[Handler], tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * (2 * PART_BYTES + 1))
    store = open_store("s3://vault/node-1")
    assert [store.put("a/large", tmp_path / "large") for _ in range(2)] == [True, False]
    assert s3.requests[0] == "HEAD"
    assert sorted(s3.requests[1:6]) == ["POST uploadId", "POST uploads", *["PUT partNumber&uploadId"] * 3]
    assert set(s3.requests[6:]) <= {"HEAD", "GET"}
    assert list(s3.objects) == ["node-1/a/large"]
    assert not s3.parts


def test_a_folder_is_named_by_a_file_address(tmp_path: Path) -> None:
    (tmp_path / "with space").mkdir()
    (tmp_path / "with space" / "a").write_text("1")
    assert open_store((tmp_path / "with space").as_uri()).get("a") == b"1"


@pytest.mark.parametrize("url", ["ftp://host/x", "bucket/prefix", ""])
def test_another_kind_of_address_is_refused_with_the_kinds_there_are(url: str) -> None:
    with pytest.raises(UnsupportedInput, match="Use file:///… or s3://"):
        open_store(url)


def test_a_bucket_that_does_not_answer_is_an_outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ENDPOINT": "http://127.0.0.1:1", "ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "y", "REGION": "z"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    (tmp_path / "a").write_text("1")
    with pytest.raises(ServiceUnreachable, match="object store answered") as caught:
        open_store("s3://bucket/prefix").put("a", tmp_path / "a")
    assert "127.0.0.1" not in str(caught.value)
