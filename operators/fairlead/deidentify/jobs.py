"""What a run has to do: every file of its sources, every OME-Zarr store as one piece of work, and what can only be named."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fairlead.deidentify.listing import Listing, in_bytes, listing_of
from fairlead.deidentify.zarr_layout import ROOT, TABLES_STAY, layout_of, stores_among
from fairlead.errors import FairleadError, InvalidInput, NotFound


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work: ``name`` below its source, ``number`` in the sorted list of all names of the source."""

    name: str
    path: Path
    number: int = 0
    refusal: str = ""
    """Why it cannot be processed at all: links, pipes, closed folders."""

    def in_share(self, share: tuple[int, int]) -> bool:
        """Return whether it belongs to the share ``(k, n)``: by its name alone, so that what arrives later moves nothing.

        >>> sum(Job("a.dcm", Path("a.dcm")).in_share((number, 5)) for number in range(5))
        1
        """
        number, count = share
        return int.from_bytes(hashlib.sha256(self.name.encode(errors="surrogateescape")).digest()[:8]) % count == number


def jobs_of(sources: list[Path], out: Path) -> Iterator[Job]:
    """Yield every piece of work, in the order of the names.

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
            yield Job(source.name, source, 1)
        else:
            raise InvalidInput("A source is neither a folder nor a regular file.", remedy=f"Check the path {source}.")


def _jobs_in(source: Path) -> Iterator[Job]:
    listing, found = listing_of(source), dict[PurePosixPath, str]()
    numbers = listing.numbers
    stores = stores_among(source, listing.files)
    inside = _by_store(listing, stores)
    found.update(dict.fromkeys(inside[None].files, "") | inside[None].refused)
    for store in stores:
        found[store] = ""
        found |= {store / name: refusal for name, refusal in _left_over(source / store, inside[store])}
    firsts = {store: numbers.get(store / inside[store].files[0], 0) for store in stores}
    for name in sorted(found, key=in_bytes):
        number = numbers.get(name) or firsts.get(name) or next((place for file, place in numbers.items() if name in file.parents), 0)
        yield Job(source.name if name == ROOT else name.as_posix(), source / name, number, found[name])


def _by_store(listing: Listing, stores: list[PurePosixPath]) -> dict[PurePosixPath | None, Listing]:
    """Return what lies in each store, relative to it, and under None what lies in none."""
    places, sorted_out = set(stores), defaultdict[PurePosixPath | None, Listing](Listing)
    for name in listing.files:
        store = next((place for place in name.parents if place in places), None)
        sorted_out[store].files.append(name if store is None else name.relative_to(store))
    for name, reason in listing.refused.items():
        store = next((place for place in name.parents if place in places), None)
        sorted_out[store].refused[name if store is None else name.relative_to(store)] = reason
    return sorted_out


def _left_over(store: Path, listing: Listing) -> Iterator[tuple[PurePosixPath, str]]:
    """Yield what lies in a store and is no part of it; nothing when the store is refused whole."""
    try:
        layout = layout_of(store, listing)
    except (FairleadError, OSError, ValueError, TypeError, KeyError, AttributeError):
        return
    yield from ((name, "") for name in layout.foreign)
    yield from ((name, TABLES_STAY) for name in layout.tables)
