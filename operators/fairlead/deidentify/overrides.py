"""Which overrides a profile may state: what cannot hold is refused when the profile is read, not blamed on every file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pydicom.datadict import keyword_for_tag

from fairlead.deidentify.table import (
    LAST_META_GROUP,
    TEXT_VRS,
    Option,
    attribute_rows,
    identity_kinds,
    is_private,
    is_repeating,
    vr_of,
)

PATIENT: Final = frozenset({0x00100010, 0x00100020})
STATED: Final = frozenset({0x00120062, 0x00120063, 0x00120064, 0x00280303})
"""What says that and how the data set was de-identified (PS3.15 section E.1.1)."""
STRUCTURE: Final = frozenset({
    0x00080005, 0x00080016,  # Specific Character Set, SOP Class UID
    0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102, 0x00280103,
})  # fmt: skip
"""Without these nobody can read the rest: samples, photometric interpretation, rows, columns, bits."""
NAMES: Final = frozenset({0x00080018, 0x0020000D, 0x0020000E})
"""Instance, study and series: they name the file, and others refer to them."""
PIXEL_GROUP: Final = 0x7FE0
CLEANABLE: Final = (TEXT_VRS - {"AE", "UR"}) | {"DA", "DT", "TM", "SQ"}
IDENTIFYING: Final = frozenset({"name", "id", "uid", "date"})
UID_KEPT_BY: Final = frozenset({Option.RETAIN_UIDS, Option.RETAIN_DEVICE_IDENTITY})


def problem_of(tag: int, letter: str, options: frozenset[Option]) -> str:
    """Return why an attribute cannot have this action, empty when it can.

    >>> problem_of(0x00080050, "X", frozenset()), problem_of(0x00080050, "U", frozenset())
    ('', 'U gives a new UID, and this attribute is none; use X, Z, D or C')
    """
    return _of_place(tag) or (_of_uid(tag, letter, options) if vr_of(tag) == "UI" else "") or _of_letter(tag, letter)


def _of_place(tag: int) -> str:
    if tag in PATIENT:
        return "always becomes the pseudonym of the patient; remove the override"
    if tag in STATED:
        return "is always written: it says what was done; remove the override"
    if is_private(tag):
        return "is private: it goes unless safe_private names it with its creator"
    if is_repeating(tag):
        return "belongs to curves and overlays, which always go"
    if tag >> 16 == PIXEL_GROUP:
        return "holds pixels: the section pixels of the profile decides on them"
    if tag >> 16 <= LAST_META_GROUP or not tag & 0xFFFF:
        return "belongs to the file, not to the data set; it is always written anew"
    return ""


def _of_uid(tag: int, letter: str, options: frozenset[Option]) -> str:
    row = attribute_rows().get(tag)
    kept = row is not None and any(row.options.get(option) == "K" for option in options & UID_KEPT_BY)
    if tag in NAMES and letter not in ("U", "K"):
        return "names the file, and other files refer to it; only U, or the option retain_uids for all UIDs"
    if letter == "K" and row is not None and row.basic == "U" and not kept:
        return "is referred to by attributes that get new UIDs, so K would break the references; use the option retain_uids for all of them"
    return ""


def _of_letter(tag: int, letter: str) -> str:
    vr = vr_of(tag)
    if tag in STRUCTURE and letter != "K":
        return "is needed to read the file; it cannot change"
    if letter == "U" and vr not in ("UI", "SQ"):
        return "U gives a new UID, and this attribute is none; use X, Z, D or C"
    if letter == "C" and vr not in CLEANABLE:
        return f"C cleans texts, dates and sequences, and nothing of the kind {vr}; use X, Z or D"
    return ""


def kept_identity(overrides: Iterable[tuple[int, str]], options: frozenset[Option]) -> tuple[str, ...]:
    """Return the attributes that identify somebody and that an override keeps, by keyword: whoever writes a profile shall know.

    >>> kept_identity([(0x00080050, "K"), (0x00180050, "K")], frozenset())
    ('AccessionNumber',)
    """
    kinds, rows = identity_kinds(), attribute_rows()
    kept = {tag for tag, letter in overrides if letter == "K" and kinds.get(tag) in IDENTIFYING}
    unasked = {tag for tag in kept if not any(rows[tag].options.get(option) == "K" for option in options)}
    return tuple(keyword_for_tag(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in sorted(unasked))
