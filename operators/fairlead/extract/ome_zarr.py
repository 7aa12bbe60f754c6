"""OME-Zarr folders become records, from their JSON metadata alone: no array is opened.

Read are single images of OME-NGFF 0.4 (Zarr v2) and 0.5 (Zarr v3). Source: NGFF 0.4 and 0.5, sections "multiscales", "axes", "omero".
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from fairlead.errors import UnreadableImage, UnsupportedInput
from fairlead.extract.catalogue import FieldCatalogue
from fairlead.extract.declarations import FieldDeclaration
from fairlead.extract.identity import Scrubber
from fairlead.extract.ome_record import OmeFacts, build_record
from fairlead.files import relative_files
from fairlead.records import ImagingRecord, JsonObject, ReceivedFile

JSON_LIMIT_BYTES: Final = 16 * 1024 * 1024
SUPPORTED: Final = ("0.4", "0.5")
REMEDY: Final = "Read are single OME-Zarr images of version 0.4 and 0.5."
AXIS_NAMES: Final = frozenset("tczyx")
UNIT_IN_MM: Final = {
    "angstrom": 1e-7, "picometer": 1e-9, "nanometer": 1e-6, "micrometer": 1e-3, "millimeter": 1.0, "centimeter": 10.0, "meter": 1000.0,
    "inch": 25.4,
}  # fmt: skip
METADATA_NAMES: Final = frozenset({"zarr.json", ".zgroup", ".zattrs", ".zarray", ".zmetadata"})


def read_store(file: ReceivedFile, path: Path, *, catalogue: FieldCatalogue, key: bytes) -> tuple[ImagingRecord, ...]:
    """Return the record of an OME-Zarr image folder.

    Raises
    ------
    UnsupportedInput : another version, a plate, a bioformats2raw collection, or a Zarr group without OME metadata.
    UnreadableImage : metadata that contradicts itself or the folder; the reason names the place.
    """
    metadata, version = _metadata(path)
    multiscale = metadata["multiscales"][0]
    axes = _axes(multiscale)
    dataset = _first_dataset(multiscale)
    shape, pixel_type = _array(path, dataset["path"])
    for other in multiscale["datasets"][1:]:
        _array(path, str(other.get("path")) if isinstance(other, dict) else "")
    if len(shape) != len(axes):
        raise UnreadableImage("The OME-Zarr array has another number of dimensions than its axes.")
    answers = _answers(multiscale, axes, shape=shape, scale=_scale(dataset, len(axes)))
    answers |= {"pixel_type": [pixel_type], "omero/channels/label": _channel_names(metadata)}
    facts = _facts(path, answers, version=version, level=dataset["path"])
    return (build_record(file, 0, facts, catalogue=catalogue, key=key),)


def _metadata(path: Path) -> tuple[JsonObject, str]:
    if (path / "zarr.json").is_file():
        attributes = _json(path / "zarr.json").get("attributes")
        metadata = attributes.get("ome") if isinstance(attributes, dict) else None
        version = metadata.get("version") if isinstance(metadata, dict) else None
    else:
        metadata = _json(path / ".zattrs") if (path / ".zattrs").is_file() else None
        version = _v2_version(metadata)
    if not isinstance(metadata, dict) or not metadata:
        raise UnsupportedInput("The Zarr folder holds no OME metadata.", remedy=REMEDY)
    for name in ("plate", "well", "bioformats2raw.layout"):
        if name in metadata:
            raise UnsupportedInput(f"The OME-Zarr folder is a collection ({name.partition('.')[0]}), not a single image.", remedy=REMEDY)
    multiscales = metadata.get("multiscales")
    if not isinstance(multiscales, list) or not multiscales or not isinstance(multiscales[0], dict):
        raise UnsupportedInput("The Zarr folder holds no multiscales metadata.", remedy=REMEDY)
    if version not in SUPPORTED:
        raise UnsupportedInput("The OME-Zarr folder states another version than 0.4 or 0.5.", remedy=REMEDY)
    return metadata, str(version)


def _v2_version(metadata: JsonObject | None) -> Any:
    multiscales = (metadata or {}).get("multiscales")
    first = multiscales[0] if isinstance(multiscales, list) and multiscales else None
    return first.get("version") if isinstance(first, dict) else None


def _json(file: Path) -> JsonObject:
    if file.stat().st_size > JSON_LIMIT_BYTES:
        raise UnreadableImage(f"The Zarr metadata {file.name} is larger than 16 MiB.")
    try:
        document = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UnreadableImage(f"The Zarr metadata {file.name} is not JSON.") from error
    if not isinstance(document, dict):
        raise UnreadableImage(f"The Zarr metadata {file.name} is no JSON object.")
    return document


def _axes(multiscale: JsonObject) -> list[JsonObject]:
    axes = multiscale.get("axes")
    if not isinstance(axes, list) or not all(isinstance(axis, dict) for axis in axes):
        raise UnreadableImage("The OME-Zarr multiscales states no axes.")
    names = [axis.get("name") for axis in axes]
    if not {"x", "y"} <= set(names) <= AXIS_NAMES or len(set(names)) != len(names):
        raise UnreadableImage("The OME-Zarr axes are not a selection of t, c, z, y, x with y and x.")
    return axes


def _first_dataset(multiscale: JsonObject) -> JsonObject:
    datasets = multiscale.get("datasets")
    if not isinstance(datasets, list) or not datasets or not isinstance(datasets[0], dict) or not isinstance(datasets[0].get("path"), str):
        raise UnreadableImage("The OME-Zarr multiscales lists no dataset.")
    return dict(datasets[0])


def _array(root: Path, name: str) -> tuple[list[int], str]:
    """Return shape and data type of an array below the root, from its own metadata."""
    folder = _inside(root, name)
    for file, kind in ((folder / "zarr.json", "data_type"), (folder / ".zarray", "dtype")):
        if file.is_file():
            document = _json(file)
            shape = document.get("shape")
            if isinstance(shape, list) and shape and all(isinstance(size, int) and size > 0 for size in shape):
                return shape, _pixel_type(str(document.get(kind, "")))
            raise UnreadableImage("An OME-Zarr array states no valid shape.")
    raise UnreadableImage("The OME-Zarr multiscales lists a dataset that is not there.")


def _inside(root: Path, name: str) -> Path:
    parts = name.split("/")
    if not name or name.startswith("/") or ".." in parts or "\\" in name:
        raise UnreadableImage("An OME-Zarr dataset path leads out of the folder.")
    return root.joinpath(*parts)


def _pixel_type(text: str) -> str:
    """Return the name of a data type: Zarr v2 writes ``<u2``, v3 writes ``uint16``."""
    kinds = {"u": "uint", "i": "int", "f": "float", "c": "complex", "b": "bool"}
    if len(text) >= 3 and text[0] in "<>|" and text[1] in kinds and text[2:].isdecimal():
        return "bool" if text[1] == "b" else f"{kinds[text[1]]}{int(text[2:]) * 8}"
    return text[:32]


def _scale(dataset: JsonObject, count: int) -> list[float] | None:
    for transformation in dataset.get("coordinateTransformations") or ():
        scale = transformation.get("scale") if isinstance(transformation, dict) and transformation.get("type") == "scale" else None
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


def _facts(path: Path, answers: dict[str, list[Any]], *, version: str, level: str) -> OmeFacts:
    def read(declared: FieldDeclaration) -> Sequence[Any]:
        return next((answers[name] for name in declared.source.ngff if answers.get(name)), ())

    return OmeFacts(
        read=read,
        schema=version,
        format="OME-Zarr",
        scrubber=Scrubber(),
        files=1,
        size_bytes=sum((path / file).stat().st_size for file in relative_files(path)),
        channels=tuple({"name": name} for name in answers.get("omero/channels/label", ())),
        notes={} if _has_chunks(_inside(path, level)) else {"no-chunks": 0},
    )


def _has_chunks(folder: Path) -> bool:
    return any(name not in METADATA_NAMES for _, _, names in os.walk(folder) for name in names)
