"""Backup and restore, through the command line and with the process killed in the middle."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, delete, select

from backup.builders import bytes_of, command, environment, fairlead, furnish, records, result, rows
from fairlead.backup import Keys, Vault, backup, backup_gauges, restore
from fairlead.backup.rows import one_moment, tables_of
from fairlead.catalog.accounts import Accounts
from fairlead.catalog.tables import users
from fairlead.database import open_database
from fairlead.errors import CheckFailed, Conflict, InvalidInput, NotFound
from fairlead.files import sha256_file
from fairlead.keys import load_or_create_key, patient_key, read_key_file
from fairlead.settings import Settings
from receive.builders import a_slice, part10, wait_for

type Homes = Callable[[str], Settings]
type Opened = Callable[[Settings], Engine]


@pytest.fixture
def homes(tmp_path: Path) -> Homes:
    """Return a maker of settings with a home, and a database, of that name."""
    return lambda name: Settings(home=tmp_path / name)


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Return a function that opens a database, made with its schema where there is none; all are closed at the end."""
    engines: list[Engine] = []

    def database(settings: Settings) -> Engine:
        engines.append(open_database(settings))
        return engines[-1]

    yield database
    for engine in engines:
        engine.dispose()


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a home in it, filled once; its microscopy file is watched where it lies."""
    folder = tmp_path_factory.mktemp("furnished")
    furnish(Settings(home=folder / "old"), folder)
    return folder


@pytest.fixture
def old(homes: Homes, furnished: Path, tmp_path: Path) -> Settings:
    shutil.copytree(furnished, tmp_path, dirs_exist_ok=True)
    return homes("old")


def test_a_backup_that_this_program_could_not_restore_is_not_taken(old: Settings, tmp_path: Path, opened: Opened) -> None:
    with opened(old).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    refused = fairlead(old, "backup", tmp_path / "vault", "--json")
    assert refused.returncode == 1
    assert "has the schema 9999 of a newer Fairlead" in refused.stderr
    assert not list((tmp_path / "vault").glob("snapshots/*"))


def test_what_is_restored_into_an_empty_home_is_what_was_backed_up(old: Settings, tmp_path: Path) -> None:
    vault, safe = tmp_path / "vault", tmp_path / "safe"
    taken = result(fairlead(old, "backup", vault, "--keys", safe, "--json"))
    assert (taken["tables"]["instances"], taken["tables"]["catalog_users"], taken["keys"]) == (4, 1, 1)
    files, index, ledger = bytes_of(old), records(old), rows(vault, taken["snapshot"])
    old.home_folder.rename(tmp_path / "lost")
    done = result(fairlead(old, "restore", vault, "--keys", safe, "--json"))
    assert (done["tables"], done["missing"], done["indexed"]) == (taken["tables"], [], 2)
    assert bytes_of(old) == files
    assert records(old) == index
    assert rows(vault, result(fairlead(old, "backup", vault, "--json"))["snapshot"]) == ledger


def test_the_restored_home_goes_on(old: Settings, homes: Homes, tmp_path: Path) -> None:
    """Numbers are given on after the highest one, and a known object is known."""
    vault, new = tmp_path / "vault", homes("new")
    fairlead(old, "backup", vault, "--keys", tmp_path / "safe")
    result(fairlead(new, "restore", vault, "--keys", tmp_path / "safe", "--json"))
    assert result(fairlead(new, "ingest", tmp_path / "scanner", "--json"))["indexed"] == 0
    (tmp_path / "scanner" / "late.dcm").write_bytes(part10(a_slice(50)))
    assert result(fairlead(new, "ingest", tmp_path / "scanner" / "late.dcm", "--json"))["indexed"] == 1


def test_a_second_backup_copies_only_what_is_new_and_both_can_be_restored(old: Settings, homes: Homes, tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    first = result(fairlead(old, "backup", vault, "--json"))
    assert first["copied"] == first["files"] > 0
    (old.published_folder / "ds-1" / "1" / "more.txt").write_text("more")
    second = result(fairlead(old, "backup", vault, "--json"))
    assert (second["copied"], second["files"]) == (1, first["files"] + 1)
    new = homes("new")
    assert (
        result(fairlead(new, "restore", vault, "--snapshot", first["snapshot"], "--keys", old.secrets_folder, "--no-index", "--json"))[
            "files"
        ]
        == first["files"]
    )


def test_without_a_folder_for_keys_none_are_copied_and_the_user_is_told(old: Settings, tmp_path: Path) -> None:
    done = fairlead(old, "backup", tmp_path / "vault")
    assert "Project keys are not in this backup" in done.stderr
    secret = next(old.secrets_folder.glob("*.key")).read_bytes()
    assert not [file for file in (tmp_path / "vault").rglob("*") if file.is_file() and secret in file.read_bytes()]


def test_older_snapshots_go_and_their_bytes_with_them_when_nobody_needs_them(
    old: Settings, homes: Homes, tmp_path: Path, opened: Opened
) -> None:
    vault, engine = tmp_path / "vault", opened(old)
    backup(old, engine, vault)
    gone = old.published_folder / "ds-1" / "1" / "record.ttl"
    gone.unlink()
    report = backup(old, engine, vault, keep=1)
    assert (report.pruned, Vault(vault).names()) == (1, [report.snapshot])
    new = homes("new")
    restore(new, opened(new), vault, keys=Keys(old.secrets_folder))
    assert bytes_of(new) == bytes_of(old)


def test_a_manifest_without_bytes_checks_the_storage_that_is_there(old: Settings, tmp_path: Path, opened: Opened) -> None:
    vault, engine = tmp_path / "vault", opened(old)
    backup(old, engine, vault, with_bytes=False)
    assert list((vault / "blobs").iterdir()) == []
    lost = next(old.archive_folder.rglob("*.dcm"))
    lost.unlink()
    moved = Settings(home=old.home_folder, database_url=SecretStr(f"sqlite:///{tmp_path}/empty.sqlite"))
    report = restore(moved, opened(moved), vault)
    assert report.missing == (f"archive/{lost.relative_to(old.archive_folder).as_posix()}",)


def test_a_home_with_other_rows_is_left_alone(old: Settings, homes: Homes, tmp_path: Path, opened: Opened) -> None:
    vault, new = tmp_path / "vault", homes("new")
    backup(old, opened(old), vault)
    engine = opened(new)
    Accounts(new, engine).add("eve@example.org", "another password")
    with pytest.raises(Conflict, match="not empty"):
        restore(new, engine, vault, keys=Keys(old.secrets_folder))
    assert bytes_of(new) == {}


def test_a_file_with_other_bytes_is_never_replaced(old: Settings, homes: Homes, tmp_path: Path, opened: Opened) -> None:
    vault, new = tmp_path / "vault", homes("new")
    backup(old, opened(old), vault)
    there = new.published_folder / "ds-1" / "1" / "record.ttl"
    there.parent.mkdir(parents=True)
    there.write_text("mine")
    with pytest.raises(Conflict, match="Other bytes"):
        restore(new, opened(new), vault, keys=Keys(old.secrets_folder))
    assert there.read_text() == "mine"


@pytest.mark.parametrize("damage", ["blob", "rows"])
def test_a_damaged_backup_is_refused_before_the_database_is_touched(
    old: Settings, homes: Homes, tmp_path: Path, damage: str, opened: Opened
) -> None:
    vault, new = tmp_path / "vault", homes("new")
    backup(old, opened(old), vault)
    file = next(path for path in vault.glob({"blob": "blobs/*/*", "rows": "snapshots/*/tables.gz"}[damage]) if path.stat().st_size)
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    engine = opened(new)
    with pytest.raises(CheckFailed, match="damaged"):
        restore(new, engine, vault, keys=Keys(old.secrets_folder))
    with opened(new).connect() as connection:
        assert connection.execute(select(users)).all() == []


def forge(snapshot: Path, name: str, change: Callable[[list[str]], list[str]]) -> None:
    """Change a part of a snapshot as somebody would who also corrects its hash."""
    lines = change(gzip.decompress((snapshot / name).read_bytes()).decode().splitlines())
    (snapshot / name).write_bytes(gzip.compress("\n".join(lines).encode()))
    key = f"{name.removesuffix('.gz')}_sha256"
    document = json.loads((snapshot / "manifest.json").read_text()) | {key: sha256_file(snapshot / name)}
    (snapshot / "manifest.json").write_text(json.dumps(document))


def test_a_path_that_leaves_its_folder_is_refused(old: Settings, homes: Homes, tmp_path: Path, opened: Opened) -> None:
    vault, new = tmp_path / "vault", homes("new")
    backup(old, opened(old), vault)
    forge(Vault(vault).chosen(None), "files.gz", lambda lines: [lines[0].replace('"path":"', '"path":"../../', 1), *lines[1:]])
    with pytest.raises(InvalidInput, match="outside its folders"):
        restore(new, opened(new), vault, keys=Keys(old.secrets_folder))
    assert not (tmp_path / "x").exists()


def test_the_backup_folder_may_not_lie_where_it_would_back_up_itself(old: Settings, tmp_path: Path, opened: Opened) -> None:
    with pytest.raises(InvalidInput, match="inside the archive folder"):
        backup(old, opened(old), old.archive_folder / "backup")


def test_keys_that_catalog_and_gateway_have_for_themselves_on_the_volume_of_the_chart_are_kept_too(
    old: Settings, homes: Homes, tmp_path: Path
) -> None:
    own = old.home_folder / "gateway-secrets" / "gateway.key"
    own.parent.mkdir()
    own.write_text("identity")
    taken = result(fairlead(old, "backup", tmp_path / "vault", "--keys", tmp_path / "safe", "--json"))
    kept = tmp_path / "safe" / "gateway-secrets" / "gateway.key"
    assert (taken["keys"], kept.read_text(), kept.stat().st_mode & 0o077) == (2, "identity", 0)
    new = homes("new")
    assert result(fairlead(new, "restore", tmp_path / "vault", "--keys", tmp_path / "safe", "--json"))["keys"] == 2
    assert (new.home_folder / "gateway-secrets" / "gateway.key").read_text() == "identity"


def test_nobody_but_its_owner_reads_a_backup_also_in_a_folder_that_is_open_to_all(old: Settings, tmp_path: Path, opened: Opened) -> None:
    vault = tmp_path / "vault"
    vault.mkdir(mode=0o755)
    backup(old, opened(old), vault)
    assert [folder.stat().st_mode & 0o077 for folder in (vault / "blobs", vault / "snapshots")] == [0, 0]


def test_lists_of_names_never_push_out_the_last_snapshot_that_holds_bytes(
    old: Settings, homes: Homes, tmp_path: Path, opened: Opened
) -> None:
    vault, engine = tmp_path / "vault", opened(old)
    whole = backup(old, engine, vault).snapshot
    lists = [backup(old, engine, vault, with_bytes=False, keep=1).snapshot for _ in range(2)]
    assert Vault(vault).names() == [whole, lists[-1]]
    new = homes("new")
    restore(new, opened(new), vault, snapshot=whole, keys=Keys(old.secrets_folder))
    assert bytes_of(new) == bytes_of(old)


def test_an_empty_home_does_not_drive_out_the_good_snapshots(old: Settings, homes: Homes, tmp_path: Path, opened: Opened) -> None:
    """A volume that was not mounted must not cost the backups of the days before."""
    vault, bare = tmp_path / "vault", homes("bare")
    good = backup(old, opened(old), vault).snapshot
    engine = opened(bare)
    for _ in range(2):
        with pytest.raises(Conflict, match="none deleted"):
            backup(bare, engine, vault, keep=1)
    assert Vault(vault).names() == [good]


def test_as_many_rows_of_another_installation_are_not_taken_for_a_restore_that_has_ended(
    old: Settings, homes: Homes, tmp_path: Path, opened: Opened
) -> None:
    vault, one, other = tmp_path / "vault", homes("one"), homes("other")
    for settings, name in ((one, "ada@example.org"), (other, "eve@example.org")):
        Accounts(settings, opened(settings)).add(name, "a long password")
    backup(one, opened(one), vault)
    with pytest.raises(Conflict, match="not empty"):
        restore(other, opened(other), vault)


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "../../../etc/passwd"},
        {"path": ""},
        {"path": "."},
        {"path": "a\0b"},
        {"size": -1},
        {"root": "etc"},
        {"path": "..%2Foutside", "quoted": True},
        {"path": "%2Fetc", "quoted": True},
        {"path": "a%00b", "quoted": True},
    ],
)
def test_a_line_that_was_written_by_somebody_else_is_refused(
    old: Settings, homes: Homes, tmp_path: Path, opened: Opened, change: dict[str, object]
) -> None:
    vault, new = tmp_path / "vault", homes("new")
    backup(old, opened(old), vault)
    forge(Vault(vault).chosen(None), "files.gz", lambda lines: [json.dumps(json.loads(lines[0]) | change), *lines[1:]])
    with pytest.raises(InvalidInput, match=r"no file|outside its folders"):
        restore(new, opened(new), vault, keys=Keys(old.secrets_folder))
    assert bytes_of(new) == {}


def test_rows_of_a_table_that_does_not_exist_are_refused(old: Settings, homes: Homes, tmp_path: Path, opened: Opened) -> None:
    vault, new = tmp_path / "vault", homes("new")
    backup(old, opened(old), vault)
    forge(Vault(vault).chosen(None), "tables.gz", lambda lines: ['{"table":"sqlite_master","columns":[]}', *lines])
    with pytest.raises(InvalidInput, match="its schema has not"):
        restore(new, opened(new), vault, keys=Keys(old.secrets_folder))


def test_a_backup_sees_one_moment_while_others_write(old: Settings, opened: Opened) -> None:
    """What is committed between the first table and the last is in none of them."""
    engine, writer = opened(old), opened(old)
    with one_moment(engine) as connection:
        before = connection.execute(select(users.c.email)).all()
        Accounts(old, writer).add("late@example.org", "a long password")
        assert connection.execute(select(users.c.email)).all() == before
    with one_moment(engine) as connection:
        assert len(connection.execute(select(users.c.email)).all()) == len(before) + 1


def test_keys_may_not_lie_inside_the_backup(old: Settings, tmp_path: Path) -> None:
    done = fairlead(old, "backup", tmp_path / "vault", "--keys", tmp_path / "vault" / "keys")
    assert (done.returncode, "Keys must not lie inside the backup" in done.stderr) == (1, True)


def test_a_restore_without_the_keys_of_its_backup_is_refused_and_leaves_nothing(old: Settings, homes: Homes, tmp_path: Path) -> None:
    """New keys would be made at first need, and every pseudonym would silently be another one."""
    vault, new = tmp_path / "vault", homes("new")
    fairlead(old, "backup", vault, "--keys", tmp_path / "safe")
    for words, said in (((), "are missing: default"), (("--keys", tmp_path / "nowhere"), "folder of keys does not exist")):
        done = fairlead(new, "restore", vault, *words)
        assert (done.returncode, said in done.stderr) == (1, True), done.stderr
        assert "--keys" in done.stderr
    assert (list(new.secrets_folder.glob("*")), bytes_of(new)) == ([], {})


def test_a_restore_with_another_key_is_refused_wherever_that_key_lies(old: Settings, homes: Homes, tmp_path: Path, opened: Opened) -> None:
    vault, new, wrong = tmp_path / "vault", homes("new"), tmp_path / "wrong"
    backup(old, opened(old), vault)
    load_or_create_key(wrong / "default.key")
    with pytest.raises(Conflict, match="not those of this backup: default"):
        restore(new, opened(new), vault, keys=Keys(wrong))
    load_or_create_key(new.secrets_folder / "default.key")  # as a node makes it that was started before the restore
    with pytest.raises(Conflict, match="not those of this backup: default"):
        restore(new, opened(new), vault, keys=Keys(old.secrets_folder))
    assert bytes_of(new) == {}


def test_keys_that_are_in_force_already_need_no_folder(
    old: Settings, homes: Homes, tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from the Kubernetes secret they come from, or from the environment."""
    vault, new, other = tmp_path / "vault", homes("new"), homes("other")
    backup(old, opened(old), vault)
    mounted = new.model_copy(update={"secrets": old.secrets_folder})
    assert restore(mounted, opened(mounted), vault).keys == 0
    monkeypatch.setenv("FAIRLEAD_PROJECT_KEY_DEFAULT", (old.secrets_folder / "default.key").read_text().strip())
    assert restore(other, opened(other), vault).written > 0


