"""What a run has to do: every regular file of its sources, and every OME-Zarr store as one piece of work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fairlead.deidentify.ome_zarr import stores_in
from fairlead.errors import InvalidInput, NotFound
from fairlead.files import relative_files


def jobs_of(sources: list[Path], out: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name and the path of every piece of work.

    Raises
    ------
    NotFound : a source does not exist. InvalidInput : it is neither folder nor file, or lies inside of the output, or around it.
    """
    target = out.resolve()
    for source in sources:
        if not source.exists():
            raise NotFound("A source of the de-identification does not exist.", remedy=f"Check the path {source}.")
        place = source.resolve()
        if place == target or place in target.parents or target in place.parents:
            raise InvalidInput("The output folder and the input lie inside each other.", remedy="Choose an output folder elsewhere.")
        if source.is_dir():
            yield from _jobs_in(source)
        elif source.is_file():
            yield source.name, source
        else:
            raise InvalidInput("A source is neither a folder nor a regular file.", remedy=f"Check the path {source}.")


def _jobs_in(source: Path) -> Iterator[tuple[str, Path]]:
    """Yield the stores and the other files of a folder in the order of their names; a store is one piece of work."""
    stores = [store.relative_to(source) for store in stores_in(source)]
    files = [file for file in relative_files(source) if not any(file.is_relative_to(store) for store in stores)]
    for name in sorted([*stores, *files]):
        yield (source.name if name == Path() else name.as_posix()), source / name
