"""Clean Recognizable Visual Features (113102): a plug-in removes faces, because none is built in.

A package offers a function under the entry point group ``fairlead.deface``: ``clean(file, dataset) -> frames or None``. It gets the source
file (its neighbours in the folder are the series) and the data set with pixel data, and returns the stored values of all frames in the
shape of ``dataset.pixel_array`` without a face, or None when it cannot. Without an answer the output says that the face is still there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from fairlead.deidentify.masks import PIXEL_DATA, Masked
from fairlead.deidentify.pixels import NATIVE
from fairlead.deidentify.profile import DEFACE_GROUP
from fairlead.errors import UnreadableImage

type Deface = Callable[[Path, Dataset], NDArray[Any] | None]


@cache
def find_deface() -> Deface | None:
    """Return the installed defacing function, the first by name, None when there is none."""
    found = sorted(entry_points(group=DEFACE_GROUP), key=lambda point: point.name)
    return found[0].load() if found else None


def defaced(file: Path, dataset: Dataset, clean: Deface, *, syntax: str) -> Masked | None:
    """Return the pixel data without a face, uncompressed; None when the plug-in cannot do it.

    Raises
    ------
    UnreadableImage : the plug-in failed, or returned frames of another shape or type.
    """
    try:
        frames = clean(file, dataset)
    except Exception as error:  # foreign code may raise anything; one file must not end the run
        raise UnreadableImage("The defacing plug-in failed.", remedy="Look at the plug-in's own log, or take another profile.") from error
    if frames is None:
        return None
    before = dataset.pixel_array
    if frames.shape != before.shape or frames.dtype != before.dtype:
        raise UnreadableImage("The defacing plug-in changed the shape or the type of the pixel data.")
    target = syntax if syntax in NATIVE else str(ExplicitVRLittleEndian)
    little = dataset.original_encoding[1]
    values = frames.astype(frames.dtype.newbyteorder("<" if little else ">")).tobytes()
    element = DataElement(PIXEL_DATA, "OW" if int(dataset.BitsAllocated) > 8 else "OB", values)
    first = int(dataset.get("NumberOfFrames") or 1) > 1
    described = {"PlanarConfiguration": 0} if int(dataset.get("SamplesPerPixel") or 1) > 1 else {}
    return Masked(element, target, described, before[0] if first else before, frames[0] if first else frames)
