"""``fairlead index``: what the index holds, and making it anew."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from fairlead.commands.shared import JsonFlag, complain, emit, settings_of

index = typer.Typer(help="The searchable index.", no_args_is_help=True)


@index.command("status")
def status(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Print backend, number of records and generation.

    Example: fairlead index status --json
    """
    from fairlead.extract import load_catalogue
    from fairlead.index import open_index

    settings, began = settings_of(context), time.monotonic()
    found = open_index(settings, load_catalogue(settings.fields_file)).status()
    document = {"backend": found.backend, "records": found.records, "generation": found.generation, "seconds": _since(began)}
    emit(document, as_json=as_json, text=lambda: f"{found.backend}: {found.records} records, generation {found.generation}")


@index.command("rebuild")
def rebuild(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Make the index anew from archive and ledger; equal content gives the same generation.

    Example: fairlead index rebuild
    """
    from fairlead.database import open_database
    from fairlead.extract import load_catalogue
    from fairlead.index import open_index
    from fairlead.index import rebuild as rebuild_index
    from fairlead.progress import default_progress
    from fairlead.receive import Ledger

    settings, began = settings_of(context), time.monotonic()
    catalogue = load_catalogue(settings.fields_file)
    opened, ledger = open_index(settings, catalogue), Ledger(open_database(settings))
    report = rebuild_index(settings, ledger=ledger, index=opened, catalogue=catalogue, progress=default_progress())
    for refusal in report.quarantined:
        complain(f"left out: {refusal.source}: {refusal.reason}")
    found = opened.status()
    document = {
        "backend": found.backend,
        "records": found.records,
        "generation": found.generation,
        "seconds": _since(began),
        "quarantined": [{"path": refusal.source, "reason": refusal.reason} for refusal in report.quarantined],
    }
    emit(document, as_json=as_json, text=lambda: f"{found.backend}: {found.records} records, generation {found.generation}")


@index.command("load-idc")
def load_idc(
    context: typer.Context,
    parquet: Annotated[Path, typer.Argument(metavar="PARQUET", help="Table of the package idc-index-data.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Rows to load.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Load the public IDC table as records that can be searched and counted; their bytes stay in the public bucket.

    Example: fairlead index load-idc idc_index.parquet --limit 10000
    """
    from fairlead.extract import load_catalogue
    from fairlead.index import load_idc as load
    from fairlead.index import open_index
    from fairlead.progress import default_progress

    settings, began = settings_of(context), time.monotonic()
    opened = open_index(settings, load_catalogue(settings.fields_file))
    done = load(opened, parquet, limit=limit, progress=default_progress())
    for refusal in done.refused:
        complain(f"left out: {refusal.source}: {refusal.reason}")
    records = done.added + done.changed + done.unchanged
    document = {"records": records, "seconds": _since(began), "added": done.added, "changed": done.changed, "unchanged": done.unchanged}
    emit(document, as_json=as_json, text=lambda: f"{records} records, {done.unchanged} of them unchanged ({_since(began)} s)")


@index.command("load-kaapana")
def load_kaapana(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="INDEX", help="Its name there, project_… .")],
    url: Annotated[str, typer.Option(help="Address of Kaapana's OpenSearch.")],
    user: Annotated[str, typer.Option(help="A user who may read it; the password is FAIRLEAD_KAAPANA_PASSWORD.")] = "",
    password: Annotated[str, typer.Option(envvar="FAIRLEAD_KAAPANA_PASSWORD", hidden=True)] = "",
    ca_file: Annotated[Path | None, typer.Option(help="Certificate authority of that server.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Take the series of a Kaapana index as records that can be searched and counted; nothing is written there.

    Example: fairlead index load-kaapana project_admin --url https://kaapana.example.org:9200 --user reader
    """
    from pydantic import SecretStr

    from fairlead.extract import load_catalogue
    from fairlead.index import open_index
    from fairlead.index.kaapana import load_kaapana as load
    from fairlead.keys import load_project_key
    from fairlead.records import Route
    from fairlead.settings import IndexSettings

    settings, began = settings_of(context), time.monotonic()
    catalogue = load_catalogue(settings.fields_file)
    source = IndexSettings(backend="opensearch", url=url, name=name, user=user, password=SecretStr(password), ca_file=ca_file)
    route = Route(project=settings.project, center=settings.center)
    key = load_project_key(settings.secrets_folder, settings.project)
    done = load(open_index(settings, catalogue), source, route=route, catalogue=catalogue, key=key)
    for refusal in done.refused:
        complain(f"left out: {refusal.source}: {refusal.reason}")
    records = done.added + done.changed + done.unchanged
    document = {"records": records, "seconds": _since(began), "added": done.added, "changed": done.changed, "unchanged": done.unchanged}
    emit(document, as_json=as_json, text=lambda: f"{records} records, {done.unchanged} of them unchanged ({_since(began)} s)")


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)


def register(app: typer.Typer) -> None:
    """Add the group to the tree."""
    app.add_typer(index, name="index")
