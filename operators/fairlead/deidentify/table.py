"""PS3.15 Table E.1-1 (2024b) as data: 621 rows, and the additions of Fairlead, each with its reason.

The table says what happens to an attribute in the basic profile (X remove, Z empty, D dummy, U new UID, or a choice that
depends on the attribute's type in the IOD) and, in the option columns, what an option changes (K keep, C clean).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Final

from pydicom.datadict import dictionary_VR

EDITION: Final = "2024b"
TABLE_FILE: Final = "table_e1_1_2024b.json"
ADDITIONS_FILE: Final = "additions.json"
TEXT_VRS: Final = frozenset({"LO", "SH", "ST", "LT", "UT", "UC", "UR", "AE"})
LAST_META_GROUP: Final = 0x0006
"""Groups 0000 to 0006 are commands, file meta and directory records: never part of a stored data set (PS3.10 section 7.1)."""


class Option(StrEnum):
    """An option of PS3.15 section E.3; the value is its name in a profile file."""

    CLEAN_PIXEL_DATA = "clean_pixel_data"
    CLEAN_VISUAL_FEATURES = "clean_visual_features"
    CLEAN_GRAPHICS = "clean_graphics"
    CLEAN_STRUCTURED_CONTENT = "clean_structured_content"
    CLEAN_DESCRIPTORS = "clean_descriptors"
    RETAIN_FULL_DATES = "retain_full_dates"
    RETAIN_MODIFIED_DATES = "retain_modified_dates"
    RETAIN_PATIENT_CHARACTERISTICS = "retain_patient_characteristics"
    RETAIN_DEVICE_IDENTITY = "retain_device_identity"
    RETAIN_UIDS = "retain_uids"
    RETAIN_SAFE_PRIVATE = "retain_safe_private"
    RETAIN_INSTITUTION_IDENTITY = "retain_institution_identity"


BASIC_CODE: Final = "113100"
CODES: Final[Mapping[str, str]] = {
    BASIC_CODE: "Basic Application Confidentiality Profile",
    "113101": "Clean Pixel Data Option",
    "113102": "Clean Recognizable Visual Features Option",
    "113103": "Clean Graphics Option",
    "113104": "Clean Structured Content Option",
    "113105": "Clean Descriptors Option",
    "113106": "Retain Longitudinal Temporal Information Full Dates Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113108": "Retain Patient Characteristics Option",
    "113109": "Retain Device Identity Option",
    "113110": "Retain UIDs Option",
    "113111": "Retain Safe Private Option",
    "113112": "Retain Institution Identity Option",
}
"""CID 7050 De-identification Method (PS3.16), in the order of :class:`Option` after the basic profile."""

OPTION_CODES: Final[Mapping[Option, str]] = dict(zip(Option, list(CODES)[1:], strict=True))
COLUMNS: Final[Mapping[str, Option]] = {
    "cleanGraphOpt": Option.CLEAN_GRAPHICS,
    "cleanStructContOpt": Option.CLEAN_STRUCTURED_CONTENT,
    "cleanDescOpt": Option.CLEAN_DESCRIPTORS,
    "rtnLongFullDatesOpt": Option.RETAIN_FULL_DATES,
    "rtnLongModifDatesOpt": Option.RETAIN_MODIFIED_DATES,
    "rtnPatCharsOpt": Option.RETAIN_PATIENT_CHARACTERISTICS,
    "rtnDevIdOpt": Option.RETAIN_DEVICE_IDENTITY,
    "rtnUIDsOpt": Option.RETAIN_UIDS,
    "rtnSafePrivOpt": Option.RETAIN_SAFE_PRIVATE,
    "rtnInstIdOpt": Option.RETAIN_INSTITUTION_IDENTITY,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One attribute: its tag, value representation, basic action and what the options change."""

    tag: int
    name: str
    vr: str
    basic: str
    options: Mapping[Option, str]


@lru_cache(maxsize=8192)
def vr_of(tag: int) -> str:
    """Return the value representation that PS3.6 gives a public attribute, the first of alternatives, ``UN`` when unknown."""
    try:
        return dictionary_VR(tag)[:2]
    except KeyError:
        return "UN"


