"""How much memory this process has used."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Final

MEGABYTE: Final = 1024 * 1024


def peak_rss_mb() -> float:
    """Return the largest resident memory of this process so far, in MiB.

    Read from the process status where there is one: the other counter also knows the memory of the parent it was forked from.
    """
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii", errors="replace").splitlines() if status.is_file() else []
    stated = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), None)
    kibibytes = int(stated) if stated is not None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(kibibytes * 1024 / MEGABYTE, 1)
