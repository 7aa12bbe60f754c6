"""``fairlead publish`` and ``fairlead withdraw``: the export without Airflow, and its undoing."""

from __future__ import annotations

import getpass
import hashlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlead.commands.shared import JsonFlag, complain, emit, settings_of

if TYPE_CHECKING:
    from fairlead.publish import ExportParameters, Exports
    from fairlead.records import DatasetRecord


def publish_cohort(
    context: typer.Context,
    cohort: Annotated[str, typer.Argument(help="Frozen cohort version, ID@N.")],
    approved_by: Annotated[str, typer.Option(help="The data steward who approved; somebody else than who requested.")],
    requested_by: Annotated[str | None, typer.Option(help="Who requested; default: the user of this process.")] = None,
    reason: Annotated[str, typer.Option(help="Why it was approved; kept with the record, not published.")] = "",
    profile: Annotated[
        list[str] | None,
        typer.Option(help="FAIR view of the record: fdp, dcat-ap, health-ri, healthdcat-ap, imaging; may be repeated. Default: all."),
    ] = None,
    deidentify_profile: Annotated[str | None, typer.Option(help="De-identification profile; of a first version: the setting's.")] = None,
    title: Annotated[str | None, typer.Option(help="Title of the dataset; of a first version: the cohort's.")] = None,
    license: Annotated[str | None, typer.Option(help="Licence: an IRI or an SPDX name; of a first version: the catalogue's.")] = None,
    access_rights: Annotated[str | None, typer.Option(help="public, restricted or non-public; of a first version: public.")] = None,
    geometry: Annotated[str | None, typer.Option(help="strict, split or annotate.")] = None,
    ngff: Annotated[str | None, typer.Option(help="OME-Zarr version: 0.5 or 0.6.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Publish a cohort version as a FAIR dataset. Example: fairlead publish 5e2c…@1 --approved-by stewart --title "Chest CT".

    Repeating the command after an interruption goes on where it stopped. Options that are not given stay as in the version before.
    """
    from fairlead.database import open_database
    from fairlead.errors import CheckFailed
    from fairlead.publish import DatasetStore, Exports, read_parameters

    settings = settings_of(context)
    given: dict[str, Any] = {"cohort": cohort, "title": title, "license": license, "access_rights": access_rights, "views": profile or None}
    given |= {"profile": deidentify_profile, "geometry": geometry, "ngff": ngff}
    parameters = read_parameters(given)
    engine = open_database(settings)
    record = carry(
        Exports(settings, engine),
        parameters,
        requested_by=getpass.getuser() if requested_by is None else requested_by,
        approved_by=approved_by,
        reason=reason,
    )
    document = result_of(record, DatasetStore(settings, engine), base_url=settings.catalog.base_url)
    emit(document, as_json=as_json, text=lambda: in_words(document))
    engine.dispose()
    if failed := sorted(name for name, passed in document["checks"].items() if not passed):
        raise CheckFailed(f"The published dataset does not pass {', '.join(failed)}.", remedy="Withdraw it, and publish again.")


def carry(exports: Exports, parameters: ExportParameters, *, requested_by: str, approved_by: str, reason: str) -> DatasetRecord:
    """Carry an export from the request to publication; a failure is recorded; an outage, a full disk or another attempt is none."""
    from fairlead.database import utc_now
    from fairlead.errors import CheckFailed, InvalidInput, NotFound, NotPermitted
    from fairlead.progress import default_progress
    from fairlead.records import Approval

    export = exports.request(parameters, requested_by=requested_by, run_id=run_id_of(exports, parameters, requested_by=requested_by))
    try:
        if export.approval is None:
            decision = Approval(requested_by=requested_by, decided_by=approved_by, decided_at=utc_now(), approved=True, reason=reason)
            exports.decide(export.id, decision)
        exports.deidentify(export.id, default_progress())
        exports.convert(export.id, default_progress())
        exports.describe(export.id)
        record = exports.publish(export.id)
    except (CheckFailed, InvalidInput, NotFound, NotPermitted) as error:  # never Conflict: another attempt is at it
        exports.fail(export.id, error.message)
        raise
    if reasons := exports.get(export.id).reason:
        complain(f"In house only, why members stayed behind:\n{reasons}")
    return record


def run_id_of(exports: Exports, parameters: ExportParameters, *, requested_by: str) -> str:
    """Return the run to go on with: the unfinished one of the same request, else a new one."""
    from fairlead.publish import ExportState

    asked = f"{requested_by}\n{parameters.model_dump_json(exclude={'title'}, exclude_unset=True)}\n{parameters.title or ''}"
    stem = f"cli-{hashlib.sha256(asked.encode()).hexdigest()[:24]}"
    mine = [export for export in exports.list() if export.run_id.rpartition("-")[0] == stem]
    final = (ExportState.PUBLISHED, ExportState.REFUSED, ExportState.FAILED)
    return next((export.run_id for export in mine if export.state not in final), f"{stem}-{len(mine) + 1}")


def result_of(record: DatasetRecord, store: Any, *, base_url: str) -> dict[str, Any]:
    """Return the contract's document for a publication."""
    from fairlead.publish import record_files, verify_published

    folder = store.folder(record.id, record.version)
    shown = {"id", "title", "path", "media_type", "size_bytes", "sha256"}
    return {
        "dataset": record.id,
        "iri": f"{base_url.rstrip('/')}/dataset/{record.id}",
        "version": record.version,
        "title": record.title,
        "folder": str(folder),
        "counts": record.counts.model_dump(),
        "distributions": [item.model_dump(include=shown) for item in record.distributions],
        "records": {profile: str(path) for profile, path in record_files(folder).items()},
        "checks": dict(verify_published(folder, record)),
        "refused": [item.model_dump() for item in record.refused],
    }


def in_words(document: dict[str, Any]) -> str:
    """Return the result for people."""
    counts, checks = document["counts"], document["checks"]
    lines = [
        f"{document['title']}, version {document['version']}: {counts['series']} series of {counts['patients']} subjects",
        f"  {document['iri']}",
        f"  {document['folder']}",
        f"  checks: {', '.join(f'{name} {"ok" if passed else "FAILED"}' for name, passed in checks.items())}",
    ]
    lines += [f"  not published: {item['source']}: {item['reason']}" for item in document["refused"]]
    return "\n".join(lines)


def withdraw_dataset(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="Dataset id or IRI.")],
    reason: Annotated[str, typer.Option(help="Why; the tombstone shows it to everybody.")],
    as_json: JsonFlag = False,
) -> None:
    """Withdraw a dataset: a tombstone in its place, its bytes moved away.

    Example: fairlead withdraw ds-1f… --reason "no consent"
    """
    from fairlead.database import open_database
    from fairlead.errors import Conflict
    from fairlead.publish import withdraw

    settings = settings_of(context)
    engine = open_database(settings)
    stone = withdraw(settings, engine, dataset, reason)
    engine.dispose()
    if stone.reason != reason.strip():
        raise Conflict(
            f"{stone.id} was withdrawn before, on {stone.withdrawn_at:%Y-%m-%d}: {stone.reason}",
            remedy="Nothing was changed; a tombstone keeps its first reason.",
        )
    complain("The bytes are out of the catalogue; copies that others made are not.")
    document = {"dataset": stone.id, "state": "withdrawn", "reason": stone.reason, "withdrawn_at": stone.withdrawn_at.isoformat()}
    emit(document, as_json=as_json, text=lambda: f"{stone.id} is withdrawn since {stone.withdrawn_at:%Y-%m-%d}")


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.command("publish")(publish_cohort)
    app.command("withdraw")(withdraw_dataset)
