"""The whole conversion: sources in, stores and refusals out. One bad source never stops the others."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from fairlead.convert.decode import decode_frame, forget_files
from fairlead.convert.finished import Finished
from fairlead.convert.grids import Grid
from fairlead.convert.headers import READ_ELSEWHERE, Header, read_header
from fairlead.convert.jobs import FRACTIONS, Job, dicom_jobs, segmentation_job
from fairlead.convert.memory import peak_rss_mb
from fairlead.convert.ome_files import ome_plans, set_members
from fairlead.convert.plan import StorePlan
from fairlead.convert.scene import write_scene
from fairlead.convert.segmentation import Segmentation
from fairlead.convert.slides import MAX_EXPANSION, SlideLimits
from fairlead.convert.sop_classes import Layout
from fairlead.convert.sources import Source, SourceKind, content_stem, find_sources, kind_of, safe_stem
from fairlead.convert.stores import check_version, write_store
from fairlead.convert.values import DoesNotFit
from fairlead.convert.volumes import Policy, parse_policy
from fairlead.errors import FairleadError, StorageFull, UnreadableImage, UnsupportedInput
from fairlead.files import sha256_file, usable_folder
from fairlead.progress import Progress, Silent
from fairlead.records import ConvertReport, Refusal, StoreReport

STRUCTURES: Final = ("keep", "labels")
CONTOURS: Final = "It stays DICOM: publish it beside the images, or draw it with --rtstruct labels."
UNNAMED: Final = frozenset({SourceKind.UNREADABLE, SourceKind.OTHER, SourceKind.OME_XML})
"""Kinds that never become a store."""


@dataclass(slots=True)
class _Run:
    """What one run of the converter has done so far."""

    out: Path
    ngff: str
    policy: Policy
    progress: Progress
    finished: Finished | None = None
    whole_plates: bool = False
    structures: bool = False
    stores: list[StoreReport] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)

    def write(self, plan: StorePlan) -> None:
        self.stores.append(write_store(plan, self.out, ngff=self.ngff, progress=self.progress))

    def once(self, name: str, files: Iterable[Path], work: Callable[[], None], *, source: str = "") -> None:
        """Do the work, or take over what an earlier run made of the same bytes; ``source`` is a file's name, not for the note."""
        if self.finished is None:
            work()
            return
        note = self.finished.note_of(name, files)
        if (report := self.finished.read(note)) is not None:
            self.stores += _renamed(report.stores, "", source)
            self.refused += _renamed(report.refused, "", source)
            return
        stores, refused = len(self.stores), len(self.refused)
        work()
        self.finished.write(note, _renamed(self.stores[stores:], source, ""), _renamed(self.refused[refused:], source, ""))

    def refuse(self, source: str, error: FairleadError) -> None:
        self.refused.append(Refusal(source=source, code=error.code, reason=str(error)))


