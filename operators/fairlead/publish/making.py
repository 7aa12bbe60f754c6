"""The two steps that make pixels: de-identify the members, then convert them. What does not pass stays behind, with its reason."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from fairlead.errors import CheckFailed, InvalidInput, NotFound
from fairlead.files import write_text
from fairlead.progress import Progress
from fairlead.publish.model import public_text
from fairlead.publish.parameters import ExportParameters
from fairlead.publish.staging import SafeMember, SafeMembers, StagedStore, StagedStores, Staging
from fairlead.publish.upstream import Upstream
from fairlead.records import CohortVersion, DeidentifyReport, ImagingRecord, Refusal


def make_safe(upstream: Upstream, staging: Staging, *, cohort: CohortVersion, profile: str, progress: Progress) -> SafeMembers:
    """De-identify every member into its own folder; OME files are read in place after a look whether they changed.

    Raises
    ------
    CheckFailed : nothing is left that may be converted.
    """
    staging.fresh(staging.safe)
    members: list[SafeMember] = []
    refused: list[Refusal] = []
    codes: set[str] = set()
    progress.start("de-identify", len(cohort.members))
    for record_id in cohort.members:
        try:
            record = upstream.record(record_id)
        except NotFound:
            refused.append(_lost(record_id, number=len(refused) + 1))
            continue
        image, subject = upstream.pseudonyms(cohort, record)
        sources, problems, applied = _safe_sources(upstream, record, staging.safe / image, profile=profile, progress=progress)
        refused += [Refusal(source=image, code=code, reason=public_text(reason)) for code, reason in problems]
        codes |= set(applied)
        if sources:
            instances = len(sources) if record.core.source.place == "archive" else record.core.instances
            members.append(SafeMember(record_id=record_id, pseudonym=image, subject=subject, instances=instances, sources=sources))
        progress.step()
    progress.finish()
    if not members:
        raise nothing_left("de-identification", refused)
    result = SafeMembers(members=tuple(members), refused=tuple(refused), codes=tuple(sorted(codes)))
    staging.save(result)
    return result


def _lost(record_id: str, *, number: int) -> Refusal:
    del record_id  # it holds an original UID
    return Refusal(source=f"member-{number}", code="not-found", reason="The record is no longer in the index.")


type Outcome = tuple[tuple[str, ...], list[tuple[str, str]], tuple[str, ...]]
"""Sources to convert, problems as (code, reason), and the method codes that were applied."""


def _safe_sources(upstream: Upstream, record: ImagingRecord, out: Path, *, profile: str, progress: Progress) -> Outcome:
    if record.core.source.place == "file":
        if upstream.is_unchanged(record):
            return record.core.source.paths, [], ()
        return (), [("changed", "The file is gone or has changed since it was indexed.")], ()
    try:
        report = upstream.deidentify(record, out, profile=profile, progress=progress)
    except (InvalidInput, CheckFailed, NotFound) as error:
        return (), [(error.code, error.message)], ()
    files = tuple(sorted(str(path) for path in out.rglob("*") if path.is_file()))
    return files, _left_behind(report), report.profile_codes if files else ()


def _left_behind(report: DeidentifyReport) -> list[tuple[str, str]]:
    if report.residue:
        return [("residual-identity", f"{len(report.residue)} instances still held identity and were kept back.")]
    reasons = sorted({item.reason for item in report.quarantined})
    count = len(report.quarantined)
    return [("quarantined", f"{count} of {report.files} instances stayed behind: {'; '.join(reasons)}")] if count else []


def make_stores(upstream: Upstream, staging: Staging, *, parameters: ExportParameters, progress: Progress) -> StagedStores:
    """Convert every safe member; stores and pictures are named by pseudonyms, never by words of headers or file names.

    Raises
    ------
    CheckFailed : nothing could be converted.
    """
    safe = staging.load(SafeMembers)
    (staging.fresh(staging.dataset) / "images").mkdir()
    (staging.dataset / "previews").mkdir()
    stores: list[StagedStore] = []
    refused = list(safe.refused)
    progress.start("convert", len(safe.members))
    for member in safe.members:
        made, problems = _convert_member(upstream, staging, member, parameters=parameters, progress=progress)
        stores += made
        refused += problems
        progress.step()
    progress.finish()
    if not stores:
        raise nothing_left("conversion", refused)
    result = StagedStores(stores=tuple(stores), refused=tuple(refused), codes=safe.codes)
    staging.save(result)
    shutil.rmtree(staging.work, ignore_errors=True)
    return result


type Made = tuple[list[StagedStore], list[Refusal]]


def _convert_member(upstream: Upstream, staging: Staging, member: SafeMember, *, parameters: ExportParameters, progress: Progress) -> Made:
    out = staging.fresh(staging.work)
    sources = [Path(source) for source in member.sources]
    try:
        record = upstream.record(member.record_id)
        report = upstream.convert(record, sources, out=out, parameters=parameters, progress=progress)
    except (InvalidInput, CheckFailed, NotFound) as error:
        return [], [Refusal(source=member.pseudonym, code=error.code, reason=public_text(error.message))]
    refused = [Refusal(source=member.pseudonym, code=item.code, reason=public_text(item.reason)) for item in report.refused]
    stores = []
    for number, store in enumerate(sorted(report.stores, key=lambda item: item.path), start=1):
        if not store.verified_voxels:
            refused.append(
                Refusal(source=member.pseudonym, code="check-failed", reason="The voxels of the store differ from their source.")
            )
            continue
        name = member.pseudonym if len(report.stores) == 1 else f"{member.pseudonym}-{number}"
        (out / store.path).rename(staging.dataset / "images" / f"{name}.ome.zarr")
        name_neutrally(staging.dataset / "images" / f"{name}.ome.zarr", name)
        upstream.preview(staging.dataset / "images" / f"{name}.ome.zarr", staging.dataset / "previews" / f"{name}.png")
        public = store.model_copy(
            update={
                "path": f"images/{name}.ome.zarr",
                "source": member.pseudonym,
                "record_id": None,
                "preview": f"previews/{name}.png",
                "dropped": tuple(public_text(text) for text in store.dropped),
            }
        )
        stores.append(StagedStore(**member.model_dump(exclude={"sources"}), store=public))
    return stores, refused


def name_neutrally(store: Path, name: str) -> None:
    """Put the pseudonym in the place of the name that a store has from its file: people name files after patients."""
    root = store / "zarr.json"
    document = json.loads(root.read_text())
    for scale in document.get("attributes", {}).get("ome", {}).get("multiscales", []):
        scale["name"] = name
    if "name" in (omero := document.get("attributes", {}).get("ome", {}).get("omero", {})):
        omero["name"] = name
    write_text(root, json.dumps(document, indent=2) + "\n")


def nothing_left(step: str, refused: list[Refusal]) -> CheckFailed:
    """Return the error that says why nothing remains to be published."""
    reasons = sorted({item.reason for item in refused})
    return CheckFailed(
        f"No member of the cohort passed {step}: {'; '.join(reasons[:5]) or 'no reason given'}.",
        remedy="Choose another profile or geometry policy, or correct the sources; nothing was published.",
    )
