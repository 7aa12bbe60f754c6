"""The two steps that make pixels: de-identify the members, then convert them. What does not pass stays behind, with its reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from fairlead.errors import CheckFailed, FairleadError, InvalidInput, NotFound
from fairlead.files import write_text
from fairlead.progress import Progress
from fairlead.publish.model import public_text
from fairlead.publish.parameters import ExportParameters
from fairlead.publish.staging import SafeMember, SafeMembers, StagedStore, StagedStores, Staging
from fairlead.publish.upstream import Upstream
from fairlead.records import CohortVersion, ConvertReport, DeidentifyReport, ImagingRecord, Refusal, StoreReport


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
    for sources, members in by_sources(safe.members):
        report = _convert_sources(upstream, staging, sources, members[0], parameters=parameters, progress=progress)
        for member in members:
            made, problems = _take_stores(upstream, staging, member, report)
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


def by_sources(members: Sequence[SafeMember]) -> list[tuple[tuple[str, ...], list[SafeMember]]]:
    """Group the members that are images of one file, so that the file is converted once."""
    found: dict[tuple[str, ...], list[SafeMember]] = {}
    for member in members:
        found.setdefault(member.sources, []).append(member)
    return list(found.items())


def _convert_sources(
    upstream: Upstream, staging: Staging, sources: Sequence[str], member: SafeMember, *, parameters: ExportParameters, progress: Progress
) -> ConvertReport | FairleadError:
    """Return what became of the sources; an error is an answer here, since every member that depends on it has to say so."""
    out = staging.fresh(staging.work)
    try:
        record = upstream.record(member.record_id)
        return upstream.convert(record, [Path(source) for source in sources], out=out, parameters=parameters, progress=progress)
    except (InvalidInput, CheckFailed, NotFound) as error:
        return error


def _take_stores(upstream: Upstream, staging: Staging, member: SafeMember, report: ConvertReport | FairleadError) -> Made:
    try:
        if isinstance(report, FairleadError):
            raise report
        chosen = stores_of(upstream.record(member.record_id), report)
    except (InvalidInput, CheckFailed, NotFound) as error:
        return [], [Refusal(source=member.pseudonym, code=error.code, reason=public_text(error.message))]
    refused = [Refusal(source=member.pseudonym, code=item.code, reason=public_text(item.reason)) for item in report.refused]
    stores = []
    for number, store in enumerate(sorted(chosen, key=lambda item: item.path), start=1):
        if not store.verified_voxels:
            refused.append(
                Refusal(source=member.pseudonym, code="check-failed", reason="The voxels of the store differ from their source.")
            )
            continue
        name = member.pseudonym if len(chosen) == 1 else f"{member.pseudonym}-{number}"
        stores.append(StagedStore(**member.model_dump(exclude={"sources"}), store=_take(upstream, staging, member, store, name=name)))
    return stores, refused


def stores_of(record: ImagingRecord, report: ConvertReport) -> tuple[StoreReport, ...]:
    """Return the stores that are the record's: all of a series, and of an OME file the one with the record's image number.

    Raises
    ------
    CheckFailed : the file no longer holds that image, or it was refused.
    """
    if record.core.kind != "ome-image":
        return report.stores
    wanted = record.core.source.image_index
    numbered = [(number if store.image_index is None else store.image_index, store) for number, store in enumerate(report.stores)]
    chosen = tuple(store for number, store in numbered if number == wanted)
    if not chosen and not report.refused:
        raise CheckFailed("The file does not hold this image any more.")
    return chosen


def _take(upstream: Upstream, staging: Staging, member: SafeMember, store: StoreReport, *, name: str) -> StoreReport:
    """Move a store to its public name, clean what it says, draw it, and return its public report."""
    target = staging.dataset / "images" / f"{name}.ome.zarr"
    (staging.work / store.path).rename(target)
    name_neutrally(target, name, clean=upstream.clean)
    upstream.preview(target, staging.dataset / "previews" / f"{name}.png")
    changes = {
        "path": f"images/{name}.ome.zarr",
        "source": member.pseudonym,
        "record_id": None,
        "preview": f"previews/{name}.png",
        "dropped": tuple(public_text(text) for text in store.dropped),
    }
    return store.model_copy(update=changes)


def name_neutrally(store: Path, name: str, *, clean: Callable[[str], str]) -> None:
    """Put the pseudonym in the place of the names that a store has from its file, and keep only harmless words of channel names.

    People name files after patients, and write into channel names what they saw in whom.
    """
    root = store / "zarr.json"
    document = json.loads(root.read_text())
    ome = document.get("attributes", {}).get("ome", {})
    for scale in ome.get("multiscales", []):
        scale["name"] = name
    omero = ome.get("omero", {})
    if "name" in omero:
        omero["name"] = name
    for number, channel in enumerate(omero.get("channels", []), start=1):
        if "label" in channel:
            channel["label"] = clean(str(channel["label"])) or f"Channel {number}"
    write_text(root, json.dumps(document, indent=2) + "\n")


def nothing_left(step: str, refused: list[Refusal]) -> CheckFailed:
    """Return the error that says why nothing remains to be published."""
    reasons = sorted({item.reason for item in refused})
    return CheckFailed(
        f"No member of the cohort passed {step}: {'; '.join(reasons[:5]) or 'no reason given'}.",
        remedy="Choose another profile or geometry policy, or correct the sources; nothing was published.",
    )
