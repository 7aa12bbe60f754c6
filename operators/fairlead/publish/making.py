"""The two steps that make pixels: de-identify the members, then convert them. What does not pass stays behind, with its reason."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fairlead.errors import CheckFailed, FairleadError, InvalidInput, NotFound, StorageFull
from fairlead.files import storage_errors
from fairlead.progress import Progress
from fairlead.publish.model import public_text
from fairlead.publish.neutral import label_names, name_neutrally
from fairlead.publish.parameters import ExportParameters
from fairlead.publish.staging import SafeMember, SafeMembers, StagedStore, StagedStores, Staging
from fairlead.publish.upstream import Upstream
from fairlead.records import CohortVersion, ConvertReport, DeidentifyReport, ImagingRecord, Refusal, StoreReport

type Confirm = Callable[[], None]
"""Raises when this worker may not go on."""

logger = logging.getLogger(__name__)
UNREADABLE: Final = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError, RuntimeError)
"""What libraries raise on a store they cannot make sense of."""


def make_safe(
    upstream: Upstream, staging: Staging, *, cohort: CohortVersion, profile: str, progress: Progress, confirm: Confirm
) -> SafeMembers:
    """De-identify every member into its own folder, an OME file once for all of its images.

    Raises
    ------
    CheckFailed : nothing is left that may be converted.
    """
    progress.start("de-identify", len(cohort.members))
    with staging.attempt(staging.safe, confirm=confirm) as folder:
        made = _Safe(upstream, folder, cohort, profile)
        for record_id in cohort.members:
            made.add(record_id)
            progress.step()
        progress.finish()
        if not made.members:
            raise nothing_left("de-identification", made.refused)
    result = SafeMembers(members=tuple(made.members), refused=tuple(made.refused), codes=tuple(sorted(made.codes)))
    staging.save(result)
    return result


type Outcome = tuple[tuple[str, ...], list[tuple[str, str]], tuple[str, ...]]
"""Sources to convert, problems as (code, reason), and the method codes that were applied."""


@dataclass(slots=True)
class _Safe:
    """One run of the de-identify step: members that passed, and what was said of the others."""

    upstream: Upstream
    folder: Path
    cohort: CohortVersion
    profile: str
    members: list[SafeMember] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    codes: set[str] = field(default_factory=set)
    files: dict[tuple[str, ...], Outcome] = field(default_factory=dict)

    def add(self, record_id: str) -> None:
        """De-identify one member, or say why it stays behind."""
        try:
            record = self.upstream.record(record_id)
        except NotFound:  # the id holds an original UID, so the member gets a number
            number = len(self.refused) + 1
            self.refused.append(Refusal(source=f"member-{number}", code="not-found", reason="The record is no longer in the index."))
            return
        image, subject = self.upstream.pseudonyms(self.cohort, record)
        sources, problems, applied = self._file(record, image) if record.core.source.place == "file" else self._series(record, image)
        self.refused += [Refusal(source=image, code=code, reason=public_text(reason)) for code, reason in problems]
        self.codes |= set(applied)
        if sources:
            instances = len(sources) if record.core.source.place == "archive" else record.core.instances
            self.members.append(SafeMember(record_id=record_id, pseudonym=image, subject=subject, instances=instances, sources=sources))

    def _file(self, record: ImagingRecord, image: str) -> Outcome:
        paths = record.core.source.paths
        if paths not in self.files:
            self.files[paths] = self._ome(record, image)
        return self.files[paths]

    def _ome(self, record: ImagingRecord, image: str) -> Outcome:
        if not self.upstream.is_unchanged(record):
            return _CHANGED
        try:
            if self.upstream.in_place(record):
                return record.core.source.paths, [], ()
        except (InvalidInput, CheckFailed, NotFound) as error:
            return (), [(error.code, error.message)], ()
        sources, problems, _ = self._series(record, image)  # PS3.15 has no codes for microscopy
        opened = sorted(sources, key=lambda source: (not source.endswith(".companion.ome"), source))[:1]
        return (tuple(opened), problems, ()) if self.upstream.is_unchanged(record) else _CHANGED

    def _series(self, record: ImagingRecord, image: str) -> Outcome:
        out = self.folder / image
        try:
            report = self.upstream.deidentify(self.cohort, record, out, profile=self.profile)
        except (InvalidInput, CheckFailed, NotFound) as error:
            return (), [(error.code, error.message)], ()
        files = tuple(str(path.relative_to(self.folder)) for path in sorted(out.rglob("*")) if path.is_file())
        if record.core.source.place == "file" and (report.residue or report.quarantined):
            files = ()  # a set of files is whole or it is nothing
        return files, _left_behind(report), report.profile_codes if files else ()


_CHANGED: Final[Outcome] = ((), [("changed", "The file is gone or has changed since it was indexed.")], ())


def _left_behind(report: DeidentifyReport) -> list[tuple[str, str]]:
    if report.residue:
        return [("residual-identity", f"{len(report.residue)} instances still held identity and were kept back.")]
    reasons = sorted({item.reason for item in report.quarantined})
    count = len(report.quarantined)
    return [("quarantined", f"{count} of {report.files} instances stayed behind: {'; '.join(reasons)}")] if count else []


def make_stores(
    upstream: Upstream, staging: Staging, *, parameters: ExportParameters, progress: Progress, confirm: Confirm
) -> StagedStores:
    """Convert every safe member; stores and pictures are named by pseudonyms, never by words of headers or file names.

    Raises
    ------
    CheckFailed : nothing could be converted.
    """
    safe = staging.load(SafeMembers)
    stores: list[StagedStore] = []
    refused = list(safe.refused)
    progress.start("convert", len(safe.members))
    with staging.attempt(staging.dataset, confirm=confirm) as folder:
        (folder / "images").mkdir()
        (folder / "previews").mkdir()
        for sources, members in by_sources(safe.members):
            with staging.scratch() as work:
                desk = _Desk(upstream, work, folder)
                report = desk.convert([staging.safe / source for source in sources], members[0], parameters=parameters)
                for member in members:
                    made, problems = desk.take(member, report)
                    stores += made
                    refused += problems
                    progress.step()
        progress.finish()
        if not stores:
            raise nothing_left("conversion", refused)
    result = StagedStores(stores=tuple(stores), refused=tuple(refused), codes=safe.codes)
    staging.save(result)
    return result


type Made = tuple[list[StagedStore], list[Refusal]]


def by_sources(members: Sequence[SafeMember]) -> list[tuple[tuple[str, ...], list[SafeMember]]]:
    """Group the members that are images of one file, so that the file is converted once."""
    found: dict[tuple[str, ...], list[SafeMember]] = {}
    for member in members:
        found.setdefault(member.sources, []).append(member)
    return list(found.items())


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where the sources of one or more members are converted, checked, and put under their public names."""

    upstream: Upstream
    work: Path
    dataset: Path

    def convert(self, sources: Sequence[Path], member: SafeMember, *, parameters: ExportParameters) -> ConvertReport | FairleadError:
        """Return what became of the sources; an error is an answer here, since every member that depends on it has to say so."""
        try:
            record = self.upstream.record(member.record_id)
            report = self.upstream.convert(record, sources, out=self.work, parameters=parameters)
            in_place = [str(source) for source in sources] == list(record.core.source.paths)
            if in_place and not self.upstream.is_unchanged(record):
                raise CheckFailed("The file has changed since it was indexed.")
        except (InvalidInput, CheckFailed, NotFound) as error:
            return error
        return report

    def take(self, member: SafeMember, report: ConvertReport | FairleadError) -> Made:
        """Return the member's stores under their public names, and what was refused."""
        try:
            if isinstance(report, FairleadError):
                raise report
            record = self.upstream.record(member.record_id)
            chosen = stores_of(record, report)
        except (InvalidInput, CheckFailed, NotFound) as error:
            return [], [Refusal(source=member.pseudonym, code=error.code, reason=public_text(error.message))]
        refused = [Refusal(source=member.pseudonym, code=item.code, reason=public_text(item.reason)) for item in report.refused]
        stores = []
        for number, store in enumerate(sorted(chosen, key=lambda item: item.path), start=1):
            name = member.pseudonym if len(chosen) == 1 else f"{member.pseudonym}-{number}"
            taken, problems = self._take(member, store, name=name, foreign=record.core.kind == "ome-image")
            refused += problems
            stores += [StagedStore(**member.model_dump(exclude={"sources"}), store=taken)] if taken else []
        return stores, refused

    def _take(self, member: SafeMember, store: StoreReport, *, name: str, foreign: bool) -> tuple[StoreReport | None, list[Refusal]]:
        """Move a store to its public name, clean what it says, draw it, and return its public report."""

        def refusal(code: str, reason: str) -> list[Refusal]:
            """Return one refusal of this member as a list."""
            return [Refusal(source=member.pseudonym, code=code, reason=reason)]

        if not store.verified_voxels:
            return None, refusal("check-failed", "The voxels of the store differ from their source.")
        target = self.dataset / "images" / f"{name}.ome.zarr"
        (self.work / store.path).rename(target)
        try:
            name_neutrally(target, name, clean=self.upstream.clean, foreign=foreign)
            problem = self.upstream.validate(target)
        except UNREADABLE as error:
            problem = f"its metadata cannot be read ({type(error).__name__})"
        if problem:
            shutil.rmtree(target)
            return None, refusal("check-failed", f"The store with neutral names is not valid: {problem}")
        drawn = self._draw(target, self.dataset / "previews" / f"{name}.png")
        changes = {
            "path": f"images/{name}.ome.zarr",
            "source": member.pseudonym,
            "record_id": None,
            "labels": label_names(target),
            "preview": f"previews/{name}.png" if not drawn else None,
            "dropped": tuple(public_text(text) for text in store.dropped) if not foreign else (),
        }
        return store.model_copy(update=changes), refusal("no-preview", drawn) if drawn else []

    def _draw(self, store: Path, png: Path) -> str:
        """Draw the store and return an empty text, or why there is no picture: one more look is no reason to stop an export."""
        try:
            with storage_errors(png.name):
                self.upstream.preview(store, png)
        except StorageFull:
            raise
        except (FairleadError, *UNREADABLE) as error:
            logger.warning("A store has no preview (%s).", type(error).__name__)
            png.unlink(missing_ok=True)
            return f"There is no picture of the store ({type(error).__name__})."
        return ""


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


def nothing_left(step: str, refused: list[Refusal]) -> CheckFailed:
    """Return the error that says why nothing remains to be published."""
    reasons = sorted({item.reason for item in refused})
    return CheckFailed(
        f"No member of the cohort passed {step}: {'; '.join(reasons[:5]) or 'no reason given'}.",
        remedy="Choose another profile or geometry policy, or correct the sources; nothing was published.",
    )
