"""One scene for a folder of NGFF 0.6 stores: images of one frame of reference share a coordinate system (RFC-5, "scene").

The folder itself becomes the group: its ``zarr.json`` names a system for every frame of reference that two images share, and maps
their ``patient`` systems to it without a change, because both are millimetres of the same patient in LPS.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fairlead.convert.documents import read_json
from fairlead.convert.multiscale import PATIENT
from fairlead.convert.staging import write_root
from fairlead.convert.volumes import hashed
from fairlead.records import JsonObject

ROOT: Final = "zarr.json"
VERSION: Final = "0.6"
STORES: Final = "*.ome.zarr"


@dataclass(frozen=True, slots=True)
class _Placed:
    """An image with a place in a patient."""

    path: str
    frame_of_reference: str
    axes: tuple[JsonObject, ...]


def write_scene(folder: Path) -> int:
    """Write the scene of all stores in ``folder``, or remove one that joins nothing any more; return how many images it joins.

    A ``zarr.json`` that is no scene stays untouched.
    """
    groups: dict[tuple[str, str], list[_Placed]] = defaultdict(list)
    for image in _placed_images(folder):
        groups[image.frame_of_reference, json.dumps(image.axes)].append(image)
    shared = {key: images for key, images in sorted(groups.items()) if len(images) > 1}
    if (folder / ROOT).exists() and not is_scene(folder):
        return 0
    if not shared:
        (folder / ROOT).unlink(missing_ok=True)
        return 0
    write_root(folder, {"ome": {"version": VERSION, "scene": _scene(list(shared.values()))}})
    return sum(len(images) for images in shared.values())


def is_scene(folder: Path) -> bool:
    """Return whether a folder is a scene: a group that holds stores and is no image itself."""
    try:
        ome = _ome(folder)
    except (OSError, ValueError):
        return False
    return "scene" in ome and "multiscales" not in ome


def scene_paths(attributes: JsonObject) -> list[str]:
    """Return the images that the NGFF attributes of a scene name; whatever else stands there is nothing."""
    scene = attributes.get("scene")
    steps = scene.get("coordinateTransformations") if isinstance(scene, dict) else None
    ends = [step.get("input") for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    return [str(end["path"]) for end in ends if isinstance(end, dict) and "path" in end]


def _placed_images(folder: Path) -> Iterator[_Placed]:
    for store in sorted(folder.glob(STORES)):
        try:
            attributes = _attributes(store)
            system = next(system for system in attributes["ome"]["multiscales"][0]["coordinateSystems"] if system["name"] == PATIENT)
            frame_of_reference = attributes["dicom"]["identifiers"]["frame_of_reference"]
        except (OSError, ValueError, LookupError, TypeError, StopIteration):
            continue  # a slide, a plate, a picture without a place, or no store of ours
        yield _Placed(store.name, str(frame_of_reference), tuple(system["axes"]))


def _scene(groups: list[list[_Placed]]) -> JsonObject:
    systems: list[JsonObject] = []
    steps: list[JsonObject] = []
    for images in groups:
        name = _name(images[0])
        systems.append({"name": name, "axes": list(images[0].axes)})
        steps += [
            {
                "type": "identity",
                "input": {"path": image.path, "name": PATIENT},
                "output": {"name": name},
                "name": f"{image.path} in {name}",
            }
            for image in images
        ]
    return {"coordinateSystems": systems, "coordinateTransformations": steps}


def _name(image: _Placed) -> str:
    lead = "".join(str(axis["name"]) for axis in image.axes[:-3])
    return hashed("frame", image.frame_of_reference) + (f"-{lead}" if lead else "")


def _ome(folder: Path) -> JsonObject:
    ome = _attributes(folder).get("ome")
    return ome if isinstance(ome, dict) else {}


def _attributes(folder: Path) -> dict[str, Any]:
    document = read_json(folder / ROOT)
    attributes = document.get("attributes") if isinstance(document, dict) else None
    return attributes if isinstance(attributes, dict) else {}
