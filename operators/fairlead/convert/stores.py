"""One plan in, one verified and published store out."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fairlead.convert.multiscale import labels_attributes, ome_attributes
from fairlead.convert.plan import ImagePlan
from fairlead.convert.staging import publish_staged, staged, write_root
from fairlead.convert.validate import LABELS, validate_store
from fairlead.convert.writer import Levels, value_ranges, write_levels
from fairlead.errors import CheckFailed, UnsupportedInput
from fairlead.files import atomic_write
from fairlead.progress import Progress
from fairlead.records import StoreReport

SUFFIX: Final = ".ome.zarr"
VERSIONS: Final = ("0.5", "0.6")


def write_store(plan: ImagePlan, out: Path, *, ngff: str, progress: Progress) -> StoreReport:
    """Write ``<out>/<plan.name>.ome.zarr``: arrays, verification, root metadata last, validation, rename.

    Raises
    ------
    CheckFailed : voxels or metadata did not pass; nothing is left behind.
    StorageFull : the disk is full; nothing is left behind.
    """
    target = out / f"{plan.name}{SUFFIX}"
    with staged(target) as folder:
        levels = write_group(plan, folder, ngff=ngff, progress=progress)
        result = validate_store(folder)
        if not result.valid:
            first = next(finding for finding in result.findings if finding.severity == "error")
            raise CheckFailed(f"The new store does not pass {first.validator} at {first.path or '/'}: {first.message}")
        digest, size = publish_staged(folder, target)
    return StoreReport(
        path=target.name,
        source=plan.source,
        kind=plan.kind,
        shape=plan.shape,
        dtype=str(plan.dtype),
        axes=tuple(axis.name for axis in plan.axes),
        geometry=plan.geometry,
        levels=len(levels.arrays),
        size_bytes=size,
        manifest_sha256=digest,
        verified_voxels=levels.verified,
        valid=result.validity,
        dropped=plan.dropped,
        instances=plan.instances,
        labels=tuple(label.name for label in plan.labels),
        image_index=plan.image_index,
    )


def write_group(plan: ImagePlan, folder: Path, *, ngff: str, progress: Progress) -> Levels:
    """Write an image's arrays, its labels, and its ``zarr.json`` last."""
    levels = write_levels(plan, folder, progress)
    for label in plan.labels:
        write_group(label, folder / LABELS / label.name, ngff=ngff, progress=progress)
    if plan.labels:
        write_root(folder / LABELS, {"ome": labels_attributes([label.name for label in plan.labels], ngff)})
    for name, data in plan.files.items():
        with atomic_write(folder / name) as handle:
            handle.write(data)
    count = sum(axis.is_space for axis in plan.axes)
    space = [array.shape[-count:] for array in levels.arrays]
    ranges = value_ranges(plan, levels) if plan.image_label is None else []
    write_root(folder, {"ome": ome_attributes(plan, space, ranges, ngff), **plan.attributes})
    return levels


def check_version(ngff: str) -> str:
    """Return a version this room writes.

    Raises
    ------
    UnsupportedInput : any other version.
    """
    if ngff not in VERSIONS:
        raise UnsupportedInput(f"OME-NGFF {ngff!r} is not written.", remedy=f"Use one of {', '.join(VERSIONS)}.")
    return ngff
