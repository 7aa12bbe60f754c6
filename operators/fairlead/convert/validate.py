"""Check a store the way a stranger would: metadata by two validators, arrays against metadata, chunks on the disk."""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import zarr
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError as SchemaError
from pydantic import ValidationError

from fairlead.convert.documents import read_json
from fairlead.convert.ngff_read import MAX_LEVELS
from fairlead.convert.official import OFFICIAL, official_errors
from fairlead.convert.scene import scene_paths
from fairlead.convert.schema import GROUPS, SCHEMAS
from fairlead.errors import UnsupportedInput
from fairlead.records import JsonObject, Validity

MODELS: Final = "ome-zarr-models"
SCHEMA: Final = "schema"
MODELLED: Final[Mapping[str, Literal["0.4", "0.5", "0.6"]]] = {"0.4": "0.4", "0.5": "0.5", "0.6": "0.6"}
LABELS: Final = "labels"
DEEPEST: Final = 5
"""Groups below the first that NGFF knows: scene, plate, well, image, labels."""
MAX_SCALES: Final = 64
MODELS_OF: Final = {"plate": "HCS", "well": "Well", "multiscales": "Image", "labels": "Labels", "bioformats2raw.layout": "BioFormats2Raw"}
VALUES: Final = re.compile(r"\s*\[type=.*\]$")
FURTHER: Final = "For further information"
MAX_CHUNKS: Final = 2_000_000
"""Files of one array that are looked for; zarr lists the names of all of them in memory."""


@dataclass(frozen=True, slots=True)
class ValidationFinding:
    """One thing a validator says; ``path`` is the place inside the store."""

    severity: Literal["error", "warning"]
    path: str
    message: str
    validator: str


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """All answers for one store; ``valid`` when none is an error."""

    profile: str
    findings: tuple[ValidationFinding, ...]

    @property
    def valid(self) -> bool:
        """Whether no validator found an error."""
        return not any(finding.severity == "error" for finding in self.findings)

    @property
    def validity(self) -> Validity:
        """The answers by validator, as a store report carries them."""
        failed = {finding.validator for finding in self.findings if finding.severity == "error"}
        return Validity(ome_zarr_models=MODELS not in failed, json_schema=SCHEMA not in failed)


def validate_store(store: Path) -> ValidationResult:
    """Validate an OME-Zarr folder; what is no store at all is one error, never an exception."""
    return _validated(store, DEEPEST)


def _validated(store: Path, depth: int) -> ValidationResult:
    try:
        attributes, version = read_ome(store)
    except (OSError, ValueError) as error:
        return ValidationResult("OME-NGFF", (ValidationFinding("error", "", f"No OME-Zarr image: {_kind(error)}.", MODELS),))
    found = [*_by_models(store, version, attributes), *_by_schema(attributes, version), *_arrays(store, attributes)]
    for below in dict.fromkeys(groups_below(store, attributes)):
        found += _below(store, below, depth)
    return ValidationResult(f"OME-NGFF {version}", tuple(found))


def _below(store: Path, below: str, depth: int) -> list[ValidationFinding]:
    if depth == 0:
        return [ValidationFinding("error", below, "Groups are nested deeper than NGFF knows.", MODELS)]
    inner = _validated(store / below, depth - 1)
    return [replace(finding, path=f"{below}/{finding.path}".rstrip("/")) for finding in inner.findings]


def groups_below(store: Path, attributes: JsonObject) -> list[str]:
    """Return the groups that a group's metadata name: label images, wells of a plate, images of a well, collection or scene."""
    found = [f"{LABELS}/{name}" for name in labels_of(store)] if "multiscales" in attributes else []
    found += [str(item.get("path", "")) for item in _listed(attributes, "plate", "wells") + _listed(attributes, "well", "images")]
    found += scene_paths(attributes)
    if "bioformats2raw.layout" in attributes and "plate" not in attributes:
        found += series_of(store)
    return [path for path in found if Path(path).parts and not path.startswith("/") and ".." not in Path(path).parts]


