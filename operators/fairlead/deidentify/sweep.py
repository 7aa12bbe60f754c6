"""Every pixel byte looked at once for the values of one identity, at about the speed of reading: text amid an image is text too.

Six bytes in a row decide: a table says of every byte at which of the first six places of any value it may stand, and six views of the
looked-up bytes are combined. What remains is compared in full; by chance hardly anything does.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fairlead.deidentify.identity import Identity
from fairlead.deidentify.search import NOT_UID, bounded_pattern, is_bounded

SURE_LENGTH: Final = 6
"""In many random bytes shorter values occur by chance."""
MOST_CANDIDATES: Final = 5000
OVERLAP_BYTES: Final = 512
PLAIN_CODECS: Final = ("utf-8", "latin-1")


class Sweep:
    """Looks for the values of an identity of six bytes and more, in either case."""

    def __init__(self, identity: Identity) -> None:
        self._bounded: set[bytes] = set()
        words = {value.lower() for value in identity.raw} | {uid.lower().encode() for uid in identity.uids}
        for text in identity.texts:
            forms = {form for codec in PLAIN_CODECS for form in _encoded(text, codec)}
            words |= forms
            self._bounded |= forms if is_bounded(text) else set()
        self._uids = {uid.lower().encode() for uid in identity.uids}
        self._words = tuple(sorted(word for word in words if len(word) >= SURE_LENGTH))
        self._longest = max(map(len, self._words), default=0)
        self._table = _places_of(self._words)

    def occurs_in(self, blocks: Iterable[bytes]) -> bool:
        """Return whether a value occurs in bytes that come block by block."""
        before = b""
        for block in blocks if self._words else ():
            whole = before + block if before else block
            if self._is_in(whole):
                return True
            before = whole[-OVERLAP_BYTES:]
        return False

    def _is_in(self, block: bytes) -> bool:
        if len(block) < SURE_LENGTH:
            return False
        looked = np.frombuffer(block.translate(self._table), np.uint8)
        size = len(block) - SURE_LENGTH + 1
        last = SURE_LENGTH - 1
        found = looked[last : last + size].copy()
        for place in range(last - 1, -1, -1):  # of every position: may its first byte, its second, ... begin a value
            np.right_shift(found, 1, out=found)
            np.bitwise_and(found, looked[place : place + size], out=found)
        np.bitwise_and(found, 1, out=found)
        return bool(found.any()) and self._is_at(block, np.flatnonzero(found))

    def _is_at(self, block: bytes, positions: NDArray[np.intp]) -> bool:
        if len(positions) > MOST_CANDIDATES:
            lower = block.lower()
            return any(word in lower and self._counts(word, lower) for word in self._words)
        for at in positions.tolist():
            window = block[at : at + self._longest].lower()
            if window.startswith(self._words):
                near = block[max(at - 1, 0) : at + self._longest + 2].lower()
                if any(word in near and self._counts(word, near) for word in self._words):
                    return True
        return False

    def _counts(self, word: bytes, where: bytes) -> bool:
        if word in self._uids:
            return bounded_pattern(word, NOT_UID).search(where) is not None
        return word not in self._bounded or bounded_pattern(word).search(where) is not None


def _encoded(text: str, codec: str) -> set[bytes]:
    with suppress(UnicodeError):
        return {form.encode(codec).lower() for form in (text, text.lower(), text.upper())}
    return set()


def _places_of(words: tuple[bytes, ...]) -> bytes:
    """Return of every byte, as bits, at which of the first places of a word it stands."""
    table = bytearray(256)
    for word in words:
        for place, byte in enumerate(word[:SURE_LENGTH]):
            for either in (byte, *bytes([byte]).upper()):
                table[either] |= 1 << place
    return bytes(table)
