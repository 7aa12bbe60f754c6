"""Small pictures of records: the middle slice, windowed as its header says, and only where the pixels are known to be clean.

A picture is drawn once a content and kept below the home folder. Whether it may be shown is decided by the same judge that
guards exports: nothing but its "pass" is drawn, so text burned into a screen capture or an ultrasound never reaches the page.
"""

from __future__ import annotations

import base64
import hashlib
import io
import logging
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cryptography.fernet import Fernet, InvalidToken

from fairlead.errors import NotFound
from fairlead.files import atomic_write
from fairlead.records import ImagingRecord
from fairlead.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

logger = logging.getLogger(__name__)

SIDE: Final = 160
"""Longest side in pixels."""
NONE: Final = b""
MAX_BYTES: Final = 64 * 1024**2
"""Larger files are not read for a picture."""
LAYOUT: Final = 1
TICKET_S: Final = 12 * 3600


class Tickets:
    """Names of records that pages may hold: a record's id has the series UID in it, and no UID of a source is on a page."""

    def __init__(self, key: bytes) -> None:
        self._cipher = Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"pictures\0" + key).digest()))

    def issue(self, record_id: str) -> str:
        """Return a ticket for the picture of one record."""
        return self._cipher.encrypt(record_id.encode()).decode()

    def redeem(self, ticket: str) -> str:
        """Return the record id of a ticket; raise NotFound for one that is altered, too old or made up."""
        try:
            return self._cipher.decrypt(ticket.encode(), ttl=TICKET_S).decode()
        except InvalidToken as error:
            raise NotFound("There is no such picture (any more).", remedy="Load the page again.") from error


class ArchivedPictures:
    """Pictures of what lies in the archive of an installation."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._folder = settings, settings.home_folder / "pictures"

    def picture(self, record: ImagingRecord) -> bytes | None:
        """Return a PNG, or None where none may or can be shown; both answers are kept."""
        name = hashlib.sha256(f"{LAYOUT}\n{self._judged_by}\n{record.id}\n{record.core.generation}".encode()).hexdigest()
        kept = self._folder / name[:2] / f"{name}.png"
        if not kept.is_file():
            drawn = self._drawn(record) or NONE
            for folder in (self._folder, kept.parent):
                folder.mkdir(exist_ok=True, mode=0o700)
            with atomic_write(kept) as out:
                out.write(drawn)
        return kept.read_bytes() or None

    @cached_property
    def _judged_by(self) -> str:
        """The profile that decides, word for word: under a stricter one every picture is judged again."""
        from fairlead.deidentify import load_profile

        return hashlib.sha256(load_profile(self._settings.export.profile).model_dump_json().encode()).hexdigest()

    def _drawn(self, record: ImagingRecord) -> bytes | None:
        source = record.core.source
        if record.core.kind != "dicom-series" or source.place != "archive" or not source.paths:
            return None
        file = self._settings.archive_folder / sorted(source.paths)[len(source.paths) // 2]
        root = self._settings.archive_folder
        if not file.resolve().is_relative_to(root) or not file.is_file() or file.stat().st_size > MAX_BYTES:
            return None
        try:
            return _png(file, self._settings.export.profile)
        except Exception as error:  # a decoder may raise anything over other people's bytes; a missing picture is no failure
            logger.warning("No picture could be drawn: %s.", type(error).__name__)
            return None


def _png(file: Path, profile: str) -> bytes | None:
    import pydicom

    from fairlead.deidentify import Decision, judge, load_profile

    dataset = pydicom.dcmread(file)
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if judge(dataset, load_profile(profile), transfer_syntax=syntax).decision is not Decision.PASS:
        return None
    return _encoded(_grey(dataset))


def _grey(dataset: Dataset) -> NDArray[np.uint8]:
    """Return one frame as 8-bit grey or colour: modality and VOI transformations applied (PS3.3 C.11.1, C.11.2)."""
    import numpy as np
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
    from pydicom.pixels.utils import pixel_array

    frames = int(dataset.get("NumberOfFrames") or 1)
    stored = pixel_array(dataset, index=frames // 2)
    if stored.ndim == 3:
        return np.asarray(stored, dtype=np.uint8)
    values: NDArray[Any] = np.asarray(apply_voi_lut(apply_modality_lut(stored, dataset), dataset), dtype=np.float64)
    low, high = (values.min(), values.max()) if "WindowWidth" in dataset else np.percentile(values, (1, 99))
    grey = np.clip((values - low) / max(high - low, 1e-9), 0, 1) * 255
    return np.asarray(255 - grey if dataset.get("PhotometricInterpretation") == "MONOCHROME1" else grey, dtype=np.uint8)


def _encoded(pixels: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    picture = Image.fromarray(pixels)
    picture.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()
