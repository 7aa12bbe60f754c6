"""The chunks of a Zarr array, searched for identity: text that lies between the pixels as bytes, not text that is drawn into them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from fairlead.deidentify.identity import Identity
from fairlead.deidentify.parts import Span

SMALL_BYTES: Final = 64 * 1024
MARGIN_BYTES: Final = 4096
BATCH_BYTES: Final = 1024 * 1024
OVERLAP_BYTES: Final = 512
SURE_LENGTH: Final = 6
"""In many compressed bytes shorter values occur by chance."""


def holds_identity(chunks: Iterable[Span], identity: Identity, *, everything: bool) -> bool:
    """Return whether identity occurs in the bytes of chunks: in small ones, in both ends of large ones, and in all bytes if asked.

    What nothing compresses lies there as it is; of compressed chunks the bytes of the file are searched, too.
    """
    sure = Identity(
        texts={text for text in identity.texts if len(text.encode()) >= SURE_LENGTH},
        raw={value for value in identity.raw if len(value) >= SURE_LENGTH},
        uids=identity.uids,
    )
    if not (sure.texts or sure.raw or sure.uids):
        return False
    return any(sure.found_in(batch, with_dates=False) for batch in _batches(_pieces(chunks, everything=everything)))


def _pieces(chunks: Iterable[Span], *, everything: bool) -> Iterator[bytes]:
    for chunk in chunks:
        if everything or chunk.size <= SMALL_BYTES:
            before = b""
            for block in chunk.blocks():
                yield before + block  # blocks share their ends, so that no word is cut
                before = block[-OVERLAP_BYTES:]
        else:
            with chunk.path.open("rb") as file:
                yield file.read(MARGIN_BYTES)
                file.seek(chunk.size - MARGIN_BYTES)
                yield file.read(MARGIN_BYTES)


def _batches(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces together, a byte that is no text between them: many small searches are slow."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= BATCH_BYTES:
            yield b"\x01\0".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"\x01\0".join(waiting)
