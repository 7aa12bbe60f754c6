"""``fairlead backup`` and ``fairlead restore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairlead.commands.shared import JsonFlag, complain, emit, settings_of


def named_folder(text: str) -> Path:
    """Return the path of a folder; an empty text, mostly a variable that is not set, is not taken for the working folder."""
    if not text.strip():
        raise typer.BadParameter("the path is empty; name a folder")
    return Path(text)


KeysFolder = Annotated[
    Path | None, typer.Option(parser=named_folder, metavar="FOLDER", help="Folder for the project keys, apart from the backup.")
]


def backup(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(parser=named_folder, metavar="FOLDER", help="Backup folder; each call adds a snapshot.")],
    manifest_only: Annotated[
        bool, typer.Option("--manifest-only", help="List archive and published files with hashes, copy none.")
    ] = False,
    keys: KeysFolder = None,
    keep: Annotated[int | None, typer.Option(min=1, help="Keep the newest so many snapshots, delete what only older ones need.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Back up database, archive, published and watched files while everything runs; the index can be made again.

    Example: fairlead backup /backup/fairlead --keys /safe/fairlead-keys --keep 14
    """
    from fairlead.backup import KEYS_NOTE, copy_keys
    from fairlead.backup import backup as take
    from fairlead.database import open_database
    from fairlead.progress import default_progress

    settings = settings_of(context)
    copied = copy_keys(settings, keys, backup_folder=folder) if keys else 0
    engine = open_database(settings)
    try:
        done = take(settings, engine, folder, with_bytes=not manifest_only, keep=keep, progress=default_progress())
    finally:
        engine.dispose()
    if keys is None:
        complain(KEYS_NOTE)
    document = {**done.model_dump(mode="json"), "keys": copied}
    emit(
        document,
        as_json=as_json,
        text=lambda: f"snapshot {done.snapshot}: {sum(done.tables.values())} rows, {done.files} files, {done.copied} copied",
    )


def restore(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(parser=named_folder, metavar="FOLDER", help="Folder that `fairlead backup` wrote.")],
    snapshot: Annotated[str | None, typer.Option(help="Name of a snapshot; the newest by default.")] = None,
    keys: KeysFolder = None,
    new_keys: Annotated[
        bool, typer.Option("--new-keys", help="Go on without the keys of the backup: new pseudonyms, not linkable to earlier exports.")
    ] = False,
    index: Annotated[bool, typer.Option("--index/--no-index", help="Make the index again afterwards.")] = True,
    as_json: JsonFlag = False,
) -> None:
    """Bring a backup back into an empty home and an empty database, then make the index again.

    Example: fairlead restore /backup/fairlead --keys /safe/fairlead-keys
    """
    from fairlead.backup import Keys
    from fairlead.backup import restore as bring_back
    from fairlead.database import open_engine
    from fairlead.progress import default_progress
    from fairlead.settings import prepare_home

    settings = settings_of(context)
    prepare_home(settings)
    engine = open_engine(settings.database)
    try:
        found = Keys(keys, new_keys)
        done = bring_back(settings, engine, folder, snapshot=snapshot, keys=found, progress=default_progress())
    finally:
        engine.dispose()
    for path in done.missing[:20]:
        complain(f"missing: {path}")
    document = {**done.model_dump(mode="json"), "indexed": _rebuilt(context) if index else None}
    emit(document, as_json=as_json, text=lambda: f"snapshot {done.snapshot}: {sum(done.tables.values())} rows, {done.files} files")
    if done.missing:
        complain(f"{len(done.missing)} files are neither in the backup nor here: restore the storage itself, then `fairlead index rebuild`")
        raise typer.Exit(1)


def _rebuilt(context: typer.Context) -> int:
    """Make the index again; return its number of records."""
    from fairlead.database import open_database
    from fairlead.extract import load_catalogue
    from fairlead.index import open_index, rebuild
    from fairlead.progress import default_progress
    from fairlead.receive import Ledger

    settings = settings_of(context)
    catalogue = load_catalogue(settings.fields_file)
    opened, engine = open_index(settings, catalogue), open_database(settings)
    try:
        report = rebuild(settings, ledger=Ledger(engine), index=opened, catalogue=catalogue, progress=default_progress())
    finally:
        engine.dispose()
    for refusal in report.quarantined:
        complain(f"left out: {refusal.source}: {refusal.reason}")
    return opened.status().records


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.command()(backup)
    app.command()(restore)
