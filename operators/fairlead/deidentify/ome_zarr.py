"""OME-Zarr stores through the same profile: attributes by an allow-list, OME-XML cleaned, chunks copied, everything else left out.

A store is one thing: it is written whole or refused whole. Refused is what cannot be cleaned without changing what refers to it: folders
with names of their own, arrays of text, pictures of slide labels.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, Final

from fairlead import __version__, keys
from fairlead.deidentify.engine import Deidentifier
from fairlead.deidentify.identity import Identity
from fairlead.deidentify.instance import Outcome
from fairlead.deidentify.ome import check, require_no_label
from fairlead.deidentify.ome_xml import clean_ome
from fairlead.deidentify.parts import Parts, Span, blocks_of
from fairlead.deidentify.profile import Profile
from fairlead.deidentify.table import EDITION, Option
from fairlead.deidentify.words import MEASURE, clean_words, known_terms, remove_words, words_of
from fairlead.errors import Conflict, FairleadError, UnreadableImage, UnsupportedInput
from fairlead.files import manifest_lines, manifest_sha256, relative_files, sync_folder

METADATA: Final = frozenset({"zarr.json", ".zgroup", ".zattrs", ".zarray"})
OME_XML: Final = "METADATA.ome.xml"
CHUNK: Final = re.compile(r"c|(c[/.])?\d+([/.]\d+)*")
PLAIN_FOLDER: Final = re.compile(r"[A-Za-z]{0,2}\d{1,6}|[A-Za-z]{1,2}")
FOLDER_WORDS: Final = frozenset(
    {
        "labels",
        "label",
        "ome",
        "data",
        "zarr",
        "nuclei",
        "nucleus",
        "cells",
        "cell",
        "image",
        "images",
        "level",
        "resolution",
        "well",
        "wells",
    }
)
ARRAY: Final = frozenset({
    "zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding", "fill_value", "codecs", "dimension_names",
    "storage_transformers", "chunks", "dtype", "compressor", "order", "filters", "dimension_separator",
})  # fmt: skip
"""Keys of array and group metadata (Zarr v2 and v3)."""
NUMERIC: Final = re.compile(r"[<>|]?(bool|b1|u?int\d+|float\d+|complex\d+|[iufc]\d{1,2})")
ATTRIBUTES: Final = frozenset({
    "ome", "version", "multiscales", "axes", "datasets", "coordinateTransformations", "coordinateSystems", "scale", "translation",
    "rotation", "affine", "type", "unit", "path", "input", "output", "omero", "channels", "color", "window", "min", "max", "start",
    "end", "active", "coefficient", "family", "inverted", "label", "rdefs", "defaultT", "defaultZ", "model", "plate", "columns", "rows",
    "wells", "rowIndex", "columnIndex", "field_count", "acquisitions", "acquisition", "id", "maximumfieldcount", "well", "images",
    "labels", "image-label", "colors", "label-value", "rgba", "source", "image", "bioformats2raw.layout", "series", "name",
    "orientation", "value", "longName",
})  # fmt: skip
"""Keys of NGFF 0.1 to 0.6 that describe shape, colour and layout; any other key could hold anything."""
TOKEN: Final = re.compile(r"[\w.<>|+\-/:# ]{0,64}")
REFERENCES: Final = frozenset({"path", "input", "output", "image", "labels", "series"})


def stores_in(folder: Path) -> Iterator[Path]:
    """Yield the outermost OME-Zarr stores at or below a folder, in the order of their names."""
    if any((folder / name).is_file() for name in ("zarr.json", ".zgroup", ".zattrs")):
        yield folder
        return
    for child in sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()):
        yield from stores_in(child)


def deidentify_store(folder: Path, deidentifier: Deidentifier) -> Outcome:
    """Return the outcome for one store, its files in ``members``; every refusal is a reason in it, no error leaves."""
    try:
        require_no_label(folder)
        return _outcome(folder, deidentifier)
    except FairleadError as error:
        return Outcome(reason=f"{error.code}: {error.message}")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return Outcome(
            reason=f"{UnreadableImage.code}: the metadata of the store are damaged ({type(error).__name__} while they were read)"
        )
    except OSError as error:
        return Outcome(reason=f"{UnreadableImage.code}: the store cannot be read ({type(error).__name__})", lasting=False)


def _outcome(folder: Path, deidentifier: Deidentifier) -> Outcome:
    profile, files = deidentifier.profile, [path.as_posix() for path in relative_files(folder) if "tables" not in path.parts]
    digest = hashlib.sha256("\n".join(manifest_lines(folder)).encode()).hexdigest()
    name = "i" + keys.pseudonym(deidentifier.key, "ome-file", f"content\x1f{digest}").hex()[:32]
    identity, xml = Identity(), {}
    identity.add_text(folder.name)
    for file in (file for file in files if PurePosixPath(file).name == OME_XML):
        cleaned = clean_ome((folder / file).read_bytes(), profile, deidentifier.key, file_name=folder.name, content_id=digest)
        xml[file] = cleaned.xml
        for ours, theirs in ((identity.texts, cleaned.identity.texts), (identity.dates, cleaned.identity.dates)):
            ours |= theirs
    cleaner = _Attributes(profile, forbidden=identity.words)
    members = {file: (content,) for file, content in xml.items()} | dict(_members(folder, files, cleaner))
    texts = tuple(part for parts in members.values() for part in parts if isinstance(part, bytes))
    names = "\n".join(members).encode()
    check(identity, (names, *texts), with_dates=Option.RETAIN_FULL_DATES not in profile.options)
    return Outcome(name=f"ome/{name}.ome.zarr", members=tuple(sorted(members.items())), codes=profile.codes, rule="microscopy")


def _members(folder: Path, files: list[str], cleaner: _Attributes) -> Iterator[tuple[str, Parts]]:
    arrays = [str(PurePosixPath(file).parent) for file in files if _is_array(folder / file)]
    for file in files:
        path = PurePosixPath(file)
        if path.name in METADATA:
            _require_plain(path.parent)
            yield file, (cleaner.document(path.name, json.loads((folder / file).read_bytes()), top=len(path.parts) == 1),)
        elif any(_is_chunk(file, array) for array in arrays):
            with (folder / file).open("rb") as handle:
                yield file, (Span.of(handle, 0, os.fstat(handle.fileno()).st_size),)


def _is_array(file: Path) -> bool:
    return file.name == ".zarray" or (file.name == "zarr.json" and json.loads(file.read_bytes()).get("node_type") == "array")


def _is_chunk(file: str, array: str) -> bool:
    inner = file if array == "." else file.removeprefix(array + "/")
    return (array == "." or inner != file) and CHUNK.fullmatch(inner) is not None


def _require_plain(folder: PurePosixPath) -> None:
    """Refuse folder names that could name somebody: others refer to them, so they cannot be changed one by one."""
    for part in folder.parts:
        words = re.split(r"[\W_]+", part.casefold())
        known = all(not word or word in FOLDER_WORDS or word in known_terms() or MEASURE.fullmatch(word) for word in words)
        if not known and not PLAIN_FOLDER.fullmatch(part):
            raise UnsupportedInput("A folder inside the store has a name of its own, which could name somebody.")


class _Attributes:
    """Cleans the JSON documents of one store."""

    def __init__(self, profile: Profile, *, forbidden: frozenset[str]) -> None:
        self._profile, self._forbidden = profile, forbidden

    def document(self, name: str, content: Any, *, top: bool) -> bytes:
        """Return a metadata document without anything that is not structure."""
        if name == ".zattrs":
            cleaned = self._attributes(content)
        else:
            self._require_numbers(content.get("dtype", content.get("data_type", "int8")))
            cleaned = {key: self._structure(value) for key, value in content.items() if key in ARRAY}
            if "attributes" in content:
                cleaned["attributes"] = self._attributes(content["attributes"])
        if top and name in (".zattrs", "zarr.json"):
            method = f"Fairlead {__version__}; PS3.15 {EDITION}; profile {self._profile.name} {self._profile.sha256}"
            (cleaned if name == ".zattrs" else cleaned.setdefault("attributes", {}))["deidentified"] = method
        return json.dumps(cleaned, indent=1).encode()

    def _require_numbers(self, kind: Any) -> None:
        if not isinstance(kind, str) or not NUMERIC.fullmatch(kind):
            raise UnsupportedInput("The store holds an array that is not of numbers; text can say anything.")

    def _structure(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(self._structure(key)): self._structure(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._structure(inner) for inner in value]
        if isinstance(value, str) and not TOKEN.fullmatch(value):
            raise UnsupportedInput("The metadata of an array hold text that is no part of its structure.")
        return value

    def _attributes(self, value: Any, key: str = "", parent: str = "") -> Any:
        if isinstance(value, Mapping):
            kept = {name: self._attributes(inner, name, key) for name, inner in value.items() if name in ATTRIBUTES}
            return {name: inner for name, inner in kept.items() if inner is not None}
        if isinstance(value, list):
            return [self._attributes(inner, key, parent) for inner in value]
        return self._text(value, key, parent) if isinstance(value, str) else value

    def _text(self, text: str, key: str, parent: str) -> str | None:
        if key in REFERENCES:
            _require_plain(PurePosixPath(text.replace("..", "")))
            return text
        if key == "name" and parent in ("axes", "coordinateSystems", "coordinateTransformations", "rows", "columns", "input", "output"):
            return text if not self._forbidden.intersection(words_of(text)) and TOKEN.fullmatch(text) else None
        if key in ("name", "longName"):
            cleaning = Option.CLEAN_DESCRIPTORS in self._profile.options
            return (clean_words(text, forbidden=self._forbidden) or None) if cleaning else None
        if key == "label":
            return remove_words(text, forbidden=self._forbidden) or None
        return text if TOKEN.fullmatch(text) and not self._forbidden.intersection(words_of(text)) else None


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
