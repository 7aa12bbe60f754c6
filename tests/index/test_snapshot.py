"""Columns on disk spare a new process the reading of every row, and never change an answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from conformance.index_contract import CATALOGUE
from fairlead.index import snapshot
from fairlead.index.criteria import All, And, Has, MembersOf, Range, Term, Text
from fairlead.index.embedded import EmbeddedIndex
from index.builders import a_series, an_image

QUESTIONS = [
    All(),
    Term("modality", "CT"),
    Range("series.slice_thickness_mm", gte=2),
    Range("study_date", lt="2020-01-01"),
    Text("series.description", ("thin",)),
    Term("series.regular", True),
    Has("series", Term("modality", "MR")),
    And((Term("ome.channel_name", "GFP"), MembersOf(frozenset({"local:default:1.2.1"})))),
]
FACETS = ["modality", "series.slice_thickness_mm", "study_date", "ome.channel_name", "series.regular"]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of an index whose snapshot is worth while from four rows on, and that has one."""
    monkeypatch.setattr("fairlead.index.embedded.WORTH_A_SNAPSHOT", 4)
    index = EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE)
    index.put(
        [
            a_series("1", series__slice_thickness_mm=2.5, series__description="Thin CT", study_date="2019-06-01"),
            a_series("2", patient="p2", modality="MR", series__regular=True),
            a_series("3", patient="p2", series__slice_thickness_mm=1.25, series__regular=False, study_date="2021-01-01"),
            an_image("a", ome__channel_name=("DAPI", "GFP")),
        ]
    )
    index.remove(["local:default:1.2.3"])
    index.status()
    assert (tmp_path / "i.sqlite-columns").is_file()
    return tmp_path / "i.sqlite"


def answers(file: Path, *, fresh: bool = False) -> list[object]:
    if fresh:
        file.with_name("i.sqlite-columns").unlink()
    index = EmbeddedIndex(file, CATALOGUE)
    return [*((index.members(one), index.count(one)) for one in QUESTIONS), index.facets(All(), FACETS), index.generation()]


def test_a_new_process_answers_from_the_snapshot_as_from_the_rows(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr("fairlead.index.embedded.read_snapshot", lambda *a, **k: read.append(snapshot.read_snapshot(*a, **k)) or read[-1])
    resumed = answers(file)
    assert [place.ordinal for place in read] == [4]
    assert resumed == answers(file, fresh=True)


def test_what_came_after_the_snapshot_is_read_from_the_rows(file: Path) -> None:
    writer = EmbeddedIndex(file, CATALOGUE)
    writer.put([a_series("1", modality="PT"), a_series("7", patient="p9")])
    writer.remove(["local:default:1.2.2"])
    assert EmbeddedIndex(file, CATALOGUE).members(All()).ids == writer.members(All()).ids
    assert answers(file) == answers(file, fresh=True)


@pytest.mark.parametrize("damage", [lambda content: content[:1000], lambda content: content.replace(b"DAPI", b"dapi"), lambda _: b""])
def test_a_damaged_snapshot_is_ignored(file: Path, damage, caplog: pytest.LogCaptureFixture) -> None:  # type: ignore[no-untyped-def]
    expected, columns = answers(file), file.with_name("i.sqlite-columns")
    columns.write_bytes(damage(columns.read_bytes()))
    assert answers(file) == expected
    assert "is of no use" in caplog.text


def test_a_snapshot_of_another_file_or_catalogue_is_ignored(file: Path, tmp_path: Path) -> None:
    other = EmbeddedIndex(file, replace(CATALOGUE, sha256="0" * 64))
    assert other.members(All()).ids == EmbeddedIndex(file, CATALOGUE).members(All()).ids
    for name in ("i.sqlite", "i.sqlite-wal", "i.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    fresh = EmbeddedIndex(file, CATALOGUE)
    fresh.put([a_series(str(number)) for number in range(20, 25)])
    assert fresh.count(All()).series == 5


def test_a_snapshot_that_cannot_be_written_costs_nobody_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.index.embedded.WORTH_A_SNAPSHOT", 1)
    (tmp_path / "i.sqlite-columns").mkdir()
    index = EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE)
    index.put([a_series("1")])
    assert index.count(All()).series == 1


def test_the_generation_is_kept_for_the_next_process_until_something_changes(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.index.embedded.WORTH_A_SNAPSHOT", 3)
    truth = EmbeddedIndex(file, CATALOGUE).generation()
    kept = file.with_name("i.sqlite-generation")
    kept.write_text(kept.read_text().replace(truth, "f" * 64))
    assert EmbeddedIndex(file, CATALOGUE).generation() == "f" * 64  # read, not computed
    EmbeddedIndex(file, CATALOGUE).put([a_series("9")])
    changed = EmbeddedIndex(file, CATALOGUE).generation()
    assert changed not in ("f" * 64, truth)
    EmbeddedIndex(file, CATALOGUE).remove(["local:default:1.2.9"])
    for damage in (None, "[]", "{", '{"generation": 1}'):
        if damage is not None:
            kept.write_text(damage)
        assert EmbeddedIndex(file, CATALOGUE).generation() == truth
