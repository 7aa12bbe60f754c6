"""Plan the stores of an OME source: OME-TIFF, a companion with its TIFF files, or an OME-Zarr."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import tifffile
import zarr

from fairlead.convert.image_parts import Part, parts_of
from fairlead.convert.modulo import mentions_modulo
from fairlead.convert.ome_xml import OmeImage, binary_only_target, read_document, read_ome_xml, read_plate, undivided_xml
from fairlead.convert.ome_zarr import zarr_plans
from fairlead.convert.plan import AXIS_ORDER, Axis, Channel, CollectionPlan, ImagePlan, StorePlan, default_color, rgb_channels
from fairlead.convert.plates import in_plate
from fairlead.convert.sources import Source, SourceKind
from fairlead.convert.tiff_voxels import COLOUR_PICTURE, DAMAGED, PlaneFiles, TiffVoxels, require_complete
from fairlead.convert.volumes import Policy
from fairlead.errors import UnreadableImage, UnsupportedInput
from fairlead.records import GeometryVerdict

TIFF_AXES: Final = frozenset("TCZYXS")
RGB: Final = 3
PIXEL_TYPES: Final = {"float": "float32", "double": "float64"}
TYPE_NAMES: Final = frozenset({"int8", "int16", "int32", "uint8", "uint16", "uint32", "float32", "float64"})
NUMBER_KINDS: Final = frozenset("iuf")
NO_PATIENT: Final = GeometryVerdict(verdict="none", reason="Microscopy: sampling as the file states it, no place in a patient.")


def ome_plans(source: Source, stem: str, policy: Policy, ngff: str, *, whole_plates: bool = False) -> Iterator[StorePlan]:
    """Yield a plan per image of the source, numbered in the store's name when there are several; or a plate as one store.

    Raises
    ------
    UnreadableImage : damaged TIFF or XML.
    UnsupportedInput : a kind of file that is not converted.
    """
    for plan in _plans(source, stem, policy, ngff, whole_plates=whole_plates):
        if isinstance(plan, CollectionPlan) and not whole_plates:
            yield from plan.images.values()
        else:
            yield plan


def _plans(source: Source, stem: str, policy: Policy, ngff: str, *, whole_plates: bool) -> Iterator[StorePlan]:
    match source.kind:
        case SourceKind.TIFF:
            yield from _tiff_plans(source, stem)
        case SourceKind.COMPANION:
            yield from _companion_plans(source, stem)
        case SourceKind.ZARR:
            yield from zarr_plans(source, stem, policy, ngff, whole_plates=whole_plates)
        case SourceKind.OME_XML:
            raise UnsupportedInput("An OME-XML without its TIFF holds no pixels here.", remedy="Give the OME-TIFF or the .companion.ome.")
        case SourceKind.UNREADABLE:
            raise UnsupportedInput(
                "No regular file (a pipe, device or symbolic link), or one that cannot be read.",
                remedy="Remove it, or correct its permissions.",
            )
        case _:
            raise UnsupportedInput("Neither DICOM, nor OME-TIFF, nor OME-Zarr.", remedy="Remove the file, or convert it first.")


def _tiff_plans(source: Source, stem: str) -> Iterator[StorePlan]:
    with _opened(source.path) as tiff:
        xml = tiff.ome_metadata
        if not xml:
            raise UnsupportedInput(
                "A TIFF without readable OME-XML; only OME-TIFF is converted.", remedy="Convert it with Bio-Formats first."
            )
        if (companion := binary_only_target(xml)) is not None:
            yield from _companion_plans(_companion_of(source, companion), stem)
            return
        images = read_ome_xml(xml)
        _inside_folder(images, source.path.parent)
        if not mentions_modulo(xml):
            yield from in_plate(source, stem, read_plate(xml), _described(source, stem, tiff, images), divided={})
            return
    with _opened(source.path, undivided_xml(xml)) as tiff:  # tifffile divides axes by the first annotation only
        yield from in_plate(source, stem, read_plate(xml), _described(source, stem, tiff, images), divided=_divided(images))


def _divided(images: Sequence[OmeImage]) -> dict[int, str]:
    return {number: image.id for number, image in enumerate(images) if image.divisions}


def _described(source: Source, stem: str, tiff: tifffile.TiffFile, images: Sequence[OmeImage]) -> dict[str, ImagePlan]:
    """Return a plan per image, or per part of one, by OME image id."""
    if any(block.file is None and (block.ifd or 0) >= len(tiff.pages) for image in images for block in image.blocks):
        raise UnreadableImage("The OME-XML names a page that the TIFF does not have.")
    series = _series(tiff)
    if len(series) != len(images):
        raise UnreadableImage(f"The OME-XML describes {len(images)} images, the TIFF holds {len(series)}.")
    return {
        f"{image.id or number}{part.suffix}": replace(_tiff_plan(source, f"{name}{part.suffix}", one, part), image_index=number)
        for number, (name, one, image) in enumerate(zip(_names(stem, len(series)), series, images, strict=True))
        for part in parts_of(image)
    }


def _companion_of(source: Source, name: str) -> Source:
    """Return the companion that one file of a multi-file set points to; it must lie beside it."""
    path = source.path.parent / name
    if Path(name).name != name or not path.is_file() or path.is_symlink():
        raise UnreadableImage("One file of a multi-file set, and its companion is not beside it.", remedy="Give the whole set.")
    return Source(path, source.name, SourceKind.COMPANION)


def set_members(sources: Sequence[Source]) -> frozenset[Path]:
    """Return the files that companions among the sources claim as theirs: they are no images of their own."""
    claimed: set[Path] = set()
    for source in sources:
        if source.kind is not SourceKind.COMPANION:
            continue
        with contextlib.suppress(UnreadableImage):  # the companion itself is refused later, with the reason
            blocks = [block for image in read_ome_xml(read_document(source.path)) for block in image.blocks]
            claimed |= {source.path.parent / block.file for block in blocks if block.file is not None}
    return frozenset(claimed - {source.path for source in sources if source.kind is SourceKind.COMPANION})  # it may name itself


@contextlib.contextmanager
def _opened(path: Path, xml: str | None = None) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF, with another OME-XML than its own when one is given."""
    try:
        tiff = tifffile.TiffFile(path, omexml=xml)
    except DAMAGED as error:
        raise UnreadableImage(f"The TIFF cannot be opened ({type(error).__name__}).") from error
    with tiff:
        yield tiff


