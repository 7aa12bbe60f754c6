"""The official JSON Schemas of NGFF 0.4, 0.5 and 0.6, carried in ``ngff_schemas`` and applied without a network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource

from fairlead.records import JsonObject

FOLDER: Final = Path(__file__).parent / "ngff_schemas"
OFFICIAL: Final = tuple(sorted(path.name for path in FOLDER.iterdir() if path.is_dir()))
"""Versions with official schemas."""
SCHEMA_OF: Final = {
    "multiscales": "image",
    "image-label": "label",
    "plate": "plate",
    "well": "well",
    "scene": "scene",
    "series": "ome",
    "bioformats2raw.layout": "bf2raw",
}
"""Which schema judges a group, by the keys in its metadata; a label image is judged by two."""


def official_errors(attributes: JsonObject, version: str) -> Iterator[ValidationError]:
    """Yield what the official schemas of a version say against the NGFF attributes of one group; paths count from them.

    Nothing is said about versions outside :data:`OFFICIAL`, nor about groups without a key of :data:`SCHEMA_OF`.
    """
    if version not in OFFICIAL:
        return
    instance = attributes if version == "0.4" else {"ome": attributes}
    for key, name in SCHEMA_OF.items():
        if key in attributes and (validator := _validator(version, name)) is not None:
            yield from validator.iter_errors(instance)


@cache
def _validator(version: str, name: str) -> Draft202012Validator | None:
    file = FOLDER / version / f"{name}.schema"
    return Draft202012Validator(_read(file), registry=_registry(version)) if file.is_file() else None


@cache
def _registry(version: str) -> Registry[Any]:
    schemas = [_read(file) for file in sorted((FOLDER / version).glob("*.schema"))]
    return Registry().with_resources([(schema["$id"], Resource.from_contents(schema)) for schema in schemas])


def _read(file: Path) -> JsonObject:
    schema: JsonObject = json.loads(file.read_text(encoding="utf-8"))
    return schema
