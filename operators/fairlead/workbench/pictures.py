"""Small pictures of records: the middle slice, windowed as its header says, and only where the pixels are known to be clean.

Of microscopy it is the middle plane, its channels mixed, from the least level that is large enough. A picture is drawn once
a content, when the series is indexed (:func:`draw_pictures`) or else when it is first asked for, and kept below the home folder
under a hash of that content. Whether it may be shown is decided by the same judge that guards exports: nothing but its "pass" is
drawn, so text burned into a screen capture or an ultrasound never reaches the page. Where there is no picture, a drawing says
why, in words of ours.
"""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cryptography.fernet import Fernet, InvalidToken

from fairlead.errors import FairleadError, NotFound, UnsupportedInput
from fairlead.files import atomic_write
from fairlead.records import ImagingRecord, Record
from fairlead.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from fairlead.index import Index

logger = logging.getLogger(__name__)

SIDE: Final = 160
"""Longest side in pixels."""
PNG: Final = b"\x89PNG"
MAX_BYTES: Final = 64 * 1024**2
"""Larger files are not read for a picture."""
MAX_OME_BYTES: Final = 4 * 1024**3
"""Larger OME files and stores are not opened for a picture: even of a pyramid every tile is looked at before one is decoded."""
MAX_PIXELS: Final = 64_000_000
"""Larger frames are not decoded: a small file may say that it holds a very large one."""
LAYOUT: Final = 4
TICKET_S: Final = 12 * 3600

WITHHELD: Final = "withheld"
GONE: Final = "gone"
WHY: Final[Mapping[str, tuple[str, ...]]] = {
    WITHHELD: ("Not shown:", "text may be", "burned in"),
    "no-pixels": ("This kind has", "no picture"),
    "too-large": ("Too large", "for a picture"),
    GONE: ("The file is not", "in the archive"),
    "unreadable": ("The pixels cannot", "be read"),
}
"""Why there is no picture, by the code that is kept in its place, in lines of a drawing."""


