"""One plan in, one verified and published store out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from fairlead.convert.beside import describe
from fairlead.convert.compact import write_tiles
from fairlead.convert.keep import write_kept
from fairlead.convert.multiscale import labels_attributes, ome_attributes
from fairlead.convert.plan import CollectionPlan, CopyPlan, ImagePlan, StorePlan
from fairlead.convert.republish import copy_store
from fairlead.convert.staging import Digests, publish_staged, staged, write_root
from fairlead.convert.validate import LABELS, ValidationResult, validate_store
from fairlead.convert.writer import ValueRange, value_ranges, write_levels
from fairlead.errors import CheckFailed, UnsupportedInput
from fairlead.files import atomic_write
from fairlead.progress import Progress
from fairlead.records import GeometryVerdict, StoreReport

SUFFIX: Final = ".ome.zarr"
VERSIONS: Final = ("0.5", "0.6")
EIGHT_BITS: Final = (0.0, 255.0)
AS_STATED: Final = GeometryVerdict(verdict="none", reason="OME-Zarr: sampling as the source states it.")


def write_store(plan: StorePlan, out: Path, *, ngff: str, progress: Progress, described: bool = False) -> StoreReport:
    """Write ``<out>/<plan.name>.ome.zarr``: arrays, verification, root metadata last, validation, rename.

    With ``described`` a crate and a manifest lie in it.

    Raises
    ------
    CheckFailed : voxels or metadata did not pass; nothing is left behind.
    StorageFull : the disk is full; nothing is left behind.
    """
    match plan:
        case ImagePlan():
            return _write_image(plan, out, progress, ngff=ngff, described=described)
        case CollectionPlan():
            return _write_collection(plan, out, progress, ngff=ngff, described=described)
        case CopyPlan():
            return _write_copy(plan, out, described=described)


def write_group(plan: ImagePlan, folder: Path, digests: Digests, *, ngff: str, progress: Progress) -> int:
    """Write an image's arrays, its labels, and its ``zarr.json`` last; note the digests of chunks, return how many levels it has."""
    if plan.tiles:
        digests |= write_tiles(plan.tiles, folder, progress)
        space: list[tuple[int, ...]] = [level.matrix for level in plan.tiles]
        ranges = [ValueRange(*EIGHT_BITS, *EIGHT_BITS) for _ in plan.channels]
    else:
        levels = write_kept(plan, folder, progress) if plan.kept else write_levels(plan, folder, progress)
        digests |= levels.digests
        count = sum(axis.is_space for axis in plan.axes)
        space = [array.shape[-count:] for array in levels.arrays]
        ranges = value_ranges(plan, levels) if plan.image_label is None else []
    _write_beside(plan, folder, digests, ngff=ngff, progress=progress)
    write_root(folder, {"ome": ome_attributes(plan, space, ranges, ngff), **plan.attributes})
    return len(space)


def _write_beside(plan: ImagePlan, folder: Path, digests: Digests, *, ngff: str, progress: Progress) -> None:
    """Write labels and files that belong to an image."""
    for label in plan.labels:
        write_group(label, folder / LABELS / label.name, digests, ngff=ngff, progress=progress)
    if plan.labels:
        write_root(folder / LABELS, {"ome": labels_attributes([label.name for label in plan.labels], ngff)})
    for name, data in [*plan.files.items(), *((name, made()) for name, made in plan.late.items())]:
        with atomic_write(folder / name) as handle:
            handle.write(data)


def _write_image(plan: ImagePlan, out: Path, progress: Progress, *, ngff: str, described: bool) -> StoreReport:
    def fill(folder: Path, digests: Digests) -> int:
        """Write the arrays and metadata below the folder."""
        return write_group(plan, folder, digests, ngff=ngff, progress=progress)

    levels, result, digest, size = _published(plan, out, fill, ngff=ngff if described else "")
    return StoreReport(
        path=f"{plan.name}{SUFFIX}",
        source=plan.source,
        kind=plan.kind,
        shape=plan.shape,
        dtype=str(plan.dtype),
        axes=tuple(axis.name for axis in plan.axes),
        geometry=plan.geometry,
        levels=levels,
        size_bytes=size,
        manifest_sha256=digest,
        verified_voxels=True,  # the writers stop at the first difference
        valid=result.validity,
        dropped=plan.dropped,
        instances=plan.instances,
        labels=tuple(label.name for label in plan.labels),
        image_index=plan.image_index,
    )


