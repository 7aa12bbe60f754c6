"""Where text hides in pixel data: beginnings and ends, bytes behind the last pixel, the segments of a JPEG; on request every byte.

Scanners leave memory behind the last pixel, and encoders write comments; text in the middle of native pixels would be seen as noise.
All of it is read piece by piece, so that a large instance needs no more memory than a small one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import BinaryIO, Final

from pydicom.dataset import Dataset

from fairlead.deidentify.elements import PIXEL_TAGS, element_of
from fairlead.deidentify.identity import Identity
from fairlead.deidentify.part10 import Source, fragments_of
from fairlead.deidentify.parts import Parts, Span, blocks_of
from fairlead.deidentify.segments import blanked, header_of, is_encapsulated

MARGIN_BYTES: Final = 4096
BATCH_BYTES: Final = 1024 * 1024
OVERLAP_BYTES: Final = 512
SURE_LENGTH: Final = 6
"""In many random bytes shorter values occur by chance."""
FLOAT_BITS: Final = {0x7FE00008: 32, 0x7FE00009: 64}


def holds_identity(source: Source, pixels: Mapping[int, Parts], identity: Identity, *, everything: bool) -> bool:
    """Return whether identity occurs in the pixel values that are written, where it may hide; in ``everything`` if asked.

    ``pixels`` are the values without their comments, which is how they are written.
    """
    if any(identity.found_in(part, with_dates=False) for part in _batches(_margins(source, pixels))):
        return True
    if not everything:
        return False
    sure = Identity(texts={text for text in identity.texts if len(text) >= SURE_LENGTH}, uids=identity.uids)
    return any(sure.found_in(part, with_dates=False) for parts in pixels.values() for part in _shared(blocks_of(parts)))


def _margins(source: Source, pixels: Mapping[int, Parts]) -> Iterator[bytes]:
    for tag in PIXEL_TAGS:
        raw = element_of(source.dataset, tag) if tag in source.dataset else None
        span = source.pixels.get(tag)
        if span is None:
            value = raw.value if raw is not None and isinstance(raw.value, bytes) else b""
            yield b"".join(blocks_of(pixels.get(tag, (value,))))
        elif is_encapsulated(source.dataset, tag):
            yield from _of_fragments(span, little=bool(source.dataset.original_encoding[1]))
        else:
            yield from _of_native(span, native_size(source.dataset, tag))


def native_size(dataset: Dataset, tag: int) -> int | None:
    """Return how many bytes uncompressed pixel data have by their description (PS3.5 section 8), None when it does not say."""
    try:
        counts = [int(dataset.get(name) or 1) for name in ("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel")]
        bits = FLOAT_BITS.get(tag) or int(dataset.get("BitsAllocated") or 0)
    except (ValueError, TypeError):
        return None
    total = counts[0] * counts[1] * counts[2] * counts[3] * bits
    return (total + 7) // 8 or None


def _of_native(span: Span, stated: int | None) -> Iterator[bytes]:
    last = max(span.size - MARGIN_BYTES, 0)
    begin = last if stated is None else min(stated, last)
    with span.path.open("rb") as file:
        yield from _pieces(file, span.offset, min(span.size, MARGIN_BYTES))
        yield from _shared(_pieces(file, span.offset + begin, span.size - begin))


def _of_fragments(span: Span, *, little: bool) -> Iterator[bytes]:
    with span.path.open("rb") as file:
        for at, size in fragments_of(file, span.offset, little=little) or ():
            header, holes = header_of(file, at, size)
            head = min(max(header, MARGIN_BYTES), size)
            file.seek(at)
            yield blanked(file.read(head), [(begin - at, length) for begin, length in holes])
            yield from _pieces(file, max(at + head, at + size - MARGIN_BYTES), min(size - head, MARGIN_BYTES))


def _pieces(file: BinaryIO, at: int, size: int) -> Iterator[bytes]:
    file.seek(at)
    while size > 0 and (piece := file.read(min(size, BATCH_BYTES))):
        size -= len(piece)
        yield piece


def _batches(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces together, a zero between them, about a megabyte at a time."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= BATCH_BYTES:
            yield b"\x01\0".join(waiting)
            waiting, size = [], 0
    yield b"\x01\0".join(waiting)


def _shared(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks that share their ends, so that no word is cut."""
    before = b""
    for piece in pieces:
        yield before + piece
        before = (before + piece)[-OVERLAP_BYTES:]
