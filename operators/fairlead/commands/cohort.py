"""``fairlead cohort``: count, freeze, compare and combine."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from fairlead.commands import cohort_exchange
from fairlead.commands.shared import JsonFlag, complain, emit, settings_of

if TYPE_CHECKING:
    from fairlead.cohort import CohortDiff, CohortStore, Definition, SetOperation
    from fairlead.extract import FieldCatalogue
    from fairlead.index import Index
    from fairlead.records import CohortSummary, CohortVersion, JsonObject

cohort = typer.Typer(help="Cohorts: count, freeze, compare, combine.", no_args_is_help=True)

DefinitionArgument = Annotated[str, typer.Argument(metavar="DEF", help="Definition file, JSON or YAML; - is standard input.")]
ReferenceArgument = Annotated[str, typer.Argument(metavar="REF", help="Frozen version ID@N; ID alone is the newest.")]
TitleOption = Annotated[str | None, typer.Option(help="Title of the cohort (default: the definition's).")]


@dataclass(frozen=True, slots=True)
class OpenedCohorts:
    """Index, catalogue and store of one installation."""

    index: Index
    catalogue: FieldCatalogue
    store: CohortStore

    @property
    def asked(self) -> dict[str, Any]:
        """What every question about a definition needs."""
        return {"index": self.index, "catalogue": self.catalogue, "cohorts": self.store.resolve}

    def parse(self, source: str) -> Definition:
        """Read and check a definition."""
        from fairlead.cohort import parse_definition, read_definition

        return parse_definition(read_definition(source), self.catalogue)


def open_cohorts(context: typer.Context) -> OpenedCohorts:
    """Open what the settings name."""
    from fairlead.cohort import CohortStore
    from fairlead.database import open_database
    from fairlead.extract import load_catalogue
    from fairlead.index import open_index

    settings = settings_of(context)
    catalogue = load_catalogue(settings.fields_file)
    return OpenedCohorts(open_index(settings, catalogue), catalogue, CohortStore(open_database(settings)))


@cohort.command("count")
def count(context: typer.Context, definition: DefinitionArgument, as_json: JsonFlag = False) -> None:
    """Count patients, studies, series, images and bytes, exactly, with the attrition.

    Example: fairlead cohort count chest-ct.yaml
    """
    from fairlead.cohort import count_definition

    opened = open_cohorts(context)
    parsed = opened.parse(definition)
    found = count_definition(parsed, within=opened.store.consenting(), **opened.asked)
    document = found.as_json()
    emit(document, as_json=as_json, text=lambda: _counted(document))


def _counted(document: JsonObject) -> str:
    lines = [document["sentence"], "", f"{'patients':>9} {'series':>9}"]
    lines += [f"{step['patients']:>9} {step['series']:>9}  {step['rule']}" for step in document["attrition"]]
    numbers = ", ".join(f"{document[name]} {name}" for name in ("patients", "studies", "series", "images", "bytes"))
    lines += ["", numbers, *(f"not stated in {n} series: {field}" for field, n in document["unknown"].items() if n)]
    return "\n".join(lines)


@cohort.command("facets")
def facets(
    context: typer.Context,
    definition: DefinitionArgument,
    fields: Annotated[str, typer.Option(help="Fields, separated by commas (default: every facet of the catalogue).")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Count values per field, each without its own condition.

    Example: fairlead cohort facets all.yaml --fields modality,body_part
    """
    from fairlead.cohort import facet_definition

    opened = open_cohorts(context)
    names = [name.strip() for name in fields.split(",") if name.strip()]
    parsed = opened.parse(definition)
    found = facet_definition(parsed, fields=names, within=opened.store.consenting(), **opened.asked)
    document = found.as_json()
    emit(document, as_json=as_json, text=lambda: _faceted(document))


def _faceted(document: JsonObject) -> str:
    lines = []
    for field, buckets in document["facets"].items():
        lines += [field, *(f"{bucket['patients']:>9} {bucket['series']:>9}  {bucket['label']}" for bucket in buckets)]
    return "\n".join([f"{'patients':>9} {'series':>9}", *lines])


