"""``fairlead ingest``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.commands.shared import JsonFlag, complain, emit, settings_of

if TYPE_CHECKING:
    from fairlead.index import IngestReport
    from fairlead.records import Route


def ingest(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH…", help="Files or folders: DICOM, DICOMDIR, zip, OME-TIFF, OME-XML, OME-Zarr.")
    ],
    project: Annotated[str | None, typer.Option(help="Project (default: the settings').")] = None,
    center: Annotated[str | None, typer.Option(help="Centre (default: the settings').")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Archive, extract and index files or folders; the second run changes nothing.

    Example: fairlead ingest ./scans --project lung
    """
    from fairlead.database import open_database
    from fairlead.extract import load_catalogue
    from fairlead.index import WitnessLedger, open_index
    from fairlead.index import ingest as ingest_paths
    from fairlead.progress import default_progress

    settings = settings_of(context)
    catalogue = load_catalogue(settings.fields_file)
    report = ingest_paths(
        settings,
        paths,
        ledger=WitnessLedger(open_database(settings)),
        index=open_index(settings, catalogue),
        catalogue=catalogue,
        route=_route(project or settings.project, center or settings.center),
        progress=default_progress(),
    )
    emit(report.as_json(), as_json=as_json, text=lambda: _told(report))
    if report.nothing_taken:
        raise typer.Exit(1)


def _route(project: str, center: str) -> Route:
    from pydantic import ValidationError

    from fairlead.errors import InvalidInput
    from fairlead.records import Route

    try:
        return Route(project=project, center=center, door="ingest")
    except ValidationError as error:
        raise InvalidInput(
            "A project or centre name is not usable.", remedy="Use lower-case letters, digits, - and _, at most 63 characters."
        ) from error


def _told(report: IngestReport) -> str:
    for refusal in report.quarantined:
        complain(f"not taken: {refusal.source}: {refusal.reason}")
    if not report.seen:
        complain("There are no files there, so nothing was taken.")
    return f"{report.indexed} indexed, {report.unchanged} unchanged, {len(report.quarantined)} not taken ({report.seconds:.1f} s)"


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("ingest")(ingest)