class NoPicture(Exception):
    """There is no picture of a record; ``code`` is one of :data:`WHY`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Picture:
    """What is shown of a record: its pixels, or the words why not."""

    content: bytes
    media_type: str
    shows_pixels: bool


class DrawReport(Record):
    """What drawing came to: ``drawn + withheld + none`` is how many records were looked at, ``withheld`` by the judge of exports."""

    drawn: int = 0
    withheld: int = 0
    none: int = 0


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

    def picture(self, record: ImagingRecord) -> Picture:
        """Return the picture, or a drawing of the words why there is none."""
        kept = self.kept(record)
        if kept.startswith(PNG):
            return Picture(kept, "image/png", shows_pixels=True)
        return Picture(_words(WHY.get(kept.decode("ascii", "replace"), WHY["unreadable"])), "image/svg+xml", shows_pixels=False)

    def kept(self, record: ImagingRecord) -> bytes:
        """Return a PNG or a code of :data:`WHY`; worked out and kept where nobody did yet."""
        name = hashlib.sha256(f"{LAYOUT}\n{self._judged_by}\n{record.id}\n{record.core.generation}".encode()).hexdigest()
        kept = self._own_folder(record.id) / f"{name}.png"
        with suppress(FileNotFoundError):  # nobody drew it yet
            return kept.read_bytes()
        try:
            drawn = self._drawn(record)
        except NoPicture as none:
            drawn = none.code.encode()
        if drawn != GONE.encode():  # an archive that is away for a moment comes back
            self._keep(kept, drawn)
        return drawn

    def forget(self, record_id: str) -> None:
        """Remove every picture of a record from the disk; where there is none, nothing happens."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self._own_folder(record_id))

    def _own_folder(self, record_id: str) -> Path:
        own = hashlib.sha256(record_id.encode()).hexdigest()
        return self._folder / own[:2] / own

    def _keep(self, kept: Path, drawn: bytes) -> None:
        """Write a picture, and take away what was drawn of the record before: of other content, or judged by another profile."""
        for folder in (self._folder, kept.parent.parent, kept.parent):
            folder.mkdir(exist_ok=True, mode=0o700)
        with atomic_write(kept) as out:
            out.write(drawn)
        for older in kept.parent.glob("*.png"):
            if older != kept:
                older.unlink(missing_ok=True)

    @cached_property
    def _judged_by(self) -> str:
        """The profile that decides, word for word: under a stricter one every picture is judged again."""
        from fairlead.deidentify import load_profile

        return hashlib.sha256(load_profile(self._settings.export.profile).model_dump_json().encode()).hexdigest()

    def _drawn(self, record: ImagingRecord) -> bytes:
        source = record.core.source
        if record.core.kind == "ome-image":
            return _microscopy(record)
        if record.core.kind != "dicom-series" or source.place != "archive" or not source.paths:
            raise NoPicture("no-pixels")
        file = self._settings.archive_folder / sorted(source.paths)[len(source.paths) // 2]
        root = self._settings.archive_folder
        if not file.resolve().is_relative_to(root) or not file.is_file():
            raise NoPicture(GONE)
        if file.stat().st_size > MAX_BYTES:
            raise NoPicture("too-large")
        try:
            return _png(file, self._settings.export.profile)
        except (NoPicture, MemoryError):
            raise
        except Exception as error:  # a decoder may raise anything over other people's bytes; a missing picture is no failure
            logger.warning("No picture could be drawn: %s.", type(error).__name__)
            raise NoPicture("unreadable") from error


def _microscopy(record: ImagingRecord) -> bytes:
    """Return one image of an OME file; of a file that holds a slide's label nothing is shown, as nothing of it is exported."""
    from fairlead.convert import draw_small
    from fairlead.deidentify import require_no_label

    source = record.core.source
    if source.place != "file" or len(source.paths) != 1:
        raise NoPicture("no-pixels")
    path = Path(source.paths[0])
    if path.is_symlink() or not path.exists():
        raise NoPicture(GONE)
    if record.core.size_bytes > MAX_OME_BYTES:
        raise NoPicture("too-large")
    try:
        require_no_label(path)
    except UnsupportedInput as error:
        raise NoPicture(WITHHELD) from error
    except FairleadError as error:
        raise NoPicture("unreadable") from error
    try:
        return draw_small(path, source.image_index, side=SIDE)
    except MemoryError:
        raise
    except Exception as error:  # a decoder may raise anything over other people's bytes; a missing picture is no failure
        logger.warning("No picture could be drawn: %s.", type(error).__name__)
        raise NoPicture("unreadable") from error


def draw_pictures(settings: Settings, record_ids: Iterable[str], index: Index) -> DrawReport:
    """Draw what was just indexed, so that nobody waits for it on the page; what is there already is left alone.

    At most ``workbench.pictures_at_ingest`` records are looked at: the page draws the others when it shows them.
    """
    pictures, tally = ArchivedPictures(settings), dict.fromkeys(("drawn", "withheld", "none"), 0)
    for record_id in islice(record_ids, settings.workbench.pictures_at_ingest):
        try:
            kept = pictures.kept(index.get(record_id))
        except NotFound:  # removed since
            continue
        except (OSError, MemoryError) as error:  # the page draws what is missing; the records are in the index
            logger.warning("Drawing pictures ended early: %s.", type(error).__name__)
            break
        tally["drawn" if kept.startswith(PNG) else "withheld" if kept.decode() == WITHHELD else "none"] += 1
    return DrawReport(**tally)


def forget_pictures(settings: Settings, record_ids: Iterable[str]) -> None:
    """Remove the pictures of withdrawn records; the page shows none of theirs from then on, and draws none."""
    pictures = ArchivedPictures(settings)
    for record_id in record_ids:
        pictures.forget(record_id)


def _words(lines: tuple[str, ...]) -> bytes:
    """Return an SVG of the lines, which are ours and hold nothing to escape."""
    start = SIDE // 2 - 10 * (len(lines) - 1)
    spans = "".join(f'<text x="50%" y="{start + 20 * place}">{line}</text>' for place, line in enumerate(lines))
    style = 'font-family="sans-serif" font-size="14" fill="#c8d0d8" text-anchor="middle"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIDE}" height="{SIDE}"><g {style}>{spans}</g></svg>'.encode()


def _png(file: Path, profile: str) -> bytes:
    import pydicom

    from fairlead.deidentify import Decision, judge, load_profile

    dataset = pydicom.dcmread(file)  # judged and drawn from one reading: nothing can change in between
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if judge(dataset, load_profile(profile), transfer_syntax=syntax).decision is not Decision.PASS:
        raise NoPicture(WITHHELD)
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise NoPicture("no-pixels")
    if int(dataset.get("Rows") or 0) * int(dataset.get("Columns") or 0) > MAX_PIXELS:
        raise NoPicture("too-large")
    return _encoded(_grey(dataset))


def _grey(dataset: Dataset) -> NDArray[np.uint8]:
    """Return one frame as 8-bit grey or colour: modality and VOI transformations applied (PS3.3 C.11.1, C.11.2)."""
    import numpy as np
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
    from pydicom.pixels.utils import pixel_array

    frames = int(dataset.get("NumberOfFrames") or 1)
    stored = pixel_array(dataset, index=frames // 2)
    step = max(1, max(stored.shape[:2]) // (4 * SIDE))  # the transformations want many times the memory of what they are given
    stored = stored[::step, ::step]
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
