"""``fairlead node`` and what belongs to it: the node in the foreground, its status, its quarantine."""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.commands.shared import JsonFlag, emit, settings_of

if TYPE_CHECKING:
    from fairlead.receive import NodeStatus, PullReport
    from fairlead.settings import Settings

node = typer.Typer(invoke_without_command=True)
quarantine = typer.Typer(no_args_is_help=True)
node.add_typer(quarantine, name="quarantine", help="What was refused, and what to do about it. Example: fairlead node quarantine list")

Numbers = Annotated[list[int] | None, typer.Argument(help="Numbers as `quarantine list` shows them; none: all.")]


@node.callback()
def run_node(context: typer.Context) -> None:
    """Run the DICOM node in the foreground until SIGTERM or Ctrl-C; prints one line when it is ready.

    Example: fairlead node
    """
    if context.invoked_subcommand is not None:
        return
    import signal

    from fairlead.backup import backup_gauges
    from fairlead.database import open_database
    from fairlead.publish.gauges import export_gauges
    from fairlead.receive import DicomNode

    settings = settings_of(context)
    running = DicomNode(settings)
    if settings.node.web.port is not None:
        engine = open_database(settings)
        running.more_gauges = lambda: chain(export_gauges(engine), backup_gauges(settings))
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
    """Show series by state, open associations, free disk and the quarantine.

    Example: fairlead node status --json
    """
    from fairlead.receive import node_status

    status = node_status(settings_of(context))
    document = {
        "series": {state.value: count for state, count in status.series.items()},
        "associations": status.associations,
        "disk_free": status.disk_free,
        "quarantine": [{"path": refusal.source, "reason": refusal.reason, "code": refusal.code} for refusal in status.quarantine],
        "waiting": status.waiting,
    } | ({} if status.uncopied is None else {"uncopied": status.uncopied})
    emit(document, as_json=as_json, text=lambda: _text(status))


@node.command("pull")
def pull_studies(
    context: typer.Context,
    peer: Annotated[str, typer.Option("--from", help="AE title of a peer in routes.yaml.")],
    study: Annotated[list[str] | None, typer.Option("--study", help="Study Instance UID; repeatable.")] = None,
    query: Annotated[list[str] | None, typer.Option("--query", help="KEYWORD=VALUE at study level; repeatable, all must match.")] = None,
    project: Annotated[str | None, typer.Option(help="Project the studies belong to.")] = None,
    move: Annotated[bool, typer.Option("--move", help="C-MOVE to the running node; its routes must lead the peer to the project.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Fetch studies from a peer (C-FIND, then C-GET or C-MOVE) unless they are here already.

    Example: fairlead node pull --from PACS --study 1.2.3
    """
    settings = settings_of(context)
    keys = dict(_key(part) for part in query or ()) | ({"StudyInstanceUID": "\\".join(study)} if study else {})
    if not keys:
        raise typer.BadParameter("Name --study or --query.")
    report = _pulled(settings, peer, keys, project=project or settings.project, move=move)
    rows = [asdict(one) for one in report.series]
    lines = [f"{one.series_uid} {one.present} here, {one.stored} fetched, {len(one.missing)} missing" for one in report.series]
    emit({"complete": report.complete, "series": rows}, as_json=as_json, text=lambda: "\n".join(lines))
    if not report.complete:
        raise typer.Exit(1)


def _key(part: str) -> tuple[str, str]:
    name, separator, value = part.partition("=")
    if not separator or not name.isidentifier():
        raise typer.BadParameter(f"{part!r} is not KEYWORD=VALUE.")
    return name, value


def _pulled(settings: Settings, title: str, keys: dict[str, str], *, project: str, move: bool) -> PullReport:
    from fairlead.database import open_database
    from fairlead.errors import NotFound
    from fairlead.progress import default_progress
    from fairlead.receive import Ledger, Wish, load_routes, pull
    from fairlead.records import Route

    peer = load_routes(settings.routes_file, own_title=settings.node.ae_title).peer(title)
    if peer is None:
        raise NotFound("No peer has that AE title.", remedy="List it under peers in routes.yaml.")
    route = Route(project=project, center=settings.center, calling_ae=title, called_ae=settings.node.ae_title, peer=peer.host, door="dimse")
    engine = open_database(settings)
    try:
        return pull(settings, Ledger(engine), peer, wish=Wish(keys, by_move=move), route=route, progress=default_progress())
    finally:
        engine.dispose()


@quarantine.command("list")
def list_refusals(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List what was refused, why, and whether its bytes are kept.

    Example: fairlead node quarantine list --json
    """
    from fairlead.receive import list_quarantine

    rows = list_quarantine(settings_of(context))
    document = [
        {"id": row.id, "path": row.source, "code": row.code, "reason": row.reason, "times": row.times, "kept": row.path is not None}
        for row in rows
    ]
    emit(
        {"quarantine": document},
        as_json=as_json,
        text=lambda: "\n".join(f"{row.id:>6} {row.source}: {row.reason} [{row.code}]" for row in rows),
    )


@quarantine.command("retry")
def retry_refusals(context: typer.Context, ids: Numbers = None, as_json: JsonFlag = False) -> None:
    """Try refused objects and series again; without numbers all of them.

    Example: fairlead node quarantine retry 3 4
    """
    from fairlead.receive import retry_quarantine

    report = retry_quarantine(settings_of(context), ids or ())
    document = {"retried": report.retried, "mended": report.mended, "refused": report.refused}
    lines = [f"{report.mended} of {report.retried} mended", *(f"{one['id']:>6} {one['reason']} [{one['code']}]" for one in report.refused)]
    emit(document, as_json=as_json, text=lambda: "\n".join(lines))
    if report.refused:
        raise typer.Exit(1)


@quarantine.command("export")
def export_refusals(context: typer.Context, folder: Path, ids: Numbers = None, as_json: JsonFlag = False) -> None:
    """Copy refused objects (they hold patient data) and the reasons to FOLDER.

    Example: fairlead node quarantine export review
    """
    from fairlead.receive import export_quarantine

    rows = export_quarantine(settings_of(context), folder, ids or ())
    files = sum(row["file"] is not None for row in rows)
    emit({"exported": rows}, as_json=as_json, text=lambda: f"{files} files, {len(rows)} reasons in {folder}")


def _text(status: NodeStatus) -> str:
    lines = [f"{state.value:<12} {count}" for state, count in status.series.items()]
    lines += [f"associations {status.associations}", f"waiting      {status.waiting}", f"disk free    {status.disk_free / 1e9:.1f} GB"]
    if status.uncopied is not None:
        lines.append(f"uncopied     {status.uncopied}")
    lines += [f"quarantine   {refusal.source}: {refusal.reason} [{refusal.code}]" for refusal in status.quarantine]
    return "\n".join(lines)


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.add_typer(node, name="node", help="The DICOM node; without a subcommand it runs in the foreground. Example: fairlead node")
