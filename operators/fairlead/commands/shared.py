"""What every command needs: the settings, one way to print results, one way to print refusals."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlead.errors import StorageFull

if TYPE_CHECKING:
    from fairlead.settings import Settings

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def settings_of(context: typer.Context) -> Settings:
    """Return the settings that ``--config`` and the environment give, read once per command; sets up logging."""
    from fairlead.logs import configure_logging
    from fairlead.settings import load_settings

    root = context.find_root()
    root.ensure_object(dict)
    if "settings" not in root.obj:
        settings = load_settings(root.obj.get("config"))
        configure_logging("DEBUG" if root.obj.get("debug") else settings.log.level, settings.log.format)
        root.obj["settings"] = settings
    found: Settings = root.obj["settings"]
    return found


def emit(document: Any, *, as_json: bool, text: Callable[[], str]) -> None:
    """Print the result on stdout: the JSON document, or the text made from it.

    Raises
    ------
    StorageFull : there is no room where stdout leads to.
    """
    from fairlead.files import storage_errors

    try:
        with storage_errors("the result"):
            typer.echo(json.dumps(document, ensure_ascii=False, default=str) if as_json else text())
    except StorageFull as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more at its end
        raise StorageFull(error.message, remedy="Free space where the output goes; what the command did is done.") from error


def complain(message: str) -> None:
    """Print one line for people on stderr."""
    typer.echo(message, err=True)


def show_key(settings: Settings, name: str, *, as_json: bool) -> None:
    """Print a public key of this installation and its fingerprint; the key is made at first use."""
    from fairlead.federation.signing import fingerprint, load_identity

    key = load_identity(settings.secrets_folder, name).public_key
    document = {"public_key": key, "fingerprint": fingerprint(key)}
    emit(document, as_json=as_json, text=lambda: f"{key}\n{document['fingerprint']}")
