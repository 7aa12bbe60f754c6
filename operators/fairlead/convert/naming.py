"""Names of the stores of OME sources, and the files that such a source consists of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from fairlead.convert.ome_files import set_members
from fairlead.convert.sources import Source, SourceKind, content_stem, safe_stem
from fairlead.errors import FairleadError, UnreadableImage

UNNAMED: Final = frozenset({SourceKind.UNREADABLE, SourceKind.OTHER, SourceKind.OME_XML})
"""Kinds that never become a store."""


def names_by_file(sources: Sequence[Source]) -> dict[Path, str]:
    """Return a store name per source, after its file; equal stems get a number in source order."""
    return _unique(sources, lambda source: safe_stem(source.name))


def names_by_content(sources: Sequence[Source], refuse: Callable[[str, FairleadError], None]) -> dict[Path, str]:
    """Return a store name per source, after its content; a source that cannot be read is refused and gets none."""

    def stem(source: Source) -> str:
        """Return the name that a source's content gives; a file that cannot be read is refused."""
        if source.kind in UNNAMED:  # what is refused later anyway is not read for its name
            return source.kind.value
        try:
            return content_stem(files_of(source))
        except OSError:
            refuse(source.name, UnreadableImage("The file cannot be read."))
            return ""

    return _unique(sources, stem)


def files_of(source: Source) -> list[Path]:
    """Return the source with the files of its set that are there."""
    if source.kind is SourceKind.UNREADABLE:
        return []
    return [source.path, *sorted(file for file in set_members([source]) if file.is_file())]


def _unique(sources: Sequence[Source], stem_of: Callable[[Source], str]) -> dict[Path, str]:
    names: dict[Path, str] = {}
    used: set[str] = set()
    for source in sources:
        if not (stem := stem_of(source)):
            continue
        name, number = stem, 2
        while name in used:
            name, number = f"{stem}-{number}", number + 1
        used.add(name)
        names[source.path] = name
    return names
