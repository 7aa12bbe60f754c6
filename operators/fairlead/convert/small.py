"""Draw one image of an OME file small, from the least of its levels that is large enough: no slide is read whole for a thumbnail."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fairlead.convert.ome_files import ome_plans
from fairlead.convert.options import ConvertOptions
from fairlead.convert.plan import CollectionPlan, CopyPlan, ImagePlan
from fairlead.convert.preview import draw_channels, draw_middle
from fairlead.convert.sources import find_sources
from fairlead.errors import NotFound, UnsupportedInput

MAX_SAMPLES: Final = 64_000_000
"""Samples of one plane, all its channels together, that are decoded for a picture."""
MAX_CHANNELS: Final = 6
COLOURS: Final = 3


def draw_small(path: Path, number: int, *, side: int) -> bytes:
    """Return image ``number`` of a file as PNG of at most ``side`` pixels: the middle plane of the first time point.

    Raises
    ------
    NotFound : the file has no such image. UnsupportedInput : its smallest level is too large, or it is no image that is converted.
    UnreadableImage : its pixels are damaged.
    """
    options = ConvertOptions()
    found = list(find_sources([path]))
    if len(found) != 1:
        raise UnsupportedInput("This is not one file or one store.")
    for plan in ome_plans(found[0], "image", options.policy, options.ngff):  # a file stays open until the next plan is asked for
        if not isinstance(plan, CollectionPlan) and (plan.image_index or 0) == number:
            picture = draw_middle(plan.root) if isinstance(plan, CopyPlan) else _drawn(plan, side)
            picture.thumbnail((side, side))
            out = io.BytesIO()
            picture.save(out, "PNG", optimize=True)
            return out.getvalue()
    raise NotFound("The file has no such image.")


def _drawn(plan: ImagePlan, side: int) -> Image.Image:
    spaces = plan.levels or (plan.space,)
    enough = [level for level, space in enumerate(spaces) if max(space[-2:]) >= side]
    level = enough[-1] if enough else 0
    channels = min(next((axis.size for axis in plan.axes if axis.name == "c"), 1), MAX_CHANNELS)
    if math.prod(spaces[level][-2:]) * channels > MAX_SAMPLES:
        raise UnsupportedInput("The smallest level of the image is too large for a picture.")
    plane = _plane(plan, level, spaces[level], channels)
    if len(plane) == COLOURS and plane.dtype == np.uint8 and not plan.greyscale and plan.bands:
        return Image.fromarray(np.ascontiguousarray(plane.transpose(1, 2, 0)))
    return draw_channels(plane)


def _plane(plan: ImagePlan, level: int, space: tuple[int, ...], channels: int) -> NDArray[Any]:
    """Return the middle plane of the first time point as (c, y, x)."""
    rows = space[-2]
    if plan.bands:
        found = plan.voxels.read(level, (0,) * len(plan.lead_axes), 0, rows)
        return found.transpose(1, 0, 2)[:channels] if found.ndim == 3 else found[None]
    deep = plan.slab_axes[0] == "z"
    start, stop = (space[0] // 2, space[0] // 2 + 1) if deep else (0, rows)
    names = [axis.name for axis in plan.lead_axes]
    wanted = range(channels) if "c" in names else range(1)
    planes = [plan.voxels.read(level, tuple(number if name == "c" else 0 for name in names), start, stop) for number in wanted]
    return np.stack([plane[0] if deep else plane for plane in planes])
