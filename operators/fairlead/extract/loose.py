"""Records from loose paths, for ``fairlead extract``: nothing is stored, every file ends in a record or in a named refusal.

Sum: every file seen is an instance of a record, a part of an OME image, a DICOMDIR whose files were read, or refused.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fairlead.errors import FairleadError, NotDicom
from fairlead.extract.catalogue import FieldCatalogue
from fairlead.extract.dicom_series import build_record
from fairlead.extract.headers import Header, decoded, quiet_readers, read_header, require_uids, values_of
from fairlead.extract.ome_file import read_file
from fairlead.extract.series_reader import SeriesReader
from fairlead.extract.sniffing import InputKind, kind_of
from fairlead.extract.stream import HeaderStream
from fairlead.files import manifest_lines, manifest_sha256, relative_files, sha256_file
from fairlead.records import ImagingRecord, Instance, ReceivedFile, ReceivedSeries, Refusal, Route, Source

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
UID_KEYWORDS: Final = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "DirectoryRecordSequence"]
DUPLICATE: Final = "duplicate"
"""Code of a refusal that is no fault: the same bytes were read under another name."""
IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"

type Outcome = ImagingRecord | Refusal


@dataclass(frozen=True, slots=True)
class _Asked:
    """What every record of one call needs."""

    catalogue: FieldCatalogue
    key: bytes
    route: Route


@dataclass(slots=True)
class _Sorted:
    """Files by what they are; only paths are held, so memory follows the number of files, not their size."""

    series: dict[tuple[str, str], list[Path]] = field(default_factory=lambda: defaultdict(list))
    ome: list[Path] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    seen: set[Path] = field(default_factory=set)

    def refuse(self, path: Path, error: FairleadError) -> None:
        """Keep why a file was refused."""
        self.refused.append(Refusal(source=str(path), code=error.code, reason=error.message))


def read_paths(paths: Sequence[Path], *, catalogue: FieldCatalogue, key: bytes, project: str, center: str) -> Iterator[Outcome]:
    """Yield the record of every series and image below ``paths``, and a refusal for every file that gives none.

    Order: series by UID, then OME images by path, then refusals by path: the same input gives the same output.
    """
    found = _Sorted()
    with quiet_readers():
        for path in paths:
            _sort(path.absolute(), found)
    asked = _Asked(catalogue, key, Route(project=project, center=center))
    for (study, series), files in sorted(found.series.items()):
        yield from _series(study, series, files=sorted(files), asked=asked, found=found)
    for path in sorted(found.ome):
        yield from _images(path, asked=asked, found=found)
    yield from sorted(found.refused, key=lambda refusal: refusal.source)


def _sort(path: Path, found: _Sorted) -> None:
    if path in found.seen:
        return
    found.seen.add(path)
    try:
        kind = kind_of(path)
    except OSError:
        found.refused.append(
            Refusal(source=str(path), code="not-found", reason="The path does not exist, cannot be read, or is no regular file.")
        )
        return
    if kind is InputKind.FOLDER:
        for below in sorted(path.iterdir()):
            if not below.is_symlink():
                _sort(below, found)
    elif kind in (InputKind.TIFF, InputKind.XML, InputKind.ZARR):
        found.ome.append(path)
    else:
        _sort_dicom(path, found)


def _sort_dicom(path: Path, found: _Sorted) -> None:
    try:
        header = read_header(path, tags=UID_KEYWORDS)
        if header.is_directory:
            _sort_directory(path, header, found)
            return
        study, series, _ = require_uids(header)
        found.series[study, series].append(path)
    except NotDicom as error:
        found.refused.append(Refusal(source=str(path), code=error.code, reason="The file is neither DICOM nor an OME file."))
    except FairleadError as error:
        found.refuse(path, error)


def _sort_directory(path: Path, header: Header, found: _Sorted) -> None:
    """Follow the file ids of a DICOMDIR (PS3.10 section 8.6); one that leads to no file is refused."""
    files = [file for record in values_of(decoded(header.dataset, "DirectoryRecordSequence")) if (file := _referenced(path, record))]
    for file in files:
        _sort(file, found)
    if not files:
        found.refused.append(Refusal(source=str(path), code="unsupported", reason="The DICOMDIR leads to no file that is there."))


def _referenced(directory: Path, record: object) -> Path | None:
    parts = [str(part) for part in values_of(decoded(record, "ReferencedFileID"))]  # type: ignore[arg-type]  # an item of a sequence
    if not parts or any(part in ("", ".", "..") or "/" in part or "\\" in part for part in parts):
        return None
    file = directory.parent.joinpath(*parts)
    return file if file.is_file() and not file.is_symlink() else None


def generation_of(instances: Iterable[tuple[str, str]]) -> str:
    """Return the generation of loose instances by the rule of the ledger: sha256 over the sorted (SOPInstanceUID, sha256) pairs."""
    lines = sorted({f"{uid} {sha256}\n" for uid, sha256 in instances})
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _series(study: str, series: str, *, files: list[Path], asked: _Asked, found: _Sorted) -> Iterator[ImagingRecord]:
    reader, instances, stream = SeriesReader(asked.catalogue, project=asked.route.project), dict[str, Instance](), HeaderStream()
    with quiet_readers():
        for file in files:
            if (taken := _take(file, stream, instances, found)) is None:
                stream.forget()  # the next header is compared with one that was observed
            else:
                reader.observe(taken)
        if not instances:
            return
        received = ReceivedSeries(
            study_uid=study,
            series_uid=series,
            generation=generation_of((one.sop_instance_uid, one.sha256) for one in instances.values()),
            instances=tuple(instances.values()),
            route=asked.route,
            first_received_at=EPOCH,
            last_received_at=EPOCH,
        )
        source = Source(place="file", paths=tuple(sorted(one.path for one in instances.values())))
        record = build_record(reader, received, source=source, key=asked.key)
    yield record


def _take(file: Path, stream: HeaderStream, instances: dict[str, Instance], found: _Sorted) -> Header | None:
    try:
        header = stream.read(file)
        _, _, uid = require_uids(header)
        sha256 = sha256_file(file)
    except OSError:
        found.refused.append(Refusal(source=str(file), code="unreadable-image", reason="The file cannot be read."))
        return None
    except FairleadError as error:
        found.refuse(file, error)
        return None
    if uid in instances:
        found.refused.append(_again(file, same=instances[uid].sha256 == sha256))
        return None
    instances[uid] = Instance(
        sop_instance_uid=uid,
        sop_class_uid=header.uid("SOPClassUID") or "0",
        transfer_syntax_uid=header.transfer_syntax_uid or IMPLICIT_LITTLE,
        sha256=sha256,
        size_bytes=header.size_bytes,
        path=str(file),
    )
    return header


def _again(file: Path, *, same: bool) -> Refusal:
    if same:
        return Refusal(source=str(file), code=DUPLICATE, reason="The same bytes were read under another name.")
    return Refusal(
        source=str(file),
        code="conflict",
        reason="Another file holds the same SOP Instance UID with other bytes; the first by name was read.",
    )


def _images(path: Path, *, asked: _Asked, found: _Sorted) -> Iterator[ImagingRecord]:
    try:
        folder = path.is_dir()
        digest = manifest_sha256(manifest_lines(path)) if folder else sha256_file(path)
        size = sum((path / file).stat().st_size for file in relative_files(path)) if folder else path.stat().st_size
        file = ReceivedFile(path=str(path), name=path.name, sha256=digest, size_bytes=size, route=asked.route, seen_at=EPOCH)
        yield from read_file(file, catalogue=asked.catalogue, key=asked.key)
    except OSError:
        found.refused.append(Refusal(source=str(path), code="unreadable-image", reason="The file cannot be read."))
    except FairleadError as error:
        found.refuse(path, error)
