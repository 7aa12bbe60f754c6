"""The metadata of one Zarr array, checked value by value against the specification, and which files are its chunks.

Zarr 2 (``.zarray``) and Zarr 3 (``zarr.json``, node_type array), with the codecs of both. What is not in the specification could say
anything, so it is refused and not dropped: an array without one of its codecs cannot be read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fairlead.errors import UnsupportedInput

type Check = Callable[[Any], bool]

NUMERIC: Final = re.compile(r"[<>|]?(bool|b1|u?int\d{1,3}|float\d{1,3}|complex\d{1,3}|[iufc]\d{1,2})")
INDEX: Final = re.compile(r"0|[1-9]\d{0,11}")
HEX: Final = re.compile(r"0x[0-9a-fA-F]{1,16}")
DIMENSION: Final = re.compile(r"[A-Za-z]|dim[-_]?\d{1,2}")
DIMENSIONS: Final = frozenset({
    "time", "channel", "channels", "space", "wavelength", "lambda", "angle", "phase", "tile", "view", "scene", "position", "field",
    "frame", "sample", "component", "row", "column", "height", "width", "depth", "rgb", "lifetime", "polarization", "illumination",
})  # fmt: skip
"""Names that axes have besides single letters; any other could name somebody."""


def is_axis_name(value: Any) -> bool:
    """Return whether a text is a usual name of an axis.

    >>> is_axis_name("x"), is_axis_name("dim_0"), is_axis_name("Mustermann")
    (True, True, False)
    """
    return isinstance(value, str) and (DIMENSION.fullmatch(value) is not None or value.casefold() in DIMENSIONS)


def _integer(value: Any) -> bool:
    return isinstance(value, int)


def _integers(value: Any) -> bool:
    return isinstance(value, list) and all(map(_integer, value))


def _one_of(*known: Any) -> Check:
    return lambda value: any(type(value) is type(one) and value == one for one in known)


def _number_type(value: Any) -> bool:
    return isinstance(value, str) and NUMERIC.fullmatch(value) is not None


def _fill(value: Any) -> bool:
    """Return whether a fill value is a number, as Zarr writes numbers (Zarr 3 core, section "fill value")."""
    if isinstance(value, list):
        return len(value) == 2 and all(_fill(part) for part in value)
    if isinstance(value, str):
        return value in ("NaN", "Infinity", "-Infinity", "0", "0.0") or HEX.fullmatch(value) is not None
    return value is None or isinstance(value, bool | int | float)


BLOSC_NAMES: Final = _one_of("lz4", "lz4hc", "blosclz", "zstd", "snappy", "zlib")
BLOSC_NUMBERS: Final[Mapping[str, Check]] = {"clevel": _integer, "blocksize": _integer, "typesize": _integer}
LEVEL: Final[Mapping[str, Check]] = {"level": _integer}
FILTERS: Final[Mapping[str, Mapping[str, Check]]] = {
    "delta": {"dtype": _number_type, "astype": _number_type},
    "shuffle": {"elementsize": _integer},
    "bitround": {"keepbits": _integer},
    "packbits": {},
}
COMPRESSORS_2: Final[Mapping[str, Mapping[str, Check]]] = {
    "blosc": {"cname": BLOSC_NAMES, "shuffle": _integer, **BLOSC_NUMBERS},
    "zstd": {**LEVEL, "checksum": _one_of(True, False)},
    "gzip": LEVEL,
    "zlib": LEVEL,
    "bz2": LEVEL,
    "lz4": {"acceleration": _integer},
}
CODECS_3: Final[Mapping[str, Mapping[str, Check]]] = {
    "bytes": {"endian": _one_of("little", "big")},
    "transpose": {"order": lambda value: _integers(value) or value in ("C", "F")},
    "blosc": {"cname": BLOSC_NAMES, "shuffle": _one_of("noshuffle", "shuffle", "bitshuffle"), **BLOSC_NUMBERS},
    "gzip": LEVEL,
    "zstd": COMPRESSORS_2["zstd"],
    "crc32c": {},
    "sharding_indexed": {
        "chunk_shape": _integers,
        "codecs": lambda value: _codecs(value),
        "index_codecs": lambda value: _codecs(value),
        "index_location": _one_of("start", "end"),
    },
    **{f"numcodecs.{name}": keys for name, keys in {**FILTERS, **COMPRESSORS_2}.items()},
}
"""Codecs of Zarr 3 with their configuration (Zarr 3 codec specifications), and those of numcodecs that are numbers in, numbers out."""
BEGINNINGS: Final[Mapping[str, bytes]] = {
    "gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd", "bz2": b"BZh", "zlib": b"\x78", "blosc": b"\x02",
}  # fmt: skip
"""How the output of a compressor begins (RFC 1952, RFC 8878, RFC 1950; blosc: its format version)."""


def _configured(value: Any, known: Mapping[str, Mapping[str, Check]], *, name: str, nested: bool) -> bool:
    """Return whether a codec is known, and everything it is configured with."""
    if isinstance(value, str) and nested:
        return value in known
    if not isinstance(value, Mapping) or not isinstance(value.get(name), str) or value[name] not in known:
        return False
    if nested and not set(value) <= {"name", "configuration"}:
        return False
    inner = value.get("configuration", {}) if nested else {key: part for key, part in value.items() if key != name}
    checks = known[value[name]]
    return isinstance(inner, Mapping) and all(key in checks and checks[key](part) for key, part in inner.items())


def _codecs(value: Any) -> bool:
    return isinstance(value, list) and all(_configured(codec, CODECS_3, name="name", nested=True) for codec in value)


def _compressor(value: Any) -> bool:
    return value is None or _configured(value, COMPRESSORS_2, name="id", nested=False)


def _filters(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(_configured(one, FILTERS, name="id", nested=False) for one in value))


def _named(**known: Mapping[str, Check]) -> Check:
    return lambda value: _configured(value, known, name="name", nested=True)


def _axes(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(name is None or is_axis_name(name) for name in value))


SEPARATOR: Final = _one_of("/", ".")
VERSION_2: Final[Mapping[str, Check]] = {
    "zarr_format": _one_of(2), "shape": _integers, "chunks": _integers, "dtype": _number_type, "compressor": _compressor,
    "fill_value": _fill, "order": _one_of("C", "F"), "filters": _filters, "dimension_separator": SEPARATOR,
}  # fmt: skip
VERSION_3: Final[Mapping[str, Check]] = {
    "zarr_format": _one_of(3), "node_type": _one_of("array"), "shape": _integers, "data_type": _number_type,
    "chunk_grid": _named(regular={"chunk_shape": _integers}), "fill_value": _fill, "codecs": _codecs, "dimension_names": _axes,
    "chunk_key_encoding": _named(default={"separator": SEPARATOR}, v2={"separator": SEPARATOR}),
    "storage_transformers": lambda value: value == [],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ZarrArray:
    """An array that was checked: its metadata without anything else, and how its chunks are called."""

    document: dict[str, Any]
    counts: tuple[int, ...]
    """Chunks along each axis."""
    prefix: str
    separator: str
    chunk_bytes: int | None
    """Size of every chunk when nothing compresses them."""
    begins: bytes
    """How every chunk begins, by its compressor; empty when nobody knows."""

    def is_chunk(self, key: str) -> bool:
        """Return whether a path below the array is one of its chunks (Zarr 3 core, section "chunk key encodings").

        A number with a zero in front, or outside of the grid, is none.
        """
        if not self.counts:
            return key == (self.prefix or "0")
        if self.prefix and not key.startswith(self.prefix + self.separator):
            return False
        indices = (key.removeprefix(self.prefix + self.separator) if self.prefix else key).split(self.separator)
        if len(indices) != len(self.counts) or not all(INDEX.fullmatch(index) for index in indices):
            return False
        return all(int(index) < count for index, count in zip(indices, self.counts, strict=True))

    def looks_right(self, begin: bytes, size: int) -> bool:
        """Return whether a file can be a chunk of this array, by its first 132 bytes and its size: no DICOM, no document."""
        if begin[128:132] == b"DICM" or (self.chunk_bytes is not None and size != self.chunk_bytes):
            return False
        return begin.startswith(self.begins)


def checked_array(content: Any) -> ZarrArray:
    """Return an array by its metadata document.

    Raises
    ------
    UnsupportedInput : a value is not one of the specification, or the array is not one of numbers.
    """
    kind = content.get("dtype", content.get("data_type"))
    if not _number_type(kind):
        raise UnsupportedInput("The store holds an array that is not of numbers; text can say anything.")
    version_3 = content.get("zarr_format") == 3
    known = VERSION_3 if version_3 else VERSION_2
    document = {key: value for key, value in content.items() if key in known}
    if not all(known[key](value) for key, value in document.items()):
        raise UnsupportedInput("The metadata of an array hold what is no part of its structure.")
    return _array_3(document) if version_3 else _array_2(document)


def _array_2(document: dict[str, Any]) -> ZarrArray:
    compressor = (document["compressor"] or {}).get("id", "")
    plain = not compressor and not document.get("filters")
    counts, size = _grid(document["shape"], document["chunks"]), math.prod(document["chunks"]) * _item_bytes(document["dtype"])
    separator = document.get("dimension_separator", ".")
    return ZarrArray(document, counts, "", separator, size if plain else None, BEGINNINGS.get(compressor, b""))


def _array_3(document: dict[str, Any]) -> ZarrArray:
    encoding = document["chunk_key_encoding"]
    named = encoding if isinstance(encoding, Mapping) else {"name": encoding}
    default = named["name"] == "default"
    separator = named.get("configuration", {}).get("separator", "/" if default else ".")
    chunk = document["chunk_grid"]["configuration"]["chunk_shape"]
    names = [codec if isinstance(codec, str) else codec["name"] for codec in document["codecs"]]
    plain = set(names) <= {"bytes", "transpose"}
    size = math.prod(chunk) * _item_bytes(document["data_type"]) if plain else None
    last = names[-1].removeprefix("numcodecs.") if names else ""
    prefix = "c" if default else ""
    return ZarrArray(document, _grid(document["shape"], chunk), prefix, separator, size, BEGINNINGS.get(last, b""))


def _grid(shape: list[int], chunk: list[int]) -> tuple[int, ...]:
    if len(shape) != len(chunk) or any(size < 1 for size in chunk) or any(size < 0 for size in shape):
        raise UnsupportedInput("The shape and the chunks of an array do not belong together.")
    return tuple(-(-whole // part) for whole, part in zip(shape, chunk, strict=True))


def _item_bytes(kind: str) -> int:
    """Return the bytes of one value: Zarr 2 counts bytes, Zarr 3 counts bits.

    >>> _item_bytes("<u2"), _item_bytes("uint16"), _item_bytes("|b1"), _item_bytes("bool")
    (2, 2, 1, 1)
    """
    name, digits = re.sub(r"\d", "", kind), re.sub(r"\D", "", kind)
    return 1 if not digits else int(digits) if len(name.lstrip("<>|")) == 1 else int(digits) // 8
