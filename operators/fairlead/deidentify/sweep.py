"""Every pixel byte looked at once for the values of one identity, at about the speed of reading: text amid an image is text too.

Six bytes in a row decide: a table says of every byte at which of the first six places of any value it may stand, and neighbours are
combined. What remains is compared in full; by chance hardly anything does.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import numpy as np

from fairlead.deidentify.identity import Identity
from fairlead.deidentify.search import NOT_UID, bounded_pattern, is_bounded

SURE_LENGTH: Final = 6
"""In many random bytes shorter values occur by chance."""
MOST_CANDIDATES: Final = 5000
OVERLAP_BYTES: Final = 512
STEP_BYTES: Final = 48 * 1024
"""What stays in the nearest cache with all that is worked out of it."""
LAST: Final = SURE_LENGTH - 1
BEGINS: Final = b"\1"
"""All six places: no other bit can be left, because no byte stands at a seventh."""
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
        places = [place + at for at in range(0, len(block), STEP_BYTES) for place in self._places_in(block[at : at + STEP_BYTES + LAST])]
        return bool(places) and self._is_at(block, places)

    def _places_in(self, piece: bytes) -> list[int]:
        """Return where the first bytes of a value may stand in a row.

        Bit p of a looked-up byte says that it may stand at place p; of two bytes in a row, that they may at p and
        p + 1; then of four, of six.
        """
        size = len(piece) - LAST
        if size < 1:
            return []
        looked = np.frombuffer(piece.translate(self._table), np.uint8)
        two = looked[1:] >> 1
        two &= looked[:-1]
        found = two[2:] >> 2
        found &= two[:-2]
        found = found[:size]
        found &= two[LAST - 1 :] >> (LAST - 1)
        return np.flatnonzero(found).tolist() if BEGINS in found.tobytes() else []

    def _is_at(self, block: bytes, positions: list[int]) -> bool:
        if len(positions) > MOST_CANDIDATES:
            lower = block.lower()
            return any(word in lower and self._counts(word, lower) for word in self._words)
        for at in positions:
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