@cohort.command("freeze")
def freeze(
    context: typer.Context,
    definition: DefinitionArgument,
    title: TitleOption = None,
    author: Annotated[str | None, typer.Option(help="Who freezes (default: the user of this process).")] = None,
    purpose: Annotated[str, typer.Option(help="What the cohort is for.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Freeze definition and members as the next version; nothing new, no new version.

    Example: fairlead cohort freeze chest-ct.yaml
    """
    opened = open_cohorts(context)
    _freeze(opened, opened.parse(definition), title=title, author=author or user_of_process(), purpose=purpose, as_json=as_json)


def _freeze(opened: OpenedCohorts, definition: Definition, *, title: str | None, author: str, purpose: str = "", as_json: bool) -> None:
    before = {version.ref for version in opened.store.list()}
    version = opened.store.freeze(definition, index=opened.index, catalogue=opened.catalogue, author=author, title=title, purpose=purpose)
    if version.ref in before:
        complain(f"Nothing changed since {version.ref} was frozen; there is no new version.")
    emit(
        _frozen(version), as_json=as_json, text=lambda: f"{version.ref}  {version.counts.patients} patients, {version.counts.series} series"
    )


def _frozen(version: CohortSummary) -> JsonObject:
    return {
        "id": version.id,
        "version": version.version,
        "definition_sha256": version.definition_sha256,
        "members_sha256": version.members_sha256,
        "patients": version.counts.patients,
        "series": version.counts.series,
        "index_generation": version.index_generation,
        "title": version.title,
        "unit": version.unit.value,
        "created_at": version.created_at.isoformat(),
        "author": version.author,
    }


def user_of_process() -> str:
    """Return the name that the system gives the user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run a user without a name
        return "unknown"


@cohort.command("list")
def list_cohorts(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the newest version of every cohort.

    Example: fairlead cohort list
    """
    versions = open_cohorts(context).store.list()
    document = [_frozen(version) for version in versions]
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
    steps = [{"rule": step.rule, "patients": step.patients, "series": step.series} for step in opened.store.attrition(version.ref)]
    counts = version.counts
    numbers = {"studies": counts.studies, "images": counts.images, "bytes": counts.size_bytes, "attrition": steps}
    told = {"purpose": version.purpose, "catalogue_sha256": version.catalogue_sha256}
    document = {**_frozen(version), **numbers, "sentence": version.sentence, **told, "definition": version.definition}
    versions = [known.version for known in opened.store.versions(version.id)]
    document["versions"] = sorted(versions)
    emit(document, as_json=as_json, text=lambda: yaml.safe_dump(document, sort_keys=False, allow_unicode=True).rstrip())


@cohort.command("members")
def members(
    context: typer.Context,
    reference: ReferenceArgument,
    format_: Annotated[str, typer.Option("--format", help="csv, ndjson or parquet.")] = "csv",
    output: cohort_exchange.OutputOption = None,
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
        cohort_exchange.deliver(export_members(version, opened.index, "ndjson" if as_json else format_), output)
        return
    table = members_parquet(version, opened.index)
    if output is None:
        typer.echo(table, nl=False)
        return
    with cohort_exchange.whole_file(output) as file:
        file.write(table)


def exported(opened: OpenedCohorts, reference: str) -> CohortVersion:
    """Return a version as an export may hold it; say how many members were withdrawn since it was frozen."""
    version = opened.store.exportable(reference)
    if gone := version.counts.series - len(version.members):
        complain(f"{gone} of {version.counts.series} members of {version.ref} were withdrawn since and are left out.")
    return version


@cohort.command("diff")
def diff(context: typer.Context, older: ReferenceArgument, newer: ReferenceArgument, as_json: JsonFlag = False) -> None:
    """Say what differs between two versions, each member with its cause.

    Example: fairlead cohort diff ID@1 ID@2
    """
    opened = open_cohorts(context)
    found = opened.store.diff(older, newer, index=opened.index, catalogue=opened.catalogue)
    emit(found.as_json(), as_json=as_json, text=lambda: _differing(found))


def _differing(found: CohortDiff) -> str:
    lines = [f"added {found.count('added')}, removed {found.count('removed')}, revised {found.count('revised')}"]
    lines += [f"caused by {cause}: {n}" for cause, n in found.causes().items() if n]
    lines += list(found.definition_changes) + [f"{member.change:<8} {member.id}  ({member.cause})" for member in found.members]
    if not found.exact:
        lines.append("The index has moved on since the newer version; causes are told by the data of now.")
    return "\n".join(lines)


@cohort.command("rerun")
def rerun_cohort(
    context: typer.Context,
    identity: Annotated[str, typer.Argument(metavar="ID", help="Cohort.")],
    author: Annotated[str | None, typer.Option(help="Who freezes.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Freeze the newest definition on the data of now and say why it differs.

    Example: fairlead cohort rerun ID
    """
    from fairlead.cohort import rerun

    opened = open_cohorts(context)
    before, after, found = rerun(opened.store, identity, index=opened.index, catalogue=opened.catalogue, author=author or user_of_process())
    document: dict[str, Any] = {**_frozen(after), "before": before.ref, "diff": found.as_json()}
    news = f"{after.ref} (was {before.ref})" if after.ref != before.ref else f"{after.ref}: nothing changed, no new version"
    emit(document, as_json=as_json, text=lambda: f"{news}\n{_differing(found)}")


def _combine(context: typer.Context, operation: SetOperation, pair: tuple[str, str], *, title: str, as_json: bool) -> None:
    from fairlead.cohort import combine, parse_definition

    opened = open_cohorts(context)
    a, b = (opened.store.get(ref) for ref in pair)
    definition = parse_definition(combine(operation, a, b, title=title), opened.catalogue)
    _freeze(opened, definition, title=title, author=user_of_process(), as_json=as_json)


@cohort.command("union")
def union(
    context: typer.Context, a: ReferenceArgument, b: ReferenceArgument, title: Annotated[str, typer.Option()], as_json: JsonFlag = False
) -> None:
    """Freeze who is in either version.

    Example: fairlead cohort union A@1 B@2 --title "Chest or head"
    """
    from fairlead.cohort import SetOperation

    _combine(context, SetOperation.UNION, (a, b), title=title, as_json=as_json)


@cohort.command("intersect")
def intersect(
    context: typer.Context, a: ReferenceArgument, b: ReferenceArgument, title: Annotated[str, typer.Option()], as_json: JsonFlag = False
) -> None:
    """Freeze who is in both versions.

    Example: fairlead cohort intersect A@1 B@2 --title "Chest and thin"
    """
    from fairlead.cohort import SetOperation

    _combine(context, SetOperation.INTERSECT, (a, b), title=title, as_json=as_json)


@cohort.command("subtract")
def subtract(
    context: typer.Context, a: ReferenceArgument, b: ReferenceArgument, title: Annotated[str, typer.Option()], as_json: JsonFlag = False
) -> None:
    """Freeze who is in the first version and not in the second.

    Example: fairlead cohort subtract A@1 B@2 --title "Not for training"
    """
    from fairlead.cohort import SetOperation

    _combine(context, SetOperation.SUBTRACT, (a, b), title=title, as_json=as_json)


@cohort.command("withdraw")
def withdraw(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="patient|series", help="What was withdrawn.")],
    subject: Annotated[str, typer.Argument(help="The id of a series, or centre:project:patient, as `cohort members` writes them.")],
    reason: Annotated[str, typer.Option(help="Why, without names.")],
    as_json: JsonFlag = False,
) -> None:
    """Mark every version that holds a withdrawn patient or series, and list the published datasets made of those versions.

    Later versions and exports leave them out; a dataset that is out already is withdrawn with `fairlead withdraw`.

    Example: fairlead cohort withdraw patient local:default:p1 --reason "consent withdrawn"
    """
    from fairlead.cohort import withdraw_consent
    from fairlead.publish import DatasetStore

    store = open_cohorts(context).store
    done = withdraw_consent(store, cast("Any", kind), subject, reason=reason, by=user_of_process())
    published = DatasetStore(settings_of(context), store.engine).published()
    datasets = sorted(record.id for record in published if record.cohort in done.versions)
    document = {"kind": kind, "versions": {ref: len(found) for ref, found in done.versions.items()}, "datasets": datasets}
    lines = [f"{ref}  {len(found)} members" for ref, found in done.versions.items()]
    lines += [f"published: withdraw it with `fairlead withdraw {dataset} --reason …`" for dataset in datasets]
    emit(document, as_json=as_json, text=lambda: "\n".join(lines) or "none")


def register(app: typer.Typer) -> None:
    """Add the group to the tree."""
    cohort_exchange.register(cohort)
    app.add_typer(cohort, name="cohort")
