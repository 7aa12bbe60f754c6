"""Groups of an OME-Zarr hierarchy: their JSON metadata for Zarr v2 and v3, their version, and the images they hold.

Source: OME-NGFF 0.1 to 0.6, sections "multiscales", "plate", "well", "labels", and the transitional "bioformats2raw.layout". No array
is opened. Names in metadata never lead out of the folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fairlead.errors import UnreadableImage, UnsupportedInput
from fairlead.records import JsonObject

JSON_LIMIT_BYTES: Final = 16 * 1024 * 1024
MAX_IMAGES: Final = 20_000
SUPPORTED: Final = ("0.1", "0.2", "0.3", "0.4", "0.5", "0.6")
REMEDY: Final = "Read are OME-Zarr images, plates, wells and bioformats2raw collections of version 0.1 to 0.6."
METADATA_NAMES: Final = frozenset({"zarr.json", ".zgroup", ".zattrs", ".zarray", ".zmetadata"})
BF2RAW: Final = "bioformats2raw.layout"


@dataclass(frozen=True, slots=True)
class Group:
    """A group with OME metadata; ``version`` is the one it states itself, "" where it states none."""

    folder: Path
    metadata: JsonObject
    version: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where one image of a store lies, and what the collections around it say about it."""

    path: str = ""
    plate: str | None = None
    well: str | None = None


def read_group(folder: Path) -> Group | None:
    """Return the group at a folder, None when it has no OME metadata.

    Raises
    ------
    UnreadableImage : the metadata is no JSON object, or larger than 16 MiB.
    """
    if (folder / "zarr.json").is_file():
        attributes = read_json(folder / "zarr.json").get("attributes")
        metadata = attributes.get("ome") if isinstance(attributes, dict) else None
        version = metadata.get("version") if isinstance(metadata, dict) else None
    else:
        metadata = read_json(folder / ".zattrs") if (folder / ".zattrs").is_file() else None
        version = _v2_version(metadata)
    if not isinstance(metadata, dict) or not metadata:
        return None
    return Group(folder, metadata, version if isinstance(version, str) else "")


def _v2_version(metadata: JsonObject | None) -> Any:
    for name in ("multiscales", "plate", "well"):
        stated = (metadata or {}).get(name)
        first = stated[0] if isinstance(stated, list) and stated else stated
        if isinstance(first, dict):
            return first.get("version")
    return None


def read_json(file: Path) -> JsonObject:
    """Return a JSON object.

    Raises
    ------
    UnreadableImage : larger than 16 MiB, or no JSON object.
    """
    if file.stat().st_size > JSON_LIMIT_BYTES:
        raise UnreadableImage(f"The Zarr metadata {file.name} is larger than 16 MiB.")
    try:
        document = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UnreadableImage(f"The Zarr metadata {file.name} is not JSON.") from error
    if not isinstance(document, dict):
        raise UnreadableImage(f"The Zarr metadata {file.name} is no JSON object.")
    return document


def inside(root: Path, name: Any) -> Path:
    """Return the folder of that name below ``root``.

    Raises
    ------
    UnreadableImage : the name leads elsewhere.
    """
    if not isinstance(name, str) or not name or name.startswith("/") or ".." in name.split("/") or "\\" in name:
        raise UnreadableImage("An OME-Zarr path leads out of the folder.")
    return root.joinpath(*name.split("/"))


def places_of(group: Group) -> tuple[Place, ...]:
    """Return where the images of a store lie, in the order of its metadata: the root itself, fields of wells, or numbered series.

    Raises
    ------
    UnsupportedInput : no image, plate, well or collection; or more than 20,000 images.
    UnreadableImage : a list of the metadata is none, or a path leads out of the folder.
    """
    metadata = group.metadata
    if isinstance(metadata.get("plate"), dict):
        found = tuple(_bounded(_fields_of_plate(group, metadata["plate"])))
    elif isinstance(metadata.get("well"), dict):
        found = tuple(_bounded(_fields_of_well(group, "", Place())))
    elif isinstance(metadata.get("multiscales"), list) and metadata["multiscales"]:
        return (Place(),)
    elif BF2RAW in metadata:
        found = tuple(_bounded(Place(path) for path in _series(group.folder)))
    else:
        raise UnsupportedInput("The Zarr folder holds no multiscales metadata.", remedy=REMEDY)
    if not found:
        raise UnreadableImage("The OME-Zarr collection lists no image.")
    return found


def _bounded(places: Iterator[Place]) -> Iterator[Place]:
    """Yield each image once: one that is listed again, under whatever spelling of its path, is no second image."""
    seen: set[tuple[str, ...]] = set()
    for count, place in enumerate(places):
        if count >= MAX_IMAGES:
            raise UnsupportedInput(f"The OME-Zarr collection lists more than {MAX_IMAGES} images.", remedy="Split it.")
        parts = tuple(part for part in place.path.split("/") if part not in ("", "."))
        if parts not in seen:
            seen.add(parts)
            yield place


def _fields_of_plate(group: Group, plate: JsonObject) -> Iterator[Place]:
    name = plate.get("name")
    for well in _objects(plate.get("wells"), "wells of the plate"):
        path = well.get("path")
        folder = inside(group.folder, path)
        place = Place(plate=name if isinstance(name, str) else None, well="".join(str(path).split("/")))
        found = read_group(folder) if folder.is_dir() else None
        if found is None or not isinstance(found.metadata.get("well"), dict):
            yield Place(str(path), place.plate, place.well)
        else:
            yield from _fields_of_well(found, f"{path}/", place)


def _fields_of_well(group: Group, prefix: str, place: Place) -> Iterator[Place]:
    for image in _objects(group.metadata["well"].get("images"), "images of the well"):
        inside(group.folder, image.get("path"))
        yield Place(f"{prefix}{image['path']}", place.plate, place.well)


def _series(root: Path) -> Iterator[str]:
    """Yield the paths of a collection: as its OME group lists them (layout 3), else folders numbered from 0."""
    listed = read_group(root / "OME")
    series = listed.metadata.get("series") if listed is not None else None
    if isinstance(series, list):
        for path in series:
            inside(root, path)
            yield path
        return
    number = 0
    while (root / str(number)).is_dir():
        yield str(number)
        number += 1


def series_order(root: Path) -> dict[str, int]:
    """Return path -> place of each image in the order of ``OME/METADATA.ome.xml``, as far as the store says."""
    return {path: number for number, path in enumerate(_series(root))}


def labels_of(folder: Path) -> list[str]:
    """Return the names of an image's label images (NGFF, section "labels"), none where its list is broken."""
    try:
        group = read_group(folder / "labels")
    except (UnreadableImage, OSError):
        return []
    names = group.metadata.get("labels") if group is not None else None
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _objects(value: Any, what: str) -> list[JsonObject]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise UnreadableImage(f"The OME-Zarr metadata holds no list of the {what}.")
    return value
