"""What identified somebody in the source: collected while the walk removes it, searched for in what comes out.

Values are kept as bytes, as the file had them and as UTF-8, so that no character set hides them. They live in memory
only: no message, log line or report repeats one.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from pydicom.dataelem import RawDataElement

from fairlead.deidentify.elements import Element, values_of
from fairlead.deidentify.words import is_known, words_of

SHORTEST: Final = 4
BOUNDED_BELOW: Final = 6
"""Shorter values count only as whole words: ``Lowe`` is not in ``slower``."""
WELL_KNOWN_ROOT: Final = "1.2.840.10008"
NAME_DELIMITERS: Final = re.compile(r"[\^= ,]+")
ESCAPES: Final = re.compile(rb"\x1b(?:\$[()]?|[()*+,\-./])[@-~]")
NOT_WORD: Final = (b"(?<![0-9a-z\x80-\xff])", b"(?![0-9a-z\x80-\xff])")
NOT_UID: Final = (rb"(?<![0-9.])", rb"(?![0-9]|\.[0-9])")
NOT_DIGIT: Final = (rb"(?<![0-9])", rb"(?![0-9])")
PLACEHOLDERS: Final = frozenset({
    "anonymous", "anonymized", "anonymised", "anonym", "removed", "none", "unknown", "null", "hospital", "clinic", "dummy",
    "undefined", "deidentified", "default", "patient", "sample", "example", "test", "other", "unspecified", "000000", "name", "human",
    "enter", "text", "first", "last", "male", "female",
})  # fmt: skip
"""Words that stand where an identity should be and identify nobody."""


def is_well_known(uid: str) -> bool:
    """Return whether a UID belongs to the DICOM Standard: SOP classes, transfer syntaxes, well-known frames of reference (PS3.6 Annex A).

    >>> is_well_known("1.2.840.10008.1.2"), is_well_known("1.2.840.100080.1")
    (True, False)
    """
    return uid == WELL_KNOWN_ROOT or uid.startswith(WELL_KNOWN_ROOT + ".")


@dataclass(slots=True)
class Identity:
    """The identifying values of one instance, by kind."""

    texts: set[str] = field(default_factory=set)
    raw: set[bytes] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)
    dates: set[str] = field(default_factory=set)

    def add(self, element: Element, kind: str, *, encodings: list[str]) -> None:
        """Remember the values of one attribute."""
        for value in values_of(element, encodings):
            if kind == "uid":
                if len(value) >= SHORTEST and not is_well_known(value):
                    self.uids.add(value)
            elif kind == "date":
                self.dates.update(re.findall(r"(?<!\d)(?:18|19|20)\d{6}", value))
            else:
                for part in {value, *(NAME_DELIMITERS.split(value) if kind == "name" else ())}:
                    self.add_text(part)
                    self.raw |= encoded_forms(part, encodings)
        if kind in ("name", "id") and isinstance(element, RawDataElement) and element.value and not element.value.isascii():
            self.raw.update(part.strip() for part in element.value.split(b"\\") if len(part.strip()) >= SHORTEST)

    def add_text(self, value: str) -> None:
        """Remember a text, unless it is short or says nothing."""
        stripped = value.strip(" \0^=.")
        if len(stripped.encode()) >= SHORTEST and not is_harmless(stripped):
            self.texts.add(stripped)

    @property
    def words(self) -> frozenset[str]:
        """Every folded word of the identifying texts and dates, however short: none may stay in a cleaned description."""
        return frozenset(word for text in self.texts for word in words_of(text)) | self.dates

    def found_in(self, haystack: bytes, *, with_dates: bool) -> list[tuple[str, re.Pattern[bytes]]]:
        """Return the kind and the pattern of every value that occurs in the lower-cased bytes."""
        hits = [("text", pattern) for text in self.texts for pattern in text_patterns(text) if pattern.search(haystack)]
        hits += [("text", pattern) for value in self.raw if (pattern := re.compile(re.escape(value.lower()))).search(haystack)]
        hits += [("uid", pattern) for uid in self.uids if (pattern := _bounded(uid.encode(), NOT_UID)).search(haystack)]
        if with_dates:
            hits += [("date", pattern) for day in self.dates if (pattern := date_pattern(day)).search(haystack)]
        return hits


def encoded_forms(text: str, encodings: list[str]) -> set[bytes]:
    """Return a text that is not ASCII as the bytes the file's character sets give it, without escapes (PS3.5 section 6.1.2.5).

    Those of Japanese text are seven-bit: neither the bytes nor their UTF-8 look like a name.

    >>> encoded_forms("山田太郎", ["iso8859", "iso2022_jp"])
    {b';3EDB@O:'}
    """
    if text.isascii():
        return set()
    forms: set[bytes] = set()
    for encoding in encodings:
        with suppress(LookupError, UnicodeError):
            forms.update(piece for piece in ESCAPES.split(text.encode(encoding)) if len(piece) >= SHORTEST)
    return forms


def is_harmless(text: str) -> bool:
    """Return whether a value that stands in an identifying attribute says nothing: placeholders, body parts, zeros."""
    words = words_of(text)
    known = all(word in PLACEHOLDERS or (is_known(word, frozenset()) and not word.isdigit()) for word in words)
    return known or not set(text) - set("0. -:xX")


def date_pattern(day: str) -> re.Pattern[bytes]:
    """Return a pattern for a day as DICOM writes it, and as ISO 8601, German and American letters do.

    >>> [bool(date_pattern("20210315").search(text)) for text in (b"20210315", b"2021-03-15", b"15.03.2021", b"3/15/2021", b"120210315")]
    [True, True, True, True, False]
    """
    year, month, day = day[:4], day[4:6], day[6:]
    forms = [
        f"{year}{month}{day}",
        f"{year}-{month}-{day}",
        rf"0?{int(day)}\.0?{int(month)}\.{year}",
        f"0?{int(month)}/0?{int(day)}/{year}",
    ]
    return re.compile(NOT_DIGIT[0] + b"(?:" + "|".join(forms).encode() + b")")


def text_patterns(text: str) -> list[re.Pattern[bytes]]:
    """Return patterns for a text in lower-cased bytes: UTF-8, Latin-1 and UTF-16, each once."""
    forms = {text.casefold().encode(), text.lower().encode(), text.lower().encode("utf-16-le")}
    if not text.isascii():
        forms.add(text.lower().encode("latin-1", "ignore"))
    bounded = len(text) < BOUNDED_BELOW or text.isdigit()
    return [_bounded(form, NOT_WORD) if bounded else re.compile(re.escape(form)) for form in forms if len(form) >= SHORTEST]


def _bounded(value: bytes, boundary: tuple[bytes, bytes]) -> re.Pattern[bytes]:
    return re.compile(boundary[0] + re.escape(value) + boundary[1])
