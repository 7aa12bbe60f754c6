"""Which file an error is about: it travels beside the words, which go to logs where names of files have no place."""

from __future__ import annotations

from pathlib import Path

from fairlead.errors import FairleadError


def located[E: FairleadError](error: E, path: Path) -> E:
    """Return the error, which from now on knows the file it is about, unless it knew one already."""
    if file_of(error) is None:
        error.add_note(str(path))
    return error


def file_of(error: FairleadError) -> Path | None:
    """Return the file that an error is about, None when nobody said."""
    notes = getattr(error, "__notes__", [])
    return Path(notes[0]) if notes else None
