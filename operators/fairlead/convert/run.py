"""The whole conversion: sources in, stores and refusals out. One bad source never stops the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from fairlead.convert.claims import in_share, read_headers
from fairlead.convert.decode import forget_files
from fairlead.convert.dicom_documents import with_documents
from fairlead.convert.finished import Finished
from fairlead.convert.grids import Grid
from fairlead.convert.jobs import FRACTIONS, Job, dicom_jobs, segmentation_job
from fairlead.convert.located import file_of
from fairlead.convert.memory import peak_rss_mb
from fairlead.convert.naming import files_of, names_by_content, names_by_file
from fairlead.convert.ome_document import with_xml
from fairlead.convert.ome_files import ome_plans, set_members
from fairlead.convert.options import ConvertOptions
from fairlead.convert.plan import ImagePlan, StorePlan
from fairlead.convert.replacing import left_over
from fairlead.convert.scene import is_scene, write_scene
from fairlead.convert.segmentation import Segmentation
from fairlead.convert.sources import Source, SourceKind, content_stem, find_sources, kind_of, without_own
from fairlead.convert.stores import SUFFIX, write_store
from fairlead.convert.values import DoesNotFit
from fairlead.errors import Conflict, FairleadError, StorageFull, UnreadableImage, UnsupportedInput
from fairlead.files import usable_folder
from fairlead.progress import Progress, Silent
from fairlead.records import ConvertReport, Refusal, SourceRefusal, StoreNote, StoreReport

PLAIN: Final = ConvertOptions()
OWN: Final = "It lies in the output folder: it is no source of this run."


@dataclass(slots=True)
class _Run:
    """What one run of the converter has done so far."""

    out: Path
    options: ConvertOptions
    progress: Progress
    stores: list[StoreReport] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    notes: list[StoreNote] = field(default_factory=list)
    names: dict[Path, str] = field(default_factory=dict)
    tried: set[str] = field(default_factory=set)
    """Names of stores that were written, or would have been."""

    def write(self, plan: StorePlan) -> None:
        """Write one store and keep what is said of it."""
        licensed = replace(plan, license=self.options.license)
        self.tried.add(f"{plan.name}{SUFFIX}")
        options = self.options
        store, notes = write_store(licensed, self.out, ngff=options.ngff, progress=self.progress, described=options.described)
        self.stores.append(store)
        self.notes += notes

    def once(self, name: str, files: Iterable[Path], work: Callable[[], None], *, source: str = "") -> None:
        """Do the work, or take over what an earlier run made of the same bytes; ``source`` is a file's name, not for the note."""
        if not self.options.resume:
            work()
            return
        finished = Finished(self.out, self.options.marks)
        note = finished.note_of(name, files)
        if (report := finished.read(note)) is not None:
            self.stores += _renamed(report.stores, "", source)
            self.refused += _renamed(report.refused, "", source)
            return
        stores, refused = len(self.stores), len(self.refused)
        work()
        if any(refusal.code == Conflict.code for refusal in self.refused[refused:]):
            return  # what lay in the way may be gone next time
        finished.write(note, _renamed(self.stores[stores:], source, ""), _renamed(self.refused[refused:], source, ""))

    def refuse(self, source: str, error: FairleadError) -> None:
        """Keep why a source was refused."""
        name = self.names.get(path) if (path := file_of(error)) is not None else None
        told = Refusal(source=source, code=error.code, reason=str(error))
        self.refused.append(told if name in {None, source} else SourceRefusal(**told.model_dump(), files=(str(name),)))


