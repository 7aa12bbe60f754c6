"""``fairlead cohort import``, ``translate`` and ``manifest``: cohorts from and for other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from fairlead.commands.cohort_shared import (
    DefinitionArgument,
    OutputOption,
    ReferenceArgument,
    deliver,
    exported,
    open_cohorts,
    user_of_process,
)
from fairlead.commands.shared import JsonFlag, complain, emit

KINDS = {"beacon": "GA4GH Beacon v2", "lens": "Lens (EUCAIM, BBMRI)", "fhir": "FHIR R6 Group"}


def register(cohort: typer.Typer) -> None:
    """Add the commands to the group."""
    cohort.command("import")(import_list)
    cohort.command("translate")(translate)
    cohort.command("manifest")(manifest)


def import_list(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="CSV with SeriesInstanceUID or of `cohort members`, .tcia or s5cmd manifest, Kaapana dataset (JSON).")
    ],
    reason: Annotated[str, typer.Option(help="Who chose these series, and what for.")],
    title: Annotated[str | None, typer.Option(help="Title of the cohort (default: the file's name).")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a definition of a list of series; freeze it like any other.

    Example: fairlead cohort import manifest.tcia --reason "chosen by the tumour board" > board.json
    """
    from fairlead.cohort import import_list as import_any
    from fairlead.cohort import read_list

    found = import_any(read_list(file), open_cohorts(context).index)
    definition = found.definition(title=title or file.stem, reason=reason)
    if found.absent:
        complain(f"{len(found.absent)} of {len(found.absent) + len(found.ids)} series are not in the index, such as {found.absent[0]}.")
    emit(definition, as_json=as_json, text=lambda: json.dumps(definition, indent=2, ensure_ascii=False))


def translate(
    context: typer.Context,
    definition: DefinitionArgument,
    to: Annotated[str, typer.Option(help="beacon, lens or fhir.")],
    as_json: JsonFlag = False,
) -> None:
    """Say a definition in the words of a network; a rule that the network cannot express is refused by its name.

    Example: fairlead cohort translate chest-ct.yaml --to beacon
    """
    from fairlead.cohort import beacon_request, fhir_group, lens_tree
    from fairlead.errors import UnsupportedInput

    opened = open_cohorts(context)
    parsed = opened.parse(definition)
    match to:
        case "beacon":
            document = beacon_request(parsed, opened.catalogue)
        case "lens":
            document = lens_tree(parsed, opened.catalogue)
        case "fhir":
            document = fhir_group(parsed, opened.catalogue)
        case _:
            raise UnsupportedInput(f"There is no target {to[:20]!r}.", remedy=f"Supported: {', '.join(KINDS)}.")
    emit(document, as_json=as_json, text=lambda: json.dumps(document, indent=2, ensure_ascii=False))


def manifest(
    context: typer.Context,
    reference: ReferenceArgument,
    to: Annotated[str, typer.Option(help="dicomweb, s5cmd or fhir.")] = "dicomweb",
    base: Annotated[str, typer.Option(help="Address of the DICOMweb service, which `--to dicomweb` needs.")] = "",
    output: OutputOption = None,
) -> None:
    """Write where the members of a version are, without those that were withdrawn: DICOMweb addresses, s5cmd copies, or a FHIR Group.

    Members without an address (an OME image has none in DICOMweb) are counted on standard error.

    Example: fairlead cohort manifest ID@2 --to dicomweb --base https://pacs.example.org/dicom-web
    """
    from fairlead.cohort import AuditTrail, dicomweb_manifest, fhir_members, present_members, s5cmd_manifest
    from fairlead.errors import UnsupportedInput

    opened = open_cohorts(context)
    version = exported(opened, reference)
    AuditTrail(opened.store.engine).note(user_of_process(), "list-members", version.ref, format=to[:20])
    match to:
        case "dicomweb":
            lines = dicomweb_manifest(version, opened.index, base)
        case "s5cmd":
            lines = s5cmd_manifest(version, opened.index)
        case "fhir":
            lines = iter([json.dumps(fhir_members(version, present_members(version, opened.index).patients), indent=2)])
        case _:
            raise UnsupportedInput(f"There is no manifest {to[:20]!r}.", remedy="Supported: dicomweb, s5cmd, fhir.")
    listed = deliver(lines, output)
    if to != "fhir" and listed < len(version.members):
        complain(f"{len(version.members) - listed} of {len(version.members)} members have no such address.")
