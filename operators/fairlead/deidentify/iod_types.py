"""Types of the attributes whose action depends on them: X/Z, X/D, Z/D and X/Z/D of PS3.15 Table E.1-1.

PS3.15 section E.3.1: type 1 needs D, type 2 needs at least Z, type 3 allows X. There is no complete machine-readable table of
types in this package, only the modules of PS3.3 that matter, written by hand. What is not listed here gets the safe choice:
the one that never empties an attribute that could be type 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

X, Z, D, U = "X", "Z", "D", "U"

UNKNOWN: Final[Mapping[str, str]] = {"X/Z": Z, "X/D": D, "Z/D": D, "X/Z/D": D, "X/Z/U*": U}
"""The safe choice where the type is not known, nested attributes always among them."""

BY_TYPE: Final[Mapping[str, Mapping[int, str]]] = {
    "X/Z": {1: Z, 2: Z, 3: X},
    "X/D": {1: D, 2: D, 3: X},
    "Z/D": {1: D, 2: Z, 3: Z},
    "X/Z/D": {1: D, 2: Z, 3: X},
    "X/Z/U*": {1: U, 2: U, 3: U},
}

STORAGE: Final = "1.2.840.10008.5.1.4.1.1."

COMMON: Final[Mapping[int, int]] = {
    0x00080012: 3,  # Instance Creation Date, SOP Common (C.12.1)
    0x00080013: 3,  # Instance Creation Time
    0x00080021: 3,  # Series Date, General Series (C.7.3.1)
    0x00080031: 3,  # Series Time
    0x00080080: 3,  # Institution Name, General Equipment (C.7.5.1)
    0x00080082: 3,  # Institution Code Sequence
    0x00081010: 3,  # Station Name
    0x00081070: 3,  # Operators' Name, General Series
    0x00081110: 3,  # Referenced Study Sequence, General Study (C.7.2.1): with at least one item
    0x00081072: 3,  # Operator Identification Sequence
    0x00081111: 3,  # Referenced Performed Procedure Step Sequence
    0x00100020: 1,  # Patient ID is type 2, but it always gets a pseudonym
    0x00102203: 2,  # Patient's Sex Neutered, Patient Study (C.7.2.2): 2C for animals
    0x00180010: 2,  # Contrast/Bolus Agent, Contrast/Bolus (C.7.6.4)
    0x00181000: 3,  # Device Serial Number, General Equipment
    0x00181030: 3,  # Protocol Name, General Series
    0x00181400: 3,  # Acquisition Device Processing Description
    0x00321060: 3,  # Requested Procedure Description
}
"""Modules that nearly every composite IOD shares."""

ENHANCED: Final[Mapping[int, int]] = {0x00181000: 1}
"""Enhanced General Equipment (C.7.5.2): Device Serial Number is type 1."""

PET: Final[Mapping[int, int]] = {0x00080021: 1, 0x00080031: 1}
"""PET Series (C.8.9.1): Series Date and Time are type 1."""

RT_STRUCTURE: Final[Mapping[int, int]] = {0x00081070: 2}
"""RT Series (C.8.8.1): Operators' Name is type 2."""

NESTED: Final[Mapping[int, int]] = {0x00081110: 3}
"""Referenced Study Sequence: type 3 with at least one item in Request Attributes (10.6), so that it cannot be empty there."""

NEEDED_IN: Final[Mapping[int, tuple[int, ...]]] = {0x0040A370: (0x00081110,)}
"""Referenced Study Sequence is type 2 in Referenced Request Sequence (C.17.2): removed there, it comes back empty."""

PRESENTATION: Final[Mapping[int, str]] = {0x00700082: D, 0x00700083: D}
"""Presentation Creation Date and Time are type 1 in Presentation State Identification (C.11.10), where X would break the object."""

DOCUMENT: Final[Mapping[int, int]] = {0x00081111: 2}
"""SR Document Series (C.17.1): Referenced Performed Procedure Step Sequence is type 2."""

BY_SOP_CLASS: Final[Mapping[str, Mapping[int, int]]] = {
    STORAGE + "128": PET,
    STORAGE + "2.1": ENHANCED,  # Enhanced CT
    STORAGE + "2.2": ENHANCED,  # Legacy Converted Enhanced CT
    STORAGE + "4.1": ENHANCED,  # Enhanced MR
    STORAGE + "4.3": ENHANCED,  # Enhanced MR Color
    STORAGE + "4.4": ENHANCED,  # Legacy Converted Enhanced MR
    STORAGE + "130": ENHANCED,  # Enhanced PET
    STORAGE + "128.1": ENHANCED,  # Legacy Converted Enhanced PET
    STORAGE + "6.2": ENHANCED,  # Enhanced US Volume
    STORAGE + "12.1.1": ENHANCED,  # Enhanced XA
    STORAGE + "12.2.1": ENHANCED,  # Enhanced XRF
    STORAGE + "13.1.3": ENHANCED,  # Breast Tomosynthesis
    STORAGE + "30": ENHANCED,  # Parametric Map
    STORAGE + "66.4": ENHANCED,  # Segmentation
    STORAGE + "66.7": ENHANCED,  # Label Map Segmentation
    STORAGE + "77.1.6": ENHANCED,  # VL Whole Slide Microscopy
    STORAGE + "88.34": {**ENHANCED, **DOCUMENT},  # Comprehensive 3D SR
    STORAGE + "88.35": {**ENHANCED, **DOCUMENT},  # Extensible SR
    STORAGE + "88.11": DOCUMENT,  # Basic Text SR
    STORAGE + "88.22": DOCUMENT,  # Enhanced SR
    STORAGE + "88.33": DOCUMENT,  # Comprehensive SR
    STORAGE + "88.40": DOCUMENT,  # Procedure Log
    STORAGE + "88.50": DOCUMENT,  # Mammography CAD SR
    STORAGE + "88.59": DOCUMENT,  # Key Object Selection
    STORAGE + "88.65": DOCUMENT,  # Chest CAD SR
    STORAGE + "88.67": DOCUMENT,  # X-Ray Radiation Dose SR
    STORAGE + "88.68": DOCUMENT,  # Radiopharmaceutical Radiation Dose SR
    STORAGE + "91.1": ENHANCED,  # Microscopy Bulk Simple Annotations
    STORAGE + "481.2": RT_STRUCTURE,  # RT Dose
    STORAGE + "481.3": RT_STRUCTURE,  # RT Structure Set
    STORAGE + "481.5": RT_STRUCTURE,  # RT Plan
}


def settle(choice: str, tag: int, *, sop_class: str, nested: bool) -> str:
    """Return X, Z, D or U for one attribute where it stands.

    >>> settle("X/Z/D", 0x00181000, sop_class="1.2.840.10008.5.1.4.1.1.2", nested=False)
    'X'
    >>> settle("X/Z/D", 0x00181000, sop_class="1.2.840.10008.5.1.4.1.1.66.4", nested=False)
    'D'
    >>> settle("X/Z/D", 0x00181000, sop_class="1.2.840.10008.5.1.4.1.1.2", nested=True)
    'D'
    """
    if not nested and choice == X and sop_class.startswith(STORAGE + "11."):
        return PRESENTATION.get(tag, X)
    if choice not in UNKNOWN:
        return choice
    kind = NESTED.get(tag) if nested else BY_SOP_CLASS.get(sop_class, {}).get(tag, COMMON.get(tag))
    return UNKNOWN[choice] if kind is None else BY_TYPE[choice][kind]
