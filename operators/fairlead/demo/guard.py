"""Ends process groups when their owner is gone: ``python -m fairlead.demo.guard`` with group ids on standard input.

The demo writes the id of every group it starts. When standard input closes (the demo ended, crashed, or was killed), each
group gets SIGTERM, and SIGKILL after a grace time. Groups that a server opened for its own children (Airflow's tasks) are
found by their session, which is the server's. The guard runs in a session of its own, so Ctrl-C does not reach it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

GRACE_S: Final = 12.0
POLL_S: Final = 0.1


def group_lives(group: int) -> bool:
    """Return whether any process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def groups_of_sessions(sessions: list[int]) -> list[int]:
    """Return the process groups that live in ``sessions``; each server leads one session (Linux: ``/proc``)."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()  # the command before it may hold anything
        except OSError:
            continue  # the process ended while we looked
        group, session = int(fields[2]), int(fields[3])
        if session in sessions:
            found.add(group)
    return sorted(found)


def end_groups(groups: list[int], *, grace_s: float = GRACE_S) -> None:
    """Ask every group, and every group in its session, to stop; wait, and kill what is left."""
    everything = sorted({*groups, *groups_of_sessions(groups)})
    _signal_all(everything, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while any(map(group_lives, everything)) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    _signal_all(sorted({*everything, *groups_of_sessions(groups)}), signal.SIGKILL)


def _signal_all(groups: list[int], number: signal.Signals) -> None:
    for group in groups:
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            continue  # it ended by itself, which is what we want


def main() -> None:
    """Collect group ids until standard input closes, then end them."""
    groups = [int(line) for line in sys.stdin if line.strip()]
    end_groups(groups)


if __name__ == "__main__":
    main()
