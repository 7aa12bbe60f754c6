"""Files and folders: every file is written or quarantined, in the order of their names, and the numbers add up."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from fairlead.deidentify.conformance import find_program
from fairlead.deidentify.engine import Deidentifier
from fairlead.deidentify.instance import Outcome, deidentify_file
from fairlead.deidentify.profile import Profile
from fairlead.errors import Conflict, InvalidInput, NotFound, ResidualIdentity
from fairlead.files import atomic_write, relative_files
from fairlead.progress import Progress, Silent, tracked
from fairlead.records import DeidentifyReport, Quarantined

logger = logging.getLogger(__name__)

WORTH_PROCESSES: Final = 48
"""Fewer files than this are done before a second process has started."""
AHEAD: Final = 4
"""Files each worker may be ahead of the writer, so that memory stays bounded."""


def in_order(work: Callable[[Path], Outcome], paths: Sequence[Path], *, workers: int) -> Iterator[Outcome]:
    """Yield the outcome of each path in the given order, worked out by so many processes."""
    if workers < 2:
        yield from map(work, paths)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting: deque[Future[Outcome]] = deque()
        try:
            for path in paths:
                waiting.append(pool.submit(work, path))
                if len(waiting) >= workers * AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@dataclass(slots=True)
class _Tally:
    """The running report."""

    files: int = 0
    written: int = 0
    checked: int = 0
    new_errors: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)
    residue: list[str] = field(default_factory=list)
    codes: set[str] = field(default_factory=set)

    def refuse(self, path: str, reason: str) -> None:
        self.quarantined.append(Quarantined(path=path, reason=reason))


def deidentify_folder(
    source: Sequence[Path] | Path,
    out: Path,
    *,
    profile: Profile,
    key: bytes,
    project: str = "default",
    progress: Progress | None = None,
    workers: int = 1,  # a seventh argument: how, not what
) -> DeidentifyReport:
    """De-identify files and folders into ``out`` as ``<study>/<series>/<instance>.dcm``, named by the new UIDs.

    Safe to repeat: what is there already with the same bytes counts as written. Two sources with one SOP Instance UID and
    different content: the first by name is written, the others are quarantined.

    Parameters
    ----------
    project : whose key it is; named in the log, nowhere else.
    workers : processes that work beside this one when there are many files; results arrive in the order of the names either way.

    Raises
    ------
    NotFound : a source does not exist.
    InvalidInput : ``out`` and a source lie inside each other.
    """
    begun, tally = time.monotonic(), _Tally()
    sources = [source] if isinstance(source, Path) else list(source)
    work = partial(
        deidentify_file, deidentifier=Deidentifier(profile, key), program=find_program() if profile.dciodvfy == "every" else None
    )
    jobs = list(_jobs(sources, out))
    outcomes = in_order(work, [path for _, path in jobs], workers=workers if len(jobs) >= WORTH_PROCESSES else 1)
    for (name, _), outcome in zip(tracked(jobs, "de-identify", progress or Silent(), total=len(jobs)), outcomes, strict=True):
        _settle(outcome, name, out, tally)
    logger.info("De-identified for project %s: %d of %d files written.", project, tally.written, tally.files)
    return DeidentifyReport(
        files=tally.files,
        written=tally.written,
        quarantined=tuple(tally.quarantined),
        residue=tuple(tally.residue),
        profile_codes=tuple(sorted(tally.codes or profile.codes)),
        profile_sha256=profile.sha256,
        dciodvfy_new_errors=tally.new_errors,
        dciodvfy_checked=tally.checked,
        seconds=round(time.monotonic() - begun, 3),
    )


def _jobs(sources: list[Path], out: Path) -> Iterator[tuple[str, Path]]:
    target = out.resolve()
    for source in sources:
        if not source.exists():
            raise NotFound("A source of the de-identification does not exist.", remedy=f"Check the path {source}.")
        place = source.resolve()
        if place == target or place in target.parents or target in place.parents:
            raise InvalidInput("The output folder and the input lie inside each other.", remedy="Choose an output folder elsewhere.")
        if source.is_dir():
            yield from ((name.as_posix(), source / name) for name in relative_files(source))
        else:
            yield source.name, source


def _settle(outcome: Outcome, name: str, out: Path, tally: _Tally) -> None:
    tally.files += 1
    tally.checked += outcome.checked
    tally.new_errors += outcome.new_errors
    if outcome.reason:
        tally.refuse(name, outcome.reason)
        if outcome.reason.startswith(ResidualIdentity.code):
            tally.residue.append(f"{name}: {outcome.reason}")
        return
    if not _write(out / outcome.name, outcome.content):
        tally.refuse(name, f"{Conflict.code}: another object with the same SOP Instance UID and other content is in the output already")
        return
    tally.written += 1
    tally.codes.update(outcome.codes)


def _write(path: Path, content: bytes) -> bool:
    """Write a new file atomically; return whether the content is there now."""
    if not path.exists():
        try:
            with atomic_write(path, replace=False) as handle:
                handle.write(content)
        except Conflict:
            pass  # another process wrote the same instance meanwhile; compare below
        else:
            return True
    return hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(content).digest()
