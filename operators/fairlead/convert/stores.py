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
from fairlead.convert.replacing import Published, look, publish_store
from fairlead.convert.republish import copy_store
from fairlead.convert.staging import Digests, staged, write_root
from fairlead.convert.validate import LABELS, ValidationResult, validate_store
from fairlead.convert.writer import ValueRange, value_ranges, write_levels
from fairlead.errors import CheckFailed, UnsupportedInput
from fairlead.files import atomic_write
from fairlead.progress import Progress
from fairlead.records import GeometryVerdict, StoreNote, StoreReport

SUFFIX: Final = ".ome.zarr"
VERSIONS: Final = ("0.5", "0.6")
EIGHT_BITS: Final = (0.0, 255.0)
REPLACED: Final = "It took the place of a store of the same source that other options, other files or another version had made."
LABELS_KEPT: Final = "The image is unchanged; the labels that an earlier run wrote beside it stay."
AS_STATED: Final = GeometryVerdict(verdict="none", reason="OME-Zarr: sampling as the source states it.")


type Made = tuple[StoreReport, tuple[StoreNote, ...]]
"""A store's report, and what there is to say of the one that lay there before."""


def write_store(plan: StorePlan, out: Path, *, ngff: str, progress: Progress, described: bool = False) -> Made:
    """Write ``<out>/<plan.name>.ome.zarr``: arrays, verification, root metadata last, validation, rename.

    With ``described`` a crate and a manifest lie in it.

    Raises
    ------
    Conflict : what is there already may not be replaced; it stays (:mod:`fairlead.convert.replacing`).
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


def _write_image(plan: ImagePlan, out: Path, progress: Progress, *, ngff: str, described: bool) -> Made:
    def fill(folder: Path, digests: Digests) -> int:
        """Write the arrays and metadata below the folder."""
        return write_group(plan, folder, digests, ngff=ngff, progress=progress)

    levels, result, published = _published(plan, out, fill, ngff=ngff if described else "")
    report = StoreReport(
        path=f"{plan.name}{SUFFIX}",
        source=plan.source,
        kind=plan.kind,
        shape=plan.shape,
        dtype=str(plan.dtype),
        axes=tuple(axis.name for axis in plan.axes),
        geometry=plan.geometry,
        levels=levels,
        size_bytes=published.size_bytes,
        manifest_sha256=published.manifest_sha256,
        verified_voxels=True,  # the writers stop at the first difference
        valid=result.validity,
        dropped=plan.dropped,
        instances=plan.instances,
        labels=published.labels or tuple(label.name for label in plan.labels),
        image_index=plan.image_index,
    )
    return report, _notes(report.path, published)


def _write_collection(plan: CollectionPlan, out: Path, progress: Progress, *, ngff: str, described: bool) -> Made:
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

    written, result, published = _published(plan, out, fill, ngff=ngff if described else "")
    first = next(iter(plan.images.values()))
    report = StoreReport(
        path=f"{plan.name}{SUFFIX}",
        source=plan.source,
        kind=plan.kind,
        shape=first.shape,
        dtype=str(first.dtype),
        axes=tuple(axis.name for axis in first.axes),
        geometry=first.geometry,
        levels=written[0],
        size_bytes=published.size_bytes,
        manifest_sha256=published.manifest_sha256,
        verified_voxels=True,
        valid=result.validity,
        dropped=(*plan.dropped, *sorted({text for image in plan.images.values() for text in image.dropped})),
        instances=len(plan.images),
    )
    return report, _notes(report.path, published)


def _write_copy(plan: CopyPlan, out: Path, *, described: bool) -> Made:
    _, result, published = _published(plan, out, lambda folder, digests: copy_store(plan, folder), ngff="0.5" if described else "")
    report = StoreReport(
        path=f"{plan.name}{SUFFIX}",
        source=plan.source,
        kind=plan.kind,
        shape=plan.shape,
        dtype=plan.dtype,
        axes=plan.axes,
        geometry=AS_STATED,
        levels=plan.levels,
        size_bytes=published.size_bytes,
        manifest_sha256=published.manifest_sha256,
        verified_voxels=True,
        valid=result.validity,
        dropped=plan.dropped,
        instances=plan.instances,
        labels=published.labels or plan.labels,
        image_index=plan.image_index,
    )
    return report, _notes(report.path, published)


def _notes(path: str, published: Published) -> tuple[StoreNote, ...]:
    match published.outcome:
        case "replaced":
            return (StoreNote(path=path, code="replaced", text=REPLACED),)
        case "labels-kept":
            return (StoreNote(path=path, code="labels-kept", text=LABELS_KEPT),)
    return ()


def _published[T](plan: StorePlan, out: Path, fill: Callable[[Path, Digests], T], *, ngff: str) -> tuple[T, ValidationResult, Published]:
    """Fill a staging folder, validate it and move it to its name. Described when ``ngff`` is given."""
    target = out / f"{plan.name}{SUFFIX}"
    before = look(target)
    with staged(target) as folder:
        digests: Digests = {}
        filled = fill(folder, digests)
        result = validate_store(folder)
        if not result.valid:
            first = next(finding for finding in result.findings if finding.severity == "error")
            said = f"The new store does not pass {first.validator} at {first.path or '/'}: {first.message}"
            raise CheckFailed(said, remedy="Correct the metadata of the source; if they are right, report it with this message.")
        if ngff:
            describe(folder, plan, digests, ngff=ngff)
        published = publish_store(folder, target, digests, before=before, source=plan.source)
    return filled, result, published


def check_version(ngff: str) -> str:
    """Return a version this room writes.

    Raises
    ------
    UnsupportedInput : any other version.
    """
    if ngff not in VERSIONS:
        raise UnsupportedInput(f"OME-NGFF {ngff!r} is not written.", remedy=f"Use one of {', '.join(VERSIONS)}.")
    return ngff
