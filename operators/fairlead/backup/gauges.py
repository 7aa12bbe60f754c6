"""When the last backup ended well, for an alert of an overdue one. It is kept in the home, where the node can read it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Final

from fairlead.files import write_text
from fairlead.settings import Settings

FILE: Final = "last-backup"

type Gauge = tuple[str, str, tuple[tuple[str, str], ...], float]


def note_backup(settings: Settings, ended: datetime) -> None:
    """Keep the time of a backup that ended well."""
    write_text(settings.home_folder / FILE, f"{ended.isoformat()}\n")


def backup_gauges(settings: Settings) -> Iterator[Gauge]:
    """Yield (name, help, labels, value): the Unix time of the last backup, 0 when there was none."""
    taken = 0.0
    with suppress(FileNotFoundError, ValueError):
        taken = datetime.fromisoformat((settings.home_folder / FILE).read_text(encoding="ascii").strip()).timestamp()
    yield "fairlead_backup_last_success_timestamp_seconds", "Unix time of the last backup that ended well; 0: none.", (), taken
