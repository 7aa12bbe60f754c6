"""Files and folders: every file is written or quarantined, in the order of their names, and the numbers add up."""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fairlead.deidentify.beside import require_beside
from fairlead.deidentify.conformance import find_program
from fairlead.deidentify.engine import Deidentifier
from fairlead.deidentify.instance import Extras, Outcome
from fairlead.deidentify.jobs import Job, jobs_of
from fairlead.deidentify.journal import Journal
from fairlead.deidentify.lookup import LookupTable
from fairlead.deidentify.ocr import find_ocr
from fairlead.deidentify.ome_zarr import write_store
from fairlead.deidentify.parts import Parts, blocks_of, sha256_of
from fairlead.deidentify.pool import in_order
from fairlead.deidentify.profile import Profile
from fairlead.deidentify.report import Page, Picture
from fairlead.deidentify.shown import shown_name, shown_reason
from fairlead.deidentify.task import Task, entry_of
from fairlead.errors import Conflict, FairleadError, InvalidInput, NotFound, ResidualIdentity
from fairlead.files import atomic_write, sha256_file, usable_folder
from fairlead.progress import Progress, Silent, tracked
from fairlead.records import DeidentifyReport, Quarantined

logger = logging.getLogger(__name__)

WRITERS: Final = 8
"""Files that are being made durable at once; measured on a shared disk: 9 ms each alone, 3 ms with eight."""
STALE_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How a run goes, as opposed to what it does.

    ``workers``: processes that work when there are many files; results arrive in the order of the names either way.
    ``journal``: a folder outside of the output, where finished files are remembered; a second run with it repeats none of them.
    ``chunk``: ``(k, n)`` takes the k-th of n shares, so that n tasks share a folder; a file's name alone decides on its share.
    ``page``: an HTML file for the report with pictures. ``ocr``: ask tesseract for a second opinion, for the report only.
    ``lookup``: a file for the encrypted table of patient identifiers.
    """

    workers: int = 1
    journal: Path | None = None
    chunk: tuple[int, int] = (0, 1)
    page: Path | None = None
    ocr: bool = False
    lookup: Path | None = None


@dataclass(slots=True)
class _Tally:
    """The running report."""

    files: int = 0
    written: int = 0
    already: int = 0
    checked: int = 0
    new_errors: int = 0
    faces: int = 0
    looked_at: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    quarantined: list[Quarantined] = field(default_factory=list)
    residue: list[str] = field(default_factory=list)
    with_words: list[str] = field(default_factory=list)
    codes: set[str] = field(default_factory=set)
    pictures: list[Picture] = field(default_factory=list)
    names: set[int] = field(default_factory=set)
    """Hashes of the names in the output, which are long, and as many as the files."""

    def add(self, job: Job, outcome: Outcome, reason: str) -> None:
        """Count one file; ``reason`` is empty when it is in the output."""
        name = shown_name(job.name, job.number)
        self.files += 1
        self.already += outcome.already
        self.checked += outcome.checked
        self.new_errors += outcome.new_errors
        if reason:
            reason = shown_reason(reason)
            self.quarantined.append(Quarantined(path=name, reason=reason))
            if reason.startswith(ResidualIdentity.code):
                self.residue.append(f"{name}: {reason}")
            return
        self.written += 1
        self.names.add(hash(outcome.name))
        self.codes.update(outcome.codes)
        self.rules[outcome.rule] += 1
        self.faces += outcome.face
        self.looked_at += outcome.words_seen is not None
        self.with_words += [outcome.name] if outcome.words_seen else []
        if outcome.pictures:
            self.pictures.append(Picture(outcome.name, outcome.rule, *outcome.pictures))


def deidentify_folder(
    source: Sequence[Path] | Path,
    out: Path,
    *,
    profile: Profile,
    key: bytes,
    project: str = "default",
    progress: Progress | None = None,
    plan: Plan = Plan(),  # a seventh argument: how, not what
) -> DeidentifyReport:
    """De-identify files and folders into ``out``, named by new identifiers: ``<study>/<series>/<instance>.dcm``, and ``ome/<id>``.

    Safe to repeat: what is there already with the same bytes counts as written. Two sources with one SOP Instance UID and
    different content: the first by name is written, the others are quarantined.

    Parameters
    ----------
    project : whose key it is; named in the log, nowhere else.
    plan : processes, journal, HTML page, OCR, lookup table.

    Raises
    ------
    NotFound : a source does not exist, or ``plan.ocr`` asks for a program that is not installed.
    InvalidInput : ``out`` and a source lie inside each other, or the journal, the report or the lookup table in one of them.
    Conflict : the report would replace a file that is no report.
    """
    begun, tally = time.monotonic(), _Tally()
    sources = [source] if isinstance(source, Path) else list(source)
    require_beside(page=plan.page, lookup=plan.lookup, sources=sources, out=out)
    jobs = [job for job in jobs_of(sources, out) if job.in_share(plan.chunk)]
    made = not out.exists()
    table = LookupTable(plan.lookup, key) if plan.lookup is not None else None
    task = _task(usable_folder(out, "output folder"), profile, key, plan)
    _sweep(out)
    try:
        _work(jobs, task, tally, table, progress=progress or Silent(), workers=plan.workers)
    finally:  # an interrupted run has written files, too
        if table is not None:
            table.save()
    if made:
        with suppress(OSError):  # only an empty folder can be removed: nothing was written
            out.rmdir()
    logger.info("De-identified for project %s: %d of %d files written.", project, tally.written, tally.files)
    report = _report(tally, profile, seconds=time.monotonic() - begun)
    if plan.page is not None:
        Page(report, profile.name, tuple(tally.pictures)).write(plan.page)
    return report


def _work(jobs: list[Job], task: Task, tally: _Tally, table: LookupTable | None, *, progress: Progress, workers: int) -> None:
    outcomes = in_order(task, jobs, workers=workers)
    with closing(outcomes), closing(_settled(outcomes, task)) as settled:
        for job, (outcome, reason) in zip(tracked(jobs, "de-identify", progress, total=len(jobs)), settled, strict=True):
            tally.add(job, outcome, reason)
            if table is not None and outcome.person is not None:
                table.add(outcome.person)


def _sweep(out: Path) -> None:
    """Remove what a killed run left half-written; where something was written in the last :data:`STALE_S`, another task is at work."""
    for part in out.rglob(".*.part"):
        with suppress(FileNotFoundError):
            if time.time() - _newest(part) > STALE_S:
                if part.is_dir():
                    shutil.rmtree(part, ignore_errors=True)
                else:
                    part.unlink()


def _newest(part: Path) -> float:
    """Return when anything in a file or folder changed last."""
    inner = [path.lstat().st_mtime for path in part.rglob("*")] if part.is_dir() else []
    return max([part.lstat().st_mtime, *inner])


def _task(out: Path, profile: Profile, key: bytes, plan: Plan) -> Task:
    program = find_program() if profile.dciodvfy == "every" else None
    ocr = find_ocr() if plan.ocr else None
    if plan.ocr and ocr is None:
        raise NotFound("tesseract is not installed, so there is no second opinion.", remedy="Install the Debian package tesseract-ocr.")
    journal = None
    if plan.journal is not None:
        if out.resolve() in (plan.journal.resolve(), *plan.journal.resolve().parents):
            raise InvalidInput("The journal lies in the output folder.", remedy="Keep it elsewhere; it is not part of the safe files.")
        journal = Journal.open(plan.journal, key=key, profile_sha256=profile.sha256, compared=program is not None)
    extras = Extras(pictures=plan.page is not None, ocr=ocr)
    return Task(Deidentifier(profile, key), out, program, journal, extras, people=plan.lookup is not None)


def _report(tally: _Tally, profile: Profile, *, seconds: float) -> DeidentifyReport:
    return DeidentifyReport(
        files=tally.files,
        written=tally.written,
        outputs=len(tally.names),
        quarantined=tuple(tally.quarantined),
        residue=tuple(tally.residue),
        profile_codes=tuple(sorted(tally.codes or profile.codes)),
        profile_sha256=profile.sha256,
        dciodvfy_new_errors=tally.new_errors,
        dciodvfy_checked=tally.checked,
        already=tally.already,
        rules=dict(sorted(tally.rules.items())),
        faces_not_cleaned=tally.faces,
        ocr_checked=tally.looked_at,
        ocr_with_words=len(tally.with_words),
        ocr_words_in=tuple(tally.with_words),
        seconds=round(seconds, 3),
    )


def _settled(outcomes: Iterator[Outcome], task: Task) -> Generator[tuple[Outcome, str]]:
    """Yield each outcome with the reason it is not in the output, in order; several are on their way to the disk at once.

    Making a file durable is waiting, three times as long as the work itself; two of one name are written one after the other.
    """
    with ThreadPoolExecutor(WRITERS) as pool:
        waiting: deque[tuple[Outcome, Future[str]]] = deque()
        newest: dict[str, Future[str]] = {}
        for outcome in outcomes:
            future = pool.submit(_settle, outcome, task, newest.get(outcome.name))
            newest[outcome.name] = future
            waiting.append((outcome, future))
            if len(waiting) >= 2 * WRITERS:
                done, written = waiting.popleft()
                yield done, written.result()
                if newest.get(done.name) is written:
                    del newest[done.name]
        while waiting:
            done, written = waiting.popleft()
            yield done, written.result()


def _settle(outcome: Outcome, task: Task, earlier: Future[str] | None) -> str:
    """Write the file and remember its end; return why it is not in the output, empty when it is."""
    if earlier is not None and not outcome.reason:
        wait([earlier])
    if outcome.already:
        return outcome.reason
    reason, sha256, lasting = outcome.reason, "", outcome.lasting
    if not reason:
        try:
            target = task.out / outcome.name
            sha256 = write_store(target, outcome.members) if outcome.members else _write(target, outcome.parts)
        except Conflict:
            reason = f"{Conflict.code}: another object with the same identifier and other content is in the output already"
            lasting = False
        except FairleadError as error:
            if not isinstance(error, InvalidInput):
                raise  # a full disk ends the run
            reason, lasting = f"{error.code}: {error.message}", False
    if task.journal is not None and outcome.work_id and lasting:
        task.journal.keep(outcome.work_id, entry_of(outcome, reason=reason, sha256=sha256))
    return reason


def _write(path: Path, parts: Parts) -> str:
    """Write a new file atomically and return its digest.

    Raises
    ------
    Conflict : a file of that name is there with other content.
    """
    if not path.exists():
        digest = hashlib.sha256()
        try:
            with atomic_write(path, replace=False) as handle:
                for block in blocks_of(parts):
                    handle.write(block)
                    digest.update(block)
        except Conflict:
            pass  # another process wrote the same instance meanwhile; compare below
        else:
            return digest.hexdigest()
    sha256 = sha256_of(parts)
    if sha256_file(path) != sha256:
        raise Conflict("The output holds another object of this name.")
    return sha256
