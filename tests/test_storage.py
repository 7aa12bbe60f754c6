"""Object storage: both adapters keep the promise; addresses that cannot be are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from obstore.store import MemoryStore

from conformance.storage_contract import StorageContract
from fairlead.errors import ServiceUnreachable, UnsupportedInput
from fairlead.storage import BucketObjects, LocalObjects, ObjectStore, open_store


class TestLocalObjects(StorageContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return LocalObjects(tmp_path / "objects")


class TestBucketObjects(StorageContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return BucketObjects(MemoryStore())


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
