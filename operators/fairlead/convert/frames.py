"""Frames: one plane each, with its place, its value scale and what tells it from others at the same place."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset

from fairlead.convert.lattice import PlanePose
from fairlead.errors import UnreadableImage

MM_PER_CM: Final = 10.0
FARTHEST_MM: Final = 1e6
UNSTATED: Final[tuple[Any, ...]] = (None, "", [])
"""Values of an attribute that is absent or empty (PS3.5 section 7.4.5)."""
US_CENTIMETRES: Final = 3
"""PhysicalUnitsXDirection 0003H: cm (PS3.3 C.8.5.5.1.15)."""


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How pixels are stored in one file. ``offset`` is where plain little-endian pixel bytes start, None: ask the decoder."""

    transfer_syntax_uid: str
    rows: int
    columns: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    signed: bool
    frames: int
    offset: int | None = None
    floating: bool = False

    @property
    def kind(self) -> tuple[int, int, int, str, int, int, bool]:
        """What planes of one volume must share."""
        return self.rows, self.columns, self.samples, self.photometric, self.bits_allocated, self.bits_stored, self.signed


@dataclass(frozen=True, slots=True)
class Frame:
    """One plane. ``apart`` separates volumes that share a lattice (echo, b-value, stack); ``times`` may order repeats."""

    index: int
    pose: PlanePose | None
    spacing_mm: tuple[float, float] | None
    slope: float = 1.0
    intercept: float = 0.0
    window: tuple[float, float] | None = None
    apart: tuple[tuple[str, Any], ...] = ()
    times: tuple[tuple[str, float], ...] = ()
    spacing_basis: str = ""
    number: int = 0


def classic_frame(dataset: Dataset) -> Frame:
    """Return the one frame of a classic CT, MR or PET image."""
    slope, intercept = _rescale(dataset)
    spacing = _pair(dataset.get("PixelSpacing"))
    return Frame(
        index=0,
        pose=_pose(dataset.get("ImagePositionPatient"), dataset.get("ImageOrientationPatient"), spacing),
        spacing_mm=spacing,
        slope=slope,
        intercept=intercept,
        window=_window(dataset),
        apart=tuple(_apart(dataset)),
        times=tuple(_times(dataset)),
        spacing_basis="PixelSpacing" if spacing else "",
        number=_whole(dataset.get("InstanceNumber")),
    )


def planar_frames(dataset: Dataset, count: int) -> tuple[Frame, ...]:
    """Return the frames of a projection, photograph, capture or cine; they share one spacing and have no pose in a volume."""
    slope, intercept = _rescale(dataset)
    spacing, basis = _planar_spacing(dataset)
    pose = _pose(dataset.get("ImagePositionPatient"), dataset.get("ImageOrientationPatient"), spacing) if count == 1 else None
    window = _window(dataset)
    step = _frame_step_s(dataset, count)
    times = [(("FrameTime", number * step),) if step else () for number in range(count)]
    return tuple(
        Frame(number, pose, spacing, slope, intercept, window, times=times[number], spacing_basis=basis, number=number)
        for number in range(count)
    )


def enhanced_frames(dataset: Dataset, count: int) -> tuple[Frame, ...]:
    """Return the frames of a multi-frame image from its shared and per-frame functional groups (PS3.3 C.7.6.16.1).

    Raises
    ------
    UnreadableImage : the groups do not fit the number of frames.
    """
    shared = _first(dataset, "SharedFunctionalGroupsSequence")
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    if not per_frame:
        raise UnreadableImage(f"The functional groups are absent: nothing says where the {count} frames lie.")
    if len(per_frame) != count:
        raise UnreadableImage(f"The file has {count} frames, but functional groups for {len(per_frame)}.")
    return tuple(_enhanced_frame(number, item, shared) for number, item in enumerate(per_frame))


def _enhanced_frame(number: int, item: Dataset, shared: Dataset) -> Frame:
    def group(name: str) -> Dataset:
        """Return a functional group of the frame, or else the shared one (PS3.3 C.7.6.16)."""
        return _first(item, name) or _first(shared, name)

    content, spacing = group("FrameContentSequence"), _pair(group("PixelMeasuresSequence").get("PixelSpacing"))
    slope, intercept = _rescale(group("PixelValueTransformationSequence"))
    temporal = content.get("TemporalPositionIndex")
    return Frame(
        index=number,
        pose=enhanced_pose(item, shared),
        spacing_mm=spacing,
        slope=slope,
        intercept=intercept,
        window=_window(group("FrameVOILUTSequence")),
        apart=tuple(_enhanced_apart(group, content)),
        times=(("TemporalPositionIndex", float(temporal)),) if temporal is not None else (),
        spacing_basis="PixelSpacing" if spacing else "",
        number=number,
    )


