"""The embedded adapter keeps the index contract, and its file survives what files meet."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.index_contract import CATALOGUE, IndexContract, MakeIndex
from fairlead.errors import InvalidConfiguration, StorageFull
from fairlead.index import embedded_file
from fairlead.index.criteria import All, MembersOf, Tail, Term
from fairlead.index.embedded import EmbeddedIndex
from fairlead.index.rows import row_of
from fairlead.records import Counts
from index.builders import a_series


class TestEmbeddedIndex(IndexContract):
    """The contract on one SQLite file a case."""

    @pytest.fixture
    def make_index(self, tmp_path: Path) -> MakeIndex:
        numbers = itertools.count()
        return lambda: EmbeddedIndex(tmp_path / f"index-{next(numbers)}.sqlite", CATALOGUE)


def test_one_and_true_are_two_values(tmp_path: Path) -> None:
    index = EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE)
    index.put([a_series("1", series__regular=True)])
    assert index.members(Term("series.regular", True)).ids == ("local:default:1.2.1",)
    assert index.members(Term("series.regular", 1)).ids == ()


WRITER = """
import sys
from pathlib import Path
from conformance.index_contract import CATALOGUE
from fairlead.index.embedded import EmbeddedIndex
from index.builders import a_series
index, begin = EmbeddedIndex(Path(sys.argv[1]), CATALOGUE), int(sys.argv[2])
print(sum(index.put([a_series(str(number))]).added for number in range(begin, begin + 20)))
"""


def test_another_process_sees_what_was_written_and_what_was_removed(tmp_path: Path) -> None:
    writer, reader = EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE), EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE)
    writer.put([a_series("1"), a_series("2")])
    assert reader.status().records == 2
    writer.put([a_series("1", modality="MR")])
    writer.remove(["local:default:1.2.2"])
    assert reader.members(All()) == writer.members(Term("modality", "MR"))
    writer.clear()
    assert reader.status().records == 0


def test_several_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "index.sqlite"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(file), str(begin)], env=environment, stdout=subprocess.PIPE, text=True)
        for begin in (0, 10, 20)
    ]
    added = sum(int(writer.communicate(timeout=60)[0]) for writer in writers)
    assert added == EmbeddedIndex(file, CATALOGUE).status().records == 40


FORMER = """
CREATE TABLE records (
    ord INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, revision TEXT NOT NULL, patient TEXT NOT NULL, study TEXT NOT NULL,
    images INTEGER NOT NULL, size_bytes INTEGER NOT NULL, catalogue TEXT NOT NULL, flat TEXT NOT NULL, document TEXT NOT NULL);
