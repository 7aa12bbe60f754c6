"""What a run writes beside its output: the report and the lookup table never take the place of something else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fairlead.errors import Conflict, InvalidInput, NotFound

PAGE_BEGINS: Final = b"<!doctype html>"


def require_beside(*, page: Path | None, lookup: Path | None, sources: Sequence[Path], out: Path) -> None:
    """Refuse places at which the report or the lookup table would destroy or accompany data; called before anything is written.

    Raises
    ------
    InvalidInput : one place for both, or a place in the input or the output.
    NotFound : the folder of one of them does not exist. Conflict : the report's place holds a file that is no report.
    """
    if page is not None and lookup is not None and page.resolve() == lookup.resolve():
        raise InvalidInput("The report and the lookup table have the same name.", remedy="Give each a file of its own.")
    for file, what in ((page, "report"), (lookup, "lookup table")):
        if file is None:
            continue
        if any(_is_within(file, folder) for folder in (*sources, out)):
            raise InvalidInput(f"The {what} lies in the input or the output.", remedy="Choose a file in another folder.")
        if not file.absolute().parent.is_dir():
            raise NotFound(f"There is no folder for the {what}: {file.absolute().parent}.", remedy="Make the folder, or check the path.")
    if page is not None and page.exists() and not _is_page(page):
        raise Conflict("The file for the report exists and is no report.", remedy="Choose another name, or remove that file.")


def _is_within(file: Path, folder: Path) -> bool:
    place, root = file.resolve(), folder.resolve()
    return place == root or root in place.parents


def _is_page(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as handle:
        return handle.read(len(PAGE_BEGINS)).lower() == PAGE_BEGINS
