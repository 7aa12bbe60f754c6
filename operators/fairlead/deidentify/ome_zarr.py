"""OME-Zarr stores through the same profile: attributes by an allow-list, OME-XML cleaned, and the chunks that the arrays have.

A store is one thing: it is written whole or refused whole. Refused is what cannot be cleaned without changing what refers to it: folders
with names of their own, arrays of text, pictures of slide labels, and chunks that are none or hold the store's own identity as text.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from fairlead import keys
from fairlead.deidentify.engine import Deidentifier
from fairlead.deidentify.identity import Identity
from fairlead.deidentify.instance import Outcome
from fairlead.deidentify.listing import listing_of
from fairlead.deidentify.ngff_attributes import Attributes, require_plain
from fairlead.deidentify.ome import check, require_no_label
from fairlead.deidentify.ome_xml import clean_ome
from fairlead.deidentify.parts import Parts, Span, blocks_of
from fairlead.deidentify.table import Option
from fairlead.deidentify.zarr_chunks import holds_identity
from fairlead.deidentify.zarr_layout import OME_XML, ROOT, Layout, is_store, layout_of, require_chunks
from fairlead.errors import Conflict, FairleadError, ResidualIdentity, UnreadableImage, UnsupportedInput
from fairlead.files import manifest_lines, manifest_sha256, sync_folder

ROOT_DOCUMENTS: Final = (".zattrs", "zarr.json")


def store_digest(folder: Path) -> str:
    """Return the digest of what belongs to a store, empty when it cannot be told, which is a reason to refuse it."""
    try:
        return layout_of(folder, listing_of(folder)).digest(folder)
    except (FairleadError, OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ""


def deidentify_store(folder: Path, deidentifier: Deidentifier, *, digest: str = "") -> Outcome:
    """Return the outcome for one store, its files in ``members``; every refusal is a reason in it, no error leaves.

    ``digest`` saves reading the store once more when its :func:`store_digest` is known.
    """
    try:
        require_no_label(folder)
        return _outcome(folder, deidentifier, digest)
    except FairleadError as error:
        return Outcome(reason=f"{error.code}: {error.message}")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return Outcome(
            reason=f"{UnreadableImage.code}: the metadata of the store are damaged ({type(error).__name__} while they were read)"
        )
    except OSError as error:
        return Outcome(reason=f"{UnreadableImage.code}: the store cannot be read ({type(error).__name__})", lasting=False)


def _outcome(folder: Path, deidentifier: Deidentifier, digest: str) -> Outcome:
    profile, layout = deidentifier.profile, layout_of(folder, listing_of(folder))
    if not is_store(folder) or not any((ROOT / name) in layout.documents for name in ROOT_DOCUMENTS) or ROOT in layout.arrays:
        raise UnsupportedInput("The folder is a Zarr store without the metadata of an OME-Zarr image.")
    require_chunks(folder, layout)
    digest = digest or layout.digest(folder)
    name = "i" + keys.pseudonym(deidentifier.key, "ome-file", f"content\x1f{digest}").hex()[:32]
    identity, members = Identity(), dict[str, Parts]()
    identity.add_text(folder.name)
    if layout.xml:
        cleaned = clean_ome((folder / OME_XML).read_bytes(), profile, deidentifier.key, file_name=folder.name, content_id=digest)
        members[OME_XML.as_posix()] = (cleaned.xml,)
        identity.texts |= cleaned.identity.texts
        identity.dates |= cleaned.identity.dates
    members |= _documents(layout, Attributes(profile, forbidden=identity.words))
    texts = (part for parts in members.values() for part in parts if isinstance(part, bytes))
    names = "\n".join([*members, *map(str, layout.chunks)]).encode()
    check(identity, (names, *texts), with_dates=Option.RETAIN_FULL_DATES not in profile.options)
    chunks = dict(_chunks(folder, layout))
    if holds_identity(chunks.values(), identity, everything=profile.pixels.search == "all"):
        raise ResidualIdentity("The output would still hold identity: a chunk of the store holds it as text.")
    members |= {file: (span,) for file, span in chunks.items()}
    return Outcome(name=f"ome/{name}.ome.zarr", members=tuple(sorted(members.items())), codes=profile.codes, rule="microscopy")


def _documents(layout: Layout, cleaner: Attributes) -> Iterator[tuple[str, Parts]]:
    for file, content in layout.documents.items():
        require_plain(file.parent)
        top = file.parent == ROOT and file.name in ROOT_DOCUMENTS
        array = layout.arrays.get(file.parent) if file.name != ".zattrs" else None
        cleaned = cleaner.group(file.name, content, top=top) if array is None else cleaner.array(array, content)
        yield file.as_posix(), (cleaned,)


def _chunks(folder: Path, layout: Layout) -> Iterator[tuple[str, Span]]:
    for file in layout.chunks:
        with (folder / file).open("rb") as handle:
            yield file.as_posix(), Span.of(handle, 0, os.fstat(handle.fileno()).st_size)


def write_store(folder: Path, members: tuple[tuple[str, Parts], ...]) -> str:
    """Write a store beside its place and move it there in one step; return the digest of its manifest.

    Raises
    ------
    Conflict : a store of that name is there with other content.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.parent / f".{folder.name}.{secrets.token_hex(4)}.part"
    try:
        for name, parts in members:
            file = part / name
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("xb") as handle:
                for block in blocks_of(parts):
                    handle.write(block)
                handle.flush()
                os.fsync(handle.fileno())
        digest = manifest_sha256(manifest_lines(part))
        if not folder.exists():
            with suppress(OSError):  # another process was first: compare below
                part.rename(folder)
                sync_folder(folder.parent)
        if manifest_sha256(manifest_lines(folder)) != digest:
            raise Conflict("The output holds another object of this name.")
        return digest
    finally:
        shutil.rmtree(part, ignore_errors=True)
