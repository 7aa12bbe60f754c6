"""How much encoded pixels claim to hold, asked before a decoder takes memory for it: a kilobyte may promise gigabytes.

Read are the headers of the encodings, and the streams of those that have none that can be trusted. Sources: c-blosc
"Blosc chunk format"; RFC 8878 section 3.1.1.1 (zstd frame header); RFC 1952 (gzip); ISO 10918-1 B.2.2 (JPEG frame header, also of
JPEG-LS); ISO 15444-1 A.5.1 (JPEG 2000 SIZ); Zarr v3 "sharding-indexed" 1.0, "Binary shard format".
"""

from __future__ import annotations

import bz2
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import imagecodecs
import numpy as np
import zarr

from fairlead.errors import UnreadableImage, UnsupportedInput

PLAIN: Final = frozenset({"bytes", "transpose", "crc32c", "sharding_indexed"})
STREAMS: Final[Mapping[str, Callable[[], Any]]] = {
    "gzip": lambda: zlib.decompressobj(zlib.MAX_WBITS + 32),
    "zlib": zlib.decompressobj,
    "bz2": bz2.BZ2Decompressor,
}
"""Encodings whose size only reading tells."""
JPEG_TILES: Final = "imagecodecs_jpeg"
MOST_DEFLATED: Final = 1032
"""What one byte of a deflated stream can become (zlib's documentation, "Technical details")."""
HARMLESS_BYTES: Final = 256 * 1024**2
BLOCK_BYTES: Final = 64 * 1024
HEADER_BYTES: Final = 64
NO_CHUNK: Final = 2**64 - 1
SLACK: Final = 4
"""Encoders pad pictures to whole blocks; a few times more samples than a tile has are no bomb."""
FRAME_HEADERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
JPEG_2000: Final = b"\xff\x4f\xff\x51"
JP2_BOX: Final = b"jP  "


@dataclass(frozen=True, slots=True)
class _Piece:
    """Bytes of one encoded chunk in a file."""

    file: Path
    offset: int
    size: int

    def head(self) -> bytes:
        """Return the beginning of the piece, enough for any header."""
        with self.file.open("rb") as handle:
            handle.seek(self.offset)
            return handle.read(min(self.size, HEADER_BYTES))

    def whole(self) -> bytes:
        """Return all bytes of the piece."""
        with self.file.open("rb") as handle:
            handle.seek(self.offset)
            return handle.read(self.size)


def require_bounded(array: zarr.Array[Any]) -> None:
    """Refuse an array with a chunk that decodes to more bytes than the array's metadata say.

    Raises
    ------
    UnreadableImage : there is such a chunk, or a shard's index leads out of its file.
    UnsupportedInput : an encoding of which nothing tells how much it holds.
    """
    name = _compressor(array)
    most = math.prod(array.chunks) * array.dtype.itemsize
    if name not in {"", "blosc", "zstd", "lz4", JPEG_TILES} | STREAMS.keys():
        raise UnsupportedInput(f"Chunks encoded as {name!r} are not read.", remedy="Write the array with blosc, zstd, lz4 or gzip.")
    for piece in _pieces(array):
        if not _fits(piece, name, most):
            raise UnreadableImage(f"A chunk decodes to more than the {most} bytes that its array has for it.")


def require_image(data: bytes, samples: int) -> bool:
    """Refuse JPEG, JPEG-LS and JPEG 2000 whose header claims many more samples than ``samples``; return whether there is one.

    Raises
    ------
    UnreadableImage : it does.
    """
    claimed = _samples(data)
    if claimed is not None and claimed > SLACK * samples:
        raise UnreadableImage(f"An encoded picture claims {claimed} samples where {samples} belong.")
    return claimed is not None


def _compressor(array: zarr.Array[Any]) -> str:
    """Return the name of what compressed the chunks, empty for plain bytes, joined where several did."""
    metadata: Any = array.metadata
    if metadata.zarr_format == 2:
        codec = metadata.compressor
        return str(codec.get_config()["id"]) if codec is not None else ""
    return "+".join(name for name in _names(metadata.to_dict()["codecs"]) if name not in PLAIN)


def _names(codecs: Any) -> Iterator[str]:
    for codec in codecs:
        yield str(codec["name"]).removeprefix("numcodecs.")
        if codec["name"] == "sharding_indexed":
            yield from _names(codec["configuration"]["codecs"])


