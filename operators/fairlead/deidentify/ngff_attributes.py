"""The attributes of OME-Zarr groups: keys by an allow-list, and the values of each key by its own enumeration or form (NGFF 0.1 to 0.6)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from fairlead import __version__
from fairlead.deidentify.profile import Profile
from fairlead.deidentify.table import EDITION, Option
from fairlead.deidentify.words import MEASURE, clean_words, known_terms, remove_words
from fairlead.deidentify.zarr_arrays import ZarrArray, is_axis_name
from fairlead.errors import UnsupportedInput

PLAIN_FOLDER: Final = re.compile(r"[A-Za-z]{0,2}\d{1,6}|[A-Za-z]{1,2}")
FOLDER_WORDS: Final = frozenset({
    "labels", "label", "ome", "data", "zarr", "nuclei", "nucleus", "cells", "cell", "image", "images", "level", "resolution", "well",
    "wells",
})  # fmt: skip
ATTRIBUTES: Final = frozenset({
    "ome", "version", "multiscales", "axes", "datasets", "coordinateTransformations", "coordinateSystems", "scale", "translation",
    "rotation", "affine", "type", "unit", "path", "input", "output", "omero", "channels", "color", "window", "min", "max", "start",
    "end", "active", "coefficient", "family", "inverted", "label", "rdefs", "defaultT", "defaultZ", "model", "plate", "columns", "rows",
    "wells", "rowIndex", "columnIndex", "field_count", "acquisitions", "acquisition", "id", "maximumfieldcount", "well", "images",
    "labels", "image-label", "colors", "label-value", "rgba", "source", "image", "bioformats2raw.layout", "series", "name",
    "orientation", "value", "longName", "_ARRAY_DIMENSIONS", "discrete",
})  # fmt: skip
"""Keys that describe shape, colour and layout; any other key could hold anything."""
REFERENCES: Final = frozenset({"path", "input", "output", "image", "labels", "series"})
LAYOUT: Final = frozenset({"coordinateSystems", "coordinateTransformations", "input", "output"})
SYSTEM: Final = re.compile(r"[ctzyx]{1,5}|global|physical|world|array|intrinsic|pixel|input|output")
"""Usual names of coordinate systems."""
WELL_NAME: Final = re.compile(r"[A-Za-z]{1,2}|\d{1,4}|[A-Za-z]{1,2}\d{1,3}")
TYPES: Final = frozenset({
    "space", "time", "channel", "array", "coordinate", "displacement", "frequency", "identity", "scale", "translation", "rotation",
    "affine", "sequence", "mapAxis", "displacements", "coordinates", "bijection", "byDimension", "inverseOf", "anatomical", "gaussian",
    "laplacian", "reduce", "pick", "mean", "median", "mode", "nearest", "linear", "local_mean", "max", "min", "area", "bilinear",
    "bicubic", "stride", "resize", "zoom", "unknown",
})  # fmt: skip
UNITS: Final = frozenset({
    "angstrom", "attometer", "centimeter", "decimeter", "exameter", "femtometer", "foot", "gigameter", "hectometer", "inch",
    "kilometer", "megameter", "meter", "micrometer", "mile", "millimeter", "nanometer", "parsec", "petameter", "picometer", "terameter",
    "yard", "yoctometer", "yottameter", "zeptometer", "zettameter", "attosecond", "centisecond", "day", "decisecond", "exasecond",
    "femtosecond", "gigasecond", "hectosecond", "hour", "kilosecond", "megasecond", "microsecond", "millisecond", "minute",
    "nanosecond", "petasecond", "picosecond", "second", "terasecond", "yoctosecond", "yottasecond", "zeptosecond", "zettasecond",
    "pixel", "unit", "degree", "radian", "hertz", "um", "µm", "nm", "mm", "cm", "m", "s", "ms", "min", "h",
})  # fmt: skip
"""Units of space and time that NGFF recommends (UDUNITS-2), and abbreviations that are written nevertheless."""
ORIENTATIONS: Final = frozenset({
    "left-to-right", "right-to-left", "anterior-to-posterior", "posterior-to-anterior", "inferior-to-superior", "superior-to-inferior",
    "dorsal-to-ventral", "ventral-to-dorsal", "dorsal-to-palmar", "palmar-to-dorsal", "dorsal-to-plantar", "plantar-to-dorsal",
    "rostral-to-caudal", "caudal-to-rostral", "cranial-to-caudal", "caudal-to-cranial", "proximal-to-distal", "distal-to-proximal",
})  # fmt: skip
"""Anatomical orientations of RFC 4."""
VALUES: Final[Mapping[str, Callable[[str], object]]] = {
    "version": re.compile(r"0\.\d{1,2}(\.\d{1,2})?(-?(dev|rc|a|b)\d{0,3}(-spatialdata)?)?").fullmatch,
    "type": TYPES.__contains__,
    "unit": UNITS.__contains__,
    "value": ORIENTATIONS.__contains__,
    "orientation": ORIENTATIONS.__contains__,
    "color": re.compile(r"#?([0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})").fullmatch,
    "family": frozenset({"linear", "polynomial", "exponential", "logarithmic"}).__contains__,
    "model": frozenset({"color", "greyscale"}).__contains__,
    "_ARRAY_DIMENSIONS": is_axis_name,
}
"""The form of the values of each key; a text under any other key goes."""


def require_plain(folder: PurePosixPath) -> None:
    """Refuse folder names that could name somebody: others refer to them, so they cannot be changed one by one.

    Raises
    ------
    UnsupportedInput : a part of the path is neither a number nor made of known terms.
    """
    for part in folder.parts:
        words = re.split(r"[\W_]+", part.casefold())
        known = all(not word or word in FOLDER_WORDS or word in known_terms() or MEASURE.fullmatch(word) for word in words)
        if not known and not PLAIN_FOLDER.fullmatch(part):
            raise UnsupportedInput("A folder inside the store has a name of its own, which could name somebody.")


class Attributes:
    """Cleans the JSON documents of one store."""

    def __init__(self, profile: Profile, *, forbidden: frozenset[str]) -> None:
        self._profile, self._forbidden = profile, forbidden

    def group(self, name: str, content: Mapping[str, Any], *, top: bool) -> bytes:
        """Return ``.zgroup``, ``.zattrs`` or the ``zarr.json`` of a group without anything that is not structure."""
        if name == ".zattrs":
            cleaned = self._cleaned(content)
            return self._document(cleaned, cleaned, top=top)
        if name == ".zgroup":
            return self._document({"zarr_format": 2}, {}, top=False)
        attributes = self._cleaned(content.get("attributes") or {})
        return self._document({"zarr_format": 3, "node_type": "group", "attributes": attributes}, attributes, top=top)

    def array(self, array: ZarrArray, content: Mapping[str, Any]) -> bytes:
        """Return the metadata of an array, which was checked, with its attributes cleaned."""
        cleaned = dict(array.document)
        if "attributes" in content:
            cleaned["attributes"] = self._cleaned(content["attributes"])
        return self._document(cleaned, {}, top=False)

    def _document(self, whole: Any, attributes: dict[str, Any], *, top: bool) -> bytes:
        if top:
            attributes["deidentified"] = f"Fairlead {__version__}; PS3.15 {EDITION}; profile {self._profile.name} {self._profile.sha256}"
        return json.dumps(whole, indent=1).encode()

    def _cleaned(self, value: Any, key: str = "", parent: str = "") -> Any:
        if isinstance(value, Mapping):
            kept = {name: self._cleaned(inner, name, key) for name, inner in value.items() if name in ATTRIBUTES}
            return {name: inner for name, inner in kept.items() if inner is not None}
        if isinstance(value, list):
            cleaned = [self._cleaned(inner, key, parent) for inner in value]
            return [inner for inner in cleaned if inner is not None] if any(isinstance(inner, str) for inner in value) else cleaned
        return self._text(value, key, parent) if isinstance(value, str) else value

    def _text(self, text: str, key: str, parent: str) -> str | None:
        if key in REFERENCES:
            require_plain(PurePosixPath(text.replace("..", "")))
            return text
        if key == "axes" or (key == "name" and parent == "axes"):  # NGFF 0.3 lists the names alone
            return self._required(text, known=is_axis_name(text))
        if key == "name" and parent in ("rows", "columns"):
            return self._required(text, known=WELL_NAME.fullmatch(text) is not None)
        if key == "name" and parent in LAYOUT:
            if not SYSTEM.fullmatch(text):
                require_plain(PurePosixPath(text))
            return text
        if key in ("name", "longName"):
            cleaning = Option.CLEAN_DESCRIPTORS in self._profile.options
            return (clean_words(text, forbidden=self._forbidden) or None) if cleaning else None
        if key == "label":
            return remove_words(text, forbidden=self._forbidden) or None
        return text if key in VALUES and VALUES[key](text) else None

    def _required(self, text: str, *, known: bool) -> str:
        if not known:
            raise UnsupportedInput("An axis, row or column of the store has a name of its own, which could name somebody.")
        return text