def _row(raw: Mapping[str, Any]) -> Row:
    tag = int(raw["id"], 16)
    options = {option: raw[column] for column, option in COLUMNS.items() if raw.get(column)}
    return Row(tag=tag, name=raw["name"], vr=raw.get("vr") or vr_of(tag), basic=raw["basicProfile"], options=options)


def load_rows(file: str = TABLE_FILE) -> tuple[dict[str, Any], ...]:
    """Return the rows of a packaged table as they are written there."""
    return tuple(json.loads(files(__package__).joinpath(file).read_text("utf-8")))


@cache
def additions_sha256() -> str:
    """Return the digest of our own rows: what they change, changes what a profile does."""
    return hashlib.sha256(files(__package__).joinpath(ADDITIONS_FILE).read_bytes()).hexdigest()


def is_plain(raw: Mapping[str, Any]) -> bool:
    """Return whether a row names one attribute of a data set, not a repeating group, private, command, meta or directory row."""
    identifier = raw["id"]
    return len(identifier) == 8 and "x" not in identifier and int(identifier[:4], 16) > LAST_META_GROUP


@cache
def attribute_rows() -> Mapping[int, Row]:
    """Return the 613 attributes of the table and the additions, by tag; groups 50xx and 60xx and private groups have own rules."""
    return {row.tag: row for raw in (*load_rows(), *load_rows(ADDITIONS_FILE)) if is_plain(raw) for row in (_row(raw),)}


def is_repeating(tag: int) -> bool:
    """Return whether a tag lies in a curve (50xx) or overlay (60xx) group, even numbers only.

    >>> is_repeating(0x60023000), is_repeating(0x60FF3000), is_repeating(0x52009229)
    (True, False, False)
    """
    return (tag >> 24) in (0x50, 0x60) and not is_private(tag)


def is_hidden_pixels(tag: int, depth: int) -> bool:
    """Return whether an element holds pixels that nobody judged: those of an item, and the retired groups 7Fxx (variable pixel data).

    >>> is_hidden_pixels(0x7FE00010, 0), is_hidden_pixels(0x7FE00010, 1), is_hidden_pixels(0x7F020010, 0)
    (False, True, True)
    """
    return (tag >> 24 == 0x7F and tag >> 16 != 0x7FE0) or (depth > 0 and tag >> 16 == 0x7FE0)


def is_private(tag: int) -> bool:
    """Return whether the group number is odd (PS3.5 section 7.8)."""
    return bool((tag >> 16) & 1)


@cache
def identity_kinds() -> Mapping[int, str]:
    """Return which attributes identify somebody, and how: ``name``, ``id``, ``uid`` or ``date``; ``thing`` are devices and places.

    Descriptions (Clean Descriptors column) are not in it: the words of a protocol are no identity, and a word that is one
    stands in another attribute too.
    """
    kinds: dict[int, str] = {}
    for tag, row in attribute_rows().items():
        if row.vr == "PN" or tag == NAME_TO_USE:
            kinds[tag] = "name"
        elif row.vr == "UI":
            kinds[tag] = "uid"
        elif row.vr in ("DA", "DT"):
            kinds[tag] = "date"
        elif row.vr in TEXT_VRS and Option.CLEAN_DESCRIPTORS not in row.options and tag not in LABELS:
            kinds[tag] = "thing" if row.vr == "AE" or OF_THINGS & row.options.keys() else "id"
    return kinds


NAME_TO_USE: Final = 0x00100012
"""A name of the patient as text (edition 2026c)."""
OF_THINGS: Final = frozenset({Option.RETAIN_DEVICE_IDENTITY, Option.RETAIN_INSTITUTION_IDENTITY})
LABELS: Final = frozenset({
    0x30060026,  # ROI Name
    0x300A0002,  # RT Plan Label
    0x30060002,  # Structure Set Label
    0x30020002,  # RT Image Label
    0x0040A160,  # Text Value
    0x00700006,  # Unformatted Text Value
    0x006A0005,  # Annotation Group Label
})  # fmt: skip
"""Labels of things, not of people: removed by the table, but their words may stand elsewhere."""