def _series(tiff: tifffile.TiffFile) -> list[tifffile.TiffPageSeries]:
    try:
        found = list(tiff.series)
    except DAMAGED as error:
        raise UnreadableImage(f"The TIFF's pages do not fit its OME-XML ({type(error).__name__}).") from error
    return [series for series in found if series.kind == "ome"] or found[:1]


def _tiff_plan(source: Source, name: str, series: tifffile.TiffPageSeries, part: Part) -> ImagePlan:
    axes = str(series.axes)
    if set(axes) - TIFF_AXES or not {"Y", "X"} <= set(axes) or ("S" in axes and "c" in part.places):
        raise UnsupportedInput(
            f"TIFF axes {series.axes!r} of {tuple(series.shape)} are not converted.",
            remedy="Converted are subsets of TCZYX, with colour samples where nothing divides the channels.",
        )
    dtype = np.dtype(series.dtype).newbyteorder("=")
    if dtype.kind not in NUMBER_KINDS:
        raise UnsupportedInput(f"Pixels of type {dtype} are not converted.", remedy="Converted are integers and floating point numbers.")
    sizes = _sizes(axes, tuple(series.shape), part)
    if any(sizes.get(axis, 1) != size for axis, size in part.image.sizes.items()):
        raise UnreadableImage("The TIFF's pages and its OME-XML disagree about the image's size; pages may be missing.")
    _complete(series)
    try:
        arrays = [zarr.open_array(store=series.aszarr(level=level), mode="r") for level in range(len(series.levels))]
    except DAMAGED as error:
        raise UnreadableImage(f"Pixels of the TIFF cannot be reached ({type(error).__name__}).") from error
    levels = tuple(_space(_sizes(axes, array.shape, part)) for array in arrays) if len(arrays) > 1 else ()
    channels = rgb_channels(dtype) if "S" in axes and sizes["c"] == RGB else _channels(part.image, sizes.get("c", 1))
    plan = _plan(source, name, sizes, part, dtype=dtype, voxels=TiffVoxels(arrays, axes, part))
    return replace(_coloured(plan, channels), levels=levels, bands=axes == COLOUR_PICTURE)


def _plan(
    source: Source,
    name: str,
    sizes: dict[str, int],
    part: Part,
    *,
    dtype: np.dtype[Any],
    voxels: TiffVoxels | PlaneFiles,
) -> ImagePlan:
    return ImagePlan(
        name=name,
        source=source.name,
        kind="OME",
        axes=tuple(Axis(axis, sizes[axis], *part.image.steps.get(axis, (1.0, None))) for axis in AXIS_ORDER if axis in sizes),
        dtype=dtype,
        voxels=voxels,
        geometry=NO_PATIENT,
        attributes=part.attributes,
        dropped=(*part.image.lost, *_other_type(part.image.pixel_type, dtype)),
    )


def _other_type(stated: str, dtype: np.dtype[Any]) -> tuple[str, ...]:
    """Say that pixels have another type than the document states; the pixels count."""
    named = PIXEL_TYPES.get(stated, stated)
    return (f"Type of the OME-XML: the pixels are {dtype}",) if named in TYPE_NAMES and named != str(dtype) else ()


