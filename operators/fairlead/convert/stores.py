"""One plan in, one verified and published store out."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fairlead.convert.multiscale import ome_attributes
from fairlead.convert.plan import ImagePlan
from fairlead.convert.staging import publish_staged, staged, write_root
from fairlead.convert.validate import validate_store
from fairlead.convert.writer import value_ranges, write_levels
from fairlead.errors import CheckFailed, UnsupportedInput
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
        levels = write_levels(plan, folder, progress)
        space = [array.shape[len(plan.lead) :] for array in levels.arrays]
        ome = ome_attributes(plan, space, value_ranges(plan, levels), ngff)
        write_root(folder, {"ome": ome, **plan.attributes})
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
    )


def check_version(ngff: str) -> str:
    """Return a version this room writes.

    Raises
    ------
    UnsupportedInput : any other version.
    """
    if ngff not in VERSIONS:
        raise UnsupportedInput(f"OME-NGFF {ngff!r} is not written.", remedy=f"Use one of {', '.join(VERSIONS)}.")
    return ngff
