"""``fairlead extract``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from fairlead.commands.shared import complain, settings_of


def extract(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="DICOM files and folders, OME-TIFF, OME-XML, OME-Zarr.", show_default=False)],
    project: Annotated[str | None, typer.Option(help="Project of the records (default: the settings' project).")] = None,
    center: Annotated[str | None, typer.Option(help="Centre of the records (default: the settings' centre).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Accepted for symmetry; the output always is NDJSON.")] = False,
) -> int:
    """Print one record per series or image as NDJSON; nothing is stored. Exit 1 when a file could not be read.

    Example: fairlead extract study/ slide.ome.tiff
    """
    from fairlead.extract import DUPLICATE, load_catalogue, read_paths
    from fairlead.keys import load_project_key
    from fairlead.records import NAME_PATTERN, ImagingRecord

    for option, name in (("--project", project), ("--center", center)):
        if name is not None and re.fullmatch(NAME_PATTERN, name) is None:
            raise typer.BadParameter("Use lower-case letters, digits, _ and -, at most 63.", param_hint=option)
    settings = settings_of(context)
    catalogue = load_catalogue(settings.fields_file)
    chosen, place = project or settings.project, center or settings.center
    key = load_project_key(settings.secrets_folder, chosen)
    refused = 0
    for outcome in read_paths(paths, catalogue=catalogue, key=key, project=chosen, center=place):
        if isinstance(outcome, ImagingRecord):
            typer.echo(outcome.model_dump_json())
        else:
            refused += outcome.code != DUPLICATE
            complain(f"{outcome.source}: [{outcome.code}] {outcome.reason}")
    return 1 if refused else 0


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("extract")(extract)
