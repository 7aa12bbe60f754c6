"""Images of more than five dimensions, as OME-TIFF stores them: T, C or Z divided further; each index there is an image of its own.

Source: OME model, "6D, 7D and 8D storage" (annotations of the namespace ``openmicroscopy.org/omero/dimension/modulo``). NGFF 0.5 has
no place for such axes: at most five, of them at most one of type "channel" and one of type "time" (section "axes").
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np
import tifffile

from fairlead.convert.ome_xml import OmeImage
from fairlead.errors import UnreadableImage

EXTRA_AXES: Final = {"H": "lifetime", "E": "lambda", "A": "angle", "P": "phase", "R": "tile", "Q": "other"}
"""The axes that divide others, by the letter that tifffile gives them."""
MAX_PARTS: Final = 256
"""Stores that one image may become."""

type Part = dict[str, int]


def parts_of(series: tifffile.TiffPageSeries) -> list[Part]:
    """Return every index of the extra axes: one empty index without such axes, nothing when there are too many."""
    sizes = {axis: size for axis, size in zip(str(series.axes), series.shape, strict=True) if axis in EXTRA_AXES}
    if math.prod(sizes.values()) > MAX_PARTS:
        return []
    return [dict(zip(sizes, map(int, index), strict=True)) for index in np.ndindex(*sizes.values())]


def image_of_part(series: tifffile.TiffPageSeries, image: OmeImage, part: Part) -> OmeImage:
    """Return what the OME-XML says of one part: an extra axis follows the axis that it divides and varies faster.

    Raises
    ------
    UnreadableImage : an axis cannot be divided so.
    """
    sizes, channels, parent = dict(image.sizes), image.channels, ""
    for axis, size in zip(str(series.axes), series.shape, strict=True):
        parent = axis.lower() if axis in "TCZ" else parent
        if axis not in part:
            continue
        if not parent or sizes[parent] % size:
            raise UnreadableImage("The OME-XML divides an axis into parts that it does not have.")
        if parent == "c" and len(channels) == sizes["c"]:
            channels = channels[part[axis] :: size]
        sizes[parent] //= size
    return replace(image, sizes=sizes, channels=channels)
