"""``fairlead convert`` and ``fairlead validate``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from fairlead.commands.shared import JsonFlag, complain, emit, settings_of

if TYPE_CHECKING:
    from fairlead.records import ConvertReport, StoreReport
    from fairlead.storage import ObjectStore


ADDRESS: Final = "://"


class Ngff(StrEnum):
    """Versions that are written."""

    V05 = "0.5"
    V06 = "0.6"


class GeometryPolicy(StrEnum):
    """What to do with an irregular lattice."""

    STRICT = "strict"
    SPLIT = "split"
    ANNOTATE = "annotate"


class Contours(StrEnum):
    """What to do with structure sets."""

    KEEP = "keep"
    LABELS = "labels"


def stated(value: str) -> str:
    """Return an argument that says something: an empty one, as an unset variable of a script leaves it, is wrong usage."""
    if not value.strip():
        raise typer.BadParameter("is empty")
    return value


def _a_number(value: float) -> float:
    """Return a finite number from 1."""
    if not 1 <= value < float("inf"):  # also false for what is no number
        raise typer.BadParameter("is no number from 1")
    return value


def convert_command(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(metavar="IN", callback=stated, help="File or folder: DICOM (de-identified), OME-TIFF, companion, OME-Zarr."),
    ],
    out: Annotated[
        str,
        typer.Argument(metavar="OUT", callback=stated, help="Folder for the stores, made when it does not exist; or s3://bucket/prefix."),
    ],
    ngff: Annotated[Ngff | None, typer.Option(help="OME-NGFF version (default from the settings).")] = None,
    geometry: Annotated[GeometryPolicy | None, typer.Option(help="Irregular slices: refuse, split into runs, or annotate.")] = None,
    compact: Annotated[
        bool, typer.Option("--compact", help="Keep JPEG tiles of colour slides as they are: small, but few programs read them.")
    ] = False,
    max_expansion: Annotated[
        float,
        typer.Option(metavar="N", callback=_a_number, help="Refuse slides that are more than N times larger decoded than their files."),
    ] = 50.0,
    keep_names: Annotated[
        bool,
        typer.Option("--keep-names", help="Call stores of OME files after the files, not after their content: names may tell of people."),
    ] = False,
    rtstruct: Annotated[Contours, typer.Option(help="Structure sets: keep as DICOM (refused here), or draw as labels.")] = Contours.KEEP,
    license: Annotated[str, typer.Option(metavar="ID|IRI", help="Licence for the crate: SPDX identifier or address.")] = "",
    ozx: Annotated[bool, typer.Option("--ozx", help="Also write each store as one zip file for download (RFC-9).")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Keep stores that an earlier run made of the same bytes.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Convert images to verified OME-Zarr stores. Example: fairlead convert safe/ stores/ --geometry split.

    Segmentations become labels of their image when both are among the sources. A source that cannot be converted is named
    with its reason, on stderr and under "refused", and never stops the others.

    Exit status: 0 when at least one store was written or there was nothing to refuse, 1 when nothing could be converted,
    2 wrong usage, 3 an object store does not answer, 130 after Ctrl-C.
    """
    from fairlead.convert import ConvertOptions, convert, dated_as_there
    from fairlead.errors import UnsupportedInput
    from fairlead.progress import default_progress
    from fairlead.storage import open_store

    settings = settings_of(context)
    if ADDRESS in source:
        raise UnsupportedInput("Sources are read from folders only.", remedy="Copy or mount them, and give the folder.")
    objects = open_store(out) if ADDRESS in out else None
    with _folder_of(out) as folder:
        report = convert(
            Path(source),
            folder,
            options=ConvertOptions(
                ngff=str(ngff or settings.export.ngff),
                geometry=str(geometry or settings.export.geometry),
                max_expansion=max_expansion,
                resume=resume,
                whole_plates=True,
                keep_names=keep_names,
                compact=compact,
                scene=objects is None,
                described=True,
                rtstruct=str(rtstruct),
                license=license,
            ),
            progress=default_progress(),
        )
        if objects is not None:
            report = report.model_copy(update={"stores": dated_as_there(folder, report.stores, objects)})
        archives, report = _archived(folder, report) if ozx else ([], report)
        if objects is not None:
            report = _uploaded(folder, report, archives, objects)
    _complain_of(report)
    emit(report.model_dump(mode="json", by_alias=True), as_json=as_json, text=lambda: _told(report))
    if report.refused and not report.stores:
        raise typer.Exit(1)


def _complain_of(report: ConvertReport) -> None:
    """Name on stderr what was refused, and what else people should know of the output folder."""
    from fairlead.records import SourceRefusal

    for refusal in report.refused:
        where = f" ({', '.join(refusal.files)})" if isinstance(refusal, SourceRefusal) else ""
        complain(f"refused {refusal.source}{where}: {refusal.reason}")
    for note in report.notes:
        complain(f"note {note.path}: {note.text}")


def _archived(folder: Path, report: ConvertReport) -> tuple[list[Path], ConvertReport]:
    """Write each store as one file; a file that is in the way is refused in the report."""
    from fairlead.convert import write_ozx
    from fairlead.errors import Conflict
    from fairlead.records import Refusal

    archives: list[Path] = []
    refused: list[Refusal] = []
    for store in report.stores:
        try:
            archives.append(write_ozx(folder / store.path, folder / f"{store.path.removesuffix('.ome.zarr')}.ozx"))
        except Conflict as error:
            refused.append(Refusal(source=store.source, code=error.code, reason=str(error)))
    return archives, report.model_copy(update={"refused": (*report.refused, *refused)})


