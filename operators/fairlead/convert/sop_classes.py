"""Which SOP classes become stores, which transfer syntaxes are decoded and by what; everything else is refused by name.

SOP classes: PS3.4 Table B.5-1. Transfer syntaxes: PS3.6 Table A-1. The decoder order is explicit, because the order a
library picks by itself differs in speed by a factor of four and may choose a plugin under the GPL.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from pydicom.uid import UID

from fairlead.errors import UnsupportedInput


class Layout(StrEnum):
    """How the frames of a SOP class are put together."""

    SLICES = "slices"
    """One plane per instance, placed by ImagePositionPatient: a series is a volume."""
    ENHANCED = "enhanced"
    """Many planes per instance, placed by functional groups (PS3.3 C.7.6.16)."""
    PLANAR = "planar"
    """One picture, or pictures over time, per instance."""
    DOSE = "dose"
    """Planes of one grid, placed by offsets from the first (PS3.3 C.8.8.3)."""
    MAP = "map"
    """Like enhanced images, but of real numbers (PS3.3 A.75)."""
    NUCLEAR = "nuclear"
    """Frames told apart by vectors of indices; reconstructed slices are placed from the first (PS3.3 A.5)."""
    SEGMENTATION = "segmentation"
    """Segments on the lattice of other images (PS3.3 A.51)."""
    STRUCTURES = "structures"
    """Contours on the slices of other images (PS3.3 A.19)."""
    SLIDE = "slide"
    """Tiles of one level of a whole-slide pyramid per instance (PS3.3 A.32.8)."""


IMAGES: Final[Mapping[str, Layout]] = {
    "1.2.840.10008.5.1.4.1.1.2": Layout.SLICES,  # CT
    "1.2.840.10008.5.1.4.1.1.4": Layout.SLICES,  # MR
    "1.2.840.10008.5.1.4.1.1.128": Layout.SLICES,  # PET
    "1.2.840.10008.5.1.4.1.1.2.1": Layout.ENHANCED,  # Enhanced CT
    "1.2.840.10008.5.1.4.1.1.2.2": Layout.ENHANCED,  # Legacy Converted Enhanced CT
    "1.2.840.10008.5.1.4.1.1.4.1": Layout.ENHANCED,  # Enhanced MR
    "1.2.840.10008.5.1.4.1.1.4.3": Layout.ENHANCED,  # Enhanced MR Color
    "1.2.840.10008.5.1.4.1.1.4.4": Layout.ENHANCED,  # Legacy Converted Enhanced MR
    "1.2.840.10008.5.1.4.1.1.130": Layout.ENHANCED,  # Enhanced PET
    "1.2.840.10008.5.1.4.1.1.128.1": Layout.ENHANCED,  # Legacy Converted Enhanced PET
    "1.2.840.10008.5.1.4.1.1.13.1.1": Layout.ENHANCED,  # X-ray 3D angiographic
    "1.2.840.10008.5.1.4.1.1.13.1.2": Layout.ENHANCED,  # X-ray 3D craniofacial
    "1.2.840.10008.5.1.4.1.1.13.1.3": Layout.ENHANCED,  # breast tomosynthesis
    "1.2.840.10008.5.1.4.1.1.20": Layout.NUCLEAR,  # nuclear medicine
    "1.2.840.10008.5.1.4.1.1.1": Layout.PLANAR,  # CR
    "1.2.840.10008.5.1.4.1.1.1.1": Layout.PLANAR,  # DX for presentation
    "1.2.840.10008.5.1.4.1.1.1.1.1": Layout.PLANAR,  # DX for processing
    "1.2.840.10008.5.1.4.1.1.1.2": Layout.PLANAR,  # MG for presentation
    "1.2.840.10008.5.1.4.1.1.1.2.1": Layout.PLANAR,  # MG for processing
    "1.2.840.10008.5.1.4.1.1.1.3": Layout.PLANAR,  # intra-oral for presentation
    "1.2.840.10008.5.1.4.1.1.1.3.1": Layout.PLANAR,  # intra-oral for processing
    "1.2.840.10008.5.1.4.1.1.3.1": Layout.PLANAR,  # US multi-frame
    "1.2.840.10008.5.1.4.1.1.6.1": Layout.PLANAR,  # US
    "1.2.840.10008.5.1.4.1.1.7": Layout.PLANAR,  # SC
    "1.2.840.10008.5.1.4.1.1.7.2": Layout.PLANAR,  # multi-frame grayscale byte SC
    "1.2.840.10008.5.1.4.1.1.7.3": Layout.PLANAR,  # multi-frame grayscale word SC
    "1.2.840.10008.5.1.4.1.1.7.4": Layout.PLANAR,  # multi-frame true colour SC
    "1.2.840.10008.5.1.4.1.1.12.1": Layout.PLANAR,  # XA
    "1.2.840.10008.5.1.4.1.1.12.2": Layout.PLANAR,  # XRF
    "1.2.840.10008.5.1.4.1.1.77.1.1": Layout.PLANAR,  # VL endoscopic
    "1.2.840.10008.5.1.4.1.1.77.1.2": Layout.PLANAR,  # VL microscopic
    "1.2.840.10008.5.1.4.1.1.77.1.4": Layout.PLANAR,  # VL photographic
    "1.2.840.10008.5.1.4.1.1.77.1.5.1": Layout.PLANAR,  # ophthalmic photography 8 bit
    "1.2.840.10008.5.1.4.1.1.77.1.5.2": Layout.PLANAR,  # ophthalmic photography 16 bit
    "1.2.840.10008.5.1.4.1.1.481.2": Layout.DOSE,  # RT dose
    "1.2.840.10008.5.1.4.1.1.30": Layout.MAP,  # parametric map
    "1.2.840.10008.5.1.4.1.1.77.1.6": Layout.SLIDE,  # VL whole slide microscopy
    "1.2.840.10008.5.1.4.1.1.66.4": Layout.SEGMENTATION,  # segmentation
    "1.2.840.10008.5.1.4.1.1.66.7": Layout.SEGMENTATION,  # label map segmentation
    "1.2.840.10008.5.1.4.1.1.481.3": Layout.STRUCTURES,  # RT structure set
}

SUPPORTED: Final = (
    "CT, MR and PET (classic and enhanced), NM, tomosynthesis, CR, DX, MG, US, XA, XRF, secondary capture, visible-light photographs, "
    "whole slides, segmentations, RT dose, parametric maps, OME-TIFF and OME-Zarr"
)

UNCOMPRESSED: Final = frozenset(
    {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"}  # ILE, ELE, deflated, EBE
)
DECODERS: Final[Mapping[str, tuple[str, ...]]] = {
    "1.2.840.10008.1.2.4.50": ("pillow", "gdcm"),  # JPEG baseline
    "1.2.840.10008.1.2.4.51": ("gdcm", "imagecodecs"),  # JPEG extended; gdcm reads its 8-bit form, imagecodecs its 12-bit one
    "1.2.840.10008.1.2.4.57": ("gdcm",),  # JPEG lossless
    "1.2.840.10008.1.2.4.70": ("gdcm",),  # JPEG lossless, first-order prediction
    "1.2.840.10008.1.2.4.80": ("pyjpegls", "gdcm"),  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.81": ("pyjpegls", "gdcm"),  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90": ("pylibjpeg", "gdcm"),  # JPEG 2000 lossless (openjpeg)
    "1.2.840.10008.1.2.4.91": ("pylibjpeg", "gdcm"),  # JPEG 2000
    "1.2.840.10008.1.2.4.201": ("imagecodecs", "pylibjpeg"),  # HTJ2K lossless: openjph in a third of openjpeg's time
    "1.2.840.10008.1.2.4.202": ("imagecodecs", "pylibjpeg"),  # HTJ2K lossless RPCL
    "1.2.840.10008.1.2.4.203": ("imagecodecs", "pylibjpeg"),  # HTJ2K
    "1.2.840.10008.1.2.5": ("pylibjpeg", "pydicom"),  # RLE
}


def layout_of(sop_class_uid: str) -> Layout:
    """Return how to put the frames of a SOP class together.

    Raises
    ------
    UnsupportedInput : any other SOP class; the message holds its registered name, never text from the file.
    """
    if sop_class_uid in IMAGES:
        return IMAGES[sop_class_uid]
    raise UnsupportedInput(f"{registered_name(sop_class_uid)} is not converted.", remedy=f"Converted are {SUPPORTED}.")


def decoders_of(transfer_syntax_uid: str) -> tuple[str, ...]:
    """Return the plugins to try in order; empty for uncompressed pixels.

    Raises
    ------
    UnsupportedInput : a retired, video or private transfer syntax, by its registered name.
    """
    if transfer_syntax_uid in UNCOMPRESSED:
        return ()
    if transfer_syntax_uid in DECODERS:
        return DECODERS[transfer_syntax_uid]
    names = "; ".join(registered_name(uid) for uid in DECODERS)
    raise UnsupportedInput(
        f"The transfer syntax {registered_name(transfer_syntax_uid)} is not decoded.",
        remedy=f"Send uncompressed pixels or one of: {names}.",
    )


def registered_name(uid: str) -> str:
    """Return the name PS3.6 gives a UID, or the words "a private or unknown UID"; peers' text is not repeated.

    >>> registered_name("1.2.840.10008.5.1.4.1.1.66.4")
    'Segmentation Storage'
    """
    name = UID(uid).name
    if name and name != uid:
        return str(name)
    return RECENT.get(uid, "An object with a private or unknown UID")


RECENT: Final[Mapping[str, str]] = {
    "1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.66.8": "Height Map Segmentation Storage",
}
"""Registered after the dictionary of the installed pydicom."""
