"""OME-Zarr folders become records, from their JSON metadata alone: no array is opened.

Read are OME-NGFF 0.1 to 0.6 (Zarr v2 and v3): single images, plates and wells (a record per field), bioformats2raw collections, whose
``OME/METADATA.ome.xml`` answers what the JSON does not say. Source: NGFF, sections "multiscales", "axes", "omero", "plate", "labels".
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fairlead.errors import FairleadError, UnreadableImage, UnsupportedInput
from fairlead.extract.catalogue import FieldCatalogue
from fairlead.extract.declarations import FieldDeclaration
from fairlead.extract.identity import Scrubber, spellings
from fairlead.extract.ome_image import OmeImage, people
from fairlead.extract.ome_record import OmeFacts, build_record
from fairlead.extract.ome_xml import XML_LIMIT_BYTES, OmeDocument, check_pixels, parse_ome
from fairlead.extract.sniffing import store_of
from fairlead.extract.zarr_groups import (
    METADATA_NAMES,
    REMEDY,
    SUPPORTED,
    Group,
    Place,
    inside,
    labels_of,
    places_of,
    read_group,
    read_json,
    series_order,
)
from fairlead.files import relative_files
from fairlead.records import ImagingRecord, JsonObject, ReceivedFile

AXIS_NAMES: Final = frozenset("tczyx")
UNIT_IN_MM: Final = {
    "angstrom": 1e-7, "picometer": 1e-9, "nanometer": 1e-6, "micrometer": 1e-3, "millimeter": 1.0, "centimeter": 10.0, "meter": 1000.0,
    "inch": 25.4,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Image:
    """One image of a store: where it lies, what its metadata answers, and its element of the OME-XML where there is one."""

    place: Place
    folder: Path
    answers: dict[str, list[Any]]
    version: str
    level: str
    xml: OmeImage | None = None


def read_store(file: ReceivedFile, path: Path, *, catalogue: FieldCatalogue, key: bytes) -> tuple[ImagingRecord, ...]:
    """Return a record for every image of an OME-Zarr folder.

    An image that the metadata of a collection lists but that cannot be read is a finding of the others; if there is no other,
    its error is the store's.

    Raises
    ------
    UnsupportedInput : another version, or a Zarr group without OME metadata.
    UnreadableImage : metadata that contradicts itself or the folder; the reason names the place.
    """
    store = store_of(path)
    root = read_group(store)
    if root is None:
        raise UnsupportedInput("The Zarr folder holds no OME metadata.", remedy=REMEDY)
    places, document = places_of(root), _document(path)
    order = series_order(store) if document is not None else {}
    images: list[tuple[int, _Image]] = []
    errors: list[FairleadError] = []
    for number, place in enumerate(places):
        try:
            element = _element(document, order.get(place.path)) if document is not None else None
            images.append((number, _image(root, place, element)))
        except (UnreadableImage, UnsupportedInput) as error:
            errors.append(error)
    if not images:
        raise errors[0]
    known = people(document) if document is not None else set()
    return tuple(
        build_record(file, number, _facts(image, known=known, missing=len(errors)), catalogue=catalogue, key=key)
        for number, image in images
    )


def _document(root: Path) -> OmeDocument | None:
    """Return the OME-XML of a bioformats2raw collection, None where there is none that can be read."""
    file = next((one for one in (root / "OME" / "METADATA.ome.xml", root / "METADATA.ome.xml") if one.is_file()), None)
    if file is None:
        return None
    try:
        with file.open("rb") as handle:
            return parse_ome(handle.read(XML_LIMIT_BYTES + 1))
    except (UnreadableImage, UnsupportedInput):
        return None


def _image(root: Group, place: Place, element: OmeImage | None) -> _Image:
    folder = inside(root.folder, place.path) if place.path else root.folder
    group = root if folder == root.folder else read_group(folder) if folder.is_dir() else None
    multiscales = group.metadata.get("multiscales") if group is not None else None
    if group is None or not isinstance(multiscales, list) or not multiscales or not isinstance(multiscales[0], dict):
        raise UnsupportedInput("The Zarr folder holds no multiscales metadata.", remedy=REMEDY)
    version = group.version or root.version
    if version not in SUPPORTED:
        raise UnsupportedInput(f"The OME-Zarr folder states another version than {SUPPORTED[0]} to {SUPPORTED[-1]}.", remedy=REMEDY)
    answers, level = _read(folder, multiscales[0], version)
    answers |= {"omero/channels/label": _channel_names(group.metadata), "labels": labels_of(folder)}
    answers |= {"plate": [place.plate] if place.plate else [], "well": [place.well] if place.well else []}
    answers |= {"path": [place.path] if place.path else []}
    return _Image(place, folder, answers, version, level, element)


def _element(document: OmeDocument, number: int | None) -> OmeImage | None:
    if number is None or number >= len(document.images):
        return None
    element = document.images[number]
    try:
        return OmeImage(document, element, check_pixels(element, number))
    except UnreadableImage:
        return None


def _read(folder: Path, multiscale: JsonObject, version: str) -> tuple[dict[str, list[Any]], str]:
    """Return what a multiscales entry answers, and the name of its largest level; every level it lists must be there."""
    datasets = multiscale.get("datasets")
    if not isinstance(datasets, list) or not datasets or not isinstance(datasets[0], dict) or not isinstance(datasets[0].get("path"), str):
        raise UnreadableImage("The OME-Zarr multiscales lists no dataset.")
    axes = _axes(multiscale, datasets[0], version)
    shape, pixel_type = _array(folder, datasets[0]["path"])
    for other in datasets[1:]:
        _array(folder, str(other.get("path")) if isinstance(other, dict) else "")
    if len(shape) != len(axes):
        raise UnreadableImage("The OME-Zarr array has another number of dimensions than its axes.")
    answers = _answers(multiscale, axes, shape=shape, scale=_scale(datasets[0], len(axes)))
    return answers | {"pixel_type": [pixel_type]}, datasets[0]["path"]


def _axes(multiscale: JsonObject, dataset: JsonObject, version: str) -> list[JsonObject]:
    """Return the axes: always tczyx in 0.1 and 0.2, plain names in 0.3, of the level's coordinate system in 0.6."""
    if version in ("0.1", "0.2"):
        return [{"name": name} for name in "tczyx"]
    stated = multiscale.get("axes") if version != "0.6" else _coordinate_system(multiscale, dataset)
    axes = [{"name": axis} if isinstance(axis, str) else axis for axis in stated] if isinstance(stated, list) else None
    if axes is None or not all(isinstance(axis, dict) for axis in axes):
        raise UnreadableImage("The OME-Zarr multiscales states no axes.")
    names = [axis.get("name") for axis in axes]
    if not all(isinstance(name, str) for name in names) or not {"x", "y"} <= set(names) <= AXIS_NAMES or len(set(names)) != len(names):
        raise UnreadableImage("The OME-Zarr axes are not a selection of t, c, z, y, x with y and x.")
    return axes