def convert(
    sources: Sequence[Path] | Path,
    out: Path,
    *,
    ngff: str = "0.5",
    geometry: str = "strict",
    max_expansion: float = MAX_EXPANSION,
    part: tuple[int, int] = (0, 1),
    resume: bool = False,
    whole_plates: bool = False,
    keep_names: bool = False,
    compact: bool = False,
    scene: bool = False,
    rtstruct: str = "keep",
    progress: Progress | None = None,
) -> ConvertReport:
    """Convert files and folders to OME-Zarr stores ``<out>/<name>.ome.zarr``; DICOM is grouped by series.

    Parameters
    ----------
    sources : DICOM files, OME-TIFF files, companions, OME-Zarr folders, or folders of them. DICOM is assumed de-identified.
    out : made when it does not exist; stores of earlier runs that come out the same are left untouched.
    ngff : "0.5", or "0.6" with coordinate systems and the affine inside the specification.
    geometry : "strict" refuses an irregular lattice, "split" writes its regular runs, "annotate" writes it with a positions table.
    max_expansion : how many times larger than its files a slide may become in memory; larger ones are refused.
    part : (k, n) converts the k-th of n shares of the sources, counted from 0; a DICOM study, and so a segmentation with its
        image, is never divided.
    whole_plates : a plate becomes one store; otherwise every field is a store with its ``image_index``, as the index counts them.
    compact : JPEG tiles of colour slides become chunks as they are, in a codec that few programs read; others are as without it.
    scene : with NGFF 0.6, ``out`` becomes a scene that joins the images of each frame of reference, those of earlier runs too.
    rtstruct : "labels" draws the contours of structure sets as labels of their images; "keep" refuses them, so that they stay DICOM.
    keep_names : stores of OME files are called after the files; otherwise after the hash of their content.
    resume : stores that an earlier run made of the same bytes with the same options are recognised and not made again.

    Raises
    ------
    StorageFull : the disk is full; stores already complete stay, nothing half-written is left.
    UnsupportedInput : an unknown version or policy.
    InvalidInput : ``out`` is a file, or cannot be written.
    """
    begun = time.monotonic()
    finished = (
        Finished(out, (ngff, geometry, f"{max_expansion:g}", str(whole_plates), "compact" if compact else "", rtstruct)) if resume else None
    )
    run = _Run(out, check_version(ngff), parse_policy(geometry), progress or Silent(), finished, whole_plates, _draws(rtstruct))
    paths = [sources] if isinstance(sources, Path) else list(sources)
    usable_folder(out, "output folder")
    found = list(find_sources(paths))
    limits = SlideLimits(max_expansion, compact)
    jobs = dicom_jobs(_headers(run, found, part), run.policy, limits=limits, refuse=run.refuse, refused=run.refused)
    members = set_members(found)
    others = [source for source in found if source.kind is not SourceKind.DICOM and source.path not in members]
    mine = [source for source in others if _share(source.name, part[1]) == part[0]]
    names = _unique(others, _file_stem) if keep_names else _unique(mine, partial(_content_stem, run))
    others = [source for source in mine if source.path in names]
    run.progress.start("convert", len(jobs) + len(others))
    try:
        for job in jobs:
            run.once(job.name, job.files, partial(_convert_job, run, job))
            run.progress.step()
        for source in others:
            files = _files_of(source)
            run.once(names[source.path], files, partial(_convert_ome, run, source, names[source.path]), source=source.name)
            run.progress.step()
    finally:
        forget_files()
        run.progress.finish()
    if scene and run.ngff == "0.6":
        write_scene(out)
    return ConvertReport(
        stores=tuple(run.stores), refused=tuple(run.refused), seconds=round(time.monotonic() - begun, 3), peak_rss_mb=peak_rss_mb()
    )


def convert_series(
    files: Iterable[Path], out: Path, *, ngff: str = "0.5", geometry: str = "strict", progress: Progress | None = None
) -> ConvertReport:
    """Convert the given DICOM files, usually of one series; see :func:`convert`."""
    return convert(list(files), out, ngff=ngff, geometry=geometry, progress=progress)


def convert_ome(file: Path, out: Path, *, ngff: str = "0.5", progress: Progress | None = None) -> tuple[StoreReport, ...]:
    """Convert one OME-TIFF, companion or OME-Zarr to one store per image.

    Raises
    ------
    FairleadError : the file cannot be converted; the message says why.
    """
    run = _Run(out, check_version(ngff), "strict", progress or Silent())
    source = Source(file, file.name, kind_of(file))
    for plan in ome_plans(source, content_stem(_files_of(source)), run.policy, run.ngff):
        run.stores.append(write_store(plan, out, ngff=run.ngff, progress=run.progress))
    return tuple(run.stores)


def _renamed[T: (StoreReport, Refusal)](entries: Iterable[T], old: str, new: str) -> list[T]:
    return [entry.model_copy(update={"source": new}) if entry.source == old else entry for entry in entries]