def _pieces(array: zarr.Array[Any]) -> Iterator[_Piece]:
    """Yield every chunk that is there; of shards the chunks that their index names."""
    metadata, store = array.metadata, array.store_path
    folder = Path(store.store.root) / store.path  # type: ignore[attr-defined]  # only local stores are opened
    outer = array.shards or array.chunks
    for place in np.ndindex(*(-(-size // step) for size, step in zip(array.shape, outer, strict=True))):
        file = folder / metadata.encode_chunk_key(place)
        if file.is_file():
            size = file.stat().st_size
            yield from _of_shard(array, file, size) if array.shards else (_Piece(file, 0, size),)


def _of_shard(array: zarr.Array[Any], file: Path, size: int) -> Iterator[_Piece]:
    codecs: Any = array.metadata.to_dict()["codecs"]
    sharding = next(codec for codec in codecs if codec["name"] == "sharding_indexed")["configuration"]
    count = math.prod(whole // piece for whole, piece in zip(array.shards or (), array.chunks, strict=True))
    if {codec["name"] for codec in sharding["index_codecs"]} - {"bytes", "crc32c"}:
        raise UnsupportedInput("The index of a shard is encoded in an unknown way.", remedy="Write it as bytes with crc32c.")
    checked = any(codec["name"] == "crc32c" for codec in sharding["index_codecs"])
    length = 16 * count + (4 if checked else 0)
    if size < length:
        raise UnreadableImage("A shard is shorter than its index.")
    index = _Piece(file, 0 if sharding.get("index_location") == "start" else size - length, 16 * count).whole()
    for offset, part in np.frombuffer(index, "<u8").reshape(-1, 2).tolist():
        if (offset, part) == (NO_CHUNK, NO_CHUNK):
            continue
        if offset + part > size:
            raise UnreadableImage("The index of a shard leads out of its file.")
        yield _Piece(file, offset, part)


def _fits(piece: _Piece, name: str, most: int) -> bool:
    if name in STREAMS:
        return (name in {"gzip", "zlib"} and piece.size * MOST_DEFLATED <= HARMLESS_BYTES) or _streamed(piece, name, most)
    head = piece.head()
    match name:
        case "blosc":
            return int.from_bytes(head[4:8], "little") <= most
        case "lz4":
            return int.from_bytes(head[:4], "little") <= most
        case "zstd":
            stated = _zstd_size(head)
            return _zstd_within(piece.whole(), most) if stated is None else stated <= most
        case "imagecodecs_jpeg":
            require_image(piece.whole(), most)
    return True


def _streamed(piece: _Piece, name: str, most: int) -> bool:
    """Decode a stream block by block, and stop as soon as it holds too much; a broken one is for its decoder to refuse."""
    decoder: Any = STREAMS[name]()
    size, data = 0, piece.whole()
    try:
        while not decoder.eof and size <= most:
            block = decoder.decompress(data, BLOCK_BYTES)
            data = getattr(decoder, "unconsumed_tail", b"")
            size += len(block)
            if decoder.eof and decoder.unused_data:  # libraries read all members of a file, one after the other
                data, decoder = decoder.unused_data, STREAMS[name]()
            elif not block and not data:
                break
    except (zlib.error, OSError, ValueError):
        return True
    return size <= most


def _zstd_size(head: bytes) -> int | None:
    """Return the Frame_Content_Size of a zstd frame, None when it does not state one."""
    if head[:4] != b"\x28\xb5\x2f\xfd" or len(head) < 6:
        return 0  # no frame: the decoder refuses it
    flag, single = head[4] >> 6, head[4] & 0x20
    width = (1 if single else 0, 2, 4, 8)[flag]
    at = 5 + (0 if single else 1) + (0, 1, 2, 4)[head[4] & 3]
    return int.from_bytes(head[at : at + width], "little") + (256 if width == 2 else 0) if width else None


def _zstd_within(data: bytes, most: int) -> bool:
    try:
        imagecodecs.zstd_decode(data, out=bytearray(most))
    except RuntimeError as error:
        return "too small" not in str(error)  # anything else is for the decoder to refuse
    return True


def _samples(data: bytes) -> int | None:
    """Return height × width × components as the first header in an encoded picture states them."""
    at = data.find(JPEG_2000) if data[4:8] == JP2_BOX else 0
    if at >= 0 and data[at : at + 4] == JPEG_2000:
        numbers = np.frombuffer(data[at + 8 : at + 24], ">u4").tolist()
        components = int.from_bytes(data[at + 40 : at + 42])
        return (numbers[0] - numbers[2]) * (numbers[1] - numbers[3]) * components if len(numbers) == 4 else None
    at = 2
    while data[:2] == b"\xff\xd8" and data[at : at + 1] == b"\xff" and at + 10 <= len(data):
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if marker in FRAME_HEADERS:
            return int.from_bytes(data[at + 5 : at + 7]) * int.from_bytes(data[at + 7 : at + 9]) * data[at + 9]
        at += 1 if marker == 0xFF else 2 + length
    return None
