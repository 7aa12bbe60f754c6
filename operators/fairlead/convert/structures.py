"""Structure sets as labels: closed planar contours on the slices of an image become areas (PS3.3 C.8.8.5, C.8.8.6).

Only contours on slices are drawn: what lies between two slices would have to be guessed, and is refused. Of the words of a
structure set only known ones pass; names of people, plans and dates are never read.
"""

from __future__ import annotations

import itertools
import warnings
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from fairlead.convert.contours import Points, area
from fairlead.convert.headers import Header
from fairlead.convert.labels import image_label, layers
from fairlead.convert.plan import Axis, ImagePlan
from fairlead.convert.segmentation import Segment
from fairlead.convert.volumes import hashed
from fairlead.convert.words import known_words
from fairlead.errors import UnreadableImage, UnsupportedInput
from fairlead.terms import CHANNEL_TERMS

ON_A_SLICE: Final = 0.1
"""Largest distance of a contour from its slice, as a share of the slice step: positions are rounded to tenths of millimetres."""
AREAS: Final = frozenset({"CLOSED_PLANAR", "CLOSED_PLANAR_XOR"})
ROLES: Final = frozenset({
    "EXTERNAL", "PTV", "CTV", "GTV", "TREATED_VOLUME", "IRRAD_VOLUME", "BOLUS", "AVOIDANCE", "ORGAN", "MARKER", "REGISTRATION",
    "ISOCENTER", "CONTRAST_AGENT", "CAVITY", "BRACHY_CHANNEL", "SUPPORT", "FIXATION", "DOSE_REGION", "CONTROL", "OAR",
})  # fmt: skip
"""Defined terms of RTROIInterpretedType (PS3.3 C.8.8.8)."""
MAX_STRUCTURES: Final = 65_535
SMALLEST_VOXEL_MM3: Final = 1e-15


@dataclass(frozen=True, slots=True)
class Structures:
    """One structure set: what its structures are, and their closed contours in patient coordinates (n, 3), LPS in mm."""

    header: Header
    segments: tuple[Segment, ...]
    contours: Mapping[int, tuple[NDArray[np.float64], ...]]
    referenced_series: frozenset[str]
    frame_of_reference_uid: str


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A structure set on a lattice: contours in rows and columns, by slice and by structure."""

    axes: tuple[Axis, ...]
    slices: Mapping[int, Mapping[int, list[Points]]]
    layers: tuple[frozenset[int], ...]

    @property
    def plane(self) -> tuple[int, int]:
        """Rows and columns of a slice."""
        return self.axes[-2].size, self.axes[-1].size


class StructureVoxels:
    """Label values of one layer, drawn slice by slice."""

    def __init__(self, drawn: _Drawn, layer: int, dtype: np.dtype[Any]) -> None:
        self._drawn = drawn
        self._wanted = drawn.layers[layer]
        self._dtype = dtype

    def read(self, level: int, lead: tuple[int, ...], start: int, stop: int) -> NDArray[Any]:
        """Return slices (or rows of a plane) ``start:stop``."""
        if len(self._drawn.axes) == 2:
            return self._slice(0)[start:stop]
        return np.stack([self._slice(depth) for depth in range(start, stop)])

    def _slice(self, depth: int) -> NDArray[Any]:
        values = np.zeros(self._drawn.plane, self._dtype)
        for number, contours in self._drawn.slices.get(depth, {}).items():
            if number in self._wanted:
                values[area(contours, *self._drawn.plane)] = number
        return values


def read_structures(header: Header) -> Structures:
    """Return a structure set by its header.

    Raises
    ------
    UnreadableImage : structures or contours that do not hold together.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _structures(header, pydicom.dcmread(header.path, force=True))
    except UnreadableImage:
        raise
    except Exception as error:  # as in headers: the kind is enough, the text may quote values
        raise UnreadableImage(f"The structure set cannot be read ({type(error).__name__}).") from error


def structure_labels(source: Structures, image: ImagePlan) -> tuple[ImagePlan, ...]:
    """Return the structures as label images on the lattice of the image; structures that overlap open another one.

    Raises
    ------
    UnsupportedInput : contours that do not lie on slices of the image, or an image without one lattice.
    """
    drawn = _draw(source, image)
    stem = hashed("structures", source.header.sop_instance_uid)
    dtype = np.dtype(np.uint8 if len(source.segments) < 256 else np.uint16)
    return tuple(
        ImagePlan(
            name=stem if len(drawn.layers) == 1 else f"{stem}-{number + 1}",
            source=f"urn:oid:{source.header.series_uid}",
            kind="RTSTRUCT",
            axes=drawn.axes,
            dtype=dtype,
            voxels=StructureVoxels(drawn, number, dtype),
            geometry=image.geometry,
            channels=(),
            level_count=len(image.levels) or None,
            image_label=image_label([segment for segment in source.segments if segment.number in drawn.layers[number]]),
        )
        for number in range(len(drawn.layers))
    )


