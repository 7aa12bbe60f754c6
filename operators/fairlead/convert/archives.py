"""Judge a store in one zip file: its form by RFC-9, then what is in it like any store."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final

from fairlead.convert.validate import ValidationFinding, ValidationResult, validate_store
from fairlead.convert.verify_files import verify_files
from fairlead.files import storage_errors

RFC_9: Final = "rfc-9"
ROOT: Final = "zarr.json"
MAX_ENTRIES: Final = 2_000_000
LONGEST: Final = 1000
LONGEST_PART: Final = 255
"""What file systems take for one name (bytes); a whole path has a few thousand."""


def validate_archive(file: Path) -> ValidationResult:
    """Validate an ``.ozx`` file; it is taken apart in a temporary folder, and what is no archive is one error.

    Raises
    ------
    StorageFull : there is no room for its files in the temporary folder.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            form = tuple(_form(archive))
            if any(finding.severity == "error" for finding in form):
                return ValidationResult("RFC-9", form)
            with TemporaryDirectory(prefix="fairlead-validate-") as folder, storage_errors("the files of the archive"):
                _take_apart(archive, Path(folder))
                inside = validate_store(Path(folder))
                return ValidationResult(f"{inside.profile}, RFC-9", (*form, *inside.findings, *verify_files(Path(folder))))
    except NotImplementedError:  # zipfile's word for a version or method of archives that it does not read
        return ValidationResult("RFC-9", (_error("The archive is of a version of zip, or of a method, that is not read."),))
    except (zipfile.BadZipFile, RuntimeError, EOFError, ValueError) as error:
        return ValidationResult("RFC-9", (_error(f"The archive cannot be read ({type(error).__name__})."),))


def _form(archive: zipfile.ZipFile) -> Iterator[ValidationFinding]:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if len(entries) > MAX_ENTRIES or len(set(names)) < len(names):
        yield _error(f"The archive has {len(entries)} entries: more than are read, or one twice.")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        yield _error("Entries are compressed; chunks are already, and readers need their places in the file.")
    if not all(_is_inside(name) for name in names):
        yield _error("An entry leads out of the archive, or has a name that no file can have.")
    files = {entry.filename for entry in entries if not entry.is_dir()}
    if any(str(parent) in files for name in names for parent in PurePosixPath(name).parents):
        yield _error("An entry is a file and a folder.")
    if ROOT not in names:
        yield _error("There is no zarr.json at the root.")
    elif names[0] != ROOT:
        yield ValidationFinding("warning", "", "The first entry is not the root's zarr.json.", RFC_9)
    try:
        version = json.loads(archive.comment)["ome"]["version"]
    except (ValueError, LookupError, TypeError, RecursionError):
        version = None
    if not isinstance(version, str):
        yield ValidationFinding("warning", "", "The comment of the archive does not state the version of OME-Zarr.", RFC_9)


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in name or "\x00" in name:
        return False
    return str(path) == name.removesuffix("/") and len(name) <= LONGEST and all(len(part.encode()) <= LONGEST_PART for part in path.parts)


def _take_apart(archive: zipfile.ZipFile, folder: Path) -> None:
    for entry in archive.infolist():
        if entry.is_dir():
            continue
        target = folder / entry.filename
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as inside, target.open("xb") as handle:
            while block := inside.read(1024 * 1024):
                handle.write(block)


def _error(message: str) -> ValidationFinding:
    return ValidationFinding("error", "", message, RFC_9)
