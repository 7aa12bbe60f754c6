"""What identified somebody in the source: collected while the walk removes it, searched for in what comes out.

Values are kept as bytes, as the file had them and as UTF-8, so that no character set hides them. They live in memory
only: no message, log line or report repeats one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from pydicom._uid_dict import UID_dictionary
from pydicom.dataelem import RawDataElement

from fairlead.deidentify.days import days_in
from fairlead.deidentify.elements import Element, values_of
from fairlead.deidentify.search import ESCAPES, NOT_UID, SEPARATORS, SHORTEST, Haystack, Probe, abbreviations_of, bounded_pattern, probes_of
from fairlead.deidentify.words import is_known, word_set

UID_LETTERS: Final = frozenset("0123456789.")
WELL_KNOWN_ROOT: Final = "1.2.840.10008"
NAME_DELIMITERS: Final = re.compile(r"[\^= ,\-]+")
OLD_DATE: Final = re.compile(r"(?<!\d)((?:18|19|20)\d{2})[.\-/]?(\d{2})[.\-/]?(\d{2})")
PLACEHOLDERS: Final = frozenset({
    "anonymous", "anonymized", "anonymised", "anonym", "removed", "none", "unknown", "null", "hospital", "clinic", "dummy",
    "undefined", "deidentified", "default", "patient", "sample", "example", "test", "other", "unspecified", "000000", "name", "human",
    "enter", "text", "first", "last", "male", "female",
})  # fmt: skip
"""Words that stand where an identity should be and identify nobody."""


def is_well_known(uid: str) -> bool:
    """Return whether a UID is one of the DICOM Standard: SOP classes, transfer syntaxes, well-known frames of reference (PS3.6 Annex A).

    The root alone does not make it one: whoever writes a header can put anything behind it.

    >>> is_well_known("1.2.840.10008.1.2"), is_well_known("1.2.840.10008.4711.19640812"), is_well_known("1.2.840.100080.1")
    (True, False, False)
    """
    return uid == WELL_KNOWN_ROOT or uid in UID_dictionary


LONGEST: Final = 64
"""Of longer texts the lines are searched for, and of a line its beginning: who copies more copies this too."""
MOST_LINES: Final = 32
MANY: Final = 200
"""From so many texts on, only those are searched for whose first bytes occur at all."""
MOST_UIDS: Final = 16
LARGE: Final = 256 * 1024
SURE_LENGTH: Final = 6
DOTTED: Final = re.compile(rb"[0-9](?<![0-9.].)[0-9]*(?:\.[0-9]+)+", re.DOTALL)  # begins with a digit, because that is fast
AROUND: Final = " \0^=."
LINE_ENDS: Final = re.compile(r"[\r\n\f\t]+")


@dataclass(frozen=True, slots=True)
class Hit:
    """A value that occurs where it must not; ``occurs_in`` asks the same of a part."""

    kind: str
    probe: Probe | str
    text: str = field(default="", repr=False)
    personal: bool = False
    """Whether it is a name or number of a person, and not of a device or a place."""

    def occurs_in(self, part: Haystack) -> bool:
        """Return whether it is in this part too."""
        return bool(days_in(part.plain, (self.probe,))) if isinstance(self.probe, str) else self.probe.within(part)


def is_unicode(text: str) -> bool:
    """Return whether a text has no halves of surrogate pairs, which stand for the bytes of file names that are no UTF-8 (PEP 383)."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


