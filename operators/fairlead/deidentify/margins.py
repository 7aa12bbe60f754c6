"""Text in pixel data: plain values anywhere, every spelling at beginnings and ends, behind the last pixel and in the segments of a JPEG.

Scanners leave memory behind the last pixel, and encoders write comments. All of it is read piece by piece, so that a large instance needs
no more memory than a small one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

from pydicom.dataset import Dataset

from fairlead.deidentify.elements import PIXEL_TAGS, element_of, number_of
from fairlead.deidentify.identity import Identity
from fairlead.deidentify.part10 import Source
from fairlead.deidentify.parts import Parts, Span, blocks_of, size_of
from fairlead.deidentify.segments import Pixels, is_encapsulated
from fairlead.deidentify.sweep import SURE_LENGTH, Sweep

MARGIN_BYTES: Final = 4096
BATCH_BYTES: Final = 1024 * 1024
OVERLAP_BYTES: Final = 512
FLOAT_BITS: Final = {0x7FE00008: 32, 0x7FE00009: 64}


def holds_identity(source: Source, pixels: Pixels, identity: Identity, *, everything: bool) -> bool:
    """Return whether identity occurs in the pixel values that are written.

    Plain values of six bytes and more are looked for in every byte; every other spelling where text hides: at the ends of native pixels and
    behind them, in the text that frames keep. ``everything`` asks for every spelling in every byte.
    """
    values = _values(source, pixels)
    if any(identity.found_in(part, with_dates=False) for part in _batches(_margins(source, pixels, values))):
        return True
    sweep = Sweep(identity)
    if any(sweep.occurs_in(blocks_of(parts)) for parts in values.values()):
        return True
    if not everything:
        return False
    return any(
        identity.found_in(part, with_dates=False, at_least=SURE_LENGTH) for parts in values.values() for part in _shared(blocks_of(parts))
    )


def _values(source: Source, pixels: Pixels) -> dict[int, Parts]:
    """Return the pixel values that are written: those that stayed in the file, slices read once, and small ones read with the header."""
    values = {tag: (b"".join(blocks_of(parts)),) if size_of(parts) <= BATCH_BYTES else parts for tag, parts in pixels.parts.items()}
    small = {tag: element_of(source.dataset, tag).value for tag in PIXEL_TAGS if tag in source.dataset and tag not in values}
    return values | {tag: (value,) for tag, value in small.items() if isinstance(value, bytes)}


def _margins(source: Source, pixels: Pixels, values: dict[int, Parts]) -> Iterator[bytes]:
    for tag, parts in values.items():
        if is_encapsulated(source.dataset, tag):
            continue
        if isinstance(parts[0], bytes):
            yield from _of_value(parts[0], native_size(source.dataset, tag))
        else:
            yield from _of_native(parts[0], native_size(source.dataset, tag))
    yield from blocks_of(tuple(pixels.texts))


def _of_value(value: bytes, stated: int | None) -> Iterator[bytes]:
    last = max(len(value) - MARGIN_BYTES, 0)
    yield value[:MARGIN_BYTES]
    yield value[last if stated is None else min(stated, last) :]


def native_size(dataset: Dataset, tag: int) -> int | None:
    """Return how many bytes uncompressed pixel data have by their description (PS3.5 section 8), None when it does not say."""
    try:
        counts = [number_of(dataset, name) or 1 for name in ("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel")]
        bits = FLOAT_BITS.get(tag) or number_of(dataset, "BitsAllocated")
    except ValueError:
        return None
    total = counts[0] * counts[1] * counts[2] * counts[3] * bits
    return (total + 7) // 8 or None


def _of_native(span: Span, stated: int | None) -> Iterator[bytes]:
    last = max(span.size - MARGIN_BYTES, 0)
    begin = last if stated is None else min(stated, last)
    with span.path.open("rb") as file:
        yield from _pieces(file, span.offset, min(span.size, MARGIN_BYTES))
        yield from _shared(_pieces(file, span.offset + begin, span.size - begin))


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
