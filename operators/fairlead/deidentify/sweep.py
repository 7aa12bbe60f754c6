"""Every pixel byte looked at once for the values of one identity, at about the speed of reading: text amid an image is text too.

Six bytes in a row decide, looked at as three pairs: a table says of every pair at which of the first six places of any value it may stand,
and neighbours are combined. What remains is compared in full; by chance hardly anything does.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fairlead.deidentify.identity import Identity
from fairlead.deidentify.search import NOT_UID, bounded_pattern, is_bounded

SURE_LENGTH: Final = 6
"""In many random bytes shorter values occur by chance."""
MOST_CANDIDATES: Final = 5000
OVERLAP_BYTES: Final = 512
STEP_BYTES: Final = 48 * 1024
"""What stays in the nearest cache with all that is worked out of it."""
PIECE_OVERLAP: Final = 4
LAST: Final = SURE_LENGTH - 1
PAIRS: Final = SURE_LENGTH // 2
PLAIN_CODECS: Final = ("utf-8", "latin-1")


class Sweep:
    """Looks for the values of an identity of six bytes and more, in either case."""

    def __init__(self, identity: Identity) -> None:
        self._bounded: set[bytes] = set()
        self._uids = {uid.lower().encode() for uid in identity.uids}
        words = {value.lower() for value in identity.raw} | self._uids
        for text in identity.texts:
            forms, bounded = _forms(text)
            words |= forms
            self._bounded |= forms if bounded else set()
        self._words = tuple(sorted(word for word in words if len(word) >= SURE_LENGTH))
        self._longest = max(map(len, self._words), default=0)
        self._table = _places_of(frozenset(word[:SURE_LENGTH] for word in self._words))

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
        pieces = ((at, block[at : at + STEP_BYTES + PIECE_OVERLAP]) for at in range(0, len(block), STEP_BYTES))
        places = [at + place for at, piece in pieces for place in self._places_in(piece)]
        return bool(places) and self._is_at(block, [place for place in places if place >= 0])

    def _places_in(self, piece: bytes) -> list[int]:
        """Return where a value may begin; -1 is the byte before the piece.

        What is left of the first pair says how: bit 0 that all six bytes from it on fit, bit 1 that the last five of six do.
        """
        pairs = self._table.take(np.frombuffer(piece + b"\0" if len(piece) % 2 else piece, "<u2"), mode="clip")
        if len(pairs) < PAIRS:
            return []
        found = pairs[1:-1] >> 2
        found &= pairs[:-2]
        found &= pairs[2:] >> 4
        if not found.any():
            return []
        return [2 * at - odd for at in np.flatnonzero(found).tolist() for odd in (0, 1) if found[at] >> odd & 1]

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


@lru_cache(maxsize=4096)
def _forms(text: str) -> tuple[frozenset[bytes], bool]:
    """Return a text in the plain character sets, and whether it counts as a whole word only."""
    return frozenset(form for codec in PLAIN_CODECS for form in _encoded(text, codec)), is_bounded(text)


def _encoded(text: str, codec: str) -> set[bytes]:
    with suppress(UnicodeError):
        return {form.encode(codec).lower() for form in (text, text.lower(), text.upper())}
    return set()


@lru_cache(maxsize=64)
def _places_of(beginnings: frozenset[bytes]) -> NDArray[np.uint8]:
    """Return of every pair of bytes, as bits, at which of the first places of a value it may stand; bit 5: the first byte may be the sixth.

    The files of a series share it: their identifiers begin alike.
    """
    places = np.zeros(256, np.uint8)
    for word in beginnings:
        for place, byte in enumerate(word):
            for either in (byte, *bytes([byte]).upper()):
                places[either] |= 1 << place
    pairs = np.arange(1 << 16)
    first, second = places[pairs & 0xFF], places[pairs >> 8]
    return (first & (second >> 1)) | (first & (1 << LAST))  # type: ignore[no-any-return]  # numpy's operators are untyped
