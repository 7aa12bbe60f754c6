"""What Table E.1-1 demands of each attribute under a profile, and what became of it: shared by the tests and the conformance benchmark."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from deidentify.ct_builders import plant, planted
from fairlead.deidentify import Profile
from fairlead.deidentify.table import Option, Row

OPTIONS = [option for option in Option if option is not Option.CLEAN_VISUAL_FEATURES]
ALLOWED = {
    "X": {"absent"}, "Z": {"empty"}, "D": {"new"}, "U": {"new"}, "X/Z": {"absent", "empty"}, "X/D": {"absent", "new"},
    "Z/D": {"empty", "new"}, "X/Z/D": {"absent", "empty", "new"}, "X/Z/U*": {"absent", "empty", "new"},
}  # fmt: skip
PATIENT = {0x00100010, 0x00100020}
OWN = {0x00120062, 0x00120063, 0x00120064}
AGE = 0x00101010
CLEANED_VRS = ("DA", "DT", "LO", "SH", "ST", "LT", "UT", "UC", "SQ")


def state(row: Row, level: int, place: Dataset) -> str:
    """Return what became of the attribute: absent, empty, kept or new."""
    if row.tag not in place:
        return "absent"
    value = place[row.tag].value
    if value is None or value == "" or value == b"" or (isinstance(value, Sequence) and not len(value)):
        return "empty"
    if isinstance(value, Sequence):
        original = [str(element.value) for element in plant(row, level).value[0]]
        present = {str(element.value) for item in value for element in item.iterall()}
        return "kept" if present.intersection(original) else "new"
    stored = value.rstrip(b"\0") if isinstance(value, bytes) else value
    return "kept" if str(stored) == str(planted(row, level)) else "new"


def expected(row: Row, profile: Profile) -> set[str]:
    columns = [letter for option, letter in row.options.items() if option in profile.options]
    if row.tag in PATIENT:
        return {"new"}
    if "C" in columns:
        if row.vr == "TM":
            return {"kept"}  # whole days move: the time of day stays true
        return {"new"} if row.vr in CLEANED_VRS else ALLOWED[row.basic]
    if "K" in columns:
        return {"new"} if row.vr == "SQ" and row.basic == "U" else {"kept", "new", "absent"} if row.vr == "SQ" else {"kept"}
    return ALLOWED[row.basic]


def is_scored(row: Row, profile: Profile) -> bool:
    """Return whether the table alone says what happens: what every output states about itself, and capped ages, have tests of their own."""
    return row.tag not in OWN and not (row.tag == AGE and Option.RETAIN_PATIENT_CHARACTERISTICS in profile.options)