def _listed(attributes: JsonObject, group: str, key: str) -> list[JsonObject]:
    """Return the objects of a list inside a group's metadata; whatever else stands there is nothing."""
    inner = attributes.get(group)
    items = inner.get(key) if isinstance(inner, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def labels_of(store: Path) -> list[str]:
    """Return the names that the ``labels`` group of an image lists."""
    try:
        names = read_group(store / LABELS).get("labels")
    except (OSError, ValueError):
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


def series_of(store: Path) -> list[str]:
    """Return the images of a bioformats2raw collection in order: as its ``OME`` group lists them, else numbered folders."""
    try:
        listed = read_group(store / "OME").get("series")
    except (OSError, ValueError):
        listed = None
    if isinstance(listed, list):
        return [str(path) for path in listed]
    return sorted((entry.name for entry in store.iterdir() if entry.name.isdigit() and entry.is_dir()), key=int)


def read_group(store: Path) -> JsonObject:
    """Return the NGFF attributes of any group: ``attributes.ome`` of Zarr v3, all attributes of v2.

    Raises
    ------
    ValueError : the file is no JSON object.
    OSError : there is no such file.
    """
    root = store / "zarr.json"
    if root.is_file():
        attributes = _object(read_json(root)).get("attributes", {})
        return _object(_object(attributes).get("ome", {}))
    return _object(read_json(store / ".zattrs"))


def read_ome(store: Path) -> tuple[JsonObject, str]:
    """Return the NGFF attributes and version of a group, from ``zarr.json`` (Zarr v3) or ``.zattrs`` (v2).

    Raises
    ------
    ValueError : the file is no JSON object or has no NGFF metadata.
    OSError : there is no such file.
    """
    root = store / "zarr.json"
    if root.is_file():
        attributes = _object(_object(read_json(root)).get("attributes", {}))
        found = _object(attributes.get("ome"))
        return found, str(found.get("version", "unstated"))
    found = _object(read_json(store / ".zattrs"))
    if not {"multiscales", "plate", "well", "bioformats2raw.layout"} & found.keys():
        raise ValueError("no multiscales")
    return found, _version_2(found)


def _version_2(attributes: JsonObject) -> str:
    """Return the version of a Zarr v2 group: NGFF 0.4 and older state it inside each kind of metadata."""
    scales = attributes.get("multiscales")
    stated = [*(scales[:1] if isinstance(scales, list) else []), attributes.get("plate"), attributes.get("well")]
    return next((str(item["version"]) for item in stated if isinstance(item, dict) and "version" in item), "unstated")


def _object(value: Any) -> JsonObject:
    if not isinstance(value, dict):
        raise ValueError("no NGFF metadata")
    return value


def _by_models(store: Path, version: str, attributes: JsonObject) -> list[ValidationFinding]:
    from ome_zarr_models import open_ome_zarr

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # The stated version only: the package would try every kind of group of every version it knows.
            open_ome_zarr(zarr.open_group(str(store), mode="r"), version=MODELLED.get(version))
    except ValidationError as error:
        return [
            ValidationFinding("error", "/".join(map(str, item["loc"])), item["msg"], MODELS) for item in error.errors(include_input=False)
        ]
    except Exception as error:  # the package raises RuntimeError, KeyError and zarr's own kinds for broken groups
        return [ValidationFinding("error", "", f"Not accepted: {_why(error, attributes)}", MODELS)]
    return []


def _why(error: Exception, attributes: JsonObject) -> str:
    """Return what the package says of the kind of group that the attributes name; it lists its answers for every kind it knows."""
    kind = next((name for key, name in MODELS_OF.items() if key in attributes), "Image")
    answers = [section.splitlines() for section in str(error).split("\n\n")]
    said = next((lines[1:] for lines in answers if lines and lines[0].endswith(f".{kind}")), [])
    plain = [VALUES.sub("", line).strip() for line in said if FURTHER not in line]
    return _said("; ".join(plain)) if plain else f"{type(error).__name__}."


def _by_schema(attributes: JsonObject, version: str) -> list[ValidationFinding]:
    """Judge a group by the official schemas of its version, and an image of a version that we write by our own, stricter one."""
    if version not in OFFICIAL:
        return [
            ValidationFinding("warning", "ome/version", f"No schema for NGFF {version[:10]!r}; known are {', '.join(OFFICIAL)}.", SCHEMA)
        ]
    found = [_error(error, "" if "ome" in error.absolute_path else "ome/") for error in official_errors(attributes, version)]
    if version not in SCHEMAS:
        return found
    for key, group in GROUPS.items():
        if key in attributes:
            return found + _judged(group, attributes[key], f"ome/{key}/")
    return found + (_judged(SCHEMAS[version], attributes, "ome/") if "multiscales" in attributes else [])


def _judged(schema: JsonObject, value: Any, at: str) -> list[ValidationFinding]:
    return [_error(error, at) for error in Draft202012Validator(schema).iter_errors(value)]


def _error(error: SchemaError, at: str) -> ValidationFinding:
    return ValidationFinding("error", at + "/".join(map(str, error.absolute_path)), _said(error.message), SCHEMA)


def _arrays(store: Path, attributes: JsonObject) -> list[ValidationFinding]:
    """Return levels that cannot be opened, and chunks that are not there: a reader would see the fill value without a word."""
    scales = attributes.get("multiscales")
    found: list[ValidationFinding] = []
    for scale in scales[:MAX_SCALES] if isinstance(scales, list) else []:
        paths = dict.fromkeys(str(dataset.get("path", "")) for dataset in _listed({"scale": scale}, "scale", "datasets"))
        if len(paths) > MAX_LEVELS:
            return [ValidationFinding("error", "", f"{len(paths)} levels are more than anybody needs, and are not opened.", MODELS)]
        for path in paths:
            found += _array(store, path)
    return found


def _array(store: Path, path: str) -> list[ValidationFinding]:
    if not path or path.startswith("/") or ".." in Path(path).parts:
        return [ValidationFinding("error", path, "The path of a level must lie inside the store.", MODELS)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zarr comments on odd metadata, and quotes the path
            absent = missing_chunks(zarr.open_array(str(store / path), mode="r"))
    except Exception as error:  # zarr raises a dozen kinds for damaged metadata
        return [ValidationFinding("error", path, f"The level cannot be opened ({type(error).__name__}).", MODELS)]
    return [ValidationFinding("warning", path, f"{absent} chunks are absent and read as the fill value.", MODELS)] if absent else []


def missing_chunks(array: zarr.Array[Any]) -> int:
    """Return how many chunks of an array have no object in the store (a shard counts as all of its chunks).

    Raises
    ------
    UnsupportedInput : more chunk files than anybody would look for.
    """
    outer = array.shards or array.chunks
    if (count := math.prod(-(-size // step) for size, step in zip(array.shape, outer, strict=True))) > MAX_CHUNKS:
        raise UnsupportedInput(f"An array of {count} chunk files is not read.", remedy=f"Up to {MAX_CHUNKS} are; use larger shards.")
    return max(int(array.nchunks) - int(array.nchunks_initialized), 0)


def _said(message: str) -> str:
    return message if len(message) <= 300 else message[:297] + "..."


def _kind(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError) and not isinstance(error, json.JSONDecodeError) else type(error).__name__
