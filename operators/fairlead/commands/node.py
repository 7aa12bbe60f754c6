"""``fairlead node`` and ``fairlead node status``: the DICOM node in the foreground, and what it has received."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from fairlead.commands.shared import JsonFlag, emit, settings_of

if TYPE_CHECKING:
    from fairlead.receive import NodeStatus

node = typer.Typer(invoke_without_command=True)


@node.callback()
def run_node(context: typer.Context) -> None:
    """Run the DICOM node in the foreground until SIGTERM or Ctrl-C; prints one line when it is ready. Example: fairlead node."""
    if context.invoked_subcommand is not None:
        return
    import signal

    from fairlead.receive import DicomNode

    settings = settings_of(context)
    running = DicomNode(settings)
    host, port = running.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: running.request_stop())
    signal.signal(signal.SIGHUP, lambda *_: running.reload())
    typer.echo(f"listening {host}:{port} {settings.node.ae_title}")
    if running.web_address is not None:
        typer.echo("web http://{}:{}".format(*running.web_address))
    if running.plain_address is not None:
        typer.echo("without TLS {}:{}".format(*running.plain_address))
    running.serve_forever()
    running.stop()


@node.command("status")
def show_status(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Show series by state, open associations, free disk and the quarantine. Example: fairlead node status --json."""
    from fairlead.receive import node_status

    status = node_status(settings_of(context))
    document = {
        "series": {state.value: count for state, count in status.series.items()},
        "associations": status.associations,
        "disk_free": status.disk_free,
        "quarantine": [{"path": refusal.source, "reason": refusal.reason, "code": refusal.code} for refusal in status.quarantine],
        "waiting": status.waiting,
    }
    emit(document, as_json=as_json, text=lambda: _text(status))


def _text(status: NodeStatus) -> str:
    lines = [f"{state.value:<12} {count}" for state, count in status.series.items()]
    lines += [f"associations {status.associations}", f"waiting      {status.waiting}", f"disk free    {status.disk_free / 1e9:.1f} GB"]
    lines += [f"quarantine   {refusal.source}: {refusal.reason} [{refusal.code}]" for refusal in status.quarantine]
    return "\n".join(lines)


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.add_typer(node, name="node", help="The DICOM node; without a subcommand it runs in the foreground. Example: fairlead node")
