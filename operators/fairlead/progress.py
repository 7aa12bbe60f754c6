"""Progress of long work: a bar on a terminal, a log line every few seconds elsewhere (Airflow, CI)."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

LOG_EVERY_S: Final = 5.0
logger = logging.getLogger(__name__)


class Progress(Protocol):
    """What a loop tells while it works."""

    def start(self, what: str, total: int | None) -> None:
        """Begin ``total`` steps (None: unknown) of ``what``."""

    def step(self, count: int = 1, size_bytes: int = 0) -> None:
        """Report ``count`` steps done, and the bytes they moved."""

    def finish(self) -> None:
        """End; prints the total and the rate."""


class Silent:
    """Reports nothing; for tests and library use."""

    def start(self, what: str, total: int | None) -> None:
        """Ignore."""

    def step(self, count: int = 1, size_bytes: int = 0) -> None:
        """Ignore."""

    def finish(self) -> None:
        """Ignore."""


class Logged:
    """One log line every :data:`LOG_EVERY_S` seconds with count, rate and time left."""

    def start(self, what: str, total: int | None) -> None:
        """Begin a loop."""
        self._what, self._total, self._done, self._bytes = what, total, 0, 0
        self._begun = self._told = time.monotonic()

    def step(self, count: int = 1, size_bytes: int = 0) -> None:
        """Count, and log when it is time."""
        self._done += count
        self._bytes += size_bytes
        if time.monotonic() - self._told >= LOG_EVERY_S:
            self._told = time.monotonic()
            logger.info("%s", self._line())

    def finish(self) -> None:
        """Log the total."""
        logger.info("%s, done", self._line())

    def _line(self) -> str:
        seconds = max(time.monotonic() - self._begun, 1e-9)
        parts = [f"{self._what}: {self._done}" + (f" of {self._total}" if self._total else "")]
        if self._bytes:
            parts.append(f"{self._bytes / seconds / 1e6:.1f} MB/s")
        if self._total and 0 < self._done < self._total:
            parts.append(f"{seconds / self._done * (self._total - self._done):.0f} s left")
        return ", ".join(parts) + f" ({seconds:.1f} s)"


class Bar:
    """A rich progress bar on stderr."""

    def start(self, what: str, total: int | None) -> None:
        """Show the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        self._bytes, self._begun = 0, time.monotonic()
        self._rich = RichProgress(*columns, console=Console(stderr=True), transient=True)
        self._rich.start()
        self._task = self._rich.add_task(what, total=total, rate="")

    def step(self, count: int = 1, size_bytes: int = 0) -> None:
        """Move the bar."""
        self._bytes += size_bytes
        rate = f"{self._bytes / max(time.monotonic() - self._begun, 1e-9) / 1e6:.1f} MB/s" if self._bytes else ""
        self._rich.update(self._task, advance=count, rate=rate)

    def finish(self) -> None:
        """Remove the bar."""
        self._rich.stop()


def default_progress() -> Progress:
    """Return a bar when stderr is a terminal, log lines otherwise."""
    return Bar() if sys.stderr.isatty() else Logged()


def tracked[T](items: Iterable[T], what: str, progress: Progress, total: int | None = None) -> Iterator[T]:
    """Yield ``items`` and report each as one step; the end is reported even when the loop breaks."""
    progress.start(what, total)
    try:
        for item in items:
            yield item
            progress.step()
    finally:
        progress.finish()