@dataclass(slots=True)
class Identity:
    """The identifying values of one instance, by kind."""

    texts: set[str] = field(default_factory=set)
    raw: set[bytes] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)
    dates: set[str] = field(default_factory=set)
    personal: set[str] = field(default_factory=set)
    """Those of ``texts`` that are names or numbers of persons."""
    names: set[str] = field(default_factory=set)
    """Those that are parts of names: people cut them short."""
    folded: set[str] = field(default_factory=set)
    """Words that are too short to be searched for, and still go from what is cleaned."""

    def add(self, element: Element, kind: str, *, encodings: list[str]) -> None:
        """Remember the values of one attribute; of kind ``thing`` are devices and places, which may be called as what they do."""
        personal = kind in ("name", "id")
        for value in values_of(element, encodings):
            if kind == "uid":
                if len(value) >= SHORTEST and not is_well_known(value):
                    self.uids.add(value)
            elif kind == "date":
                self.dates.update("".join(found) for found in OLD_DATE.findall(value))
            else:
                for part in {value, *(NAME_DELIMITERS.split(value[: MOST_LINES * LONGEST]) if kind == "name" else ())}:
                    self.add_text(part, personal=personal)
                    if kind == "name" and (bare := part.strip(AROUND)) in self.personal:
                        self.names.add(bare)
                    self.raw |= encoded_forms(part[:LONGEST], encodings)
        if kind != "uid" and kind != "date" and isinstance(element, RawDataElement) and element.value and not element.value.isascii():
            self.raw.update(part.strip()[:LONGEST] for part in element.value.split(b"\\") if len(part.strip()) >= SHORTEST)

    def add_text(self, value: str, *, personal: bool = False) -> None:
        """Remember a text, unless it is short or says nothing; a file name that is no UTF-8 as its bytes, and read as Latin-1."""
        if not (value.isascii() or is_unicode(value)):
            name = value.encode(errors="surrogateescape")
            self.raw.add(name[:LONGEST])
            value = name.decode("latin-1")
        for line in LINE_ENDS.split(value)[:MOST_LINES] if len(value) > LONGEST else (value,):
            stripped = line[:LONGEST].strip(AROUND)
            if is_harmless(stripped, personal=personal):
                continue
            if personal:
                self.folded.update(word for word in word_set(stripped) if len(word) > 1 and word not in PLACEHOLDERS)
            if len(stripped.encode()) >= SHORTEST:
                self._add_line(stripped, personal=personal)

    def _add_line(self, line: str, *, personal: bool) -> None:
        bare = line.lstrip("0")
        forms = (
            {line, bare} if bare.isdigit() and len(bare) > SHORTEST else {line}
        )  # one system fills numbers up with zeros, the next does not
        self.texts |= forms
        if personal:
            self.personal |= forms

    @property
    def words(self) -> frozenset[str]:
        """Every folded word of the identifying texts and dates, however short: none may stay in a cleaned description."""
        return frozenset[str]().union(*map(word_set, self.texts)) | self.dates | self.folded

    def found_in(self, haystack: bytes, *, with_dates: bool, at_least: int = 0) -> list[Hit]:
        """Return every value that occurs in the bytes; in many random bytes those of less than ``at_least`` do so by chance.

        Names of two Chinese characters are four bytes that count without a boundary: in much they are not looked for in such forms.
        """
        where = Haystack.of(haystack)
        hits = [
            Hit("text", probe, text, text in self.personal)
            for text in self._candidates(where)
            for probe in probes_of(text)
            if len(probe) >= (at_least if text.isascii() or len(haystack) < LARGE else max(at_least, SURE_LENGTH)) and probe.within(where)
        ]
        hits += [
            Hit("text", Probe(value.lower()), "", True) for value in self.raw if len(value) >= at_least and value.lower() in where.plain
        ]
        hits += [
            Hit("text", probe, name, True)
            for name in self.names
            for probe in abbreviations_of(name)
            if len(probe) >= at_least and probe.within(where)
        ]
        hits += [Hit("uid", Probe(uid, bounded_pattern(uid, NOT_UID))) for uid in self._uids_in(where)]
        if with_dates:
            hits += [Hit("date", day) for day in days_in(where.plain, self.dates)]
        return hits

    def _candidates(self, where: Haystack) -> Iterable[str]:
        if len(self.texts) <= MANY:
            return self.texts
        grams = {content[at : at + SHORTEST] for content in (where.plain, where.squeezed) for at in range(len(content) - SHORTEST + 1)}
        return [text for text in self.texts if not text.isascii() or any(start in grams for start in _starts(text))]

    def _uids_in(self, where: Haystack) -> list[bytes]:
        """Return the original UIDs that occur: all UIDs of the bytes are found once, however many there were."""
        if not self.uids:
            return []
        present = {found.group() for found in DOTTED.finditer(where.plain)}
        return sorted(present.intersection(uid.lower().encode() for uid in self.uids) | self._odd_uids(where))[:MOST_UIDS]

    def _odd_uids(self, where: Haystack) -> set[bytes]:
        """Return those that are no dotted numbers: a header may hold anything in their place."""
        odd = {uid.lower().encode() for uid in self.uids if not set(uid) <= UID_LETTERS or "." not in uid}
        return {uid for uid in odd if uid in where.plain and bounded_pattern(uid, NOT_UID).search(where.plain)}


def _starts(text: str) -> Iterator[bytes]:
    """Yield how every spelling of a plain text begins."""
    lower = text.lower().encode()
    yield lower[:SHORTEST]
    yield lower.translate(None, SEPARATORS)[:SHORTEST]
    yield lower[:1] + b"\0" + lower[1:2] + b"\0"
    for case in {text, text.lower(), text.upper()}:
        yield ".".join(str(ord(character)) for character in case[:SHORTEST]).encode()[:SHORTEST]


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


@lru_cache(maxsize=8192)
def is_harmless(text: str, *, personal: bool = False) -> bool:
    """Return whether a value that stands in an identifying attribute says nothing: placeholders, zeros, and words such as body parts.

    People are called like them, and have such numbers: of them only placeholders say nothing.

    >>> is_harmless("Head"), is_harmless("Head", personal=True), is_harmless("Unknown", personal=True), is_harmless("045D", personal=True)
    (True, False, True, False)
    """
    words = word_set(text)
    known = all(word in PLACEHOLDERS or (not personal and is_known(word, frozenset()) and not word.isdigit()) for word in words)
    return known or not set(text) - set("0. -:xX")
