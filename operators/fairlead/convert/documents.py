"""Read JSON that somebody else wrote: bounded in size, and whatever is wrong with it is one kind of error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

MAX_BYTES: Final = 64 * 1024**2
"""Metadata of the largest plates have a few megabytes."""


def read_json(file: Path) -> Any:
    """Return the value in a JSON file.

    Raises
    ------
    OSError : there is no such file.
    ValueError : no JSON, too large, or nested deeper than a reader can follow.
    """
    with file.open("rb") as handle:
        data = handle.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES // 1024**2} MB of metadata")
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("metadata nested too deeply") from error