def test_new_keys_are_made_only_when_asked_for(old: Settings, homes: Homes, tmp_path: Path) -> None:
    vault, new = tmp_path / "vault", homes("new")
    fairlead(old, "backup", vault)
    assert result(fairlead(new, "restore", vault, "--new-keys", "--json"))["indexed"] == 2
    assert (new.secrets_folder / "default.key").read_bytes() != (old.secrets_folder / "default.key").read_bytes()


def test_a_backup_that_names_no_keys_asks_for_some(old: Settings, homes: Homes, tmp_path: Path, opened: Opened) -> None:
    vault, new = tmp_path / "vault", homes("new")
    backup(old, opened(old), vault)
    manifest = Vault(vault).chosen(None) / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"keys": None}))
    with pytest.raises(NotFound, match="does not say which"):
        restore(new, opened(new), vault)
    assert restore(new, opened(new), vault, keys=Keys(old.secrets_folder)).keys == 1


def test_a_fingerprint_is_no_key_and_no_pseudonym(old: Settings, tmp_path: Path, opened: Opened) -> None:
    vault = tmp_path / "vault"
    backup(old, opened(old), vault)
    prints = json.loads((Vault(vault).chosen(None) / "manifest.json").read_text())["keys"]
    assert set(prints) == {"DEFAULT"}
    assert prints["DEFAULT"] not in (old.secrets_folder / "default.key").read_text()
    assert patient_key(read_key_file(old.secrets_folder / "default.key"), "1")[1:] not in prints["DEFAULT"]


