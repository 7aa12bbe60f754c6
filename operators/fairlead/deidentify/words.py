"""Clean Descriptors (PS3.15 section E.3.5): of a description only words that are known to be harmless stay.

Known are the terms of ``terms.txt`` (anatomy, technique, orientation, reconstruction), the profile's own terms for a field, and
short numbers; a word that equals a name, an identifier or a date of the header goes even if it is a known term.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

WORD: Final = re.compile(r"[^\W_]+(?:[.,][0-9]+)*", re.UNICODE)
MEASURE: Final = re.compile(r"[0-9]{1,3}([.,][0-9]{1,2})?(mm|cm|ms|s|t|mg|ml|kv|kev|hz|d|x|min|sec)?")
MONTH: Final = r"(?:jan|feb|fev|fév|mar|mär|mae|apr|avr|may|mai|jun|jul|aug|aoû|sep|oct|okt|nov|dec|dez|déc)[^\W\d_]*"
GAP: Final = r"[., \-_/]{0,3}"
PERSONAL_NUMBERS: Final = re.compile(
    r"(?<!\d)\d{1,4}([./\-_ ])\d{1,2}\1\d{2,4}(?!\d)"  # dates: 12.08.64, 1964-08-12
    rf"|(?<!\d)\d{{1,4}}(?:st|nd|rd|th)?{GAP}{MONTH}{GAP}\d{{1,4}}(?!\d)"  # 12 Aug 1964
    rf"|(?<![^\W\d_]){MONTH}{GAP}\d{{1,2}}(?:st|nd|rd|th)?{GAP}\d{{2,4}}(?!\d)"  # Aug 12, 1964
    r"|(?<!\d)(?:\+|0)\d+(?:[ ./()\-]+\d+)+"  # telephone numbers
    r"|(?<!\d)\d{1,3}[ \-]?(?:y|yr|yrs|yo|years?|jahre?|an(?:s)?)\b"  # ages
    r"|(?<![^\W\d_])(?:aged?|alter|âge)[ :=\-]{0,3}\d{1,3}(?!\d)"  # age 69
    r"|(?<!\d)\d(?:[ ._\-]\d){3,}(?!\w)"  # a number that is spelled digit by digit
    r"|(?<!\d)\d{3,}(?:[ ._/\-]\d{3,})+(?!\d)",  # a long number in groups
    re.IGNORECASE,
)
"""Numbers of which every part is short enough to stay, and which say something about somebody together."""
SPACE: Final = re.compile(r"\s+")


@cache
def known_terms() -> frozenset[str]:
    """Return the packaged terms, case folded."""
    lines = files(__package__).joinpath("terms.txt").read_text("utf-8").splitlines()
    return frozenset(word.casefold() for line in lines if not line.startswith("#") for word in line.split())


def words_of(text: str) -> list[str]:
    """Return the words of a text in any script, compatibility forms and case folded.

    >>> words_of("T2 AXIAL_5mm  ＭÜLLER")
    ['t2', 'axial', '5mm', 'müller']
    """
    return [found.group() for found in WORD.finditer(unicodedata.normalize("NFKC", text).casefold())]


@lru_cache(maxsize=8192)
def word_set(text: str) -> frozenset[str]:
    """Return the different words of a text; what names patients and places comes again in every file of theirs."""
    return frozenset(words_of(text))


def is_known(word: str, allowed: frozenset[str]) -> bool:
    """Return whether a folded word may stay: a term, or a number so short that it identifies nobody."""
    return word in known_terms() or word in allowed or MEASURE.fullmatch(word) is not None


def clean_words(text: str, *, forbidden: frozenset[str], allowed: frozenset[str] = frozenset()) -> str:
    """Return the text with only its harmless words, in their original spelling and order, separated by one space.

    >>> clean_words("Abdomen nativ, Dr. Müller 5mm", forbidden=frozenset({"müller"}))
    'Abdomen nativ 5mm'
    """
    kept = []
    for found in WORD.finditer(PERSONAL_NUMBERS.sub(" ", text)):
        folded = words_of(found.group())
        if folded and all(is_known(word, allowed) and word not in forbidden for word in folded):
            kept.append(found.group())
    return " ".join(kept)


def remove_words(text: str, *, forbidden: frozenset[str]) -> str:
    """Return the text without the forbidden words; everything else stays as it is.

    >>> remove_words("seen by Smith, left", forbidden=frozenset({"smith"}))
    'seen by , left'
    """
    gone = WORD.sub(lambda found: "" if forbidden.intersection(words_of(found.group())) else found.group(), text)
    return SPACE.sub(" ", gone).strip()
