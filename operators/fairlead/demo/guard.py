"""Ends process groups when their owner is gone: ``python -m fairlead.demo.guard`` with group ids on standard input.

The demo writes the id of every group it starts. When standard input closes (the demo ended, crashed, or was killed), each
group gets SIGTERM, and SIGKILL after a grace time. The guard runs in a session of its own, so Ctrl-C does not reach it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
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


def end_groups(groups: list[int], *, grace_s: float = GRACE_S) -> None:
    """Ask every group to stop, wait, and kill what is left."""
    _signal_all(groups, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while any(map(group_lives, groups)) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    _signal_all(groups, signal.SIGKILL)


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