def convert(
    sources: Sequence[Path] | Path, out: Path, *, options: ConvertOptions = PLAIN, progress: Progress | None = None
) -> ConvertReport:
    """Convert files and folders to OME-Zarr stores ``<out>/<name>.ome.zarr``; DICOM is grouped by series.

    Parameters
    ----------
    sources : DICOM files, OME-TIFF files, companions, OME-Zarr folders, or folders of them. DICOM is assumed de-identified.
    out : made when it does not exist; stores of earlier runs that come out the same are left untouched.

    Raises
    ------
    StorageFull : the disk is full; stores already complete stay, nothing half-written is left.
    InvalidInput : ``out`` is a file, or cannot be written.
    """
    begun = time.monotonic()
    run = _Run(out, options, progress or Silent())
    usable_folder(out, "output folder")
    given = [sources] if isinstance(sources, Path) else list(sources)
    found, own = without_own(find_sources(given), given, out, run.refuse)
    run.names.update((source.path, source.name) for source in found)
    headers = read_headers(found, options, run.refuse)
    jobs = dicom_jobs(headers, options.policy, limits=options.limits, refuse=run.refuse, refused=run.refused)
    others = _ome_sources(found, run)
    run.progress.start("convert", len(jobs) + len(others))
    try:
        for job in jobs:
            run.once(job.name, job.files, partial(_convert_job, run, job))
            run.progress.step()
        for source, name in others:
            run.once(name, files_of(source), partial(_convert_ome, run, source, name), source=source.name)
            run.progress.step()
    except StorageFull as error:
        raise StorageFull(error.message, remedy="Free space there and convert again with --resume; finished stores stay.") from error
    finally:
        forget_files()
        run.progress.finish()
    if (options.scene and options.ngff == "0.6") or is_scene(out):
        write_scene(out)  # also when stores of a scene have just become 0.5
    made = {store.path for store in run.stores}
    run.notes += [
        StoreNote(path=one.path.name, code="own", text=OWN) for one in own if one.path.name not in made and one.kind is SourceKind.ZARR
    ]
    series = {f"urn:oid:{header.series_uid}" for header in headers}
    notes = (*run.notes, *(left_over(out, run.tried | made, series) if options.described else ()))
    seconds = round(time.monotonic() - begun, 3)
    return ConvertReport(stores=tuple(run.stores), refused=tuple(run.refused), seconds=seconds, peak_rss_mb=peak_rss_mb(), notes=notes)


def convert_series(files: Iterable[Path], out: Path, *, options: ConvertOptions = PLAIN, progress: Progress | None = None) -> ConvertReport:
    """Convert the given DICOM files, usually of one series; see :func:`convert`."""
    return convert(list(files), out, options=options, progress=progress)


def convert_ome(file: Path, out: Path, *, options: ConvertOptions = PLAIN, progress: Progress | None = None) -> tuple[StoreReport, ...]:
    """Convert one OME-TIFF, companion or OME-Zarr to one store per image.

    Raises
    ------
    FairleadError : the file cannot be converted; the message says why.
    """
    run = _Run(out, options, progress or Silent())
    source = Source(file, file.name, kind_of(file))
    for plan in ome_plans(source, content_stem(files_of(source)), options.policy, options.ngff):
        run.write(plan)
    return tuple(run.stores)


def _ome_sources(found: Sequence[Source], run: _Run) -> list[tuple[Source, str]]:
    """Return what is no DICOM and falls into this share, with the name of its store; files of a set belong to their companion."""
    members = set_members(found)
    others = [source for source in found if source.kind is not SourceKind.DICOM and source.path not in members]
    mine = [source for source in others if in_share(source.name, run.options.part)]
    names = names_by_file(others) if run.options.keep_names else names_by_content(mine, run.refuse)
    return [(source, names[source.path]) for source in mine if source.path in names]


def _renamed[T: (StoreReport, Refusal)](entries: Iterable[T], old: str, new: str) -> list[T]:
    return [entry.model_copy(update={"source": new}) if entry.source == old else entry for entry in entries]


def _convert_job(run: _Run, job: Job) -> None:
    others: list[tuple[Segmentation, Grid]] = []
    with _refusing(run, job.source):
        plan, others = job.labelled(exact=True, refuse=run.refuse)
        try:
            run.write(_dressed(run, job, plan))
        except DoesNotFit:
            run.write(_dressed(run, job, replace(job.plan(False), labels=plan.labels)))
    for source, grid in others:
        _convert_job(run, segmentation_job(source, grid, FRACTIONS))


def _dressed(run: _Run, job: Job, plan: ImagePlan) -> ImagePlan:
    return with_documents(plan, job.own_files[0]) if run.options.described else plan


def _convert_ome(run: _Run, source: Source, stem: str) -> None:
    options = run.options
    with _refusing(run, source.name):
        for plan in ome_plans(source, stem, options.policy, options.ngff, whole_plates=options.whole_plates):
            run.write(with_xml(plan, source) if options.described else plan)


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
