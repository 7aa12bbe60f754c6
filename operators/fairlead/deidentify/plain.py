"""Does a value consist of what its value representation allows (PS3.5 section 6.2)? Whoever writes a header can put words into a number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

PATTERNS: Final[Mapping[str, re.Pattern[bytes]]] = {
    "DS": re.compile(rb"[0-9+\-.,eE \\\0]*"),
    "IS": re.compile(rb"[0-9+\-. \\\0]*"),
    "TM": re.compile(rb"[0-9:. \\\0\-]*"),
    "AS": re.compile(rb"(?:[0-9]{1,3}[DWMY ]?|[ \\\0])*"),
    "UI": re.compile(rb"[0-9. \\\0]*"),
}
NO_NUMBER: Final = re.compile(rb"(?i)\b(?:nan|inf|infinity)\b")
WORDS: Final = re.compile(rb"[ -~]{8}")
NUMBERS: Final = frozenset({"DS", "IS", "FL", "FD", "SL", "SS", "SV", "UL", "US", "UV", "OF", "OD", "OL", "AT"})
ICC_PROFILE: Final = 0x00282000
ICC_SIGNATURE: Final = b"acsp"


def is_plain(value: object, vr: str | None) -> bool:
    r"""Return whether a value of DS, IS, TM, AS or UI looks like one; other value representations are not judged.

    >>> is_plain(b"1.5\\-2e3 ", "DS"), is_plain(b"Otto, tel 0301234", "IS"), is_plain(b"NaN", "DS"), is_plain(b"Otto", "LO")
    (True, False, True, True)
    """
    pattern = PATTERNS.get(vr or "")
    if pattern is None:
        return True
    if isinstance(value, bytes):
        return pattern.fullmatch(value) is not None or (vr == "DS" and pattern.fullmatch(NO_NUMBER.sub(b"", value)) is not None)
    parts = value if isinstance(value, (list, tuple)) or (hasattr(value, "__iter__") and not isinstance(value, str)) else [value]
    return all(is_plain(str(part).encode(), vr) for part in parts if part is not None)


def is_wordless(value: object) -> bool:
    """Return whether the bytes of an element that no dictionary knows hold no text; eight letters in a row are none by chance.

    >>> is_wordless(bytes(8)), is_wordless(b"cousin Schmidt")
    (True, False)
    """
    return not isinstance(value, bytes) or WORDS.search(value) is None


def is_colour_profile(value: object) -> bool:
    """Return whether bytes are an ICC profile by their header: its size and its signature (ISO 15076-1 section 7.2)."""
    if not isinstance(value, bytes) or len(value) < 128:
        return False
    stated = int.from_bytes(value[:4], "big")
    return value[36:40] == ICC_SIGNATURE and stated <= len(value) <= stated + 1
