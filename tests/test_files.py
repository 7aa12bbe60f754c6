"""Durable writes: all or nothing, under any failure."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest

from fairlead.errors import Conflict, StorageFull
from fairlead.files import atomic_write, manifest_lines, manifest_sha256, relative_files, sha256_file, storage_errors, write_text


def test_a_finished_write_appears_whole(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "sub" / "a.bin") as handle:
        handle.write(b"abc")
        assert not (tmp_path / "sub" / "a.bin").exists()
    assert (tmp_path / "sub" / "a.bin").read_bytes() == b"abc"
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["a.bin"]


def interrupted_write(path: Path) -> None:
    with atomic_write(path) as handle:
        handle.write(b"half")
        raise RuntimeError("power cut")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="power cut"):
        interrupted_write(tmp_path / "a.bin")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_content(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError, match="power cut"):
        interrupted_write(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "old"


def test_without_replace_an_existing_name_is_a_conflict(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(Conflict, match=r"a\.txt exists already"), atomic_write(tmp_path / "a.txt", replace=False) as handle:
        handle.write(b"new")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_without_replace_a_free_name_is_taken(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.txt", replace=False) as handle:
        handle.write(b"new")
    assert (tmp_path / "a.txt").read_text() == "new"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named(number: int) -> None:
    with pytest.raises(StorageFull, match=r"no space left to write x\.dcm"), storage_errors("x.dcm"):
        raise OSError(number, "full")


def test_other_operating_system_errors_pass() -> None:
    with pytest.raises(PermissionError), storage_errors("x.dcm"):
        raise PermissionError(errno.EACCES, "no")


def test_the_digest_of_a_file_is_sha256(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(content)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_files_are_listed_sorted_and_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2").write_text("2")
    (tmp_path / "a").write_text("1")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert relative_files(tmp_path) == [Path("a"), Path("b/2")]


def test_a_manifest_names_every_file_but_the_skipped(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "manifest-sha256.txt").write_text("x")
    lines = manifest_lines(tmp_path, skip=frozenset({"manifest-sha256.txt"}))
    assert lines == [f"{hashlib.sha256(b'1').hexdigest()}  a"]
    assert manifest_sha256(lines) == hashlib.sha256(lines[0].encode()).hexdigest()
