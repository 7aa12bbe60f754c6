"""Private elements that may stay with Retain Safe Private: those of the profile, and the numbers and codes of PS3.15 Table E.3.10-1.

Of the table only elements that hold numbers or coded words are packaged, and only while they do: text, bytes, sequences and identifiers of
manufacturers can say anything (note 2 of section E.3.10).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

from fairlead.deidentify.elements import Element
from fairlead.deidentify.profile import Profile

SIZES: Final[Mapping[str, int]] = {"FL": 4, "FD": 8, "SL": 4, "SS": 2, "UL": 4, "US": 2}
TEXTS: Final[Mapping[str, re.Pattern[bytes]]] = {
    "DS": re.compile(rb"[0-9+\-.eE \\\0]*"),
    "IS": re.compile(rb"[0-9+\- \\\0]*"),
    "CS": re.compile(rb"[A-Z0-9_ \\\0]*"),
}
type Known = Mapping[int, str]


@cache
def packaged() -> Mapping[tuple[str, int], Known]:
    """Return the packaged elements: creator and group -> last two digits of the tag -> value representation."""
    known: dict[tuple[str, int], dict[int, str]] = {}
    for row in json.loads(files(__package__).joinpath("safe_private.json").read_text("utf-8")):
        known.setdefault((row["creator"], int(row["group"], 16)), {})[int(row["element"], 16)] = row["vr"]
    return known


@lru_cache(maxsize=256)
def _of_profile(entries: tuple[tuple[str, str, tuple[str, ...]], ...], creator: str, group: int) -> frozenset[int]:
    return frozenset(int(one, 16) for name, where, elements in entries for one in elements if name == creator and int(where, 16) == group)


def known_block(profile: Profile, creator: str, group: int) -> bool:
    """Return whether any element of a creator's block may stay."""
    entries = tuple((entry.creator, entry.group, entry.elements) for entry in profile.safe_private)
    return (creator, group) in packaged() or bool(_of_profile(entries, creator, group))


def may_stay(profile: Profile, creator: str, tag: int, element: Element) -> bool:
    """Return whether one private element may stay: named by the profile, or by the table and of the kind that the table says."""
    group, offset = tag >> 16, tag & 0xFF
    if offset in _of_profile(tuple((entry.creator, entry.group, entry.elements) for entry in profile.safe_private), creator, group):
        return True
    vr = packaged().get((creator, group), {}).get(offset)
    return vr is not None and element.VR in (vr, "UN", None) and _is_plain(element.value, vr)


def _is_plain(value: object, vr: str) -> bool:
    if isinstance(value, bytes):
        return TEXTS[vr].fullmatch(value) is not None if vr in TEXTS else len(value) % SIZES[vr] == 0
    if vr in TEXTS:
        parts = value if isinstance(value, (list, tuple)) or (hasattr(value, "__iter__") and not isinstance(value, str)) else [value]
        return all(TEXTS[vr].fullmatch(str(part).encode()) for part in parts if part is not None)
    return not isinstance(value, str)
