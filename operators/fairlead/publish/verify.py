"""Look at a published folder with fresh eyes: what is on the disk, not what we meant to write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from rdflib import Graph

from fairlead.errors import CheckFailed
from fairlead.files import manifest_lines
from fairlead.publish.check import check_shapes
from fairlead.publish.crate import CRATE, check_crate
from fairlead.publish.describing import RECORD_FILES
from fairlead.publish.staging import MANIFEST
from fairlead.records import DatasetRecord


def verify_published(folder: Path, record: DatasetRecord) -> Mapping[str, bool]:
    """Return every check of a published folder by name; each reads the files again."""
    stores = [item.store for item in record.distributions if item.store is not None]
    checks = {
        "voxels": bool(stores) and all(store.verified_voxels for store in stores),
        "ome-zarr-models": all(store.valid.ome_zarr_models for store in stores),
        "ngff-schema": all(store.valid.json_schema for store in stores),
        "ro-crate": _crate_holds(folder),
        "manifest": (folder / MANIFEST).read_text().splitlines() == manifest_lines(folder, skip=frozenset({MANIFEST})),
    }
    for profile, path in record_files(folder).items():
        checks[f"shacl-{profile}"] = check_shapes(Graph().parse(path, format="turtle"), profile).valid
    return checks


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
