"""What identified somebody in the source: collected while the walk removes it, searched for in what comes out.

Values are kept as bytes, as the file had them and as UTF-8, so that no character set hides them. They live in memory
only: no message, log line or report repeats one.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from pydicom._uid_dict import UID_dictionary
from pydicom.dataelem import RawDataElement

from fairlead.deidentify.days import days_in
from fairlead.deidentify.elements import Element, values_of
from fairlead.deidentify.search import ESCAPES, NOT_UID, SHORTEST, Haystack, Probe, bounded_pattern, probes_of
from fairlead.deidentify.words import is_known, words_of

WELL_KNOWN_ROOT: Final = "1.2.840.10008"
NAME_DELIMITERS: Final = re.compile(r"[\^= ,\-]+")
OLD_DATE: Final = re.compile(r"(?<!\d)((?:18|19|20)\d{2})[.\-/]?(\d{2})[.\-/]?(\d{2})")
PLACEHOLDERS: Final = frozenset({
    "anonymous", "anonymized", "anonymised", "anonym", "removed", "none", "unknown", "null", "hospital", "clinic", "dummy",
    "undefined", "deidentified", "default", "patient", "sample", "example", "test", "other", "unspecified", "000000", "name", "human",
    "enter", "text", "first", "last", "male", "female",
})  # fmt: skip
"""Words that stand where an identity should be and identify nobody."""


@lru_cache(maxsize=4096)
def is_well_known(uid: str) -> bool:
    """Return whether a UID is one of the DICOM Standard: SOP classes, transfer syntaxes, well-known frames of reference (PS3.6 Annex A).

    The root alone does not make it one: whoever writes a header can put anything behind it.

    >>> is_well_known("1.2.840.10008.1.2"), is_well_known("1.2.840.10008.4711.19640812"), is_well_known("1.2.840.100080.1")
    (True, False, False)
    """
    return uid == WELL_KNOWN_ROOT or uid in UID_dictionary


@dataclass(frozen=True, slots=True)
class Hit:
    """A value that occurs where it must not; ``occurs_in`` asks the same of a part."""

    kind: str
    probe: Probe | str

    def occurs_in(self, part: Haystack) -> bool:
        """Return whether it is in this part too."""
        return bool(days_in(part.plain, (self.probe,))) if isinstance(self.probe, str) else self.probe.within(part)


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
                self.dates.update("".join(found) for found in OLD_DATE.findall(value))
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
            bare = stripped.lstrip("0")
            if bare.isdigit() and len(bare) > SHORTEST:
                self.texts.add(bare)  # one system fills numbers up with zeros, the next does not

    @property
    def words(self) -> frozenset[str]:
        """Every folded word of the identifying texts and dates, however short: none may stay in a cleaned description."""
        return frozenset(word for text in self.texts for word in words_of(text)) | self.dates

    def found_in(self, haystack: bytes, *, with_dates: bool) -> list[Hit]:
        """Return every value that occurs in the bytes."""
        where = Haystack.of(haystack)
        hits = [Hit("text", probe) for text in self.texts for probe in probes_of(text) if probe.within(where)]
        hits += [Hit("text", Probe(value.lower())) for value in self.raw if value.lower() in where.plain]
        hits += [Hit("uid", Probe(raw, pattern)) for uid in self.uids if (pattern := _uid_pattern(raw := uid.lower().encode(), where))]
        if with_dates:
            hits += [Hit("date", day) for day in days_in(where.plain, self.dates)]
        return hits


def _uid_pattern(uid: bytes, where: Haystack) -> re.Pattern[bytes] | None:
    """Return the pattern of a UID that occurs, None when it does not: most do not, and patterns are dear."""
    if uid not in where.plain:
        return None
    pattern = bounded_pattern(uid, NOT_UID)
    return pattern if pattern.search(where.plain) else None


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
