"""The audit trail: one JSON line for each association that came about or was refused, in one file a day below the archive.

Who, when, what and with which result; never a patient. The lines outlive the ledger's rows, and a log collector can
follow them. A line is one write to a file opened for appending, so that lines of several threads never mix.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from fairlead.database import utc_now
from fairlead.receive.audit_message import audit_message
from fairlead.receive.ledger import OpenAssociation

logger = logging.getLogger(__name__)
LOST: Final = "lost"
COUNTS: Final = ("stored", "refused", "bytes", "commitments")


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

    def __init__(self, folder: Path, clock: Callable[[], datetime] = utc_now, *, messages: bool = False) -> None:
        self.folder = folder
        self.messages = messages
        """Whether each line is written as a DICOM audit message too."""
        self.clock = clock

    def now(self) -> str:
        """Return the present time as the lines write it."""
        return self.clock().isoformat(timespec="milliseconds")

    def write(self, line: AuditLine) -> None:
        """Append the line of an association that is over."""
        self._append(asdict(line))

    def lost(self, found: Iterable[OpenAssociation]) -> None:
        """Append a line for each association that ended with the process that served it; how much it brought is not known any more.

        Called before they are struck out of the ledger: a crash in between repeats a line, and never loses one.
        """
        for one in found:
            line = AuditLine(one.key, one.peer, one.calling_ae, one.called_ae, result=LOST, reason="the process that served it ended")
            line.opened_at = one.opened_at.isoformat(timespec="milliseconds")
            self._append(asdict(line) | dict.fromkeys(COUNTS))

    def _append(self, fields: dict[str, Any]) -> None:
        """Write to the file of the day (UTC)."""
        line = {"at": self.now()} | fields
        texts = {"jsonl": json.dumps(line, ensure_ascii=True), "dicom-audit.xml": audit_message(line) if self.messages else None}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for ending, text in texts.items():
                if text is not None:
                    _append(self.folder / f"{line['at'][:10]}.{ending}", text)
        except OSError as error:
            logger.error("the audit trail cannot be written: %s", error.strerror)


def _append(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        os.write(handle, text.encode() + b"\n")
    finally:
        os.close(handle)