def _coordinate_system(multiscale: JsonObject, dataset: JsonObject) -> Any:
    """Return the axes of the system that the level is mapped into (NGFF 0.6, "coordinateSystems"), else of the first one."""
    stated = multiscale.get("coordinateSystems")
    systems = [one for one in stated if isinstance(one, dict)] if isinstance(stated, list) else []
    outputs = [one.get("output") for one in _transformations(dataset)]
    wanted = [one.get("name") if isinstance(one, dict) else one for one in outputs]
    named = next((one for one in systems if one.get("name") in wanted), systems[0] if systems else multiscale)
    return named.get("axes")


def _array(root: Path, name: str) -> tuple[list[int], str]:
    """Return shape and data type of an array below the root, from its own metadata."""
    folder = inside(root, name)
    for file, kind in ((folder / "zarr.json", "data_type"), (folder / ".zarray", "dtype")):
        if file.is_file():
            document = read_json(file)
            shape = document.get("shape")
            if isinstance(shape, list) and shape and all(isinstance(size, int) and size > 0 for size in shape):
                return shape, _pixel_type(str(document.get(kind, "")))
            raise UnreadableImage("An OME-Zarr array states no valid shape.")
    raise UnreadableImage("The OME-Zarr multiscales lists a dataset that is not there.")


