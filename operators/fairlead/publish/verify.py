"""Look at a published folder with fresh eyes: what is on the disk, not what we meant to write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from rdflib import Graph

from fairlead.errors import CheckFailed
from fairlead.files import manifest_lines
from fairlead.publish.check import check_shapes, shapes_of
from fairlead.publish.crate import CRATE, check_crate
from fairlead.publish.describing import RECORD_FILES
from fairlead.publish.staging import MANIFEST, below, measures_of
from fairlead.records import DatasetRecord


def verify_published(folder: Path, record: DatasetRecord) -> Mapping[str, bool]:
    """Return every check of a published folder by name; each reads the files again."""
    from fairlead.convert import validate_store  # numpy and zarr: not for a look at the list

    stores = [item for item in record.distributions if item.store is not None]
    lines = manifest_lines(folder, skip=frozenset({MANIFEST}))
    digests = {item.path: below(measures_of(lines), item.path)[1] for item in stores}
    found = [validate_store(folder / item.path).validity for item in stores]
    checks = {
        "voxels": bool(stores) and all(item.store.verified_voxels and digests[item.path] == item.sha256 for item in stores if item.store),
        "ome-zarr-models": all(validity.ome_zarr_models for validity in found),
        "ngff-schema": all(validity.json_schema for validity in found),
        "ro-crate": _crate_holds(folder),
        "manifest": (folder / MANIFEST).read_text().splitlines() == lines,
    }
    for profile, path in record_files(folder).items():
        checks[f"shacl-{profile}"] = check_shapes(Graph().parse(path, format="turtle"), shapes_of(profile, record)).valid
    return checks


def require_sound(folder: Path, record: DatasetRecord) -> None:
    """Raise when a check of a folder fails: what is placed is what was described, byte for byte, and valid.

    Raises
    ------
    CheckFailed : the message names the checks.
    """
    failed = [name for name, passed in verify_published(folder, record).items() if not passed]
    if failed:
        raise CheckFailed(f"The finished dataset does not pass {', '.join(failed)}; nothing was published.", remedy="Request a new export.")


def record_files(folder: Path) -> dict[str, Path]:
    """Return the Turtle file of every view that the folder holds."""
    found = {profile: folder / files[0][0] for profile, files in RECORD_FILES.items()}
    return {profile: path for profile, path in found.items() if path.is_file()}


def _crate_holds(folder: Path) -> bool:
    try:
        check_crate(json.loads((folder / CRATE).read_text()), folder=folder)
    except CheckFailed:
        return False
    return True