def _share(key: str, shares: int) -> int:
    """Return which of the shares a key belongs to: the same on every machine."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % shares


def _headers(run: _Run, found: Sequence[Source], part: tuple[int, int]) -> list[Header]:
    """Read all headers. Files with one SOPInstanceUID: the first that decodes is taken, equal copies are passed over, others refused."""
    claims: dict[tuple[str, str], list[tuple[Source, Header]]] = {}
    for source in found:
        if source.kind is not SourceKind.DICOM:
            continue
        try:
            header = read_header(source.path)
        except FairleadError as error:
            if _share(source.name, part[1]) == part[0]:  # one share names it, not all
                run.refuse(source.name, error)
            continue
        if _share(header.study_uid or header.series_uid, part[1]) != part[0]:
            continue
        if header.layout is Layout.STRUCTURES and not run.structures:
            run.refuse(source.name, UnsupportedInput("RT Structure Set Storage holds contours, not an image.", remedy=CONTOURS))
        else:
            claims.setdefault((header.series_uid, header.sop_instance_uid), []).append((source, header))
    return [_settled(run, rivals) for rivals in claims.values()]


def _draws(rtstruct: str) -> bool:
    if rtstruct not in STRUCTURES:
        raise UnsupportedInput(f"There is no treatment {rtstruct!r} of structure sets.", remedy=f"Use {' or '.join(STRUCTURES)}.")
    return rtstruct == "labels"


def _settled(run: _Run, rivals: list[tuple[Source, Header]]) -> Header:
    if len(rivals) == 1:
        return rivals[0][1]
    chosen = next((rival for rival in rivals if _decodes(rival[1])), rivals[0])
    digest = sha256_file(chosen[0].path)
    for source, _ in rivals:
        if source is not chosen[0] and sha256_file(source.path) != digest:
            reason = "Another file with the same SOPInstanceUID, but other bytes, was taken."
            run.refused.append(Refusal(source=source.name, code="conflict", reason=reason))
    return chosen[1]


def _decodes(header: Header) -> bool:
    if header.layout in READ_ELSEWHERE:
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            decode_frame(header.path, header.format, 0)
    except FairleadError:
        return False
    return True


def _convert_job(run: _Run, job: Job) -> None:
    others: list[tuple[Segmentation, Grid]] = []
    with _refusing(run, job.source):
        plan, others = job.labelled(exact=True, refuse=run.refuse)
        try:
            run.write(plan)
        except DoesNotFit:
            run.write(replace(job.plan(False), labels=plan.labels))
    for source, grid in others:
        _convert_job(run, segmentation_job(source, grid, FRACTIONS))


def _convert_ome(run: _Run, source: Source, stem: str) -> None:
    with _refusing(run, source.name):
        for plan in ome_plans(source, stem, run.policy, run.ngff, whole_plates=run.whole_plates):
            run.write(plan)


@contextmanager
def _refusing(run: _Run, source: str) -> Iterator[None]:
    """Turn what is wrong with one source into its refusal, whatever a library raises for it; a full disk ends the run."""
    try:
        yield
    except StorageFull:
        raise
    except FairleadError as error:
        run.refuse(source, error)
    except MemoryError:
        run.refuse(source, UnsupportedInput("The image does not fit in memory, even slab by slab.", remedy="Use a larger machine."))
    except Exception as error:  # hostile files find kinds that no list names; the kind is enough, the text may quote the file
        run.refuse(source, UnreadableImage(f"The source cannot be converted ({type(error).__name__})."))


def _unique(sources: Sequence[Source], stem_of: Callable[[Source], str]) -> dict[Path, str]:
    """Return a store name per source; equal stems get a number in source order, a source without a stem is left out."""
    names: dict[Path, str] = {}
    used: set[str] = set()
    for source in sources:
        if not (stem := stem_of(source)):
            continue
        name, number = stem, 2
        while name in used:
            name, number = f"{stem}-{number}", number + 1
        used.add(name)
        names[source.path] = name
    return names


def _file_stem(source: Source) -> str:
    return safe_stem(source.name)


def _content_stem(run: _Run, source: Source) -> str:
    """Return the name of a source's store by its content; what is refused later anyway is not read for it."""
    if source.kind in UNNAMED:
        return source.kind.value
    try:
        return content_stem(_files_of(source))
    except OSError:
        run.refuse(source.name, UnreadableImage("The file cannot be read."))
        return ""


def _files_of(source: Source) -> list[Path]:
    """Return the source with the files of its set that are there."""
    if source.kind is SourceKind.UNREADABLE:
        return []
    return [source.path, *sorted(file for file in set_members([source]) if file.is_file())]