def enhanced_pose(item: Dataset, shared: Dataset) -> PlanePose | None:
    """Return where a frame of a multi-frame object lies, from its own and the shared functional groups; None when they do not say."""

    def group(name: str) -> Dataset:
        """Return a functional group of the frame, or else the shared one (PS3.3 C.7.6.16)."""
        return _first(item, name) or _first(shared, name)

    position = group("PlanePositionSequence").get("ImagePositionPatient")
    orientation = group("PlaneOrientationSequence").get("ImageOrientationPatient")
    return _pose(position, orientation, _pair(group("PixelMeasuresSequence").get("PixelSpacing")))


def _enhanced_apart(group: Any, content: Dataset) -> Iterator[tuple[str, Any]]:
    diffusion = group("MRDiffusionSequence")
    yield "stack", str(content.get("StackID", ""))
    yield "echo_ms", _number(group("MREchoSequence").get("EffectiveEchoTime"))
    yield "b_value", _number(diffusion.get("DiffusionBValue"))
    yield "gradient", _rounded(_first(diffusion, "DiffusionGradientDirectionSequence").get("DiffusionGradientOrientation"))
    kinds = [group(f"{name}FrameTypeSequence").get("FrameType") for name in ("MRImage", "CTImage", "PET", "XRay3D")]
    yield "frame_type", tuple(str(part) for kind in kinds if kind for part in kind)
    yield "component", str(group("MRImageFrameTypeSequence").get("ComplexImageComponent", ""))


def _apart(dataset: Dataset) -> Iterator[tuple[str, Any]]:
    """Yield what separates classic frames into volumes; ImageType beyond the localizer flag only for MR components (M, P, R, I)."""
    image_type = [str(part) for part in (dataset.get("ImageType") or [])]
    yield "localizer", "LOCALIZER" in image_type
    yield "component", tuple(part for part in image_type[2:] if part in {"M", "P", "R", "I"})
    yield "derived", image_type[:1] == ["DERIVED"]
    yield "kernel", str(dataset.get("ConvolutionKernel") or "")
    yield "echo_ms", _number(dataset.get("EchoTime"))
    yield "b_value", _b_value(dataset)
    yield "gradient", _rounded(dataset.get("DiffusionGradientOrientation"))


def _b_value(dataset: Dataset) -> float | None:
    if (standard := _number(dataset.get("DiffusionBValue"))) is not None:
        return standard
    for tag in (0x00431039, 0x0019100C):
        if tag not in dataset:
            continue
        value = dataset[tag].value
        text = (
            value.decode("ascii", "replace").replace("\\", " ").split()
            if isinstance(value, bytes)
            else [value]
            if isinstance(value, (str, int, float))
            else list(value)
        )
        number = _number(text[0]) if text else None
        return None if number is None else number % 1e9  # GE adds 10**9 as a marker
    return None


def _times(dataset: Dataset) -> Iterator[tuple[str, float]]:
    for name in ("TemporalPositionIdentifier", "TriggerTime", "FrameReferenceTime", "AcquisitionNumber"):
        if (value := _number(dataset.get(name))) is not None:
            yield name, value
    if (seconds := _seconds_of_day(dataset.get("AcquisitionTime"))) is not None:
        yield "AcquisitionTime", seconds


def _seconds_of_day(value: Any) -> float | None:
    text = str(value or "").replace(":", "").strip()
    try:
        return int(text[:2]) * 3600 + int(text[2:4] or 0) * 60 + float(text[4:] or 0)
    except ValueError:
        return None


