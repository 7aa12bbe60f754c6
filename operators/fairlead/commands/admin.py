"""``fairlead db`` and ``fairlead config``: the platform admin's commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from fairlead.commands.shared import JsonFlag, emit, settings_of

if TYPE_CHECKING:
    from fairlead.settings import Settings

database = typer.Typer(help="Database migrations.", no_args_is_help=True)
config = typer.Typer(help="Effective settings.", no_args_is_help=True)


@database.command("upgrade")
def upgrade_database(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Bring the database to the newest schema; nothing happens when it is there.

    Example: fairlead db upgrade
    """
    from fairlead.database import open_database

    settings = settings_of(context)
    engine = open_database(settings)
    backend = engine.url.get_backend_name()
    emit({"backend": backend, "upgraded": True}, as_json=as_json, text=lambda: f"{backend} database is up to date")


@config.command("show")
def show_config(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Print the effective settings, secrets masked.

    Example: fairlead config show --json
    """
    import yaml

    document = settings_of(context).model_dump(mode="json")
    emit(document, as_json=as_json, text=lambda: yaml.safe_dump(document, sort_keys=False).rstrip())


@config.command("check")
def check_config(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Check settings, routes, field catalogue and profiles; exit 1 with every problem.

    Example: fairlead config check
    """
    from fairlead.deidentify import load_profile
    from fairlead.extract import load_catalogue
    from fairlead.receive import load_routes

    settings = settings_of(context)
    _require_sound(settings)
    rules = load_routes(settings.routes_file).rules
    for demanded in sorted({rule.deidentify_profile for rule in rules if rule.deidentify_profile}):
        load_profile(demanded)
    checked = {
        "routes": len(rules),
        "fields": len(load_catalogue(settings.fields_file).fields),
        "profile": load_profile(settings.export.profile).name,
    }
    emit({"ok": True, **checked}, as_json=as_json, text=lambda: "settings, routes, fields and profile hold")


def _require_sound(settings: Settings) -> None:
    """Refuse what the types of the settings cannot say: variables that set nothing, and addresses that are none."""
    from fairlead.configuration import place_of, unknown_variables
    from fairlead.database import database_address
    from fairlead.errors import InvalidConfiguration

    problems = unknown_variables(type(settings))
    if not _is_address(settings.catalog.base_url):
        problems.append(f"{place_of(('catalog', 'base_url'))} must be an http or https address without query and fragment.")
    try:
        database_address(settings.database)
    except InvalidConfiguration as error:
        problems.append(error.message)
    if problems:
        raise InvalidConfiguration(" ".join(problems), remedy="Correct the file or the variable, then repeat.")


def _is_address(text: str) -> bool:
    from urllib.parse import urlsplit

    try:
        address = urlsplit(text)
        return address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0 and not set(text) & set(' <>"{}|\\^`?#')
    except ValueError:
        return False


def register(app: typer.Typer) -> None:
    """Add the groups to the command tree."""
    app.add_typer(database, name="db")
    app.add_typer(config, name="config")
