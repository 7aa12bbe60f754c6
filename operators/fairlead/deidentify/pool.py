"""Many files through several processes, in order; a process that is killed costs one file at most."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Final

from fairlead.deidentify.instance import Outcome
from fairlead.deidentify.jobs import Job
from fairlead.errors import UnreadableImage

AHEAD: Final = 4
"""Files each worker may be ahead of the writer, so that memory stays bounded."""
TRIAL: Final = 8
"""Files that are done in this process first, to see how long one takes."""
WORTH_S: Final = 10.0
"""Less work than this is done here before other processes have started and are ahead; measured: the first needs 1 to 4 s."""
CODE: Final = "fairlead.deidentify.task"
KILLED: Final = f"{UnreadableImage.code}: the process that worked on the file was killed, twice; it may need more memory than there is"

type Work = Callable[[Job], Outcome]


def in_order(work: Work, jobs: Sequence[Job], *, workers: int) -> Generator[Outcome]:
    """Yield the outcome of each job in the given order, worked out by so many processes when that is worth starting them."""
    left, spent, done = deque(jobs), 0.0, 0
    while left and (workers < 2 or done < TRIAL or spent / done * len(left) < WORTH_S):
        begun = time.monotonic()
        outcome = work(left.popleft())
        spent, done = spent + time.monotonic() - begun, done + 1
        yield outcome
    while left:
        suspects = yield from _until_killed(work, left, workers)
        yield from _one_by_one(work, deque(suspects))


def _pool(workers: int) -> ProcessPoolExecutor:
    """Return processes that are forked from one that has read the code already: each costs a third of one that begins anew."""
    context = get_context("forkserver")
    context.set_forkserver_preload([CODE])
    return ProcessPoolExecutor(workers, mp_context=context)


def _until_killed(work: Work, left: deque[Job], workers: int) -> Generator[Outcome, None, list[Job]]:
    """Yield outcomes while all processes live; return the jobs that were under way when one was killed."""
    waiting: deque[tuple[Job, Future[Outcome]]] = deque()
    with _pool(workers) as pool:
        try:
            while left or waiting:
                while left and len(waiting) < workers * AHEAD:
                    waiting.append((left[0], pool.submit(work, left[0])))
                    left.popleft()
                outcome = waiting[0][1].result()
                waiting.popleft()
                yield outcome
        except BrokenProcessPool:
            return [job for job, _ in waiting]
        finally:
            for _, future in waiting:
                future.cancel()
    return []


def _one_by_one(work: Work, left: deque[Job]) -> Generator[Outcome]:
    """Yield the outcomes of jobs that were under way when a process was killed; one whose own process is killed twice is refused."""
    suspect: Job | None = None
    while left:
        with _pool(1) as pool:
            try:
                while left:
                    outcome = pool.submit(work, left[0]).result()
                    left.popleft()
                    yield outcome
            except BrokenProcessPool:
                if left[0] is not suspect:
                    suspect = left[0]
                    continue
                left.popleft()
                yield Outcome(reason=KILLED, lasting=False)
