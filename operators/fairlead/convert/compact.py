"""Slides whose JPEG tiles become the chunks of a store as they are: no second loss, and no larger than the source.

The codec is ``imagecodecs_jpeg`` of the imagecodecs package. It is no registered Zarr v3 codec (zarr-extensions has none for
JPEG yet), so that zarr-python with ``imagecodecs-zarr`` reads such a store, and viewers in a browser do not: opt-in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
import zarr
from imagecodecs.zarr import Jpeg
from zarr.codecs import TransposeCodec
from zarr.registry import register_codec

from fairlead.convert.plan import TileLevel
from fairlead.convert.shards import write_checked
from fairlead.convert.slide_files import JPEG_BASELINE, SlideLevel, decode_tile, encoded_tile
from fairlead.convert.staging import Digests
from fairlead.errors import UnreadableImage
from fairlead.progress import Progress

CODEC: Final = "imagecodecs_jpeg"
COLOURS: Final[Mapping[str, str]] = {"YBR_FULL_422": "YCBCR", "YBR_FULL": "YCBCR", "RGB": "RGB"}
"""Colour space inside the JPEG by photometric interpretation; chunks decode to RGB."""
SCAN: Final = 0xDA
FILL: Final = 0xFF
SILENT: Final = frozenset({*range(0xE0, 0xF0), 0xFE, FILL})
"""APP0 to APP15 and COM, and the fill byte before a marker."""
SAMPLES: Final = 3
THREADS: Final = 2

register_codec(CODEC, Jpeg)  # what the package imagecodecs-zarr does by an entry point


def jpeg_levels(levels: Sequence[SlideLevel]) -> tuple[TileLevel, ...]:
    """Return the levels as tiles to pass through, or nothing when one is not complete or not baseline JPEG in colour."""
    if not all(_passes(level) for level in levels):
        return ()
    return tuple(_tile_level(level) for level in levels)


def _passes(level: SlideLevel) -> bool:
    baseline = all(file.syntax == JPEG_BASELINE and file.photometric in COLOURS for file in level.files)
    one = len({file.photometric for file in level.files}) == 1
    aligned = all(key.row % level.first.tile[0] == 0 and key.column % level.first.tile[1] == 0 for key in level.tiles)
    return baseline and one and aligned and level.first.samples == SAMPLES and len(level.tiles) == level.wanted


def _tile_level(level: SlideLevel) -> TileLevel:
    height, width = level.first.tile
    places = {(key.row // height, key.column // width): where for key, where in level.tiles.items()}

    def encoded(place: tuple[int, int]) -> bytes:
        """Return a tile as JPEG without metadata; one that no reader could decode is refused."""
        number, frame = places[place]
        decode_tile(level.files[number], frame)  # what no reader could decode is refused here
        return bare_jpeg(encoded_tile(level.files[number], frame))

    return TileLevel(level.first.matrix, level.first.tile, tuple(sorted(places)), encoded, COLOURS[level.first.photometric])


def bare_jpeg(data: bytes) -> bytes:
    """Return a JPEG without comments and application segments, in which programs write names and dates (ISO 10918-1 section B.2.4).

    Tables and coded samples stay byte for byte; the colour space is said by the codec, not by a segment.

    Raises
    ------
    UnreadableImage : the segments do not lead to a scan.
    """
    kept, at = [data[:2]], 2
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        segment = data[at : at + 2 + length]
        if marker == SCAN:
            return b"".join([*kept, _one_scan(data[at:])])
        if marker not in SILENT or _is_wordless(segment):
            kept.append(segment)
        at += 1 if marker == FILL else 2 + length
    raise UnreadableImage("A tile of the slide is no JPEG from its first segment to its scan.")


def _is_wordless(segment: bytes) -> bool:
    """Return whether a segment is the JFIF header without a thumbnail, or Adobe's colour transform: both have a fixed form."""
    jfif = segment[:9] == b"\xff\xe0\x00\x10JFIF\x00" and segment[16:18] == b"\x00\x00"
    return jfif or (segment[:9] == b"\xff\xee\x00\x0eAdobe")


def _one_scan(data: bytes) -> bytes:
    """Return a scan up to its end; coded samples never hold a marker but restarts."""
    end = data.find(b"\xff\xd9")
    if end < 0 or data.find(b"\xff\xda", 2, end) >= 0:
        raise UnreadableImage("A tile of the slide has no end, or several scans.", remedy="Convert without --compact.")
    return data[: end + 2 + (data[end + 2 :] == b"\x00")]


def write_tiles(levels: Sequence[TileLevel], folder: Path, progress: Progress) -> Digests:
    """Write the arrays ``folder/0`` … with one chunk per tile, each checked by decoding it and read back; return their digests.

    Raises
    ------
    UnreadableImage : a tile that cannot be decoded.
    CheckFailed : a file that reads back other bytes.
    """
    digests: Digests = {}
    for number, level in enumerate(levels):
        array = folder / str(number)
        zarr.create_array(
            store=str(array),
            shape=(SAMPLES, *level.matrix),
            dtype=np.uint8,
            chunks=(SAMPLES, *level.tile),
            filters=[TransposeCodec(order=(1, 2, 0))],
            serializer=Jpeg(colorspace_data="RGB", colorspace_jpeg=level.colorspace),
            compressors=None,
            dimension_names=["c", "y", "x"],
            fill_value=255,
        )
        with ThreadPoolExecutor(THREADS) as pool:
            for (row, column), data in zip(level.places, pool.map(level.encoded, level.places), strict=True):
                chunk = array / "c" / "0" / str(row) / str(column)
                digests[chunk] = write_checked(chunk, [data])
                progress.step(0, len(data))
    return digests
