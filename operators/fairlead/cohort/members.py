"""Members of a version as they are stored and compared: 64-bit fingerprints for questions about sets, names for people.

Roaring bitmaps over the ordinals of an index would be smaller, but an ordinal means something in one index file only, and a
version has to be comparable after `fairlead index rebuild` and on another engine. A fingerprint is the start of the BLAKE2b
hash of the name, so it means the same everywhere; two of a million names share one with a chance of 1 in 30 million.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

PACKED: Final = b"FM2\n"
SHA_BYTES: Final = 32
WITHOUT_PATIENTS: Final = 20
WITH_PATIENTS: Final = 28
"""Bytes a member of packed fingerprints."""

type Prints = NDArray[np.uint64]
type Names = tuple[tuple[str, ...], tuple[str, ...]]
"""Record ids, sorted, and their content hashes."""


def prints_of(names: Iterable[str]) -> Prints:
    """Return one fingerprint a name, in their order.

    >>> int(prints_of(["a"])[0]) == int(prints_of(["b", "a"])[1])
    True
    """
    digest = hashlib.blake2b
    return np.frombuffer(b"".join([digest(name.encode(), digest_size=8).digest() for name in names]), dtype="<u8")


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Parallel columns sorted by ``ids``; ``places`` are positions in the list of names; ``patients`` is empty where nobody noted them."""

    ids: Prints
    revisions: Prints
    patients: Prints
    places: NDArray[np.uint32]

    @classmethod
    def of(cls, ids: Sequence[str], revisions: Sequence[str], patients: Sequence[str] = ()) -> Fingerprints:
        """Return the fingerprints of sorted ids, their content hashes (hexadecimal) and their patients."""
        found = prints_of(ids)
        order = np.argsort(found, kind="stable")
        contents = np.frombuffer(bytes.fromhex("".join([revision[:16] for revision in revisions])), dtype="<u8")
        return cls(found[order], contents[order], _repeated(patients)[order] if patients else found[:0], order.astype(np.uint32))

    def pack(self) -> bytes:
        """Return the bytes that :meth:`unpack` reads; hashes do not compress, so nothing tries."""
        return b"".join(column.tobytes() for column in (self.ids, self.revisions, self.patients, self.places))

    @staticmethod
    def fit(packed: bytes, members: int) -> bool:
        """Return whether the bytes are fingerprints of so many members, with or without their patients."""
        return len(packed) in (members * WITH_PATIENTS, members * WITHOUT_PATIENTS)

    @classmethod
    def unpack(cls, packed: bytes, members: int) -> Fingerprints:
        """Return the fingerprints of so many members."""
        noted = members if len(packed) == members * WITH_PATIENTS else 0
        bounds = np.cumsum([0, members * 8, members * 8, noted * 8, members * 4])
        columns: list[Any] = [
            np.frombuffer(packed[begin:end], dtype=kind)
            for begin, end, kind in zip(bounds[:-1], bounds[1:], ("<u8", "<u8", "<u8", "<u4"), strict=True)
        ]
        return cls(*columns)


def _repeated(names: Sequence[str]) -> Prints:
    """Return the fingerprint of every name, worked out once for each that occurs: most patients have many series."""
    distinct = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return prints_of(distinct)[np.fromiter((distinct[name] for name in names), dtype=np.int64, count=len(names))]


@dataclass(frozen=True)
class FrozenMembers:
    """Who was in a version: fingerprints at once, names when somebody asks."""

    prints: Fingerprints
    load: Callable[[], Names]

    @cached_property
    def names(self) -> Names:
        """Record ids and content hashes, in the order of the ids."""
        return self.load()


@dataclass(frozen=True, slots=True)
class Moved:
    """Rows of the fingerprints of two versions, ``a`` and ``b``: who joined (of ``b``), who left and whose content changed (of ``a``)."""

    joined: NDArray[np.int64]
    left: NDArray[np.int64]
    revised: NDArray[np.int64]


def moved(a: Fingerprints, b: Fingerprints) -> Moved:
    """Return who differs; one binary search through sorted columns, no name is read."""
    if not len(a.ids) or not len(b.ids):
        return Moved(np.arange(len(b.ids)), np.arange(len(a.ids)), np.arange(0))
    at = np.searchsorted(a.ids, b.ids)
    at[at == len(a.ids)] = 0
    common = a.ids[at] == b.ids
    stayed = np.zeros(len(a.ids), dtype=np.bool_)
    stayed[at[common]] = True
    other = a.revisions[at[common]] != b.revisions[common]
    return Moved(np.flatnonzero(~common), np.flatnonzero(~stayed), at[common][other])


def regions(columns: Sequence[Prints]) -> dict[int, int]:
    """Return how many are in each region of a Venn diagram; bit n of the key says whether column n is in it.

    >>> regions([prints_of("ab"), prints_of("bc")]) == {1: 1, 2: 1, 3: 1}
    True
    """
    everybody = np.unique(np.concatenate(columns))
    where = np.zeros(len(everybody), dtype=np.int64)
    for number, column in enumerate(columns):
        where[np.searchsorted(everybody, np.unique(column))] |= 1 << number
    counted = np.bincount(where, minlength=1 << len(columns))
    return {region: int(counted[region]) for region in range(1, 1 << len(columns))}


# --- the list of names in the database --------------------------------------------------------------------------------------


def pack_names(ids: Sequence[str], revisions: Sequence[str]) -> bytes:
    """Return ids (zlib over lines, the fastest level: they share long beginnings) and content hashes as plain bytes."""
    lines = zlib.compress("\n".join(ids).encode(), 1)
    return b"".join((PACKED, len(lines).to_bytes(8, "big"), lines, bytes.fromhex("".join(revisions))))


def unpack_names(packed: bytes) -> Names:
    """Return what was packed; also the form before fingerprints, zlib over ``<record id> TAB <content hash>`` lines."""
    if not packed.startswith(PACKED):
        pairs = [line.split("\t") for line in zlib.decompress(packed).decode().splitlines()]
        return tuple(record_id for record_id, _ in pairs), tuple(revision for _, revision in pairs)
    ends = len(PACKED) + 8
    after = ends + int.from_bytes(packed[len(PACKED) : ends], "big")
    ids = tuple(zlib.decompress(packed[ends:after]).decode().split("\n"))
    hexes = packed[after:].hex()
    width = 2 * SHA_BYTES
    return ids, tuple([hexes[at : at + width] for at in range(0, len(hexes), width)])