def _uploaded(folder: Path, report: ConvertReport, archives: list[Path], objects: ObjectStore) -> ConvertReport:
    """Copy stores and archives to object storage; one whose name is taken by other bytes is refused, and the others go on."""
    from fairlead.convert import put_stores
    from fairlead.errors import Conflict
    from fairlead.progress import default_progress
    from fairlead.records import Refusal

    stores: list[StoreReport] = []
    refused: list[Refusal] = []
    for store in report.stores:
        try:
            put_stores(folder, [store], objects, progress=default_progress())
            stores.append(store)
            for archive in archives:
                if archive.stem == store.path.removesuffix(".ome.zarr"):
                    objects.put(archive.name, archive)
        except Conflict as error:
            refused.append(Refusal(source=store.source, code=error.code, reason=str(error)))
    return report.model_copy(update={"stores": tuple(stores), "refused": (*report.refused, *refused)})


@contextmanager
def _folder_of(out: str) -> Iterator[Path]:
    """Yield the folder to write to: a temporary one when the stores go to an address."""
    if ADDRESS not in out:
        yield Path(out)
        return
    with TemporaryDirectory(prefix="fairlead-convert-") as folder:
        yield Path(folder)


def _told(report: ConvertReport) -> str:
    lines = [
        f"{store.path}  {store.kind} {'×'.join(map(str, store.shape))} {store.dtype}  {store.geometry.verdict}, {store.levels} levels, "
        f"{store.size_bytes / 1e6:.1f} MB, voxels verified"
        for store in report.stores
    ]
    return "\n".join(
        [*lines, f"{len(report.stores)} stores, {len(report.refused)} refused, {report.seconds:.1f} s, {report.peak_rss_mb:.0f} MB"]
    )


def validate_command(
    context: typer.Context,
    target: Annotated[
        str, typer.Argument(metavar="PATH|URL", callback=stated, help="OME-Zarr store (also .ozx), record in RDF, RO-Crate, or address.")
    ],
    profile: Annotated[str | None, typer.Option(help="Profile of a record, e.g. fdp, dcat-ap, healthdcat-ap; not for stores.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Validate a store, a record or a crate; exit 1 when it is not valid.

    Of a store that this program described, the sha256 of its files and of the voxels of its DICOM planes are computed again.

    Example: fairlead validate stores/image.ome.zarr
    """
    settings_of(context)
    document = _validate(target, profile)
    emit(document, as_json=as_json, text=lambda: _validation_text(document))
    if not document["valid"]:
        raise typer.Exit(1)


def _validate(target: str, profile: str | None) -> dict[str, Any]:
    """Hand the target to the room that knows its kind: a folder with Zarr metadata is a store; others come here as they are built."""
    from fairlead.errors import NotFound

    path = Path(target)
    is_url = target.startswith(("http://", "https://"))
    if not is_url and not path.exists():
        raise NotFound(f"There is no file or folder {target}.", remedy="Correct the path.")
    if not is_url and (is_store(path) or path.suffix == ".ozx"):
        if profile is not None:
            raise typer.BadParameter("--profile is for records; a store states its version itself")
        return _validate_store(path)
    if not is_url:
        _require_record(path)
    from fairlead.catalog.validating import validate_record

    return validate_record(target, profile)


def is_store(path: Path) -> bool:
    """Return whether a path is meant as a Zarr store: a folder with Zarr metadata or with the ending ``.zarr``."""
    return path.is_dir() and (path.suffix == ".zarr" or any((path / name).is_file() for name in ("zarr.json", ".zattrs", ".zgroup")))


def _require_record(path: Path) -> None:
    """Refuse what is neither store nor record, in words that say what it is."""
    from fairlead.convert.headers import is_dicom
    from fairlead.errors import UnsupportedInput

    if path.is_dir() and not (path / "ro-crate-metadata.json").is_file():
        stores = sum(is_store(entry) for entry in path.iterdir())
        raise UnsupportedInput(
            f"The folder holds {stores} stores and is none." if stores else "The folder holds no store and no RO-Crate.",
            remedy="Validate each store, record or crate by its own path.",
        )
    if path.is_file() and is_dicom(path):
        raise UnsupportedInput("A DICOM file is no store and no record.", remedy="Convert it, or judge it with dciodvfy.")


def _validate_store(path: Path) -> dict[str, Any]:
    from fairlead.convert import validate_archive, validate_store, verify_files

    result = validate_store(path) if path.is_dir() else validate_archive(path)
    differences = verify_files(path) if result.valid and path.is_dir() else ()
    findings = [
        {"severity": finding.severity, "path": finding.path, "message": finding.message, "validator": finding.validator}
        for finding in (*result.findings, *differences)
    ]
    valid = result.valid and not any(finding.severity == "error" for finding in differences)
    return {"valid": valid, "profile": result.profile, "results": findings}


def _validation_text(document: dict[str, Any]) -> str:
    lines = [f"{item['severity']}  {item['path'] or '/'}  {item['message']}" for item in document["results"]]
    return "\n".join([*lines, f"{'valid' if document['valid'] else 'NOT valid'} ({document['profile']})"])


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.command("convert")(convert_command)
    app.command("validate")(validate_command)
