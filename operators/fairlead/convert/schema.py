"""JSON Schemas of the NGFF image metadata we write, from the text of NGFF 0.5 ("multiscales", "omero", "axes") and RFC-5 (0.6).

They are our own reading of the specification, checked by a second engine (jsonschema) beside ``ome-zarr-models``: stricter
than the specification where we always write a field, and closed where a misspelt key would otherwise pass.
"""

from __future__ import annotations

from typing import Final

from fairlead.records import JsonObject

ORIENTATIONS: Final = [
    "left-to-right", "right-to-left", "anterior-to-posterior", "posterior-to-anterior", "inferior-to-superior", "superior-to-inferior",
]  # fmt: skip
NUMBERS: Final[JsonObject] = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 5}
POSITIVE: Final[JsonObject] = NUMBERS | {"items": {"type": "number", "exclusiveMinimum": 0}}
AXIS: Final[JsonObject] = {
    "type": "object",
    "required": ["name", "type"],
    "properties": {
        "name": {"enum": ["t", "c", "z", "y", "x"]},
        "type": {"enum": ["time", "channel", "space"]},
        "unit": {"type": "string", "pattern": "^[a-z]+$"},
        "orientation": {
            "type": "object",
            "required": ["type", "value"],
            "properties": {"type": {"const": "anatomical"}, "value": {"enum": ORIENTATIONS}},
            "additionalProperties": False,
        },
    },
    "allOf": [
        {"if": {"properties": {"name": {"enum": ["z", "y", "x"]}}}, "then": {"properties": {"type": {"const": "space"}}}},
        {"if": {"properties": {"name": {"const": "t"}}}, "then": {"properties": {"type": {"const": "time"}}}},
        {"if": {"properties": {"name": {"const": "c"}}}, "then": {"properties": {"type": {"const": "channel"}}}},
        {"if": {"required": ["orientation"]}, "then": {"properties": {"type": {"const": "space"}}}},
    ],
    "additionalProperties": True,
}
AXES: Final[JsonObject] = {
    "type": "array", "items": AXIS, "minItems": 2, "maxItems": 5, "uniqueItems": True,
    "contains": {"properties": {"type": {"const": "space"}}}, "minContains": 2, "maxContains": 3,
}  # fmt: skip
SCALE: Final[JsonObject] = {
    "type": "object", "required": ["type", "scale"], "properties": {"type": {"const": "scale"}, "scale": POSITIVE},
}  # fmt: skip
TRANSLATION: Final[JsonObject] = {
    "type": "object", "required": ["type", "translation"], "properties": {"type": {"const": "translation"}, "translation": NUMBERS},
}  # fmt: skip
STEPS: Final[JsonObject] = {"type": "array", "prefixItems": [SCALE, TRANSLATION], "minItems": 1, "maxItems": 2, "items": False}
WINDOW: Final[JsonObject] = {
    "type": "object",
    "required": ["min", "max", "start", "end"],
    "properties": {name: {"type": "number"} for name in ("min", "max", "start", "end")},
}
OMERO: Final[JsonObject] = {
    "type": "object",
    "required": ["channels"],
    "properties": {
        "channels": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["color", "window"],
                "properties": {"color": {"type": "string", "pattern": "^[0-9A-F]{6}$"}, "window": WINDOW, "label": {"type": "string"}},
            },
        }
    },
}


def _dataset(steps: JsonObject) -> JsonObject:
    return {
        "type": "object",
        "required": ["path", "coordinateTransformations"],
        "properties": {"path": {"type": "string", "minLength": 1}, "coordinateTransformations": steps},
        "additionalProperties": False,
    }


def _ome(version: str, multiscale: JsonObject) -> JsonObject:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["version", "multiscales"],
        "properties": {
            "version": {"const": version},
            "multiscales": {"type": "array", "minItems": 1, "items": multiscale},
            "omero": OMERO,
        },
    }


IMAGE_05: Final = _ome(
    "0.5",
    {
        "type": "object",
        "required": ["axes", "datasets"],
        "properties": {"axes": AXES, "datasets": {"type": "array", "minItems": 1, "items": _dataset(STEPS)}, "name": {"type": "string"}},
    },
)
LEVEL_06: Final[JsonObject] = {
    "type": "array", "minItems": 1, "maxItems": 1,
    "items": {
        "type": "object", "required": ["type", "input", "output"],
        "properties": {"type": {"enum": ["scale", "identity", "sequence"]}},
    },
}  # fmt: skip
IMAGE_06: Final = _ome(
    "0.6",
    {
        "type": "object",
        "required": ["coordinateSystems", "datasets"],
        "properties": {
            "coordinateSystems": {
                "type": "array", "minItems": 1,
                "items": {
                    "type": "object", "required": ["name", "axes"],
                    "properties": {"name": {"type": "string", "minLength": 1}, "axes": AXES},
                },
            },
            "datasets": {"type": "array", "minItems": 1, "items": _dataset(LEVEL_06)},
            "axes": False,
            "version": False,
        },
    },
)  # fmt: skip
SCHEMAS: Final = {"0.5": IMAGE_05, "0.6": IMAGE_06}
NAMED: Final[JsonObject] = {
    "type": "array", "minItems": 1,
    "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "pattern": "^[A-Za-z0-9]+$"}}},
}  # fmt: skip
PLATE: Final[JsonObject] = {
    "type": "object",
    "required": ["rows", "columns", "wells"],
    "properties": {
        "rows": NAMED,
        "columns": NAMED,
        "wells": {
            "type": "array", "minItems": 1,
            "items": {
                "type": "object", "required": ["path", "rowIndex", "columnIndex"],
                "properties": {
                    "path": {"type": "string", "pattern": "^[A-Za-z0-9]+/[A-Za-z0-9]+$"},
                    "rowIndex": {"type": "integer", "minimum": 0},
                    "columnIndex": {"type": "integer", "minimum": 0},
                },
            },
        },
        "field_count": {"type": "integer", "minimum": 1},
    },
}  # fmt: skip
WELL: Final[JsonObject] = {
    "type": "object",
    "required": ["images"],
    "properties": {
        "images": {
            "type": "array", "minItems": 1,
            "items": {"type": "object", "required": ["path"], "properties": {"path": {"type": "string", "pattern": "^[A-Za-z0-9]+$"}}},
        },
    },
}  # fmt: skip
GROUPS: Final = {"plate": PLATE, "well": WELL}
"""Groups without an image of their own, by the key that tells what they are (NGFF 0.5 "plate", "well"; the same in 0.6)."""
