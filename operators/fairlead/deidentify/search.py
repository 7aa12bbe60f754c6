"""Does a text occur in bytes, however it is written: any case, any character set of DICOM, with or without separators.

Every text becomes probes: bytes that are looked for first, because that is fast, and a pattern where they count as a whole word only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

SHORTEST: Final = 4
BOUNDED_BELOW: Final = 6
"""Shorter values count only as whole words: ``Lowe`` is not in ``slower``."""
NAME_BOUNDED_BELOW: Final = 8
"""So do words of letters up to here: ``Philip`` is not in ``Philips``, ``Corona`` not in ``CORONAL``."""
NO_SPACES: Final = 0x0590
"""From here on scripts write words without spaces, or with particles in front: Hebrew, Arabic, Thai, Chinese, Japanese, Korean."""
ESCAPES: Final = re.compile(rb"\x1b(?:\$[()]?|[()*+,\-./])[@-~]")
NOT_WORD: Final = (b"(?<![0-9a-z\x80-\xff])", b"(?![0-9a-z\x80-\xff])")
NOT_UID: Final = (rb"(?<![0-9.])", rb"(?![0-9]|\.[0-9])")
SEPARATORS: Final = b"\\^= \0_-.,/'\t\r\n"
"""What people and programs put between the parts of a name or a number, and what a reader puts between values."""
CODECS: Final = (
    "utf-8", "utf-16-le", "utf-16-be", *(f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)), "iso8859-11", "cp1251", "koi8-r",
    "shift_jis", "euc_jp", "iso2022_jp", "euc_kr", "gb18030", "big5",
)  # fmt: skip
"""The character sets of PS3.3 C.12.1.1.2 and those that Russian and Chinese systems write without saying so."""
DIGRAPHS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "u" + "e", "ß": "ss", "å": "aa", "ø": "oe", "æ": "ae", "œ": "oe"})


@dataclass(frozen=True, slots=True)
class Haystack:
    """Bytes to search in, in lower case: as they are, and without escapes and separators."""

    plain: bytes
    squeezed: bytes

    @classmethod
    def of(cls, content: bytes) -> Haystack:
        """Return bytes made ready to be searched; escape sequences of ISO 2022 split words too (PS3.5 section 6.1.2.5)."""
        plain = content.lower()
        return cls(plain, (ESCAPES.sub(b"", plain) if b"\x1b" in plain else plain).translate(None, SEPARATORS))


@dataclass(frozen=True, slots=True)
class Probe:
    """One way a text may be written."""

    literal: bytes
    pattern: re.Pattern[bytes] | None = None
    squeezed: bool = False
    size: int = 0
    """How many bytes it has, where the literal is only where to begin."""

    def __len__(self) -> int:
        return self.size or len(self.literal)

    def within(self, haystack: Haystack) -> bool:
        """Return whether it occurs there."""
        where = haystack.squeezed if self.squeezed else haystack.plain
        return self.literal in where and (self.pattern is None or self.pattern.search(where) is not None)


def is_bounded(text: str) -> bool:
    """Return whether a text counts as a whole word only: short ones of alphabets with spaces, and numbers."""
    below = NAME_BOUNDED_BELOW if text.isalpha() else BOUNDED_BELOW
    return text.isdigit() or (len(text) < below and all(ord(character) < NO_SPACES for character in text))


@lru_cache(maxsize=4096)
def probes_of(text: str) -> tuple[Probe, ...]:
    """Return every way a text may be written.

    >>> any(probe.within(Haystack.of("seen by MUELLER".encode("utf-16-be"))) for probe in probes_of("Müller"))
    True
    """
    found = list(_plain_probes(text)) if text.isascii() else list(_coded_probes(text))
    for other in _latin_spellings(text) if not text.isascii() else ():
        found += _plain_probes(other)
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=4096)
def abbreviations_of(name: str) -> tuple[Probe, ...]:
    """Return how a name is cut short, with a full stop behind its first four letters or more.

    >>> [probe.within(Haystack.of(text)) for probe in abbreviations_of("Leopoldine") for text in (b"seen by Leop.", b"leopard.", b"Leop")]
    [True, False, False]
    """
    lower = name.lower().encode()
    if not (name.isascii() and name.isalpha() and len(lower) > SHORTEST):
        return ()
    rest = b"".join(b"(?:" + lower[at : at + 1] for at in range(SHORTEST, len(lower))) + b")?" * (len(lower) - SHORTEST)
    begin = lower[:SHORTEST]
    return (Probe(begin, re.compile(NOT_WORD[0] + begin + rest + rb"\."), size=SHORTEST + 1),)


def _plain_probes(text: str) -> Iterator[Probe]:
    lower = text.lower().encode()
    if len(lower) < SHORTEST:
        return
    bounded = is_bounded(text)
    wide = b"\0".join(lower[at : at + 1] for at in range(len(lower)))  # UTF-16 of either byte order
    for form in (lower, wide):  # among pixels of 16 bits the zeros of the second say nothing: it is as rare as its letters
        yield Probe(form, bounded_pattern(form) if bounded else None, size=len(lower))
    yield from _squeezed_probe(lower)
    if not text.isdigit() and len(text) >= BOUNDED_BELOW:
        for case in {text, text.lower(), text.upper()}:
            yield Probe(".".join(str(ord(character)) for character in case).encode())  # as components of a UID


def _squeezed_probe(lower: bytes) -> Iterator[Probe]:
    squeezed = lower.translate(None, SEPARATORS)
    if SHORTEST <= len(squeezed) < BOUNDED_BELOW and squeezed != lower and squeezed.isalpha():
        yield Probe(squeezed, bounded_pattern(squeezed))  # ``O'Neil`` is ``ONEIL`` in another system
    if len(squeezed) < BOUNDED_BELOW or (squeezed == lower and len(lower) < NAME_BOUNDED_BELOW and lower.isalpha()):
        return
    if squeezed.isdigit():  # digits of other numbers would line up: only the separators of people, nothing between values
        split = rb"[ _/\-]?".join(squeezed[at : at + 1] for at in range(len(squeezed)))
        yield Probe(squeezed[:1], re.compile(rb"(?<![0-9.])" + split + rb"(?![0-9])"), size=len(squeezed))
    else:
        yield Probe(squeezed, squeezed=True)


def _coded_probes(text: str) -> Iterator[Probe]:
    bounded = is_bounded(text)
    for form in dict.fromkeys((unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text))):
        for codec in CODECS:
            with suppress(UnicodeError):
                pattern = b"".join(_either_case(character, codec) for character in form)
                size = len(b"".join(ESCAPES.split(form.encode(codec))))
                if size >= SHORTEST:
                    yield Probe(b"", re.compile(NOT_WORD[0] + pattern + NOT_WORD[1] if bounded else pattern), size=size)
    yield from _squeezed_probe(text.lower().encode())
    yield from _squeezed_probe(text.upper().encode().lower())


def _either_case(character: str, codec: str) -> bytes:
    """Return a pattern for one character in either case, without escapes; the haystack is in lower case where it is ASCII.

    Raises
    ------
    UnicodeError : the character set has no such character.
    """
    if character == " ":
        return re.escape(b"".join(ESCAPES.split(character.encode(codec))))
    forms = {b"".join(ESCAPES.split(character.encode(codec))).lower()}
    for other in (character.lower(), character.upper()):
        with suppress(UnicodeError):
            forms.add(b"".join(ESCAPES.split(other.encode(codec))).lower())
    escaped = sorted(re.escape(form) for form in forms)
    return escaped[0] if len(escaped) == 1 else b"(?:" + b"|".join(escaped) + b")"


def _latin_spellings(text: str) -> set[str]:
    """Return the spellings of a Latin name in plain letters: ``Müller`` is ``Mueller`` in one system and ``Muller`` in another."""
    lower = unicodedata.normalize("NFC", text).lower()
    bare = "".join(character for character in unicodedata.normalize("NFD", lower) if not unicodedata.combining(character))
    return {spelling for spelling in (lower.translate(DIGRAPHS), bare) if spelling.isascii()}


@lru_cache(maxsize=8192)
def bounded_pattern(value: bytes, boundary: tuple[bytes, bytes] = NOT_WORD) -> re.Pattern[bytes]:
    """Return a pattern for a value that stands alone."""
    return re.compile(boundary[0] + re.escape(value) + boundary[1])
