"""Pictures of a masked instance for the report: the frame before so coarse that nothing in it can be read, and the frame after."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fairlead.deidentify.masks import Masked

BLOCKS: Final = 24
"""Blocks across the picture before: one line of burned-in text is far lower than one block, so no letter survives."""
WIDTH_PX: Final = 320


def pictures_of(masked: Masked) -> tuple[bytes, bytes]:
    """Return the first frame before and after as PNG; the first is a mosaic, because a report never shows identity."""
    before, after = _eight_bit(masked.before), _eight_bit(masked.after)
    height = max(1, round(BLOCKS * before.shape[0] / before.shape[1]))
    coarse = Image.fromarray(before).resize((BLOCKS, height), Image.Resampling.BOX)
    return _png(coarse), _png(Image.fromarray(after))


def _eight_bit(frame: NDArray[Any]) -> NDArray[np.uint8]:
    flat = frame.reshape(frame.shape[0], frame.shape[1], -1)
    values = flat[:, :, :3] if flat.shape[2] >= 3 else flat[:, :, 0]
    low, high = float(values.min()), float(values.max())
    scaled = (values.astype(np.float32) - low) * (255.0 / (high - low)) if high > low else np.zeros(values.shape, np.float32)
    return scaled.astype(np.uint8)


def _png(image: Image.Image) -> bytes:
    height = max(1, round(WIDTH_PX * image.height / image.width))
    buffer = BytesIO()
    image.resize((WIDTH_PX, height), Image.Resampling.NEAREST).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
