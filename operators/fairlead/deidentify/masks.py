"""Blank parts of pixel data: native values where they are stored, compressed ones frame by frame with a lossless encoder.

What is not blanked keeps its value bit for bit as a reader decodes it; of compressed frames this is checked by decoding what was encoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from fairlead.deidentify.boxes import inside, outside, regions
from fairlead.deidentify.pixels import NATIVE, Verdict
from fairlead.errors import UnreadableImage

PIXEL_DATA: Final = 0x7FE00010
LOSSLESS: Final[Mapping[str, str]] = {
    "1.2.840.10008.1.2.5": RLELossless,
    **dict.fromkeys(("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"), JPEG2000Lossless),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{number}" for number in (201, 202, 203)), JPEG2000Lossless),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81)), JPEGLSLossless),
}
"""Transfer syntax of the source -> the lossless one that masked frames are written in (PS3.5 section A.4)."""
NEUTRAL_CHROMA: Final = 128
NOTHING_BLANKED: Final = "The declared regions cover the whole image, so that a mask would blank nothing and text in them would stay."


@dataclass(frozen=True, slots=True)
class Masked:
    """New pixel data, the syntax they are in, the attributes that describe them, and the first frame before and after."""

    element: DataElement
    syntax: str
    described: Mapping[str, object]
    before: NDArray[Any]
    after: NDArray[Any]


def masked(dataset: Dataset, verdict: Verdict, *, syntax: str) -> Masked:
    """Return the pixel data with zeros where the verdict wants them.

    Raises
    ------
    UnreadableImage : no usable region, a layout other than whole bytes, too few bytes, or frames that cannot be decoded.
    """
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    blank = _blank(dataset, verdict, rows, columns)
    if int(dataset.BitsAllocated) not in (8, 16) or blank.all():
        raise UnreadableImage("The mask cannot be applied to this pixel layout.")
    if not blank.any():
        raise UnreadableImage(NOTHING_BLANKED, remedy="Have a person look at the pixels, and describe the device in the profile's masks.")
    return _native(dataset, blank, syntax) if syntax in NATIVE else _compressed(dataset, blank, syntax)


def _blank(dataset: Dataset, verdict: Verdict, rows: int, columns: int) -> NDArray[np.bool_]:
    if verdict.rule == "ultrasound-regions":
        return outside(regions(dataset), rows, columns)
    blank = inside(verdict.blank, rows, columns)
    return blank | outside(verdict.keep, rows, columns) if verdict.keep else blank


def _native(dataset: Dataset, blank: NDArray[np.bool_], syntax: str) -> Masked:
    samples, frames = int(dataset.get("SamplesPerPixel") or 1), int(dataset.get("NumberOfFrames") or 1)
    bits, colours = int(dataset.BitsAllocated), str(dataset.get("PhotometricInterpretation") or "")
    value = bytes(dataset.PixelData)
    size = frames * blank.size * samples * (bits // 8)
    if "422" in colours or "420" in colours or size > len(value) or not size:
        raise UnreadableImage("The mask cannot be applied to this pixel layout.")
    pixels = np.frombuffer(value[:size], dtype=np.uint8 if bits == 8 else "<u2").copy()
    planar = samples > 1 and int(dataset.get("PlanarConfiguration") or 0) == 1
    view = pixels.reshape(frames, samples, *blank.shape).transpose(0, 2, 3, 1) if planar else pixels.reshape(frames, *blank.shape, samples)
    before = view[0].copy()
    view[:, blank, :] = 0
    if colours.startswith("YBR") and samples == 3 and bits == 8:
        view[:, blank, 1:] = NEUTRAL_CHROMA
    element = DataElement(PIXEL_DATA, dataset["PixelData"].VR, pixels.tobytes() + bytes(size % 2))  # what lies behind the last pixel goes
    return Masked(element, syntax, {}, before, view[0])


def _compressed(dataset: Dataset, blank: NDArray[np.bool_], syntax: str) -> Masked:
    target = LOSSLESS[syntax]
    encoded: list[bytes] = []
    pictures: list[NDArray[Any]] = []
    described: dict[str, object] = {}
    for frame, properties in get_decoder(syntax).iter_array(dataset, raw=False):
        new = frame.copy()
        new[blank] = 0
        layout = _layout(properties, bits=int(dataset.BitsStored))
        encoded.append(_encoded(new, target, layout))
        if not pictures:
            pictures = [frame.copy(), new]
            described = {"PhotometricInterpretation": layout["photometric_interpretation"]}
            if layout["samples_per_pixel"] > 1:
                described["PlanarConfiguration"] = 0
    if not encoded:
        raise UnreadableImage("The compressed pixel data hold no frame.")
    element = DataElement(PIXEL_DATA, "OB", encapsulate(encoded), is_undefined_length=True)
    return Masked(element, target, described, pictures[0], pictures[1])


def _layout(properties: Mapping[str, Any], *, bits: int) -> dict[str, Any]:
    wanted = ("rows", "columns", "samples_per_pixel", "bits_allocated", "pixel_representation", "photometric_interpretation")
    layout = {name: properties[name] for name in wanted} | {"bits_stored": bits, "number_of_frames": 1}
    return layout | ({"planar_configuration": 0} if properties["samples_per_pixel"] > 1 else {})


def _encoded(frame: NDArray[Any], target: str, layout: dict[str, Any]) -> bytes:
    """Return one frame encoded without loss, compared with itself after decoding.

    Raises
    ------
    UnreadableImage : the encoder gave something else back.
    """
    encoded: bytes = get_encoder(target).encode(np.ascontiguousarray(frame), **layout)
    stated = {"pixel_keyword": "PixelData", **layout}
    again, _ = get_decoder(target).as_array(encapsulate([encoded]), raw=True, **stated)
    if not np.array_equal(again.reshape(frame.shape), frame):
        raise UnreadableImage("The masked frames cannot be encoded without loss.")
    return encoded
