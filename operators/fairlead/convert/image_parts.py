"""Images of more than five dimensions: T, C or Z divided further; each index of what divides them is an image of its own.

NGFF 0.5 has no place for such axes: at most five, of them at most one of type "channel" and one of type "time" (section "axes").
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from fairlead.convert.modulo import Division
from fairlead.convert.ome_xml import OmeImage
from fairlead.errors import UnreadableImage, UnsupportedInput
from fairlead.records import JsonObject

MAX_PARTS: Final = 256
"""Stores that one image may become."""


@dataclass(frozen=True, slots=True)
class Part:
    """One of the images that an image of more axes becomes. ``places`` are (count, index) of what divides t, c or z."""

    image: OmeImage
    suffix: str = ""
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    said: JsonObject = field(default_factory=dict)

    def stored(self, axis: str, number: int) -> int:
        """Return where along an axis of the file the sample ``number`` of this part lies: what divides an axis varies faster."""
        count, place = self.places.get(axis, (1, 0))
        return number * count + place

    @property
    def attributes(self) -> JsonObject:
        """What the store says of the part, nothing for an undivided image."""
        return {"microscopy": self.said} if self.said else {}


def parts_of(image: OmeImage) -> list[Part]:
    """Return every part of an image, one for an image that nothing divides.

    Raises
    ------
    UnreadableImage : an axis cannot be divided so.
    UnsupportedInput : too many parts.
    """
    if any(image.sizes[division.parent] % division.count for division in image.divisions):
        raise UnreadableImage("The OME-XML divides an axis into parts that it does not have.")
    counts = [division.count for division in image.divisions]
    if math.prod(counts) > MAX_PARTS:
        raise UnsupportedInput(
            f"An image that divides into {math.prod(counts)} is not converted.",
            remedy=f"Converted are at most {MAX_PARTS} images along further axes.",
        )
    return [_part(image, tuple(map(int, index))) for index in np.ndindex(*counts)]


def _part(image: OmeImage, index: tuple[int, ...]) -> Part:
    if not image.divisions:
        return Part(image)
    sizes, channels = dict(image.sizes), image.channels
    places: dict[str, tuple[int, int]] = {}
    names = _names(image.divisions)
    values: JsonObject = {}
    for name, division, place in zip(names, image.divisions, index, strict=True):
        if division.parent == "c" and len(channels) == sizes["c"]:
            channels = channels[place :: division.count]
        sizes[division.parent] //= division.count
        places[division.parent] = (division.count, place)
        if (value := division.values[place] if division.values else None) is not None:
            values[name] = {"value": value} | ({"unit": division.unit} if division.unit else {})
    said: JsonObject = {"part": dict(zip(names, index, strict=True))} | ({"values": values} if values else {})
    suffix = "".join(f"-{name}{place}" for name, place in zip(names, index, strict=True))
    return Part(replace(image, sizes=sizes, channels=channels, divisions=()), suffix, places, said)


def _names(divisions: tuple[Division, ...]) -> list[str]:
    """Return the kind of each division, with the axis that it divides where two are of one kind."""
    kinds = [division.kind for division in divisions]
    return [one.kind if kinds.count(one.kind) == 1 else f"{one.kind}-{one.parent}" for one in divisions]