def _write_collection(plan: CollectionPlan, out: Path, progress: Progress, *, ngff: str, described: bool) -> StoreReport:
    def fill(folder: Path, digests: Digests) -> list[int]:
        """Write the arrays and metadata below the folder."""
        written = [write_group(image, folder / path, digests, ngff=ngff, progress=progress) for path, image in plan.images.items()]
        for row in sorted({path.rpartition("/")[0] for path in plan.groups} - {""} - set(plan.groups)):
            write_root(folder / row, {})
        for path, ome in sorted(plan.groups.items(), reverse=True):  # the root, "", comes last
            if path:
                write_root(folder / path, {"ome": {"version": ngff, **ome}})
        for name, data in plan.files.items():
            with atomic_write(folder / name) as handle:
                handle.write(data)
        root = plan.groups[""]
        stated = root | {"plate": root["plate"] | {"version": ngff}} if "plate" in root else root  # ome-zarr-models asks for it there too
        write_root(folder, {"ome": {"version": ngff, **stated}})
        return written

    written, result, digest, size = _published(plan, out, fill, ngff=ngff if described else "")
    first = next(iter(plan.images.values()))
    return StoreReport(
        path=f"{plan.name}{SUFFIX}",
        source=plan.source,
        kind=plan.kind,
        shape=first.shape,
        dtype=str(first.dtype),
        axes=tuple(axis.name for axis in first.axes),
        geometry=first.geometry,
        levels=written[0],
        size_bytes=size,
        manifest_sha256=digest,
        verified_voxels=True,
        valid=result.validity,
        dropped=(*plan.dropped, *sorted({text for image in plan.images.values() for text in image.dropped})),
        instances=len(plan.images),
    )


def _write_copy(plan: CopyPlan, out: Path, *, described: bool) -> StoreReport:
    _, result, digest, size = _published(plan, out, lambda folder, digests: copy_store(plan, folder), ngff="0.5" if described else "")
    return StoreReport(
        path=f"{plan.name}{SUFFIX}",
        source=plan.source,
        kind=plan.kind,
        shape=plan.shape,
        dtype=plan.dtype,
        axes=plan.axes,
        geometry=AS_STATED,
        levels=plan.levels,
        size_bytes=size,
        manifest_sha256=digest,
        verified_voxels=True,
        valid=result.validity,
        dropped=plan.dropped,
        instances=plan.instances,
        labels=plan.labels,
        image_index=plan.image_index,
    )


def _published[T](plan: StorePlan, out: Path, fill: Callable[[Path, Digests], T], *, ngff: str) -> tuple[T, ValidationResult, str, int]:
    """Fill a staging folder, validate it and move it to its name; return manifest digest and size. Described when ``ngff`` is given."""
    target = out / f"{plan.name}{SUFFIX}"
    with staged(target) as folder:
        digests: Digests = {}
        filled = fill(folder, digests)
        result = validate_store(folder)
        if not result.valid:
            first = next(finding for finding in result.findings if finding.severity == "error")
            raise CheckFailed(f"The new store does not pass {first.validator} at {first.path or '/'}: {first.message}")
        if ngff:
            describe(folder, plan, digests, ngff=ngff)
        digest, size = publish_staged(folder, target, digests)
    return filled, result, digest, size


def check_version(ngff: str) -> str:
    """Return a version this room writes.

    Raises
    ------
    UnsupportedInput : any other version.
    """
    if ngff not in VERSIONS:
        raise UnsupportedInput(f"OME-NGFF {ngff!r} is not written.", remedy=f"Use one of {', '.join(VERSIONS)}.")
    return ngff
