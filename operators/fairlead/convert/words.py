"""Which words of a source may stay in a store: the Clean Descriptors rule (PS3.15 section E.3.5), all words or none.

Codes of standard schemes stay; a meaning that is not made of known words is replaced by the one that PS3.16 gives the code.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

from fairlead.deidentify import clean_words
from fairlead.records import JsonObject

WORD: Final = re.compile(r"[^\W_]+(?:[.,][0-9]+)*")
LONGEST: Final = 64
SCHEMES: Final = frozenset({"SCT", "SRT", "SNM3", "DCM", "FMA", "RADLEX", "UCUM", "LN", "NCIt", "UMLS", "UBERON", "NEU", "IBSI", "BARI"})
"""Coding schemes of PS3.16 section 8; a designator that begins with 99 is somebody's own."""
CODE: Final = re.compile(r"[A-Z]{1,2}-[0-9A-F]{4,6}|[0-9]{1,18}(?:-[0-9])?|(?:RID|C|FMA:?|UBERON:)[0-9]{1,9}")


def known_words(text: Any, allowed: frozenset[str] = frozenset()) -> str:
    """Return the words of a text when every one is known to be harmless, else nothing.

    >>> known_words("Liver, left"), known_words("Liver of Hannelore K.")
    ('Liver left', '')
    """
    if not isinstance(text, str) or len(text) > LONGEST:
        return ""
    kept = clean_words(text, forbidden=frozenset(), allowed=allowed)
    return kept if len(kept.split()) == len(WORD.findall(text)) else ""


def coded(code: Any, scheme: Any, meaning: Any) -> JsonObject:
    """Return a code of a standard scheme with its meaning; nothing for private schemes and for codes that look like none."""
    value, designator = str(code), str(scheme)
    if designator not in SCHEMES or not CODE.fullmatch(value):
        return {}
    said = known_words(str(meaning)) or _meanings().get((designator, value))
    return {"code": value, "scheme": designator} | ({"meaning": said} if said else {})


@cache
def _meanings() -> dict[tuple[str, str], str]:
    """Return what the context groups of PS3.16 call each code, and the retired SNOMED-RT codes by their successors."""
    from pydicom.sr import _concepts_dict, _snomed_dict

    concepts: Any = _concepts_dict.concepts
    mapping: Any = _snomed_dict.mapping

    found = {
        (scheme, code): str(entry[0])
        for scheme, keywords in concepts.items()
        for codes in keywords.values()
        for code, entry in codes.items()
    }
    retired = {("SRT", old): found[("SCT", new)] for old, new in mapping["SRT"].items() if ("SCT", new) in found}
    return found | retired
