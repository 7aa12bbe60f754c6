"""``fairlead catalog`` and ``fairlead catalog user``: serve, and who may write."""

from __future__ import annotations

import secrets
import sys
from typing import Annotated

import typer

from fairlead.commands.shared import JsonFlag, complain, emit, settings_of

catalog = typer.Typer(invoke_without_command=True)


@catalog.callback()
def serve_catalog(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on; the default opens it to this machine only.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = None,
) -> None:
    """Serve the FAIR Data Point until SIGTERM.

    Example: fairlead catalog --port 8000
    """
    if context.invoked_subcommand is not None:
        return
    from fairlead.catalog import serve

    settings = settings_of(context)
    given = {name: value for name, value in {"host": host, "port": port}.items() if value is not None}
    section = settings.catalog.model_copy(update=given)
    serve(settings.model_copy(update={"catalog": section}), ready=lambda address: typer.echo(f"listening {address}"))


@catalog.command("user")
def add_user(
    context: typer.Context,
    email: Annotated[str, typer.Argument(help="E-mail address of the user.")],
    admin: Annotated[bool | None, typer.Option("--admin/--no-admin", help="May change and delete records of others.")] = None,
    reset_password: Annotated[bool, typer.Option("--reset-password", help="Give an existing user a new password.")] = False,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin instead of making one.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Add a user who may write records. Example: fairlead catalog user ada@example.org --admin.

    An existing user is refused; --reset-password gives a new password, and the role only when it is named. Without --password-stdin the
    password is made and printed once; only its argon2id hash is stored.
    """
    from fairlead.catalog.accounts import Accounts, Role
    from fairlead.database import open_database

    settings = settings_of(context)
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else secrets.token_urlsafe(18)
    engine = open_database(settings)
    role: Role | None = None if admin is None else "admin" if admin else "user"
    user = Accounts(settings, engine).add(email, password, role, reset=reset_password)
    engine.dispose()
    document = {"email": user.email, "role": user.role} | ({} if password_stdin else {"password": password})
    if not password_stdin:
        complain("The password is shown this once.")
    emit(document, as_json=as_json, text=lambda: " ".join(document.values()))


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.add_typer(
        catalog, name="catalog", help="The FAIR Data Point; without a subcommand it serves. Example: fairlead catalog --port 8000"
    )
