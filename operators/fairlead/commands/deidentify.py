"""``fairlead deidentify``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.commands.shared import JsonFlag, complain, emit, settings_of

if TYPE_CHECKING:
    from fairlead.records import DeidentifyReport


def deidentify(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="IN", help="A DICOM or OME-TIFF file, or a folder of them.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the safe files; made when it does not exist.")],
    profile: Annotated[str | None, typer.Option(help="YAML file, or the name of a packaged profile. Default: export.profile.")] = None,
    project_key_file: Annotated[Path | None, typer.Option(help="32 bytes, raw or base64. Default: the project's own key.")] = None,
    report_file: Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write the report as an HTML page.")] = None,
    journal: Annotated[
        Path | None, typer.Option(help="Folder that remembers finished files, so that a killed run goes on. Default: none.")
    ] = None,
    ocr: Annotated[bool, typer.Option("--ocr", help="Ask tesseract for a second opinion on DICOM pixels, for the report only.")] = False,
    lookup_table: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Add who is who to this table, encrypted with the project key.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Remove identity from DICOM files by PS3.15 Annex E, and from OME-TIFF; what does not pass the gate is named and not written.

    Exit status 1 when nothing could be written, or when a file would still have held identity.

    Example: fairlead deidentify scans/ safe/ --profile research-longitudinal
    """
    from fairlead import keys
    from fairlead.deidentify import Plan, deidentify_folder, load_profile
    from fairlead.errors import NotFound
    from fairlead.progress import default_progress

    settings = settings_of(context)
    chosen = load_profile(profile or settings.export.profile)
    if project_key_file is not None and not project_key_file.is_file():
        raise NotFound(f"There is no key file {project_key_file}.", remedy="Make one with: openssl rand -base64 32")
    if not source.exists():
        raise NotFound(f"There is no input {source}.", remedy="Check the path.")
    key = keys.read_key_file(project_key_file) if project_key_file else keys.load_project_key(settings.secrets_folder, settings.project)
    plan = Plan(workers=os.cpu_count() or 1, journal=journal, page=report_file, ocr=ocr, lookup=lookup_table)
    report = deidentify_folder(source, out, profile=chosen, key=key, project=settings.project, progress=default_progress(), plan=plan)
    _tell(report, wanted=chosen.dciodvfy == "every")
    if ocr:
        _tell_of_words(report)
    emit(report.model_dump(mode="json"), as_json=as_json, text=lambda: _text(report))
    if report.residue or not report.written:
        raise typer.Exit(1)


def _tell(report: DeidentifyReport, *, wanted: bool) -> None:
    from fairlead.deidentify.conformance import find_program

    for refused in report.quarantined:
        complain(f"quarantined {refused.path}: {refused.reason}")
    if wanted and report.written > report.dciodvfy_checked and find_program() is None:
        complain("dciodvfy is not installed: conformance was not compared. Install the Debian package dicom3tools.")


def _tell_of_words(report: DeidentifyReport) -> None:
    for name in report.ocr_words_in:
        complain(f"tesseract believes to see words in {name}; look at it")
    complain(f"tesseract looked at {report.ocr_checked} of {report.written} written: at the first frame of DICOM images, at nothing else.")


def _text(report: DeidentifyReport) -> str:
    copies = f" as {report.outputs} objects (the others are copies)" if report.outputs < report.written else ""
    return (
        f"{report.files} files: {report.written} written{copies}, {len(report.quarantined)} quarantined"
        f"{f', {report.already} finished before' if report.already else ''}; "
        f"codes {', '.join(report.profile_codes)}; dciodvfy compared {report.dciodvfy_checked}, new errors {report.dciodvfy_new_errors}; "
        f"{report.seconds:.1f} s"
    )


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.command("deidentify")(deidentify)
