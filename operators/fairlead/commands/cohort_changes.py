"""``fairlead cohort`` on versions: how they differ and have moved, set operations, and withdrawal."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from fairlead.commands.cohort_shared import AuthorOption, ReferenceArgument, freeze_and_tell, frozen_document, open_cohorts, user_of_process
from fairlead.commands.shared import JsonFlag, complain, emit, settings_of

if TYPE_CHECKING:
    from fairlead.cohort import CohortDiff, SetOperation

IdentityArgument = Annotated[str, typer.Argument(metavar="ID", help="Cohort.")]


def register(cohort: typer.Typer) -> None:
    """Add the commands to the group."""
    cohort.command("diff")(diff)
    cohort.command("rerun")(rerun_cohort)
    cohort.command("drift")(drift_of)
    cohort.command("union")(union)
    cohort.command("intersect")(intersect)
    cohort.command("subtract")(subtract)
    cohort.command("venn")(venn_of)
    cohort.command("withdraw")(withdraw)


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


def rerun_cohort(
    context: typer.Context,
    identity: IdentityArgument,
    author: AuthorOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Freeze the newest definition on the data of now and say why it differs.

    Example: fairlead cohort rerun ID
    """
    from fairlead.cohort import rerun

    opened = open_cohorts(context)
    before, after, found = rerun(opened.store, identity, index=opened.index, catalogue=opened.catalogue, author=author or user_of_process())
    document: dict[str, Any] = {**frozen_document(after), "before": before.ref, "diff": found.as_json()}
    news = f"{after.ref} (was {before.ref})" if after.ref != before.ref else f"{after.ref}: nothing changed, no new version"
    emit(document, as_json=as_json, text=lambda: f"{news}\n{_differing(found)}")


def _combine(context: typer.Context, operation: SetOperation, pair: tuple[str, str], *, title: str, as_json: bool) -> None:
    from fairlead.cohort import combine, parse_definition

    opened = open_cohorts(context)
    a, b = (opened.store.get(ref) for ref in pair)
    if a.unit is not b.unit:
        complain(f"{a.ref} counts {a.unit.value}, {b.ref} counts {b.unit.value}; together they count series, which both are made of.")
    definition = parse_definition(combine(operation, a, b, title=title), opened.catalogue)
    freeze_and_tell(opened, definition, title=title, author=user_of_process(), as_json=as_json)


def union(
    context: typer.Context, a: ReferenceArgument, b: ReferenceArgument, title: Annotated[str, typer.Option()], as_json: JsonFlag = False
) -> None:
    """Freeze who is in either version.

    Example: fairlead cohort union A@1 B@2 --title "Chest or head"
    """
    from fairlead.cohort import SetOperation

    _combine(context, SetOperation.UNION, (a, b), title=title, as_json=as_json)


def intersect(
    context: typer.Context, a: ReferenceArgument, b: ReferenceArgument, title: Annotated[str, typer.Option()], as_json: JsonFlag = False
) -> None:
    """Freeze who is in both versions.

    Example: fairlead cohort intersect A@1 B@2 --title "Chest and thin"
    """
    from fairlead.cohort import SetOperation

    _combine(context, SetOperation.INTERSECT, (a, b), title=title, as_json=as_json)


def subtract(
    context: typer.Context, a: ReferenceArgument, b: ReferenceArgument, title: Annotated[str, typer.Option()], as_json: JsonFlag = False
) -> None:
    """Freeze who is in the first version and not in the second.

    Example: fairlead cohort subtract A@1 B@2 --title "Not for training"
    """
    from fairlead.cohort import SetOperation

    _combine(context, SetOperation.SUBTRACT, (a, b), title=title, as_json=as_json)


def withdraw(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="patient|series", help="What was withdrawn.")],
    subject: Annotated[str, typer.Argument(help="center:project:series_uid or …:patient, from the columns of `cohort members`.")],
    reason: Annotated[str, typer.Option(help="Why, without names.")],
    ahead: Annotated[bool, typer.Option("--ahead", help="Note what nothing is known of yet; it is left out when it comes.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Mark every version that holds a withdrawn patient or series, and list the published datasets made of those versions.

    Later versions and exports leave them out, and their pictures on the Cohorts page are removed; a dataset that is out already is
    withdrawn with `fairlead withdraw`.

    Example: fairlead cohort withdraw patient local:default:p1 --reason "consent withdrawn"
    """
    from fairlead.cohort import require_known, subject_records, withdraw_consent
    from fairlead.publish import DatasetStore
    from fairlead.workbench import forget_pictures

    opened = open_cohorts(context)
    store = opened.store
    if kind in {"patient", "series"} and not ahead:
        require_known(store, opened.index, cast("Any", kind), subject)
    done = withdraw_consent(store, cast("Any", kind), subject, reason=reason, by=user_of_process())
    forget_pictures(settings_of(context), {*subject_records(opened.index, cast("Any", kind), subject), *chain(*done.versions.values())})
    published = DatasetStore(settings_of(context), store.engine).published()
    datasets = sorted(record.id for record in published if record.cohort in done.versions)
    document = {"kind": kind, "versions": {ref: len(found) for ref, found in done.versions.items()}, "datasets": datasets}
    lines = [f"{ref}  {len(found)} members" for ref, found in done.versions.items()]
    lines += [f"published: withdraw it with `fairlead withdraw {dataset} --reason …`" for dataset in datasets]
    emit(document, as_json=as_json, text=lambda: "\n".join(lines) or "noted; no frozen version holds it")


def drift_of(context: typer.Context, identity: IdentityArgument, as_json: JsonFlag = False) -> None:
    """Say how far the data of now have moved since the newest version; nothing is frozen.

    Example: fairlead cohort drift ID
    """
    from dataclasses import asdict

    from fairlead.cohort import drift

    opened = open_cohorts(context)
    found = drift(opened.store, identity, index=opened.index, catalogue=opened.catalogue)
    emit(asdict(found) | {"words": found.words}, as_json=as_json, text=lambda: f"{found.ref}: {found.words}")


def venn_of(
    context: typer.Context,
    references: Annotated[list[str], typer.Argument(metavar="REF…", help="Two or three versions.")],
    as_json: JsonFlag = False,
) -> None:
    """Count who is in one, two or all of two or three versions, in each region of the Venn diagram.

    Example: fairlead cohort venn A@1 B@2 C@1
    """
    from fairlead.cohort import venn

    store = open_cohorts(context).store
    refs = [store.summary(ref).ref for ref in references]
    regions = [([ref for ref, inside in zip(refs, one.inside, strict=True) if inside], one) for one in venn(store, refs)]
    document = [{"in": inside, "series": one.series, "patients": one.patients} for inside, one in regions]
    lines = [f"{'patients':>9} {'series':>9}"]
    lines += [
        f"{one.patients if one.patients is not None else '?':>9} {one.series:>9}  in {' and '.join(inside)} only" for inside, one in regions
    ]
    emit({"regions": document}, as_json=as_json, text=lambda: "\n".join(lines))
