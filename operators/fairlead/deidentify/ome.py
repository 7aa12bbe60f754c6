"""Microscopy files through the same profile: OME-TIFF and OME-XML companions in, the same without people, dates and names out.

Pixels are copied as they are; TIFF tags other than structure are zeroed. What is not OME is refused by name.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, Final

from fairlead.deidentify.engine import Deidentifier
from fairlead.deidentify.identity import Identity
from fairlead.deidentify.instance import Outcome
from fairlead.deidentify.ome_xml import (
    LABEL_IMAGES,
    LIMIT_BYTES,
    CleanedOme,
    clean_ome,
    identity_of,
    is_document,
    parse,
    places_of,
)
from fairlead.deidentify.parts import Parts
from fairlead.deidentify.profile import Profile
from fairlead.deidentify.table import Option
from fairlead.deidentify.tiff import MAGIC, ZEROS, TiffStructure, bare_parts
from fairlead.errors import FairleadError, NotFound, ResidualIdentity, UnreadableImage, UnsupportedInput
from fairlead.files import sha256_file

COMPRESSION: Final = 259
WITH_COMMENTS: Final = frozenset({6, 7, 33003, 33005, 34712})
"""JPEG and JPEG 2000: their strips begin with segments that may hold comments."""
HEAD_BYTES: Final = 1024


def is_ome(path: Path) -> bool:
    """Return whether a file is for this module: a TIFF by its first bytes, or XML by its name."""
    try:
        with path.open("rb") as file:
            begin = file.read(132)
    except OSError:
        return False
    if begin[128:] == b"DICM":
        return False  # a preamble that is a TIFF header too (PS3.10 section 7.1)
    return begin[:4] in MAGIC or (is_document(path.name) and begin[:1] in (b"<", b"\xef"))


def files_of_set(path: Path) -> tuple[Path, ...]:
    """Return a companion with the TIFFs beside it that it names, and every other OME file alone.

    Raises
    ------
    UnreadableImage, UnsupportedInput : the file holds no OME-XML. NotFound : a named file is absent, or not beside it.
    """
    root = parse(_document(path))
    if not is_document(path.name):
        return (path,)
    others = sorted({str(element.get("FileName")) for element in root.iter("{*}UUID") if element.get("FileName")} - {path.name})
    if any(Path(name).name != name or not (path.parent / name).is_file() for name in others):
        raise NotFound("A file that the OME-XML names is not beside it.", remedy="Put the files of the set into one folder.")
    return (path, *(path.parent / name for name in others))


def require_no_label(folder: Path) -> None:
    """Refuse an OME-Zarr folder, or an OME-TIFF, with the picture of a slide's label, by the names of its images.

    Raises
    ------
    UnsupportedInput : one of its images is called so. UnreadableImage : its metadata cannot be read.
    """
    names: list[str] = []
    if folder.is_file():
        names = [str(image.get("Name") or "") for image in parse(_document(folder)).iter("{*}Image")]
    try:
        for path in (*folder.rglob("zarr.json"), *folder.rglob(".zattrs")):
            if "labels" not in path.relative_to(folder).parts:  # below it, a label is a segmentation
                names += _image_names(json.loads(path.read_text(encoding="utf-8")))
        for path in folder.rglob("METADATA.ome.xml"):
            names += [str(image.get("Name") or "") for image in parse(path.read_bytes()).iter("{*}Image")]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UnreadableImage("The metadata of the OME-Zarr cannot be read.") from error
    if any(name.strip().casefold() in LABEL_IMAGES for name in names):
        raise UnsupportedInput("The file holds a label or overview image of a slide, which shows its label.")


def identity_of_ome(path: Path, profile: Profile) -> Identity:
    """Return whom the OME-XML of a file names, the names of the files it speaks of, and its identifiers.

    Raises
    ------
    UnreadableImage, UnsupportedInput : the file holds no OME-XML.
    """
    return identity_of(parse(_document(path)), path.name, profile)


def _image_names(document: dict[str, Any]) -> list[str]:
    attributes = document.get("attributes", document)
    ome = attributes.get("ome", attributes)
    return [str(scale.get("name") or "") for scale in ome.get("multiscales", [])] + [str((ome.get("omero") or {}).get("name") or "")]


def _document(path: Path) -> bytes:
    with path.open("rb") as file:
        if is_document(path.name):
            return file.read(LIMIT_BYTES + 1)
        try:
            return TiffStructure(file).description
        except (struct.error, ValueError, OverflowError) as error:
            raise UnreadableImage("The TIFF structure is damaged.") from error


def deidentify_ome(path: Path, deidentifier: Deidentifier) -> Outcome:
    """Return the outcome for one OME file; every refusal is a reason in it, no error leaves."""
    try:
        return _tiff(path, deidentifier) if not is_document(path.name) else _xml(path, deidentifier)
    except FairleadError as error:
        return Outcome(reason=f"{error.code}: {error.message}")
    except (struct.error, ValueError, OverflowError, MemoryError) as error:
        return Outcome(reason=f"{UnreadableImage.code}: the file is damaged ({type(error).__name__} while it was read)")
    except OSError as error:
        return Outcome(reason=f"{UnreadableImage.code}: the file cannot be read ({type(error).__name__})", lasting=False)


def _tiff(path: Path, deidentifier: Deidentifier) -> Outcome:
    with path.open("rb") as file:
        structure = TiffStructure(file)
        if b"<OME" not in structure.description[:4096]:
            raise UnsupportedInput("The TIFF holds no OME-XML; written are OME-TIFF files only.")
        cleaned = _cleaned(structure.description, path, deidentifier)
        parts = bare_parts(structure, file, cleaned.xml)
        if any(set(ifd.integers(COMPRESSION, structure.order)) & WITH_COMMENTS for ifd in structure.ifds):
            heads = b"\0".join(part.head(HEAD_BYTES) for part in parts if not isinstance(part, bytes))
            check(cleaned.identity, (heads,), with_dates=False)
    return _through_the_gate(cleaned, parts, deidentifier, suffix=".ome.tif")


def _xml(path: Path, deidentifier: Deidentifier) -> Outcome:
    with path.open("rb") as file:
        content = file.read(LIMIT_BYTES + 1)
    cleaned = _cleaned(content, path, deidentifier)
    return _through_the_gate(cleaned, (cleaned.xml,), deidentifier, suffix=".companion.ome")


def _cleaned(content: bytes, path: Path, deidentifier: Deidentifier) -> CleanedOme:
    return clean_ome(content, deidentifier.profile, deidentifier.key, file_name=path.name, content_id=sha256_file(path))


def _through_the_gate(cleaned: CleanedOme, parts: Parts, deidentifier: Deidentifier, *, suffix: str) -> Outcome:
    """Search what is written, pixels aside, for what was taken out.

    Raises
    ------
    ResidualIdentity : some of it is still there.
    """
    check(cleaned.identity, parts, with_dates=Option.RETAIN_FULL_DATES not in deidentifier.profile.options, xml=cleaned.xml)
    return Outcome(name=f"ome/{cleaned.name}{suffix}", parts=parts, codes=deidentifier.profile.codes, rule="microscopy")


def check(identity: Identity, parts: Parts, *, with_dates: bool, xml: bytes = b"") -> None:
    """Raise when identity is left in the parts that are not pixels, and say where in ``xml`` it stands."""
    written = b"".join(part for part in parts if isinstance(part, bytes) and part is not ZEROS)
    if identity.found_in(written, with_dates=with_dates):
        places = places_of(xml, lambda text: bool(identity.found_in(text.encode(), with_dates=with_dates))) if xml else ()
        where = f"in {', '.join(places)} of its OME-XML" if places else "in its metadata or beside its pixels"
        raise ResidualIdentity(f"The output would still hold identity {where}.")
