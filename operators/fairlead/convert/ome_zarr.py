"""Plan the stores of an OME-Zarr source: images with their labels, plates, and the images of a bioformats2raw collection.

Arrays may be Zarr v2 or v3. Only axes, scales, channels, labels and voxels pass: attributes of other programs, tables and
METADATA.ome.xml (which may name people) stay behind. What is valid NGFF 0.5 already is copied, not encoded again.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import zarr
from numpy.typing import NDArray

from fairlead.convert.allowed import label_metadata, label_names, plate_metadata, well_metadata
from fairlead.convert.bounded import require_bounded
from fairlead.convert.documents import read_json
from fairlead.convert.keep import kept_arrays
from fairlead.convert.ngff_read import NgffImage, channels_of, read_image, require_fitting, require_same_axes
from fairlead.convert.plan import Axis, CollectionPlan, ImagePlan, StorePlan
from fairlead.convert.republish import copied
from fairlead.convert.sources import Source
from fairlead.convert.validate import LABELS, labels_of, missing_chunks, read_group, read_ome, series_of
from fairlead.convert.volumes import Policy
from fairlead.errors import UnreadableImage, UnsupportedInput
from fairlead.records import GeometryVerdict, JsonObject

STATED: Final = GeometryVerdict(verdict="none", reason="OME-Zarr: sampling as the source states it.")
OWN_STORE: Final = "identifiers, geometry and facts of DICOM, and the documents beside them: convert the DICOM again to have them"
MAX_IMAGES: Final = 100_000
MAX_CHUNK_BYTES: Final = 1024**3


class ZarrVoxels:
    """Voxels of opened levels; their axes are already in NGFF order."""

    def __init__(self, arrays: list[zarr.Array[Any]]) -> None:
        self._arrays = arrays

    def read(self, level: int, lead: tuple[int, ...], start: int, stop: int) -> NDArray[Any]:
        """Return planes (or rows) ``start:stop`` of a level."""
        where: tuple[int | slice, ...] = (*lead, slice(start, stop))
        try:
            return np.ascontiguousarray(self._arrays[level][where])
        except (ValueError, KeyError, RuntimeError, OSError) as error:
            raise UnreadableImage(f"A chunk of level {level} cannot be decoded ({type(error).__name__}).") from error


def zarr_plans(source: Source, stem: str, policy: Policy, ngff: str, *, whole_plates: bool) -> Iterator[StorePlan]:
    """Yield the plans of a source, and say so when it is a store of a conversion, whose DICOM tells more; raises as those that plan."""
    lost = (OWN_STORE,) if _is_converted(source.path) else ()
    for plan in _plans(source, stem, policy, ngff, whole_plates=whole_plates):
        yield replace(plan, dropped=(*plan.dropped, *lost))


def _is_converted(store: Path) -> bool:
    try:
        document = read_json(store / "zarr.json")
    except (OSError, ValueError):
        return False
    attributes = document.get("attributes") if isinstance(document, dict) else None
    return isinstance(attributes, dict) and isinstance(attributes.get("dicom"), dict)


def _plans(source: Source, stem: str, policy: Policy, ngff: str, *, whole_plates: bool) -> Iterator[StorePlan]:
    """Yield the plan of an image or a plate, or one plan per image of a collection or well.

    Raises
    ------
    UnsupportedInput : other versions, axes or transforms that are not converted.
    UnreadableImage : metadata or levels that do not hold together, or chunks that are absent (unless the policy is ``annotate``).
    """
    try:
        ome, version = read_ome(source.path)
    except (OSError, ValueError) as error:
        raise UnreadableImage("The folder is no OME-Zarr image: NGFF metadata are absent or broken.") from error
    if version == ngff == "0.5" and (whole_plates or "multiscales" in ome) and (copy := copied(source, stem)) is not None:
        yield copy
    elif "plate" in ome:
        yield _plate(source, stem, ome, policy)
    elif "multiscales" in ome:
        yield _image(source, source.path, stem, policy, number=0)
    else:
        names = _images_of_well(ome) if "well" in ome else series_of(source.path)
        if not names:
            raise UnreadableImage("The collection holds no image.")
        for number, name in enumerate(names):
            folder = _inside(source.path, name)
            yield _image(source, folder, stem if len(names) == 1 else f"{stem}-{number}", policy, number=number)


def _image(source: Source, folder: Path, name: str, policy: Policy, *, number: int) -> ImagePlan:
    try:
        ome, version = read_ome(folder)
    except (OSError, ValueError) as error:
        raise UnreadableImage("An image of the OME-Zarr is absent or broken.") from error
    image = read_image(ome, version)
    arrays = [_open(folder, path) for path in image.paths]
    if any(array.ndim != len(image.names) for array in arrays):
        raise UnreadableImage(f"The metadata name {len(image.names)} axes, the array has {arrays[0].ndim}.")
    _alike(image, arrays)
    require_fitting(image, [array.shape for array in arrays])
    dropped = _absent(arrays, policy)
    for array in arrays:
        require_same_axes(image, array)
        require_bounded(array)
    listed = labels_of(folder)
    labels = tuple(_label(source, folder, label, called, policy) for label, called in zip(listed, label_names(listed), strict=True))
    axes = _axis_list(image, arrays[0])
    count = next((axis.size for axis in axes if axis.name == "c"), 1)
    space = [place for place, axis in enumerate(axes) if axis.is_space]
    named = image.names == tuple(axis.name for axis in axes)
    return ImagePlan(
        name=name,
        source=source.name,
        kind="OME",
        axes=axes,
        dtype=arrays[0].dtype.newbyteorder("="),
        voxels=ZarrVoxels(arrays),
        geometry=STATED,
        channels=channels_of(ome, count),
        levels=tuple(tuple(array.shape[place] for place in space) for array in arrays) if len(arrays) > 1 else (),
        level_steps=tuple(tuple(scale[place] for place in space) for scale in image.scales) if _states_levels(image) else (),
        level_shifts=tuple(tuple(shift[place] for place in space) for shift in image.shifts) if _states_levels(image) else (),
        dropped=(*dropped, *image.left_out),
        greyscale=count == 1,
        labels=labels,
        image_index=number,
        kept=kept_arrays(arrays) if len(arrays) > 1 and named and not dropped else (),
    )


def _alike(image: NgffImage, arrays: list[zarr.Array[Any]]) -> None:
    """Refuse levels that differ in type, or in the size of an axis that is not space."""
    fixed = [place for place, name in enumerate(image.names) if name in "tc"]
    if any(array.dtype != arrays[0].dtype or any(array.shape[place] != arrays[0].shape[place] for place in fixed) for array in arrays):
        raise UnreadableImage("Levels of one image differ in type, channels or time points.")


def _states_levels(image: NgffImage) -> bool:
    """Return whether the levels say their own scales: versions before 0.4 do not."""
    return len(image.scales) > 1 and len(set(image.scales)) > 1


def _label(source: Source, folder: Path, name: str, called: str, policy: Policy) -> ImagePlan:
    place = _inside(folder, f"{LABELS}/{name}")
    plan = _image(source, place, called, policy, number=0)
    if plan.dtype.kind not in "iu":
        raise UnsupportedInput("A label image holds no whole numbers.", remedy="Labels are integers (NGFF 0.5, labels).")
    ome, _ = read_ome(place)
    return _as_label(plan, label_metadata(ome.get("image-label")))


def _as_label(plan: ImagePlan, image_label: JsonObject) -> ImagePlan:
    return ImagePlan(
        name=plan.name,
        source=plan.source,
        kind=plan.kind,
        axes=plan.axes,
        dtype=plan.dtype,
        voxels=plan.voxels,
        geometry=plan.geometry,
        channels=(),
        levels=plan.levels,
        level_steps=plan.level_steps,
        level_shifts=plan.level_shifts,
        image_label=image_label,
        kept=plan.kept,
    )


def _plate(source: Source, stem: str, ome: JsonObject, policy: Policy) -> CollectionPlan:
    """Plan a plate: the same rows, columns, wells and fields, every field an image of its own."""
    try:
        plate, moved = plate_metadata(ome["plate"])
        groups: dict[str, JsonObject] = {"": {"plate": plate}}
        images: dict[str, ImagePlan] = {}
        for old, new in moved.items():
            groups[new] = {}
            groups[new]["well"], fields = well_metadata(read_group(_inside(source.path, old))["well"])
            for number, field in enumerate(fields):
                place = _inside(source.path, f"{old}/{field}")
                images[f"{new}/{number}"] = _image(source, place, f"{stem}-{len(images)}", policy, number=len(images))
    except (KeyError, IndexError, TypeError, AttributeError, OSError, ValueError) as error:
        raise UnreadableImage("The plate's metadata and its wells do not hold together.") from error
    if not images or len(images) > MAX_IMAGES:
        raise UnreadableImage(f"The plate holds {len(images)} images.")
    return CollectionPlan(name=stem, source=source.name, kind="HCS", groups=groups, images=images)


def _images_of_well(ome: JsonObject) -> list[str]:
    try:
        return [str(item["path"]) for item in ome["well"]["images"]]
    except (KeyError, TypeError) as error:
        raise UnreadableImage("The well's metadata do not name its images.") from error


def _inside(folder: Path, path: str) -> Path:
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise UnreadableImage("A path in the metadata leads out of the store.")
    return folder / path


def _absent(arrays: list[zarr.Array[Any]], policy: Policy) -> tuple[str, ...]:
    absent = sum(missing_chunks(array) for array in arrays)
    if absent and policy != "annotate":
        raise UnreadableImage(
            f"{absent} chunks are absent; whether they were empty or got lost cannot be told.",
            remedy="Convert with --geometry annotate to read them as the fill value, on record.",
        )
    return (f"{absent} absent chunks read as the fill value",) if absent else ()


def _open(folder: Path, path: str) -> zarr.Array[Any]:
    place = _inside(folder, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zarr comments on odd but readable metadata of other writers
            array = zarr.open_array(str(place), mode="r")
    except Exception as error:  # zarr raises a dozen kinds for absent and damaged arrays
        raise UnreadableImage(f"A level named in the metadata cannot be opened ({type(error).__name__}).") from error
    if not all(array.shape):
        raise UnreadableImage("A level has an axis without a sample.")
    if math.prod(array.chunks) * array.dtype.itemsize > MAX_CHUNK_BYTES:
        raise UnsupportedInput("A chunk of more than 1 GB is not converted.", remedy="Write the array in smaller chunks.")
    if array.dtype.kind not in "iuf":
        raise UnsupportedInput(
            f"Pixels of type {array.dtype} are not converted.", remedy="Converted are integers and floating point numbers."
        )
    return array


def _axis_list(image: NgffImage, array: zarr.Array[Any]) -> tuple[Axis, ...]:
    rows = zip(image.names, array.shape, image.scales[0], image.units, image.shifts[0], strict=True)
    return tuple(Axis(name, int(size), step, unit, origin) for name, size, step, unit, origin in rows)
