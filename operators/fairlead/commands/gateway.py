"""``fairlead gateway``: answer the questions of other centres, and read the audit of the answers."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from fairlead.commands.shared import JsonFlag, emit, settings_of, show_key

gateway = typer.Typer(invoke_without_command=True)
audit = typer.Typer(no_args_is_help=True)
gateway.add_typer(audit, name="audit", help="What was asked and answered. Example: fairlead gateway audit verify")


@gateway.callback()
def run_gateway(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on; the default opens it to this machine only.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = None,
) -> None:
    """Answer the questions of hubs until SIGTERM, under configs/governance.yaml.

    Example: fairlead gateway --port 8090
    """
    if context.invoked_subcommand is not None:
        return
    from fairlead.federation import serve

    settings = settings_of(context)
    given = {name: value for name, value in {"host": host, "port": port}.items() if value is not None}
    section = settings.gateway.model_copy(update=given)
    serve(settings.model_copy(update={"gateway": section}), ready=lambda address: typer.echo(f"listening {address}"))


@gateway.command("policy")
def check_policy(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Check the governance file and print its version and hash.

    Example: fairlead gateway policy
    """
    from fairlead.extract import load_catalogue
    from fairlead.federation import load_policy

    settings = settings_of(context)
    policy = load_policy(settings.governance_file, load_catalogue(settings.fields_file))
    document = {
        "version": policy.version,
        "sha256": policy.sha256,
        "hubs": [hub.name for hub in policy.hubs],
        "projects": [study.name for study in policy.projects],
        "disclosure": policy.disclosure.model_dump(mode="json"),
    }
    emit(document, as_json=as_json, text=lambda: f"version {policy.version}, {policy.sha256}")


@gateway.command("identity")
def show_identity(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Print the public key that signs this centre's answers, and its fingerprint to read out on the telephone.

    Example: fairlead gateway identity
    """
    from fairlead.federation.signing import GATEWAY_KEY

    show_key(settings_of(context), GATEWAY_KEY, as_json=as_json)


@gateway.command("rotate")
def rotate_secrets(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Put a new governance secret in use; numbers that were released stay as they are. Restart the gateway afterwards.

    Example: fairlead gateway rotate
    """
    from fairlead.federation.secrets import rotate

    ring = rotate(settings_of(context).secrets_folder)
    emit({"active": ring.active_id, "keys": len(ring.names)}, as_json=as_json, text=lambda: f"{ring.active_id} is in use")


@gateway.command("pull")
def pull_questions(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Empty the mailbox once and stop.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Fetch questions from a hub's mailbox and answer them, where no connection may come in. Ends on SIGTERM.

    Example: fairlead gateway pull
    """
    import signal
    from threading import Event

    from fairlead.errors import InvalidConfiguration
    from fairlead.federation import open_gateway
    from fairlead.federation.mailroom import pull

    settings = settings_of(context)
    if not settings.gateway.mailbox:
        raise InvalidConfiguration("No mailbox is named.", remedy="Set gateway.mailbox to the address of the hub's mailbox.")
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    answered = pull(open_gateway(settings), settings.gateway.mailbox, every_s=settings.gateway.poll_s, stopped=stop.wait, once=once)
    emit({"answered": answered}, as_json=as_json, text=lambda: f"{answered} questions answered")


@audit.command("verify")
def verify_chain(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Check the chain of the audit: nothing edited, removed, moved or cut off. Exit status 1 when it is broken.

    Example: fairlead gateway audit verify
    """
    from fairlead.database import open_database
    from fairlead.federation import verify_audit

    settings = settings_of(context)
    head = verify_audit(open_database(settings), settings.secrets_folder)
    document = {"valid": True, "entries": head.seq, "head": head.sha256}
    emit(document, as_json=as_json, text=lambda: f"{head.seq} entries, the chain holds, {head.sha256}")


@audit.command("export")
def export_audit(
    context: typer.Context,
    after: Annotated[int, typer.Option(min=0, help="Leave out the entries up to this number.")] = 0,
) -> None:
    """Write the entries as JSON lines, for stewards and for archives.

    Example: fairlead gateway audit export --after 1000 > audit.ndjson
    """
    from fairlead.database import open_database
    from fairlead.federation.audit import entries

    for entry in entries(open_database(settings_of(context)), after=after):
        typer.echo(json.dumps(entry, ensure_ascii=False))


@audit.command("summary")
def summarise_audit(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Say, per hub and project, how much was asked, answered, snapped and refused: the steward's view.

    Example: fairlead gateway audit summary
    """
    from fairlead.database import open_database
    from fairlead.federation.stewarding import summary

    rows = summary(open_database(settings_of(context)))
    lines = [
        f"{row['hub']} {row['project']}: {row['answers']} answers, {row['snapped']} snapped, {row['refusals']} refusals" for row in rows
    ]
    emit({"projects": rows}, as_json=as_json, text=lambda: "\n".join(lines) or "nobody has asked yet")


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.add_typer(
        gateway, name="gateway", help="Answer other centres; without a subcommand it serves. Example: fairlead gateway --port 8090"
    )
