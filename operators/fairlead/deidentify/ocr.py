"""A second opinion on pixels by an OCR program (Debian package tesseract-ocr): a number for the report, never the gate.

Measured recall on injected names is 47 to 80 %, so silence proves nothing, and a word seen is a reason to look.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.pixels.utils import pixel_array

from fairlead.deidentify.masks import Masked
from fairlead.deidentify.part10 import DAMAGE, Source, with_pixels
from fairlead.deidentify.pixels import has_pixels

PROGRAM: Final = "tesseract"
TIMEOUT_S: Final = 60.0
SCALE: Final = 2
"""Twice the size reads text of 12 px, the most frequent, best."""
SHORTEST: Final = 3
SURE: Final = 60.0
logger = logging.getLogger(__name__)


def find_ocr() -> str | None:
    """Return where tesseract is, None when it is not installed."""
    return shutil.which(PROGRAM)


def words_in(source: Source, masked: Masked | None, *, program: str | None) -> int | None:
    """Return how many words the program is fairly sure to see in the first frame that is written; None when it cannot look."""
    if program is None or not has_pixels(source.dataset):
        return None
    try:
        frame = masked.after if masked is not None else pixel_array(with_pixels(source), index=0)
        done = subprocess.run(
            [program, "stdin", "stdout", "--psm", "11", "tsv"], input=_png(frame), capture_output=True, timeout=TIMEOUT_S, check=False
        )
    except (*DAMAGE, subprocess.TimeoutExpired, OSError) as error:
        logger.debug("No second opinion on a frame: %s.", type(error).__name__)
        return None
    return count_words(done.stdout.decode("utf-8", "replace")) if done.returncode == 0 else None


def count_words(table: str) -> int:
    r"""Return the number of words in tesseract's table that are sure and long enough to be one; the words are not kept.

    >>> count_words("level\tconf\ttext\n5\t91.5\tMUSTERMANN\n5\t20\tx~,")
    1
    """
    lines = [line.split("\t") for line in table.splitlines()]
    if not lines or "conf" not in lines[0] or "text" not in lines[0]:
        return 0
    sure, text = lines[0].index("conf"), lines[0].index("text")
    return sum(_is_word(line[text], line[sure]) for line in lines[1:] if len(line) == len(lines[0]))


def _is_word(text: str, confidence: str) -> bool:
    letters = sum(character.isalnum() for character in text)
    return letters >= SHORTEST and float(confidence) >= SURE


def _png(frame: NDArray[Any]) -> bytes:
    values = frame.reshape(frame.shape[0], frame.shape[1], -1)[:, :, 0].astype(np.float32)
    low, high = float(values.min()), float(values.max())
    grey = ((values - low) * (255.0 / max(high - low, 1.0))).astype(np.uint8)
    image = Image.fromarray(grey)
    buffer = BytesIO()
    image.resize((image.width * SCALE, image.height * SCALE)).save(buffer, "PNG")
    return buffer.getvalue()
