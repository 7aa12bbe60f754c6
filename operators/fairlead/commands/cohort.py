"""``fairlead cohort``: count, freeze and list; the rest of the group stands in the modules beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.commands import cohort_changes, cohort_exchange, cohort_looking
from fairlead.commands.cohort_shared import (
    AuthorOption,
    DefinitionArgument,
    OutputOption,
    ReferenceArgument,
    deliver,
    exported,
    freeze_and_tell,
    frozen_document,
    open_cohorts,
    tell_doubts,
    user_of_process,
    whole_file,
)
from fairlead.commands.shared import JsonFlag, emit

if TYPE_CHECKING:
    from fairlead.records import CohortSummary, JsonObject

cohort = typer.Typer(help="Cohorts: count, freeze, compare, combine.", no_args_is_help=True)

TitleOption = Annotated[str | None, typer.Option(help="Title of the cohort (default: the definition's).")]


@cohort.command("count")
def count(context: typer.Context, definition: DefinitionArgument, as_json: JsonFlag = False) -> None:
    """Count patients, studies, series, images and bytes, exactly, with the attrition.

    Example: fairlead cohort count chest-ct.yaml
    """
    from fairlead.cohort import count_definition

    opened = open_cohorts(context)
    parsed = opened.parse(definition)
    found = count_definition(parsed, within=opened.store.consenting(), **opened.asked)
    tell_doubts(opened, parsed)
    document = found.as_json()
    emit(document, as_json=as_json, text=lambda: _counted(document))


def _counted(document: JsonObject) -> str:
    lines = [document["sentence"], "", f"{'patients':>9} {'series':>9}"]
    lines += [f"{step['patients']:>9} {step['series']:>9}  {step['rule']}" for step in document["attrition"]]
    numbers = ", ".join(f"{document[name]} {name}" for name in ("patients", "studies", "series", "images", "bytes"))
    lines += ["", numbers, *(f"not stated in {n} series: {field}" for field, n in document["unknown"].items() if n)]
    return "\n".join(lines)


@cohort.command("attrition")
def attrition(context: typer.Context, definition: DefinitionArgument, output: OutputOption = None, as_json: JsonFlag = False) -> None:
    """Write what each step leaves, at all centres together and at each one, as CSV; patients are counted, series beside them.

    Example: fairlead cohort attrition chest-ct.yaml --output attrition.csv
    """
    import json

    from fairlead.cohort import attrition as attrition_of
    from fairlead.cohort import attrition_by_center, attrition_lines

    opened = open_cohorts(context)
    parsed, within = opened.parse(definition), opened.store.consenting()
    together, _ = attrition_of(parsed, opened.index, opened.store.resolve, within=within)
    apart = attrition_by_center(parsed, opened.index, opened.store.resolve, within=within)
    if as_json:
        tables = {name: [step.as_json() for step in table] for name, table in apart.items()}
        deliver([json.dumps({"attrition": [step.as_json() for step in together], "centers": tables}, ensure_ascii=False)], output)
    else:
        deliver(attrition_lines(together, apart), output)


@cohort.command("facets")
def facets(
    context: typer.Context,
    definition: DefinitionArgument,
    fields: Annotated[str | None, typer.Option(help="Fields, separated by commas (default: every facet of the catalogue).")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Count values per field, each without its own condition.

    Example: fairlead cohort facets all.yaml --fields modality,body_part
    """
    from fairlead.cohort import facet_definition
    from fairlead.errors import InvalidInput

    names = [name.strip() for name in (fields or "").split(",") if name.strip()]
    if fields is not None and not names:
        raise InvalidInput("No field is named.", remedy="Give --fields modality,body_part, or leave it out for every facet.")
    opened = open_cohorts(context)
    parsed = opened.parse(definition)
    found = facet_definition(parsed, fields=names, within=opened.store.consenting(), **opened.asked)
    document = found.as_json()
    emit(document, as_json=as_json, text=lambda: _faceted(document))


def _faceted(document: JsonObject) -> str:
    from fairlead.cohort import in_one_line

    lines = []
    for field, buckets in document["facets"].items():
        lines += [field, *(f"{bucket['patients']:>9} {bucket['series']:>9}  {in_one_line(bucket['label'])}" for bucket in buckets)]
    return "\n".join([f"{'patients':>9} {'series':>9}", *lines])


@cohort.command("freeze")
def freeze(
    context: typer.Context,
    definition: DefinitionArgument,
    title: TitleOption = None,
    author: AuthorOption = None,
    purpose: Annotated[str, typer.Option(help="What the cohort is for.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Freeze definition and members as the next version; nothing new, no new version.

    Example: fairlead cohort freeze chest-ct.yaml
    """
    opened = open_cohorts(context)
    parsed = opened.parse(definition)
    tell_doubts(opened, parsed)
    freeze_and_tell(opened, parsed, title=title, author=author or user_of_process(), purpose=purpose, as_json=as_json)


@cohort.command("list")
def list_cohorts(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the newest version of every cohort.

    Example: fairlead cohort list
    """
    versions = open_cohorts(context).store.list()
    document = [frozen_document(version) for version in versions]
    emit(document, as_json=as_json, text=lambda: "\n".join(_line(version) for version in versions) or "no cohort is frozen yet")


def _line(version: CohortSummary) -> str:
    return f"{version.ref}  {version.counts.patients:>7} patients {version.counts.series:>7} series  {version.title}"


@cohort.command("show")
def show(context: typer.Context, reference: ReferenceArgument, as_json: JsonFlag = False) -> None:
    """Show a frozen version: definition, numbers, attrition, what it rests on.

    Example: fairlead cohort show ID@2
    """
    import yaml

    opened = open_cohorts(context)
    version = opened.store.get(reference)
    steps = [step.as_json() for step in opened.store.attrition(version.ref)]
    counts = version.counts
    numbers = {"studies": counts.studies, "images": counts.images, "bytes": counts.size_bytes, "attrition": steps}
    told = {"purpose": version.purpose, "catalogue_sha256": version.catalogue_sha256, "compiler": version.compiler}
    document = {**frozen_document(version), **numbers, "sentence": version.sentence, **told, "definition": version.definition}
    versions = [known.version for known in opened.store.versions(version.id)]
    document |= {"versions": sorted(versions), "withdrawn": len(opened.store.withdrawn(version.ref))}
    emit(document, as_json=as_json, text=lambda: yaml.safe_dump(document, sort_keys=False, allow_unicode=True).rstrip())


@cohort.command("members")
def members(
    context: typer.Context,
    reference: ReferenceArgument,
    format_: Annotated[str, typer.Option("--format", help="csv, ndjson or parquet.")] = "csv",
    output: OutputOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Write the members of a frozen version, without those that were withdrawn, one a line; Parquet is one file.

    Example: fairlead cohort members ID@2 --format csv > members.csv
    """
    from fairlead.cohort import AuditTrail, export_members, members_parquet

    opened = open_cohorts(context)
    version = exported(opened, reference)
    AuditTrail(opened.store.engine).note(user_of_process(), "list-members", version.ref, format=format_[:20])
    if format_ != "parquet" or as_json:
        deliver(export_members(version, opened.index, "ndjson" if as_json else format_), output)
        return
    table = members_parquet(version, opened.index)
    if output is None:
        typer.echo(table, nl=False)
        return
    with whole_file(output) as file:
        file.write(table)


def register(app: typer.Typer) -> None:
    """Add the group to the tree."""
    for module in (cohort_changes, cohort_looking, cohort_exchange):
        module.register(cohort)
    app.add_typer(cohort, name="cohort")
