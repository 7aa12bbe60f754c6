"""Work for pools whose processes die: a name says what happens."""

from __future__ import annotations

import multiprocessing
import os
import signal

from fairlead.deidentify.instance import Outcome
from fairlead.deidentify.jobs import Job


def fragile(job: Job) -> Outcome:
    """Return an outcome with the job's name, unless the job kills the process it is done in."""
    killing = job.name == "deadly" or (job.name == "unlucky" and not job.path.exists())
    if killing and multiprocessing.parent_process() is not None:
        if job.name == "unlucky":
            job.path.write_text("killed once")
        os.kill(os.getpid(), signal.SIGKILL)
    return Outcome(name=job.name)
