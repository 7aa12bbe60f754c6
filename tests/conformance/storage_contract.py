"""The promise of an object store; every adapter's test class subclasses it and gives a ``store`` fixture."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from fairlead.errors import Conflict, InvalidInput, NotFound
from fairlead.storage import PART_BYTES, ObjectStore


class StorageContract:
    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        file = tmp_path / "source"
        file.write_bytes(bytes(range(256)) * 9000)  # more than one block
        return file

    def test_what_was_put_comes_back(self, store: ObjectStore, source: Path) -> None:
        assert store.put("a/b.zarr/0/c/0", source) is True
        assert store.get("a/b.zarr/0/c/0") == source.read_bytes()

    def test_a_large_file_goes_up_in_parts_once_and_its_sha256_is_read_back(self, store: ObjectStore, tmp_path: Path) -> None:
        large = tmp_path / "large"
        large.write_bytes(bytes(range(256)) * (PART_BYTES // 256) + b"end")
        assert store.put("large", large) is True
        assert store.put("large", large) is False
        assert store.sha256("large") == hashlib.sha256(large.read_bytes()).hexdigest()
        large.write_bytes(large.read_bytes()[::-1])
        with pytest.raises(Conflict, match="Other bytes are stored under large"):
            store.put("large", large)

    def test_the_same_bytes_again_are_no_news(self, store: ObjectStore, source: Path) -> None:
        store.put("a", source)
        assert store.put("a", source) is False

    def test_other_bytes_under_a_key_are_a_conflict_and_change_nothing(self, store: ObjectStore, source: Path) -> None:
        store.put("a", source)
        before = store.get("a")
        source.write_bytes(b"other")
        with pytest.raises(Conflict, match="Other bytes are stored under a"):
            store.put("a", source)
        assert store.get("a") == before

    def test_keys_are_listed_sorted_and_by_prefix(self, store: ObjectStore, source: Path) -> None:
        for key in ("b/2", "a/1", "b/1"):
            store.put(key, source)
        assert list(store.keys()) == ["a/1", "b/1", "b/2"]
        assert list(store.keys("b/")) == ["b/1", "b/2"]

    def test_an_empty_store_has_no_keys(self, store: ObjectStore) -> None:
        assert list(store.keys()) == []

    def test_what_is_not_there_is_said(self, store: ObjectStore) -> None:
        with pytest.raises(NotFound, match="no such object"):
            store.get("missing")
        with pytest.raises(NotFound, match="no such object"):
            store.sha256("missing")

    @pytest.mark.parametrize("key", ["", "/etc/passwd", "../evil", "a/../../b", "a//b", "./a"])
    def test_keys_stay_inside(self, store: ObjectStore, source: Path, key: str) -> None:
        with pytest.raises(InvalidInput, match="no relative path"):
            store.put(key, source)
        with pytest.raises(InvalidInput, match="no relative path"):
            store.get(key)
