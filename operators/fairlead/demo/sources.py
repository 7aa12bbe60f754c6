"""The source images, decoded without Fairlead: the yardstick for what was published."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead.progress import Progress, tracked

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset


@dataclass(frozen=True, slots=True)
class Source:
    """One stack of a source image: the series UID or file name it belongs to, and the digest of each plane in order."""

    name: str
    planes: tuple[str, ...]


def source_stacks(dicom: Sequence[Path], ome: Sequence[Path], *, progress: Progress) -> list[Source]:
    """Return every stack that the sources hold: each series by orientation, each OME image."""
    series = dicom_images(tracked(dicom, "decode sources", progress, total=len(dicom)))
    return [Source(name, plane_digests(image)) for name, image in [*series, *ome_images(ome)]]


def plane_digests(array: NDArray[Any]) -> tuple[str, ...]:
    """Return one digest per plane (last two axes), of values and size; how the values are stored does not matter."""
    import numpy as np

    kind = np.float64 if array.dtype.kind == "f" else np.int64
    planes = array.reshape(-1, *array.shape[-2:])
    return tuple(
        hashlib.sha256(repr(plane.shape).encode() + np.ascontiguousarray(plane, dtype=kind).tobytes()).hexdigest() for plane in planes
    )


def dicom_images(files: Iterable[Path]) -> list[tuple[str, NDArray[Any]]]:
    """Return series UID and stack by orientation: slices in the order of their positions, rescaled."""
    from pydicom import dcmread

    groups: dict[tuple[Any, ...], list[Dataset]] = defaultdict(list)
    for path in files:
        dataset = dcmread(path)
        if "PixelData" in dataset:
            orientation = tuple(round(float(value), 4) for value in dataset.get("ImageOrientationPatient", ()))
            groups[(str(dataset.SeriesInstanceUID), orientation, dataset.Rows, dataset.Columns)].append(dataset)
    return [(key[0], _stack(datasets)) for key, datasets in groups.items()]


def _stack(datasets: list[Dataset]) -> NDArray[Any]:
    import numpy as np

    ordered = sorted(datasets, key=_height)
    frames = [_values(dataset) for dataset in ordered]
    return frames[0] if len(frames) == 1 else np.stack(frames)


def _height(dataset: Dataset) -> float:
    if "ImagePositionPatient" not in dataset or "ImageOrientationPatient" not in dataset:
        return 0.0
    return _along_normal(dataset.ImageOrientationPatient, dataset.ImagePositionPatient)


def _along_normal(orientation: Sequence[Any], position: Sequence[Any]) -> float:
    import numpy as np

    row, column = np.asarray(orientation, dtype=np.float64).reshape(2, 3)
    normal = np.cross(row, column)
    normal *= np.sign(normal[np.argmax(np.abs(normal))])
    return float(normal @ np.asarray(position, dtype=np.float64))


def _values(dataset: Dataset) -> NDArray[Any]:
    pixels = dataset.pixel_array
    if "SharedFunctionalGroupsSequence" in dataset:
        return _enhanced(dataset, pixels)
    return _rescaled(pixels, dataset)


def _rescaled(pixels: NDArray[Any], transform: Dataset) -> NDArray[Any]:
    import numpy as np

    slope, intercept = float(transform.get("RescaleSlope") or 1), float(transform.get("RescaleIntercept") or 0)
    if slope.is_integer() and intercept.is_integer():
        return pixels.astype(np.int64) * int(slope) + int(intercept)
    return (pixels.astype(np.float64) * slope + intercept).astype(np.float32)


def _enhanced(dataset: Dataset, pixels: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    shared = dataset.SharedFunctionalGroupsSequence[0]
    items = dataset.PerFrameFunctionalGroupsSequence
    heights = [
        _along_normal(
            _group(item, shared, "PlaneOrientationSequence").ImageOrientationPatient,
            _group(item, shared, "PlanePositionSequence").ImagePositionPatient,
        )
        for item in items
    ]
    values = [_rescaled(frame, _group(item, shared, "PixelValueTransformationSequence")) for item, frame in zip(items, pixels, strict=True)]
    return np.stack([values[index] for index in np.argsort(heights, kind="stable")])


def _group(item: Dataset, shared: Dataset, name: str) -> Dataset:
    for place in (item, shared):
        if name in place:
            found: Dataset = place[name].value[0]
            return found
    return type(item)()


def ome_images(files: Sequence[Path]) -> list[tuple[str, NDArray[Any]]]:
    """Return file name and full-resolution image of every series of every OME-TIFF, colour samples first."""
    import numpy as np
    import tifffile

    images = []
    for path in files:
        with tifffile.TiffFile(path) as tiff:
            for series in tiff.series:
                array = series.asarray()
                images.append((path.name, np.moveaxis(array, -1, 0) if series.axes.endswith("S") else array))
    return images
