"""From a profile to one action per attribute, with the precedence between options settled once.

Strongest first: the profile's own overrides; C (clean) of a chosen option; K (keep) of a chosen option; the basic action.
Clean beats keep because it is the more protective: a calibration date is kept by Retain Device Identity, and still
moves with all other dates when Retain Modified Dates is chosen too.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache

from fairlead.deidentify.iod_types import settle
from fairlead.deidentify.profile import Profile
from fairlead.deidentify.table import TEXT_VRS, Row, attribute_rows, vr_of


class Action(StrEnum):
    """What the engine does with an attribute."""

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    MAP_UID = "U"
    KEEP = "K"
    CLEAN_TEXT = "words"
    SHIFT = "shift"
    CLEAN_TREE = "tree"
    PSEUDONYM = "pseudonym"


PATIENT_ID = 0x00100020
PATIENT_NAME = 0x00100010
TIMEZONE_OFFSET = 0x00080201
TREES = frozenset({0x0040A730, 0x00700001})
"""Content Sequence and Graphic Annotation Sequence: replaced by a tree of harmless parts, so that references survive."""

type Rules = Mapping[int, Action]


def rules_of(profile: Profile, *, sop_class: str, nested: bool) -> Rules:
    """Return the action of every attribute that has one; attributes that are missing here are kept."""
    return _compiled(profile.sha256, _Hashed(profile), sop_class, nested)


class _Hashed:
    """A profile as a cache key: equal when the digests are."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashed) and other.profile.sha256 == self.profile.sha256

    def __hash__(self) -> int:
        return hash(self.profile.sha256)


@lru_cache(maxsize=64)
def _compiled(_sha256: str, hashed: _Hashed, sop_class: str, nested: bool) -> Rules:
    profile = hashed.profile
    rules = {tag: action_for(row, profile, sop_class=sop_class, nested=nested) for tag, row in attribute_rows().items()}
    for tag, letter in profile.overridden.items():
        row = Row(tag=tag, name="", vr=vr_of(tag), basic="D", options={})
        rules[tag] = _overridden(letter, row)
    rules[PATIENT_ID] = rules[PATIENT_NAME] = Action.PSEUDONYM
    return rules


def _overridden(letter: str, row: Row) -> Action:
    if letter == "C":
        return _cleaned(row) or Action.DUMMY
    return Action(letter)


def action_for(row: Row, profile: Profile, *, sop_class: str, nested: bool) -> Action:
    """Return the action of one row of the table under a profile."""
    columns = [action for option, action in row.options.items() if option in profile.options]
    if "C" in columns and (cleaned := _cleaned(row)) is not None:
        return cleaned
    if "K" in columns:
        return Action.KEEP
    if row.tag in TREES:
        return Action.CLEAN_TREE
    return Action(settle(row.basic, row.tag, sop_class=sop_class, nested=nested))


def _cleaned(row: Row) -> Action | None:
    """Return how a C is done for this value representation; None where nothing can be cleaned and the basic action stays."""
    if row.vr in ("DA", "DT", "TM") or row.tag == TIMEZONE_OFFSET:
        return Action.SHIFT  # whole days move: times of day and the zone stay, if they are such
    if row.vr == "SQ":
        return Action.CLEAN_TREE
    if row.vr in TEXT_VRS and row.vr not in ("AE", "UR"):
        return Action.CLEAN_TEXT
    return None