CREATE INDEX members ON records (id, revision);
CREATE TABLE identity (id TEXT NOT NULL);
INSERT INTO identity VALUES ('0123456789abcdef');
CREATE TABLE removed (seq INTEGER PRIMARY KEY AUTOINCREMENT, ord INTEGER NOT NULL);
"""


def test_a_file_of_the_former_layout_is_moved_with_everything_in_it(tmp_path: Path) -> None:
    records = [a_series("1", patient="p1", study="1"), a_series("2", patient="p2", study="1"), a_series("3", patient="p3")]
    with contextlib.closing(sqlite3.connect(tmp_path / "i.sqlite")) as file:
        file.executescript(FORMER)
        for row in (row_of(record, CATALOGUE) for record in records):
            stored = (
                row.id,
                row.revision,
                row.patient,
                f"{row.patient}:{row.study}",
                row.images,
                row.size_bytes,
                "c" * 64,
                "{}",
                row.document,
            )
            file.execute(f"INSERT INTO records VALUES (NULL, {', '.join('?' * 9)})", stored)
        file.execute("DELETE FROM records WHERE ord = 3")
        file.execute("INSERT INTO removed (ord) VALUES (3)")
        file.commit()
    index = EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE)
    assert index.get(records[0].id) == records[0]
    assert index.count(Term("modality", "CT")) == Counts(patients=2, studies=1, series=2, images=20, size_bytes=20_000)
    report = index.put([*records, a_series("4")])
    assert (report.added, report.unchanged) == (2, 2)
    assert EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE).members(All()) == index.members(All())
    with contextlib.closing(sqlite3.connect(tmp_path / "i.sqlite")) as file:
        assert file.execute("SELECT max(ord) FROM records").fetchone() > (3,)  # a number is never given twice


def test_a_changed_catalogue_reads_the_records_anew_and_keeps_the_generation(tmp_path: Path) -> None:
    old = replace(CATALOGUE, fields={name: field for name, field in CATALOGUE.fields.items() if name != "patient.sex"}, sha256="0" * 64)
    before = EmbeddedIndex(tmp_path / "i.sqlite", old)
    before.put([a_series("1", patient__sex="F")])
    assert before.members(Term("patient.sex", "F")).ids == ()
    after = EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE)
    assert len(after.members(Term("patient.sex", "F")).ids) == 1
    assert after.put([a_series("1", patient__sex="F")]).unchanged == 1
    assert after.generation() == before.generation()


def test_a_file_that_was_replaced_is_read_from_the_start(tmp_path: Path) -> None:
    index = EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE)
    index.put([a_series("1"), a_series("2")])
    assert index.status().records == 2
    for leftover in tmp_path.glob("i.sqlite*"):
        leftover.unlink()
    EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE).put([a_series("3")])
    assert index.members(All()).ids == ("local:default:1.2.3",)


@pytest.mark.parametrize("snapshots_from", [10**9, 1], ids=["in-memory", "with-a-snapshot"])
def test_an_older_copy_of_the_file_that_grew_again_is_read_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshots_from: int
) -> None:
    monkeypatch.setattr("fairlead.index.embedded.WORTH_A_SNAPSHOT", snapshots_from)
    index = EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE)
    index.put([a_series("1")])
    assert index.status().records == 1
    older = (tmp_path / "i.sqlite").read_bytes()
    index.put([a_series("2", patient__sex="F")])
    assert len(index.members(Term("patient.sex", "F")).ids) == 1
    (tmp_path / "i.sqlite").write_bytes(older)  # somebody restores a backup, and work goes on
    EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE).put([a_series("3", patient__sex="M")])
    for reader in (index, EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE)):
        assert reader.members(Term("patient.sex", "F")).ids == ()
        assert reader.members(Term("patient.sex", "M")).ids == ("local:default:1.2.3",)


def test_a_file_of_a_newer_layout_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE).put([a_series("1")])
    with contextlib.closing(sqlite3.connect(tmp_path / "i.sqlite")) as file:
        file.execute("PRAGMA user_version=99")
    with pytest.raises(InvalidConfiguration, match="written by a newer Fairlead"):
        EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE)
    with contextlib.closing(sqlite3.connect(tmp_path / "i.sqlite")) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (99,)


def test_answers_of_the_long_tail_are_kept_in_bounded_number_and_never_mixed_up(tmp_path: Path) -> None:
    index = EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE)
    index.put([a_series("1").model_copy(update={"vendor": {"a": "b=c", "a=b": "d"}})])
    assert index.count(Tail("vendor/a", "b=c")).series == 1
    assert index.count(Tail("vendor/a=b", "c")).series == 0
    for number in range(200):
        assert index.count(Tail("vendor/a", str(number))).series == 0
    assert len(index._columns._tails) <= 64


def test_a_damaged_file_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "i.sqlite").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(InvalidConfiguration, match="fairlead index rebuild"):
        EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "i.sqlite").mkdir()
    with pytest.raises(InvalidConfiguration, match=r"i\.sqlite cannot be used"):
        EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE)


def test_a_full_disk_is_told_and_the_index_stays_as_it_was(tmp_path: Path) -> None:
    index = EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE)
    index.put([a_series("1")])

    def rows():  # type: ignore[no-untyped-def]
        yield a_series("2")
        full = sqlite3.OperationalError("database or disk is full")
        full.sqlite_errorcode, full.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
        raise full

    with pytest.raises(StorageFull, match="no space left to write the index"):
        index.put(rows())
    assert index.members(All()).ids == ("local:default:1.2.1",)


def test_a_list_of_many_ids_finds_the_same_as_one_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE)
    index.put([a_series(str(number)) for number in range(6)])
    wanted = frozenset({*index.members(All()).ids[:5], "local:default:9.9"})
    assert index.members(MembersOf(wanted)).ids == tuple(sorted(wanted))[:5]
    monkeypatch.setattr(embedded_file, "PAGE", 3)  # six ids are many now
    assert index.members(MembersOf(wanted)).ids == tuple(sorted(wanted))[:5]
    assert (index.remove(wanted), len(index.members(All()).ids)) == (5, 1)


def test_remembered_answers_do_not_grow_with_the_lists_that_were_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.index.columns.HEAVY", 5)
    monkeypatch.setattr("fairlead.index.columns.ANSWERED", 12)
    index = EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE)
    index.put([a_series("1"), a_series("2", modality="MR")])
    made: list[int] = []

    def asked(*ids: str) -> int:
        with index._current() as columns:
            return columns.answered("test", MembersOf(frozenset(ids)), lambda: made.append(len(ids)) or len(ids))

    assert [asked("a", "b"), asked("a", "b")] == [2, 2]
    assert made == [2]
    assert [asked(*"abcdefg"), asked(*"abcdefg")] == [7, 7]
    assert made == [2, 7, 7]  # too long to be kept
    for number in range(4):
        asked("a", "b", str(number))
    asked("a", "b")
    assert made == [2, 7, 7, 3, 3, 3, 3, 2]  # what was kept was forgotten when it became too much


def test_reading_a_large_index_into_columns_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("fairlead.index.embedded.WORTH_A_SNAPSHOT", 2)
    old = replace(CATALOGUE, sha256="0" * 64)
    EmbeddedIndex(tmp_path / "i.sqlite", old).put([a_series("1"), a_series("2")])
    with caplog.at_level("INFO", logger="fairlead.index.embedded"):
        assert EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE).count(All()).series == 2
        assert caplog.text.count("Reading the index") == 1
        assert EmbeddedIndex(tmp_path / "i.sqlite", CATALOGUE).count(All()).series == 2
        assert caplog.text.count("Reading the index") == 1  # the next process finds what the first one kept
