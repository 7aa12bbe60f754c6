"""Definitions are read from JSON, YAML and standard input, and hostile files are refused."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from fairlead.cohort import read_definition
from fairlead.cohort.reading import MAX_BYTES
from fairlead.errors import InvalidDefinition, NotFound


@pytest.mark.parametrize("text", ['{"title": "x", "unit": "study"}', "title: x\nunit: study\n", "\ufefftitle: x\nunit: study\n"])
def test_json_and_yaml_give_the_same_document(tmp_path: Path, text: str) -> None:
    (tmp_path / "d").write_text(text, encoding="utf-8")
    assert read_definition(tmp_path / "d") == {"title": "x", "unit": "study"}


def test_a_dash_is_standard_input_and_dates_become_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("include: {field: study_date, op: between, value: [2019-01-01, 2020-01-01]}"))
    assert read_definition("-")["include"]["value"] == ["2019-01-01", "2020-01-01"]


def test_a_mapping_is_taken_as_it_is() -> None:
    assert read_definition({"rules": ({"name": "a"},)}) == {"rules": [{"name": "a"}]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"a: [1", "line 1.* is neither JSON nor YAML", id="broken"),
        pytest.param(b"title: a\ntitle: b", "'title' stands twice", id="key twice"),
        pytest.param(b"a: &x [1]\nb: *x", "aliases are not allowed", id="alias"),
        pytest.param(b"!!python/object/apply:os.system [id]", "neither JSON nor YAML", id="code"),
        pytest.param(b"a: 2024-13-45", "neither JSON nor YAML", id="no such day"),
        pytest.param(b"- a", "is no mapping", id="list"),
        pytest.param(b"", "is no mapping", id="empty"),
        pytest.param(b"\xff\xfe\xfa", "is not UTF-8 text", id="binary"),
        pytest.param(b"[" * 100_000, "neither JSON nor YAML", id="deep"),
        pytest.param(b" " * (MAX_BYTES + 1), "is larger than 8 MiB", id="large"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "d.yaml").write_bytes(content)
    with pytest.raises(InvalidDefinition, match=message):
        read_definition(tmp_path / "d.yaml")


def test_a_folder_is_refused_as_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidDefinition, match="is a folder"):
        read_definition(tmp_path)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no definition file"):
        read_definition(tmp_path / "nowhere.yaml")