def _pose(position: Any, orientation: Any, spacing: tuple[float, float] | None) -> PlanePose | None:
    for name, value, count in (("ImagePositionPatient", position, 3), ("ImageOrientationPatient", orientation, 6)):
        if value not in UNSTATED and (isinstance(value, str) or not hasattr(value, "__len__") or len(value) != count):
            raise UnreadableImage(f"{name} has not {count} values.")
    if position in UNSTATED or orientation in UNSTATED or spacing is None:
        return None
    x, y, z = (float(part) for part in position)
    cosines = tuple(float(part) for part in orientation)
    if not all(abs(part) <= FARTHEST_MM for part in (x, y, z)):  # also false for NaN
        raise UnreadableImage("ImagePositionPatient is no place in a room.")
    row, column = math.hypot(*cosines[:3]), math.hypot(*cosines[3:])
    if not (0.99 < row < 1.01 and 0.99 < column < 1.01 and abs(math.sumprod(cosines[:3], cosines[3:])) < 0.01):
        raise UnreadableImage("ImageOrientationPatient is not two perpendicular unit vectors (PS3.3 C.7.6.2.1.1).")
    return PlanePose((x, y, z), cosines, spacing)  # type: ignore[arg-type]  # six numbers, checked above


def _planar_spacing(dataset: Dataset) -> tuple[tuple[float, float] | None, str]:
    """Return (row, column) spacing in mm and the attribute that states it: in the patient before at the detector."""
    for name in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        if (spacing := _pair(dataset.get(name), name)) is not None:
            return spacing, name
    regions = dataset.get("SequenceOfUltrasoundRegions") or []
    if len(regions) == 1 and regions[0].get("PhysicalUnitsXDirection") == regions[0].get("PhysicalUnitsYDirection") == US_CENTIMETRES:
        deltas = _number(regions[0].get("PhysicalDeltaY")), _number(regions[0].get("PhysicalDeltaX"))
        if deltas[0] and deltas[1]:
            return (abs(deltas[0]) * MM_PER_CM, abs(deltas[1]) * MM_PER_CM), "SequenceOfUltrasoundRegions"
    return None, ""


def _frame_step_s(dataset: Dataset, count: int) -> float | None:
    """Return the seconds between frames of a cine, None when unstated or uneven (PS3.3 C.7.6.5)."""
    if (step := _number(dataset.get("FrameTime"))) is not None and step > 0:
        return step / 1000
    vector = [_number(part) or 0.0 for part in (dataset.get("FrameTimeVector") or [])][1:]
    if vector and count > 1 and min(vector) > 0 and max(vector) - min(vector) <= 0.01 * max(vector):
        return sum(vector) / len(vector) / 1000
    rate = _number(dataset.get("CineRate"))
    return 1 / rate if rate else None


def _rescale(dataset: Dataset) -> tuple[float, float]:
    slope, intercept = _number(dataset.get("RescaleSlope")), _number(dataset.get("RescaleIntercept"))
    for name, number in (("RescaleSlope", slope), ("RescaleIntercept", intercept)):
        if number is None and dataset.get(name) not in (None, ""):
            raise UnreadableImage(f"{name} is no finite number.")
    if slope == 0:
        raise UnreadableImage("RescaleSlope is zero: every value would be the same.")
    return (1.0 if slope is None else slope), (0.0 if intercept is None else intercept)


def _window(dataset: Dataset) -> tuple[float, float] | None:
    """Return (start, end) of the first window, in rescaled values: centre ∓ width / 2 (PS3.3 C.11.2.1.2)."""
    center, width = (_number(_head(dataset.get(name))) for name in ("WindowCenter", "WindowWidth"))
    if center is None or width is None or width <= 0:
        return None
    return center - width / 2, center + width / 2


def _first(dataset: Dataset, name: str) -> Dataset:
    items = dataset.get(name)
    return items[0] if items else Dataset()


def _head(value: Any) -> Any:
    return value[0] if value is not None and not isinstance(value, (str, bytes)) and hasattr(value, "__len__") and len(value) else value


def _pair(value: Any, name: str = "PixelSpacing") -> tuple[float, float] | None:
    """Return two distances in mm, None when none are stated; raise UnreadableImage when they are no two positive numbers."""
    if value in UNSTATED:
        return None
    parts = [] if isinstance(value, str) or not hasattr(value, "__len__") else [float(part) for part in value]
    if len(parts) != 2 or not all(0 < part <= FARTHEST_MM for part in parts):
        raise UnreadableImage(f"{name} is no pair of positive distances (PS3.3 section 10.7.1.3).")
    return parts[0], parts[1]


def _rounded(value: Any) -> tuple[float, ...] | None:
    if value is None or not hasattr(value, "__len__") or len(value) != 3:
        return None
    return tuple(round(float(part), 3) + 0.0 for part in value)


def _number(value: Any) -> float | None:
    """Return a finite number, or None for absent, empty, several-valued and malformed values."""
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _whole(value: Any) -> int:
    number = _number(value)
    return 0 if number is None else int(number)
