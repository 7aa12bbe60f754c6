"""Read one DICOM file's header into frames: what each plane is, where it lies and how its values are meant.

Only the attributes below are read (0.3 ms per file). Nothing here keeps a name, an id or a date; times serve to order
frames and are forgotten. Sources: PS3.3 C.7.6.2 (image plane), C.7.6.3 (pixels), C.7.6.16 (functional groups).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import pydicom
from pydicom.dataset import Dataset, FileDataset

from fairlead.convert.doses import dose_frames, map_frames
from fairlead.convert.frames import Frame, PixelFormat, classic_frame, enhanced_frames, planar_frames
from fairlead.convert.nuclear import TAGS as OF_NUCLEAR
from fairlead.convert.nuclear import nuclear_frames
from fairlead.convert.sop_classes import UNCOMPRESSED, Layout, decoders_of, layout_of
from fairlead.errors import NotDicom, UnreadableImage, UnsupportedInput
from fairlead.records import is_uid

FACTS: Final = (
    "Modality", "BodyPartExamined", "Laterality", "ImageLaterality", "ViewPosition", "Manufacturer", "ManufacturerModelName",
    "PatientPosition", "KVP", "ConvolutionKernel", "SliceThickness", "GantryDetectorTilt", "ScanningSequence", "SequenceVariant",
    "MRAcquisitionType", "RepetitionTime", "EchoTime", "InversionTime", "FlipAngle", "MagneticFieldStrength", "Units",
    "DecayCorrection", "RescaleType", "PhotometricInterpretation", "BitsStored", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "DoseUnits", "DoseType", "DoseSummationType", "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod",
)  # fmt: skip
"""Acquisition facts that go into the store; coded or numeric, none of them identifies anybody (PS3.15 Table E.1-1: not listed)."""
GEOMETRY: Final = (
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "ImageType",
    "Rows", "Columns", "SamplesPerPixel", "PlanarConfiguration", "NumberOfFrames", "BitsAllocated", "HighBit", "PixelRepresentation",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing",
    "SequenceOfUltrasoundRegions", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "WindowCenter", "WindowWidth",
    "InstanceNumber", "TemporalPositionIdentifier", "TriggerTime", "FrameReferenceTime", "AcquisitionTime", "AcquisitionNumber",
    "EchoNumbers", "DiffusionBValue", "DiffusionGradientOrientation", "FrameTime", "FrameTimeVector", "CineRate",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "NumberOfTemporalPositions",
    "GridFrameOffsetVector", "DoseGridScaling",
)  # fmt: skip
TAGS: Final[list[Any]] = [*FACTS, *GEOMETRY, *OF_NUCLEAR, 0x00431039, 0x0019100C]
"""The two numbers are the b-values of GE (0043,1039) and Siemens (0019,100C), present only where private blocks were kept."""
PREAMBLE: Final = 132
MAX_FRAMES: Final = 200_000
MAX_PLANE_BYTES: Final = 1024**3
"""Larger claims are damaged or hostile headers; real planes of that size are whole slides."""
READ_ELSEWHERE: Final = frozenset({Layout.SEGMENTATION, Layout.SLIDE, Layout.STRUCTURES})
"""Their frames are read by the modules that know them; here they only get their identity."""
NO_FORMAT: Final = PixelFormat("", 0, 0, 0, "", 0, 0, signed=False, frames=0)
FLOAT_PIXELS: Final = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
PIXEL_TAGS: Final = frozenset({b"\xe0\x7f\x10\x00", b"\xe0\x7f\x08\x00", b"\xe0\x7f\x09\x00"})
"""(7FE0,0010) PixelData, (7FE0,0008) FloatPixelData, (7FE0,0009) DoubleFloatPixelData as little-endian bytes."""
NOT_APPLIED: Final = "not applied"
MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"


@dataclass(frozen=True, slots=True)
class Header:
    """One DICOM image file. UIDs are as they stand in the input, which was de-identified before it came here."""

    path: Path
    layout: Layout
    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    image_type: tuple[str, ...]
    format: PixelFormat
    facts: Mapping[str, Any]
    frames: tuple[Frame, ...]


def is_dicom(path: Path) -> bool:
    """Return whether the file starts like a Part 10 file or like a bare data set of group 0002 or 0008 (PS3.10 section 7.1)."""
    with path.open("rb") as handle:
        start = handle.read(PREAMBLE)
    return (
        start[128:132] == b"DICM"
        or start[:4] in {b"\x08\x00\x05\x00", b"\x08\x00\x08\x00", b"\x08\x00\x16\x00", b"\x08\x00\x00\x00"}
        or (start[:3] == b"\x02\x00\x00" or start[:4] == b"\x02\x00\x10\x00")
    )


def read_header(path: Path) -> Header:
    """Return the header of an image that this room converts.

    Raises
    ------
    NotDicom : no DICOM, or no SOP class in it.
    UnsupportedInput : a SOP class, transfer syntax or pixel format that is not converted.
    UnreadableImage : the header is damaged or lacks what an image needs.
    """
    try:
        with path.open("rb") as handle, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom comments on every odd value; what matters is checked here
            dataset = pydicom.dcmread(handle, stop_before_pixels=True, force=True, specific_tags=TAGS)
            return _header(path, dataset, pixel_offset(handle, dataset))
    except (NotDicom, UnsupportedInput, UnreadableImage):
        raise
    except MemoryError as error:
        raise UnreadableImage("The header claims more than fits in memory.") from error
    except Exception as error:  # pydicom raises a dozen kinds for damaged headers; the kind is enough, the text may quote values
        raise UnreadableImage(f"The header cannot be read ({type(error).__name__}).") from error


def _header(path: Path, dataset: FileDataset, offset: int | None) -> Header:
    sop_class = str(dataset.get("SOPClassUID", ""))
    if not sop_class and str(dataset.file_meta.get("MediaStorageSOPClassUID", "")) == MEDIA_DIRECTORY:
        raise UnsupportedInput("A DICOMDIR lists files and holds no image.", remedy="Its files are converted by themselves.")
    if not sop_class:
        raise NotDicom("There is no SOP class: this is no DICOM image.")
    layout = layout_of(sop_class)
    series, study = str(dataset.get("SeriesInstanceUID", "")), str(dataset.get("StudyInstanceUID", ""))
    instance = str(dataset.get("SOPInstanceUID", ""))
    if not (is_uid(series) and is_uid(instance)):
        raise UnreadableImage("SeriesInstanceUID or SOPInstanceUID is absent or no UID.")
    image_type = tuple(str(part) for part in _many(dataset.get("ImageType")))
    if "MOSAIC" in image_type:
        raise UnsupportedInput(
            "A Siemens mosaic holds many slices in one plane; it is not taken apart.", remedy="Export as enhanced MR or single slices."
        )
    reference = str(dataset.get("FrameOfReferenceUID", ""))
    facts = {name: plain(dataset[name].value) for name in FACTS if name in dataset and dataset[name].value not in (None, "", [])}
    if dataset.get("ModalityLUTSequence"):
        facts["ModalityLUT"] = NOT_APPLIED
    if layout in READ_ELSEWHERE:
        return Header(path, layout, sop_class, instance, study, series, reference, image_type, NO_FORMAT, facts, ())
    pixels = _format(dataset, offset, floats=_floats(path) if layout is Layout.MAP else 0)
    if pixels.frames > min(path.stat().st_size, MAX_FRAMES):
        raise UnreadableImage(f"The header claims {pixels.frames} frames, more than the file can hold.")
    frames = _frames(dataset, layout, pixels)
    return Header(path, layout, sop_class, instance, study, series, reference, image_type, pixels, facts, frames)


def _frames(dataset: Dataset, layout: Layout, pixels: PixelFormat) -> tuple[Frame, ...]:
    if layout is Layout.ENHANCED:
        return enhanced_frames(dataset, pixels.frames)
    if layout is Layout.DOSE:
        return dose_frames(dataset, pixels.frames)
    if layout is Layout.MAP:
        return map_frames(dataset, pixels.frames)
    if layout is Layout.NUCLEAR:
        return nuclear_frames(dataset, pixels.frames)
    if layout is Layout.SLICES and pixels.frames == 1:
        return (classic_frame(dataset),)
    return planar_frames(dataset, pixels.frames)


def _floats(path: Path) -> int:
    """Return how many bits a floating-point pixel of a parametric map has, 0 when its pixels are integers."""
    present = pydicom.dcmread(path, force=True, specific_tags=list(FLOAT_PIXELS), defer_size=64)
    return next((bits for name, bits in FLOAT_PIXELS.items() if name in present), 0)


def _format(dataset: FileDataset, offset: int | None, *, floats: int = 0) -> PixelFormat:
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", "")) if hasattr(dataset, "file_meta") else ""
    if not syntax:
        raise UnreadableImage("The file does not say its transfer syntax.")
    decoders_of(syntax)
    if floats:
        dataset.BitsStored, dataset.PixelRepresentation = dataset.get("BitsAllocated"), 1
        if offset is None or int(dataset.get("BitsAllocated") or 0) != floats:
            raise UnsupportedInput("Floating-point pixels in this encoding are not converted.", remedy="Send them in little-endian order.")
    missing = [name for name in ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation") if dataset.get(name) is None]
    if missing:
        raise UnreadableImage(f"There is no image in the file: {', '.join(missing)} absent.")
    allocated = int(dataset.BitsAllocated)
    if allocated not in {8, 16, 32} and not floats:
        raise UnsupportedInput(f"Pixels of {allocated} bits are not converted.", remedy="Converted are 8, 16 and 32 bits.")
    if not 1 <= int(dataset.BitsStored) <= allocated:
        raise UnreadableImage(f"BitsStored {int(dataset.BitsStored)} does not fit BitsAllocated {allocated}.")
    if not floats and int(dataset.get("HighBit", dataset.BitsStored - 1)) != int(dataset.BitsStored) - 1:
        raise UnsupportedInput("The stored bits are not the lowest ones (HighBit).", remedy="Export the pixels anew (PS3.5 section 8.1.1).")
    if (samples := int(dataset.get("SamplesPerPixel") or 1)) not in {1, 3}:
        raise UnsupportedInput(f"{samples} samples per pixel are not converted.", remedy="Converted are 1 (grey, palette) and 3 (colour).")
    _require_plane(int(dataset.Rows), int(dataset.Columns), samples * allocated // 8)
    return PixelFormat(
        transfer_syntax_uid=syntax,
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        samples=samples,
        photometric=str(dataset.get("PhotometricInterpretation", "")),
        bits_allocated=allocated,
        bits_stored=int(dataset.BitsStored),
        signed=int(dataset.PixelRepresentation) == 1,
        frames=max(int(dataset.get("NumberOfFrames") or 1), 1),
        offset=offset,
        floating=bool(floats),
    )


def _require_plane(rows: int, columns: int, pixel_bytes: int) -> None:
    if rows < 1 or columns < 1:
        raise UnreadableImage(f"The image has {rows} rows and {columns} columns.")
    if (plane_bytes := rows * columns * pixel_bytes) > MAX_PLANE_BYTES:
        raise UnsupportedInput(f"A plane of {plane_bytes / 1e6:.0f} MB is not converted.", remedy="Planes may have up to 1 GB.")


def pixel_offset(handle: BinaryIO, dataset: FileDataset) -> int | None:
    """Return where the plain little-endian pixel bytes start in the file, None when pydicom has to find them."""
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", "")) if hasattr(dataset, "file_meta") else ""
    if syntax not in UNCOMPRESSED - {"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"}:
        return None
    at = handle.tell()
    start = handle.read(12)
    if start[:4] not in PIXEL_TAGS:
        return None
    return at + (8 if syntax == "1.2.840.10008.1.2" else 12)


def plain(value: Any) -> Any:
    """Return a header value as JSON: numbers stay numbers, several values become a list."""
    if isinstance(value, pydicom.multival.MultiValue):
        return [plain(part) for part in value]
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) or hasattr(value, "as_tuple"):
        return float(value) if math.isfinite(value) else None
    return str(value)


def _many(value: Any) -> tuple[Any, ...]:
    if value is None or value == "":
        return ()
    return tuple(value) if isinstance(value, pydicom.multival.MultiValue) else (value,)