def _pixel_type(text: str) -> str:
    """Return the name of a data type: Zarr v2 writes ``<u2``, v3 writes ``uint16``."""
    kinds = {"u": "uint", "i": "int", "f": "float", "c": "complex", "b": "bool"}
    if len(text) >= 3 and text[0] in "<>|" and text[1] in kinds and text[2:].isdecimal():
        return "bool" if text[1] == "b" else f"{kinds[text[1]]}{int(text[2:]) * 8}"
    return text[:32]


def _transformations(dataset: JsonObject) -> list[JsonObject]:
    stated = dataset.get("coordinateTransformations")
    return [one for one in stated if isinstance(one, dict)] if isinstance(stated, list) else []


def _scale(dataset: JsonObject, count: int) -> list[float] | None:
    """Return the scale of a level: its own transformation, or the first scale of a sequence (0.6)."""
    for transformation in _transformations(dataset):
        parts = transformation.get("transformations") if transformation.get("type") == "sequence" else [transformation]
        for part in parts if isinstance(parts, list) else ():
            scale = part.get("scale") if isinstance(part, dict) and part.get("type") == "scale" else None
            if isinstance(scale, list) and len(scale) == count and all(isinstance(one, int | float) for one in scale):
                return [float(one) for one in scale]
    return None


def _answers(multiscale: JsonObject, axes: list[JsonObject], *, shape: list[int], scale: list[float] | None) -> dict[str, list[Any]]:
    answers: dict[str, list[Any]] = {"axes": ["".join(axis["name"] for axis in axes)]}
    answers |= {f"size_{axis['name']}": [size] for axis, size in zip(axes, shape, strict=True)}
    answers |= {f"size_{name}": [1] for name in "tcz" if f"size_{name}" not in answers}
    for axis, step in zip(axes, scale or (), strict=False):
        unit = UNIT_IN_MM.get(str(axis.get("unit")))
        if unit is not None and step > 0:  # without a unit a scale is no length
            answers[f"scale_{axis['name']}"] = [float(f"{step * unit:.12g}")]
    name = multiscale.get("name")
    return answers | ({"name": [name]} if isinstance(name, str) else {})


def _channel_names(metadata: JsonObject) -> list[str]:
    omero = metadata.get("omero")
    channels = omero.get("channels") if isinstance(omero, dict) else None
    labels = [channel.get("label") for channel in channels if isinstance(channel, dict)] if isinstance(channels, list) else []
    return [label for label in labels if isinstance(label, str)]


def _facts(image: _Image, *, known: set[str], missing: int) -> OmeFacts:
    answers, xml = image.answers, image.xml

    def read(declared: FieldDeclaration) -> Sequence[Any]:
        """Return a field's values from the store's own attributes, or else from its OME-XML."""
        own = next((answers[name] for name in declared.source.ngff if answers.get(name)), ())
        if own or xml is None:
            return own
        return next((values for path in declared.source.ome if (values := xml.values(path, declared.unit))), ())

    subject = xml.subject if xml is not None else None
    channels = tuple(channel for channel in xml.channels() if channel) if xml is not None else ()
    notes = {} if _has_chunks(inside(image.folder, image.level)) else {"no-chunks": 0}
    return OmeFacts(
        read=read,
        schema=image.version,
        format="OME-Zarr",
        scrubber=Scrubber(known | spellings(subject or "")),
        files=1,
        size_bytes=sum((image.folder / file).stat().st_size for file in relative_files(image.folder)),
        subject=subject,
        channels=channels or tuple({"name": name} for name in answers["omero/channels/label"]),
        notes=notes | ({"missing-images": missing} if missing else {}),
    )


def _has_chunks(folder: Path) -> bool:
    return any(name not in METADATA_NAMES for _, _, names in os.walk(folder) for name in names)
