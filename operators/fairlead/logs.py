"""One log format for every process of ours: to stderr, text for people or JSON lines for collectors."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Literal

STANDARD: Final = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {"message", "asctime", "taskName"}

_about: Final[ContextVar[dict[str, str]]] = ContextVar("about", default={})  # noqa: B039  never changed in place


@contextmanager
def about(**ids: str) -> Iterator[None]:
    """Put these ids into every JSON line of the block: what is followed from an association to an export. Never a patient's."""
    token = _about.set({**_about.get(), **ids})
    try:
        yield
    finally:
        _about.reset(token)


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the ids of :func:`about`, and whatever was passed as ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= _about.get()
        line |= {key: value for key, value in record.__dict__.items() if key not in STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure_logging(level: str = "INFO", style: Literal["text", "json"] = "text") -> None:
    """Send our logs to stderr in one format. Libraries that log header values (pynetdicom, pydicom) stay at WARNING or above."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if style == "json" else logging.Formatter("%(asctime)s %(levelname)-7s %(name)s  %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("pynetdicom", "httpx", "httpcore", "alembic", "rdflib", "opensearch", "tifffile"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for quoting in ("pydicom", "rdflib.term"):  # their warnings quote values of headers and of records
        logging.getLogger(quoting).setLevel(logging.ERROR)
