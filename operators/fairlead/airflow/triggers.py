"""The wake-up: fires while work waits in the ledger.

Airflow's asset events lose work (docs/adr/0001): this trigger is level-triggered, so a lost event is repaired by the next
one, and the ledger, never the event, says what there is to do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

type WorkKind = Literal["series", "files"]


class LedgerTrigger(BaseEventTrigger):
    """Fires when ``kind`` of work waits, and again every ``refire_s`` seconds for as long as it does."""

    def __init__(self, kind: WorkKind = "series", poll_s: float = 0.5, refire_s: float = 5.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's base is not annotated
        self.kind = kind
        self.poll_s = poll_s
        self.refire_s = refire_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and arguments, as the triggerer stores them."""
        return "fairlead.airflow.triggers.LedgerTrigger", {"kind": self.kind, "poll_s": self.poll_s, "refire_s": self.refire_s}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll the ledger in a thread (the triggerer's loop must not block) and yield one event per refire period."""
        waiting_of = await asyncio.to_thread(_counter, self.kind)
        fired_at = float("-inf")
        while True:
            waiting = await asyncio.to_thread(waiting_of)
            if waiting and time.monotonic() - fired_at >= self.refire_s:
                fired_at = time.monotonic()
                yield TriggerEvent({"kind": self.kind, "waiting": waiting})  # type: ignore[no-untyped-call]
            await asyncio.sleep(self.poll_s)


def _counter(kind: WorkKind) -> Callable[[], int]:
    from fairlead.database import open_database
    from fairlead.receive import Ledger, StorageWatch
    from fairlead.settings import load_settings

    settings = load_settings()
    ledger = Ledger(open_database(settings))
    if kind == "series":
        return ledger.waiting_series
    watch = StorageWatch(settings, ledger)

    def waiting_files() -> int:
        """Look for new files and count those that wait; where no node runs, this is the only watcher."""
        watch.scan()
        return ledger.waiting_files()

    return waiting_files