def test_two_installations_never_share_a_backup_folder(old: Settings, homes: Homes, tmp_path: Path, opened: Opened) -> None:
    vault, other = tmp_path / "vault", homes("other")
    mine = backup(old, opened(old), vault).snapshot
    Accounts(other, opened(other)).add("eve@example.org", "a long password")
    with pytest.raises(Conflict, match="another installation"):
        backup(other, opened(other), vault, keep=1)
    assert Vault(vault).names() == [mine]


def test_a_restored_installation_goes_on_in_the_folder_of_its_backups(old: Settings, homes: Homes, tmp_path: Path, opened: Opened) -> None:
    vault, new = tmp_path / "vault", homes("new")
    first = backup(old, opened(old), vault).snapshot
    engine = opened(new)
    restore(new, engine, vault, keys=Keys(old.secrets_folder))
    second = backup(new, engine, vault)
    assert (Vault(vault).names(), second.copied) == ([first, second.snapshot], 0)


@pytest.mark.parametrize("below", ["", "backup", "secrets"])
def test_a_backup_inside_the_home_is_refused(old: Settings, opened: Opened, below: str) -> None:
    with pytest.raises(InvalidInput, match="inside the home folder"):
        backup(old, opened(old), old.home_folder / below)
    assert not list(old.home_folder.rglob("blobs"))


