"""Microscopy files through the same profile: OME-TIFF and OME-XML companions in, the same without people, dates and names out.

Pixels are copied as they are; TIFF tags other than structure are zeroed. What is not OME is refused by name.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from fairlead.deidentify.engine import Deidentifier
from fairlead.deidentify.identity import Identity
from fairlead.deidentify.instance import Outcome
from fairlead.deidentify.ome_xml import LIMIT_BYTES, CleanedOme, clean_ome, is_document
from fairlead.deidentify.parts import Parts
from fairlead.deidentify.table import Option
from fairlead.deidentify.tiff import MAGIC, ZEROS, TiffStructure, bare_parts
from fairlead.errors import FairleadError, ResidualIdentity, UnreadableImage, UnsupportedInput
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
    check(cleaned.identity, parts, with_dates=Option.RETAIN_FULL_DATES not in deidentifier.profile.options)
    return Outcome(name=f"ome/{cleaned.name}{suffix}", parts=parts, codes=deidentifier.profile.codes, rule="microscopy")


def check(identity: Identity, parts: Parts, *, with_dates: bool) -> None:
    """Raise when identity is left in the parts that are not pixels."""
    written = b"".join(part for part in parts if isinstance(part, bytes) and part is not ZEROS).lower()
    if identity.found_in(written, with_dates=with_dates):
        raise ResidualIdentity("The output would still hold identity in its OME-XML or in a TIFF tag.")
