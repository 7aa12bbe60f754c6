"""``fairlead catalog``."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.commands.shared import settings_of


def serve_catalog(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on; the default opens it to this machine only.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = None,
) -> None:
    """Serve the FAIR Data Point until SIGTERM. Example: fairlead catalog --port 8000"""
    from fairlead.catalog import serve

    settings = settings_of(context)
    given = {name: value for name, value in {"host": host, "port": port}.items() if value is not None}
    section = settings.catalog.model_copy(update=given)
    serve(settings.model_copy(update={"catalog": section}), ready=lambda address: typer.echo(f"listening {address}"))


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("catalog")(serve_catalog)