@pytest.mark.parametrize("words", [("backup", ""), ("restore", " "), ("backup", "vault", "--keys", "")], ids=str)
def test_an_empty_path_is_not_the_working_folder(
    old: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = fairlead(old, *words)
    assert (done.returncode, "path is empty" in done.stderr) == (2, True), done.stderr
    assert not {"blobs", "snapshots", "vault"} & {path.name for path in tmp_path.iterdir()}


def test_a_folder_with_other_things_in_it_is_no_backup_folder(old: Settings, tmp_path: Path, opened: Opened) -> None:
    """Of a file system's own snapshots, the next --keep would take every one for an unfinished backup."""
    kept = tmp_path / "disk" / "snapshots" / "monday" / "file"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    with pytest.raises(InvalidInput, match="not empty and no backup folder"):
        backup(old, opened(old), tmp_path / "disk", keep=1)
    assert kept.read_text() == "mine"
    mounted = tmp_path / "mounted"
    (mounted / "lost+found").mkdir(parents=True)
    assert backup(old, opened(old), mounted).files > 0


def test_keys_may_not_lie_around_the_backup_or_in_the_home(old: Settings, tmp_path: Path) -> None:
    for keys in (tmp_path, old.home_folder / "copy"):
        done = fairlead(old, "backup", tmp_path / "vault", "--keys", keys)
        assert (done.returncode, "apart from the backup" in done.stderr) == (1, True)


def test_an_empty_folder_is_no_backup(homes: Homes, tmp_path: Path, opened: Opened) -> None:
    new = homes("new")
    with pytest.raises(NotFound, match="no such snapshot"):
        restore(new, opened(new), tmp_path)


def killed(settings: Settings, *arguments: str | Path, when: Callable[[], object]) -> None:
    """Start a command and kill it as soon as ``when`` holds."""
    with subprocess.Popen(command(*arguments), env=environment(settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for(when)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL, "it ended before it was killed"


@pytest.mark.slow
def test_a_killed_backup_leaves_none_and_a_killed_restore_can_be_repeated(homes: Homes, tmp_path: Path, opened: Opened) -> None:
    old, new, vault = homes("old"), homes("new"), tmp_path / "vault"
    furnish(old, tmp_path, slices=60)
    killed(old, "backup", vault, when=lambda: len(list(vault.glob("blobs/??/*"))) > 10)
    assert Vault(vault).names() == []
    taken = result(fairlead(old, "backup", vault, "--keep", "1", "--json"))
    assert 0 < taken["copied"] < taken["files"], "what the killed one had copied was not copied again"
    assert len(list((vault / "snapshots").iterdir())) == 1, "the unfinished one is swept away"
    killed(new, "restore", vault, "--keys", old.secrets_folder, when=lambda: len(list(new.archive_folder.rglob("*.dcm"))) > 10)
    with opened(new).connect() as connection:
        assert connection.execute(select(users)).all() == []
    result(fairlead(new, "restore", vault, "--keys", old.secrets_folder, "--no-index", "--json"))
    assert bytes_of(new) == bytes_of(old)


def test_a_restore_that_has_ended_may_be_called_again(old: Settings, homes: Homes, tmp_path: Path, opened: Opened) -> None:
    vault, new = tmp_path / "vault", homes("new")
    backup(old, opened(old), vault)
    engine = opened(new)
    first = restore(new, engine, vault, keys=Keys(old.secrets_folder))
    second = restore(new, engine, vault, keys=Keys(old.secrets_folder))
    assert (first.written > 0, second.written) == (True, 0)
    with engine.begin() as connection:
        connection.execute(delete(users))
    with pytest.raises(Conflict, match="not empty"):
        restore(new, engine, vault, keys=Keys(old.secrets_folder))


def test_a_clock_that_ran_ahead_does_not_make_the_next_snapshot_the_oldest(old: Settings, tmp_path: Path, opened: Opened) -> None:
    vault, database = tmp_path / "vault", opened(old)
    backup(old, database, vault, clock=lambda: datetime(2099, 1, 1, tzinfo=UTC))

    newest = backup(old, database, vault, keep=1)

    assert Vault(vault).names() == [newest.snapshot]
    assert Vault(vault).chosen(None).name == newest.snapshot


def test_a_snapshot_that_somebody_renamed_does_not_push_out_the_newest(old: Settings, tmp_path: Path, opened: Opened) -> None:
    vault, database = tmp_path / "vault", opened(old)
    first = backup(old, database, vault)
    (vault / "snapshots" / first.snapshot).rename(vault / "snapshots" / "release-1")

    newest = backup(old, database, vault, keep=1)

    assert newest.snapshot in Vault(vault).names()


@pytest.mark.parametrize(
    ("name", "left"),
    [("files.gz", 60), ("files.gz", 0), ("files.gz", None), ("manifest.json", 60)],
    ids=["cut", "empty", "gone", "manifest"],
)
def test_a_damaged_snapshot_does_not_stop_the_next_one(
    old: Settings, homes: Homes, tmp_path: Path, opened: Opened, name: str, left: int | None
) -> None:
    vault, database = tmp_path / "vault", opened(old)
    file = vault / "snapshots" / backup(old, database, vault).snapshot / name
    content = file.read_bytes()
    file.unlink()
    if left is not None:
        file.write_bytes(content[:left])

    done = backup(old, database, vault, keep=9)

    new = homes("new")
    restore(new, opened(new), vault, snapshot=done.snapshot, keys=Keys(old.secrets_folder))
    assert bytes_of(new) == bytes_of(old)


def test_while_a_kept_snapshot_cannot_be_read_no_bytes_are_deleted(old: Settings, tmp_path: Path, opened: Opened) -> None:
    vault, database = tmp_path / "vault", opened(old)
    backup(old, database, vault)
    (old.watch_folder / "cells.ome.tif").unlink()
    second = backup(old, database, vault)
    (vault / "snapshots" / second.snapshot / "files.gz").write_bytes(b"rotten")
    blobs = sorted(vault.glob("blobs/??/*"))

    assert backup(old, database, vault, keep=2).pruned == 0
    assert sorted(vault.glob("blobs/??/*")) == blobs


def test_an_archive_that_is_not_mounted_does_not_drive_out_the_good_snapshots(old: Settings, tmp_path: Path, opened: Opened) -> None:
    vault, database = tmp_path / "vault", opened(old)
    good = backup(old, database, vault)
    old.archive_folder.rename(tmp_path / "elsewhere")
    (old.archive_folder / "audit").mkdir(parents=True)
    (old.archive_folder / "audit" / "today.ndjson").write_text("{}\n")

    with pytest.raises(Conflict, match="archive folder holds nothing"):
        backup(old, database, vault, keep=1)

    assert Vault(vault).names() == [good.snapshot]


def test_a_blob_that_was_cut_short_is_written_again(old: Settings, homes: Homes, tmp_path: Path, opened: Opened) -> None:
    vault, database = tmp_path / "vault", opened(old)
    backup(old, database, vault)
    blob = next(vault.glob("blobs/??/*"))
    blob.write_bytes(blob.read_bytes()[:1])

    backup(old, database, vault)

    new = homes("new")
    restore(new, opened(new), vault, keys=Keys(old.secrets_folder))
    assert bytes_of(new) == bytes_of(old)


def test_files_whose_names_are_not_utf8_come_back(old: Settings, homes: Homes, tmp_path: Path, opened: Opened) -> None:
    vault, database = tmp_path / "vault", opened(old)
    names = [b"gr\xfcn 100%.svs", "grün%20.svs".encode(), b"a\nb.svs"]
    for name in names:
        Path(os.fsdecode(os.fsencode(old.watch_folder) + b"/" + name)).write_bytes(name)

    backup(old, database, vault)
    again = backup(old, database, vault)
    new = homes("new")
    restore(new, opened(new), vault, keys=Keys(old.secrets_folder))

    assert again.copied == 0
    assert {name for name in os.listdir(os.fsencode(new.watch_folder)) if name in names} == set(names)
    assert bytes_of(new) == bytes_of(old)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "\nno json",
        lambda text: text.replace("[1,", "[", 1),
        lambda text: "[1]\n" + text,
        lambda text: text.replace("+00:00", "zz", 1),
        lambda text: text.replace("[1,", "[{},", 1),
        lambda text: re.sub(r"(\n\[1,.*)", r"\1\1", text, count=1),
    ],
    ids=["no JSON", "too short", "no table", "no date", "an object", "twice"],
)
def test_rows_that_do_not_fit_are_refused_and_none_is_loaded(
    old: Settings, homes: Homes, tmp_path: Path, opened: Opened, change: Callable[[str], str]
) -> None:
    vault, new = tmp_path / "vault", homes("new")
    backup(old, opened(old), vault)
    forge(Vault(vault).chosen(None), "tables.gz", lambda lines: change("\n".join(lines)).split("\n"))
    engine = opened(new)
    with pytest.raises(InvalidInput, match="rows"):
        restore(new, engine, vault, keys=Keys(old.secrets_folder))
    with engine.connect() as connection:
        assert not any(connection.execute(select(table).limit(1)).first() for table in tables_of(connection))
    assert (new.home_folder / "installation").read_bytes() == (old.home_folder / "installation").read_bytes(), "before the rows"


def test_the_time_of_the_last_backup_is_shown_and_one_that_failed_does_not_move_it(old: Settings, tmp_path: Path, opened: Opened) -> None:
    assert [value for *_, value in backup_gauges(old)] == [0.0]
    taken = backup(old, opened(old), tmp_path / "vault", clock=lambda: datetime(2030, 1, 2, tzinfo=UTC))
    assert taken.files
    assert [value for *_, value in backup_gauges(old)] == [1893542400.0]
    with pytest.raises(InvalidInput):
        backup(old, opened(old), old.home_folder / "inside")
    assert [value for *_, value in backup_gauges(old)] == [1893542400.0]
    (old.home_folder / "last-backup").write_text("no time")
    assert [value for *_, value in backup_gauges(old)] == [0.0]


def test_what_may_not_be_read_stops_the_backup_and_is_not_named(old: Settings, tmp_path: Path) -> None:
    closed = old.watch_folder / "Mustermann.svs"
    closed.write_bytes(b"cells")
    closed.chmod(0)
    as_others = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []

    done = subprocess.run(
        [*as_others, *command("backup", tmp_path / "vault")], env=environment(old), capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "error [invalid-configuration] Something in the watch folder can't be read" in done.stderr
    assert "Mustermann" not in done.stderr
    assert Vault(tmp_path / "vault").names() == []


def test_two_restores_never_write_into_one_home(old: Settings, homes: Homes, tmp_path: Path, opened: Opened) -> None:
    vault, new = tmp_path / "vault", homes("new")
    backup(old, opened(old), vault)
    engine = opened(new)
    with (new.home_folder / ".restoring.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="Another restore"):
            restore(new, engine, vault, keys=Keys(old.secrets_folder))
    assert bytes_of(new) == {}
    assert restore(new, engine, vault, keys=Keys(old.secrets_folder)).written > 0
