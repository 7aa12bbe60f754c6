"""OME files become records: OME-TIFF, OME-XML with and without companions, OME-Zarr folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from tifffile import TiffFile, TiffFileError

from fairlead.errors import UnreadableImage, UnsupportedInput
from fairlead.extract.catalogue import FieldCatalogue
from fairlead.extract.declarations import FieldDeclaration
from fairlead.extract.headers import PARSE_ERRORS, quiet_readers
from fairlead.extract.identity import Scrubber, spellings
from fairlead.extract.ome_image import OmeImage, people
from fairlead.extract.ome_record import OmeFacts, build_record
from fairlead.extract.ome_schema import schema_finding
from fairlead.extract.ome_xml import XML_LIMIT_BYTES, OmeDocument, check_pixels, parse_ome
from fairlead.extract.ome_zarr import read_store
from fairlead.extract.sniffing import InputKind, kind_of
from fairlead.records import ImagingRecord, ReceivedFile

MAX_PAGES_CHECKED: Final = 10_000


def read_file(file: ReceivedFile, *, catalogue: FieldCatalogue, key: bytes) -> tuple[ImagingRecord, ...]:
    """Return a record for every image of an OME file or OME-Zarr folder.

    An empty tuple means that the file is a part of an image whose record comes from another file: a TIFF beside its companion, or
    a later file of a multi-file set.

    Raises
    ------
    UnreadableImage : damaged, truncated or contradictory; the reason names the place, not the content.
    UnsupportedInput : not OME, or a layout that this room does not read; the message names what is read.
    """
    path = Path(file.path)
    try:
        match kind_of(path):
            case InputKind.TIFF:
                return _tiff(file, path, catalogue=catalogue, key=key)
            case InputKind.XML:
                return _records(file, path, parse_ome(_content(path)), "OME-XML", catalogue=catalogue, key=key)
            case InputKind.ZARR:
                return read_store(file, path, catalogue=catalogue, key=key)
            case _:
                raise UnsupportedInput("The input is no OME file.", remedy="Read are OME-TIFF, OME-XML and OME-Zarr 0.1 to 0.6.")
    except OSError as error:
        raise UnreadableImage("The file cannot be read.", remedy="Check that it is there and readable.") from error


def _content(path: Path) -> bytes:
    with path.open("rb") as handle:
        return handle.read(XML_LIMIT_BYTES + 1)


def _tiff(file: ReceivedFile, path: Path, *, catalogue: FieldCatalogue, key: bytes) -> tuple[ImagingRecord, ...]:
    try:
        with quiet_readers() as told, TiffFile(path) as tiff:
            description = str(tiff.pages.first.description)
            complete = _is_complete(tiff, path.stat().st_size)
    except (TiffFileError, *PARSE_ERRORS) as error:
        raise UnreadableImage("The TIFF structure is damaged.") from error
    if not complete:
        raise UnreadableImage("The TIFF ends before its pixel data does.")
    if told.errors and "<OME" not in description[:4096]:
        raise UnreadableImage("The TIFF structure is damaged.")
    if "<OME" not in description[:4096]:
        raise UnsupportedInput("The TIFF holds no OME-XML.", remedy="Read are OME-TIFF files, with OME-XML in the first ImageDescription.")
    document = parse_ome(description.encode())
    if (companion := document.metadata_file) is not None:
        if _sibling(path, companion) is None:
            raise UnreadableImage("The TIFF keeps its metadata in a companion file that is not beside it.")
        return ()
    return _records(file, path, document, "OME-TIFF", catalogue=catalogue, key=key)


def _is_complete(tiff: TiffFile, size_bytes: int) -> bool:
    for number, page in enumerate(tiff.pages):
        if number >= MAX_PAGES_CHECKED:
            break
        ends = (offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False))
        if max(ends, default=0) > size_bytes:
            return False
    return True


def _records(
    file: ReceivedFile, path: Path, document: OmeDocument, form: str, *, catalogue: FieldCatalogue, key: bytes
) -> tuple[ImagingRecord, ...]:
    images = document.images
    if not images:
        raise UnsupportedInput("The OME-XML describes no image.", remedy="Read are documents with at least one Image.")
    checked = [OmeImage(document, image, check_pixels(image, number)) for number, image in enumerate(images)]
    known = people(document)
    code = schema_finding(document.root, document.schema)
    owned = [(number, image) for number, image in enumerate(checked) if form == "OME-XML" or _owns(path, image)]
    return tuple(
        build_record(file, number, _facts(path, image, form=form, known=known, code=code), catalogue=catalogue, key=key)
        for number, image in owned
    )


def _owns(path: Path, image: OmeImage) -> bool:
    """Return whether this file is the first one, of those that are there, among the files of the image."""
    names = [name for name in image.files() if _sibling(path, name) is not None]
    return not names or path.name not in names or names[0] == path.name


def _sibling(path: Path, name: str) -> Path | None:
    """Return the file of that name in the same folder; a name with a path in it leads nowhere."""
    if PurePosixPath(name).name != name or "\\" in name or name in ("", ".", ".."):
        return None
    found = path.parent / name
    return found if found.is_file() else None


def _facts(path: Path, image: OmeImage, *, form: str, known: set[str], code: str | None) -> OmeFacts:
    def read(declared: FieldDeclaration) -> Sequence[Any]:
        """Return a field's values from the first of its OME paths that has any."""
        found = (image.values(source, declared.unit) for source in declared.source.ome)
        return next((values for values in found if values), ())

    named = image.files()
    there = [found for name in named if (found := _sibling(path, name)) is not None and found.name != path.name]
    absent = (
        len([name for name in named if _sibling(path, name) is None and name != path.name]) if form == "OME-XML" or len(named) > 1 else 0
    )
    notes = {"missing-files": absent} if absent else {}
    notes |= {code: 0} if code else {}
    notes |= {"metadata-only": 0} if form == "OME-XML" and (image.is_metadata_only or (named and not there)) else {}
    holders = [*there, path] if form == "OME-TIFF" or not there else there
    return OmeFacts(
        read=read,
        schema=image.schema,
        format=form if form == "OME-TIFF" or not there else "OME-TIFF",
        scrubber=Scrubber(known | spellings(image.subject or "")),
        files=len(holders),
        size_bytes=sum(holder.stat().st_size for holder in holders),
        subject=image.subject,
        channels=tuple(channel for channel in image.channels() if channel),
        notes=notes,
    )