def _coloured(plan: ImagePlan, channels: tuple[Channel, ...]) -> ImagePlan:
    return replace(plan, channels=channels, greyscale=len(channels) == 1)


def _sizes(axes: str, shape: tuple[int, ...], part: Part) -> dict[str, int]:
    sizes = {axis.lower(): size for axis, size in zip(axes, shape, strict=True) if axis in AXIS_ORDER.upper()}
    if "S" in axes:
        sizes["c"] = sizes.get("c", 1) * shape[axes.index("S")]
    return {axis: size // part.places.get(axis, (1, 0))[0] for axis, size in sizes.items()}


def _space(sizes: dict[str, int]) -> tuple[int, ...]:
    return tuple(sizes[axis] for axis in "zyx" if axis in sizes)


def _complete(series: tifffile.TiffPageSeries) -> None:
    for level in series.levels:
        if np.dtype(level.dtype) != np.dtype(series.dtype):
            raise UnreadableImage("Levels of the TIFF differ in the type of their pixels.")
        for page in level.pages:
            require_complete(page)


def _channels(image: OmeImage, count: int) -> tuple[Channel, ...]:
    stated = [*image.channels, *[None] * count][:count]
    return tuple(
        Channel(
            channel.name if channel else None,
            (channel.color if channel else None) or default_color(number, count),
        )
        for number, channel in enumerate(stated)
    )


def _inside_folder(images: tuple[OmeImage, ...], folder: Path) -> None:
    """Refuse names that lead out of the folder, or to pipes and devices, before any library opens them."""
    names = {block.file for image in images for block in image.blocks if block.file is not None}
    if any(Path(name).name != name or name in {"", ".", ".."} or "\\" in name for name in names):
        raise UnreadableImage("The OME-XML points to files outside its folder.", remedy="Keep all files of the set in one folder.")
    places = [folder / name for name in names]
    if any(place.is_symlink() or (place.exists() and not place.is_file()) for place in places):
        raise UnreadableImage("The OME-XML points to something that is no regular file.")


def _companion_plans(source: Source, stem: str) -> Iterator[StorePlan]:
    images = read_ome_xml(read_document(source.path))
    if not images:
        raise UnreadableImage("The companion describes no image.")
    _inside_folder(images, source.path.parent)
    plans: dict[str, ImagePlan] = {}
    for number, (name, image) in enumerate(zip(_names(stem, len(images)), images, strict=True)):
        planes = _planes(source.path.parent, image)
        first, page = planes[0, 0, 0]
        with _opened(first) as tiff:
            dtype = np.dtype(tiff.pages[page].dtype).newbyteorder("=")
        for part in parts_of(image):
            sizes = {axis: size for axis, size in part.image.sizes.items() if size > 1 or axis in "yx"}
            plan = _plan(source, f"{name}{part.suffix}", sizes, part, dtype=dtype, voxels=PlaneFiles(planes, part, dtype))
            channels = _channels(part.image, part.image.sizes["c"])
            plans[f"{image.id or number}{part.suffix}"] = replace(_coloured(plan, channels), image_index=number)
    yield from in_plate(source, stem, read_plate(read_document(source.path)), plans, divided=_divided(images))


def _names(stem: str, count: int) -> list[str]:
    return [stem] if count == 1 else [f"{stem}-{number}" for number in range(count)]


def _planes(folder: Path, image: OmeImage) -> dict[tuple[int, int, int], tuple[Path, int]]:
    """Return file and page of every plane by (t, c, z), from the TiffData blocks and the dimension order.

    Raises
    ------
    UnreadableImage : planes without a file, or files that are not there.
    """
    order = [name.lower() for name in image.order[2:]]
    found: dict[tuple[int, int, int], tuple[Path, int]] = {}
    wanted = math.prod(image.sizes[name] for name in order)
    for block in image.blocks:
        if block.file is None:
            raise UnreadableImage("The companion does not name the file of a plane.")
        index = dict(block.first)
        if any(index[name] >= image.sizes[name] for name in order) or (block.count or 1) > wanted:
            raise UnreadableImage("The companion names planes that the image does not have.")
        for step in range(1 if block.count is None else block.count):
            found[index["t"], index["c"], index["z"]] = (folder / block.file, (block.ifd or 0) + step)
            _advance(index, order, image.sizes)
    absent = {file.name for file, _ in found.values() if not file.is_file()}
    if absent or len(found) != wanted:
        raise UnreadableImage(f"The set is not complete: {len(absent)} files absent, {len(found)} of {wanted} planes named.")
    return found


def _advance(index: dict[str, int], order: list[str], sizes: Any) -> None:
    for name in order:
        index[name] += 1
        if index[name] < sizes[name]:
            return
        index[name] = 0