def _structures(header: Header, dataset: Dataset) -> Structures:
    roles = {
        int(item.ReferencedROINumber): str(item.get("RTROIInterpretedType", "")) for item in _items(dataset, "RTROIObservationsSequence")
    }
    shapes = {int(item.ReferencedROINumber): item for item in _items(dataset, "ROIContourSequence")}
    segments: list[Segment] = []
    contours: dict[int, tuple[NDArray[np.float64], ...]] = {}
    stated = _items(dataset, "StructureSetROISequence")
    if not 0 < len(stated) <= MAX_STRUCTURES:
        raise UnreadableImage(f"The structure set holds {len(stated)} structures.")
    for number, item in enumerate(stated, start=1):
        roi = int(item.ROINumber)
        shape = shapes.get(roi, Dataset())
        segments.append(_segment(number, item, shape, roles.get(roi, "")))
        contours[number] = tuple(_points(one) for one in _items(shape, "ContourSequence") if one.get("ContourGeometricType") in AREAS)
    if not any(contours.values()):
        raise UnreadableImage("The structure set holds no closed contour.")
    frames = _items(dataset, "ReferencedFrameOfReferenceSequence")
    studies = [study for frame in frames for study in _items(frame, "RTReferencedStudySequence")]
    series = [str(one.get("SeriesInstanceUID", "")) for study in studies for one in _items(study, "RTReferencedSeriesSequence")]
    reference = next((str(item.get("ReferencedFrameOfReferenceUID", "")) for item in stated), "")
    return Structures(header, tuple(segments), contours, frozenset(series), reference)


def _segment(number: int, item: Dataset, shape: Dataset, role: str) -> Segment:
    label = known_words(str(item.get("ROIName") or ""), CHANNEL_TERMS) or f"structure {number}"
    color = [int(part) for part in shape.get("ROIDisplayColor") or []]
    rgb = (color[0], color[1], color[2]) if len(color) == 3 and all(0 <= part <= 255 for part in color) else None
    return Segment(number, label, {"role": role} if role in ROLES else {}, rgb)


def _points(item: Dataset) -> NDArray[np.float64]:
    points = np.asarray([float(part) for part in item.get("ContourData") or []]).reshape(-1, 3)
    if len(points) < 3 or not np.isfinite(points).all():
        raise UnreadableImage("A closed contour has no three points.")
    return points


def _draw(source: Structures, image: ImagePlan) -> _Drawn:
    axes = tuple(axis for axis in image.axes if axis.is_space)
    depth = axes[0].size if len(axes) == 3 else 1
    slices: dict[int, dict[int, list[Points]]] = defaultdict(lambda: defaultdict(list))
    off = 0
    for number, contours in source.contours.items():
        for contour in contours:
            index = _in_voxels(contour, image)
            place = round(float(index[:, 0].mean()))
            if np.abs(index[:, 0] - place).max() > ON_A_SLICE or not 0 <= place < depth:
                off += 1
                continue
            slices[place][number].append(index[:, 1:])
    if off:
        total = sum(len(contours) for contours in source.contours.values())
        raise UnsupportedInput(
            f"{off} of {total} contours do not lie on slices of the image.", remedy="Publish the structure set as DICOM."
        )
    clashes: set[tuple[int, int]] = set()
    for structures in slices.values():
        masks = {number: area(contours, axes[-2].size, axes[-1].size) for number, contours in structures.items()}
        clashes |= {pair for pair in itertools.combinations(sorted(masks), 2) if np.any(masks[pair[0]] & masks[pair[1]])}
    return _Drawn(axes, slices, layers([segment.number for segment in source.segments], clashes))


def _in_voxels(contour: NDArray[np.float64], image: ImagePlan) -> NDArray[np.float64]:
    """Return patient coordinates as slice, row and column, whole numbers at voxel centres."""
    matrix = np.asarray(image.geometry.affine if image.geometry.affine is not None else np.zeros((4, 4)), float)
    if not abs(float(np.linalg.det(matrix[:3, :3]))) > SMALLEST_VOXEL_MM3:
        raise UnsupportedInput("The image has no lattice that contours could lie on.", remedy="Publish the structure set as DICOM.")
    found: NDArray[np.float64] = np.linalg.solve(matrix[:3, :3], (contour - matrix[:3, 3]).T).T
    return found


def _items(dataset: Dataset, name: str) -> list[Dataset]:
    return list(dataset.get(name) or [])
