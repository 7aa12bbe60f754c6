"""Columns on disk, so that a new process does not read a million rows: a cache beside the index file, never the truth.

The file is an uncompressed ``.npz`` of plain arrays (nothing in it is code, and its checksums tell damage). It names the index
file, the field catalogue and the place up to which it goes; one that does not fit is ignored and written anew.
"""

from __future__ import annotations

import json
import logging
import zipfile
import zlib
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from fairlead.errors import StorageFull
from fairlead.files import atomic_write
from fairlead.index.columns import Columns, Key, Numbers

logger = logging.getLogger(__name__)

LAYOUT: Final = 3
DAMAGE: Final = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)

type Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Place:
    """What a snapshot is of: the index file by its identity, the catalogue, and the last ordinal, removal and change in it."""

    identity: str
    catalogue: str
    ordinal: int
    removal: int
    change: int = 0
    mark: str = ""


def write_snapshot(file: Path, columns: Columns, place: Place) -> None:
    """Write the columns; a disk that is full or read-only costs the next process time, nobody else anything."""
    arrays: Arrays = {"place": _text({**asdict(place), "layout": LAYOUT}), "alive": _bits([columns.alive])[1]}
    for name, key in (("patient", columns.patient), ("study", columns.study)):
        arrays |= {f"{name}.names": _text(key.names), f"{name}.codes": np.array(key.of, dtype=np.int64)}
    arrays |= {name: np.array(getattr(columns, name), dtype=np.int64) for name in ("images", "sizes", "draws")}
    arrays["stated"] = _text(list(columns.present))
    arrays["stated.sizes"], arrays["stated.bits"] = _bits(columns.present.values())
    arrays |= {"values": _text(list(columns.values)), "numbers": _text(list(columns.numbers))}
    for at, known in enumerate(columns.values.values()):
        arrays[f"values.{at}"] = _text(list(known))
        arrays[f"values.{at}.sizes"], arrays[f"values.{at}.bits"] = _bits(known.values())
    for at, numbers in enumerate(columns.numbers.values()):
        arrays[f"numbers.{at}"] = np.array(numbers.values, dtype=np.float64)
        arrays[f"numbers.{at}.ordinals"] = np.array(numbers.ordinals, dtype=np.int64)
    try:
        with atomic_write(file) as out:
            np.savez(out, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the keyword allow_pickle for one of them
    except (OSError, StorageFull) as error:
        logger.warning("The snapshot of the index could not be written: %s.", type(error).__name__)


def read_snapshot(file: Path, columns: Columns, *, identity: str, catalogue: str) -> Place | None:
    """Fill empty columns and return how far they go; None when there is no snapshot, or none that fits."""
    try:
        with file.open("rb") as handle, np.load(handle, allow_pickle=False) as found:
            stated = _json(found["place"])
            if stated.pop("layout") != LAYOUT or (stated["identity"], stated["catalogue"]) != (identity, catalogue):
                return None
            _fill(columns, found)
            return Place(**stated)
    except FileNotFoundError:
        return None
    except DAMAGE as error:
        logger.warning("The snapshot of the index is of no use (%s); reading the index itself.", type(error).__name__)
        return None


def write_generation(file: Path, place: Place, generation: str) -> None:
    """Write the generation of a place beside the index; what cannot be written is computed again by the next process."""
    try:
        with atomic_write(file) as out:
            out.write(json.dumps({**asdict(place), "generation": generation}).encode())
    except (OSError, StorageFull) as error:
        logger.warning("The generation of the index could not be kept: %s.", type(error).__name__)


def read_generation(file: Path, place: Place) -> str | None:
    """Return the generation that was kept for exactly this place, None where there is none."""
    try:
        found = json.loads(file.read_bytes())
        generation = found.pop("generation")
        return str(generation) if found == asdict(place) else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        logger.warning("The kept generation of the index is of no use (%s).", type(error).__name__)
        return None


def _fill(columns: Columns, found: Mapping[str, NDArray[Any]]) -> None:
    columns.alive = BitMap.deserialize(found["alive"].tobytes())
    columns.patient, columns.study = _key(found, "patient"), _key(found, "study")
    columns.images, columns.sizes = _array("q", found["images"]), _array("q", found["sizes"])
    columns.draws = _array("q", found["draws"])
    columns.present = _bitmaps(found, "stated")
    for at, field in enumerate(_json(found["values"])):
        columns.values[field] = _bitmaps(found, f"values.{at}")
    for at, field in enumerate(_json(found["numbers"])):
        columns.numbers[field] = Numbers(_array("d", found[f"numbers.{at}"]), _array("q", found[f"numbers.{at}.ordinals"]))


def _key(found: Mapping[str, NDArray[Any]], name: str) -> Key:
    return Key(_json(found[f"{name}.names"]), _array("q", found[f"{name}.codes"]))


def _bitmaps(found: Mapping[str, NDArray[Any]], name: str) -> dict[Any, BitMap]:
    names, content = _json(found[name]), memoryview(found[f"{name}.bits"].tobytes())
    ends = np.cumsum(found[f"{name}.sizes"]).tolist()
    begins = [0, *ends[:-1]]
    return {one: BitMap.deserialize(bytes(content[begin:end])) for one, begin, end in zip(names, begins, ends, strict=True)}


def _bits(bitmaps: Iterable[BitMap]) -> tuple[NDArray[Any], NDArray[Any]]:
    packed = [bitmap.serialize() for bitmap in bitmaps]
    return np.array([len(one) for one in packed], dtype=np.int64), np.frombuffer(b"".join(packed), dtype=np.uint8)


def _text(content: Any) -> NDArray[Any]:
    return np.frombuffer(json.dumps(content).encode(), dtype=np.uint8)


def _json(content: NDArray[Any]) -> Any:
    return json.loads(content.tobytes())


def _array(kind: Any, content: NDArray[Any]) -> array[Any]:
    made: array[Any] = array(kind)
    made.frombytes(content.tobytes())
    return made
