"""The audit trail: one JSON line for each association that came about or was refused, in one file a day below the archive.

Who, when, what and with which result; never a patient. The lines outlive the ledger's rows, and a log collector can
follow them. A line is one write to a file opened for appending, so that lines of several threads never mix.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from fairlead.database import utc_now

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class AuditLine:
    """What is known of one association when it is over."""

    association: str
    peer: str
    calling_ae: str = ""
    called_ae: str = ""
    tls_subject: str | None = None
    route: str = ""
    project: str = ""
    center: str = ""
    implementation: str = ""
    result: str = ""
    reason: str = ""
    opened_at: str = ""
    stored: int = 0
    refused: int = 0
    bytes: int = 0
    commitments: int = 0


class AuditTrail:
    """Appends lines; a trail that cannot be written is reported, and stops nothing."""

    def __init__(self, folder: Path, clock: Callable[[], datetime] = utc_now) -> None:
        self.folder = folder
        self.clock = clock

    def now(self) -> str:
        """Return the present time as the lines write it."""
        return self.clock().isoformat(timespec="milliseconds")

    def write(self, line: AuditLine) -> None:
        """Append one line to the file of the day (UTC)."""
        now = self.clock()
        text = json.dumps({"at": self.now()} | asdict(line), ensure_ascii=True)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.folder / f"{now.date()}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            try:
                os.write(handle, text.encode() + b"\n")
            finally:
                os.close(handle)
        except OSError as error:
            logger.error("the audit trail cannot be written: %s", error.strerror)
