"""What may take the place of what lies under a store's name: nothing but a store of ours, intact, of the same source.

A store of ours says so itself: ``manifest-sha256.txt`` names every file of it, and the crate beside it the series. A file that it does not
name, or names with other bytes, is somebody's work, and the store stays. Two runs at once agree by the folder's identity: who finds
another one than at the start stops.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from fairlead.convert.documents import read_json
from fairlead.convert.staging import MANIFEST, Digests, flush, replace_folder, store_manifest
from fairlead.errors import Conflict
from fairlead.files import manifest_sha256, relative_files, sync_folder
from fairlead.records import StoreNote

CRATE: Final = "ro-crate-metadata.json"
LABELS: Final = "labels/"
OF_LABELS: Final = re.compile(r"labels/([^/]+)/")
LEFT_OVER: Final = (
    "It is of a source of this run, which did not make it: other options or other files did. Remove it if it is no longer wanted."
)
STEM: Final = re.compile(r"(ome-[0-9a-f]{16})")
BY_CONTENT: Final = re.compile(r"ome-[0-9a-f]{16}(-.*)?\.ome\.zarr")
"""Names that tell the content of an OME source: the same name is the same source."""
ELSEWHERE: Final = "Choose another output folder, or move it away first."

type Look = tuple[int, int] | None
"""The identity of what lies under a name: inode and time of the last change of its entries, None for nothing."""


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a finished store: its manifest digest and size, and what was there before."""

    manifest_sha256: str
    size_bytes: int
    outcome: Literal["new", "unchanged", "replaced", "labels-kept"] = "new"
    labels: tuple[str, ...] = ()
    """Labels of an earlier run that stay beside the unchanged image."""


def look(target: Path) -> Look:
    """Return what lies under a name now.

    Raises
    ------
    Conflict : something that is no folder, or a folder that is no store and not empty.
    """
    if not os.path.lexists(target):
        return None
    if target.is_symlink() or not target.is_dir():
        raise Conflict(f"{target.name} is there already and is no folder.", remedy=ELSEWHERE)
    if any(target.iterdir()) and not any((target / name).is_file() for name in ("zarr.json", MANIFEST)):
        raise Conflict(f"The folder {target.name} is there already and is no store.", remedy=ELSEWHERE)
    stated = target.stat()
    return stated.st_ino, stated.st_mtime_ns


def publish_store(folder: Path, target: Path, digests: Digests, *, before: Look, source: str) -> Published:
    """Move a finished store to its name; an equal one there stays untouched, and so does everything that may not be replaced.

    Parameters
    ----------
    digests : those that the writers took.
    before : what lay under the name when the run began with this store.
    source : what the store was made of.

    Raises
    ------
    Conflict : what is there is no intact store of the same source, holds labels that would be lost, or came while this run worked.
    """
    lines = store_manifest(folder, digests)
    files = relative_files(folder)
    published = Published(manifest_sha256(lines), sum((folder / file).stat().st_size for file in files))
    now = look(target)
    if now is not None and (kept := _kept(folder, target, lines, source=source)) is not None:
        return kept if kept.labels else published_as(published, "unchanged")
    flush(folder, files)
    with _locked(target.parent):
        if look(target) != before or now != before:
            raise Conflict(f"Another run wrote {target.name} at the same time.", remedy="Convert again, one run after the other.")
        replace_folder(folder, target)
    sync_folder(target.parent)
    return published if before is None else published_as(published, "replaced")


def published_as(published: Published, outcome: Literal["unchanged", "replaced"]) -> Published:
    """Return the same with another outcome."""
    return Published(published.manifest_sha256, published.size_bytes, outcome)


def left_over(out: Path, made: Collection[str], sources: Collection[str]) -> tuple[StoreNote, ...]:
    """Return the stores in an output folder that are of a source of this run, but none of those it ``made`` or was kept from making."""
    stems = {stem for name in made if (stem := _stem(name))}
    others = [store for store in sorted(out.glob("*.ome.zarr")) if store.name not in made]
    found = [store.name for store in others if _stem(store.name) in stems or ((based := source_of(store)) and based in sources)]
    return tuple(StoreNote(path=name, code="left-over", text=LEFT_OVER) for name in found)


def _stem(name: str) -> str | None:
    return found.group(1) if (found := STEM.match(name)) else None


def _kept(folder: Path, target: Path, lines: list[str], *, source: str) -> Published | None:
    """Return what stays as it is: an equal store, or an equal image with more labels; None when the target may be replaced."""
    there = store_manifest(target)
    described = [(place / MANIFEST).is_file() for place in (folder, target)]
    if there == lines and described[0] == described[1] and not _strange(target):
        return Published(manifest_sha256(there), 0)
    _require_ours(target, there, source)
    lost = _labels(there) - _labels(lines)
    if not lost:
        return None
    if _image(lines) != _image(there) or not _of_labels(lines) <= _of_labels(there) or _undated(folder) != _undated(target):
        raise Conflict(
            f"{target.name} holds {len(lost)} label images of an earlier run, which this one would not write.",
            remedy="Convert image and segmentations together, or choose another output folder.",
        )
    size = sum((target / file).stat().st_size for file in relative_files(target))
    return Published(manifest_sha256(there), size, "labels-kept", tuple(sorted(_labels(there))))


def _require_ours(target: Path, there: list[str], source: str) -> None:
    if not there:
        return  # an empty folder is nothing to lose
    try:
        stated = (target / MANIFEST).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        raise Conflict(f"{target.name} is there already, with other content and without a manifest of ours.", remedy=ELSEWHERE) from None
    if not set(there) <= set(stated) or _strange(target):  # a file that got lost is made again
        raise Conflict(f"{target.name} was changed since it was made: it differs from its manifest.", remedy=ELSEWHERE)
    if not BY_CONTENT.fullmatch(target.name) and source_of(target) != source:
        raise Conflict(f"{target.name} was made of another source.", remedy=ELSEWHERE)


def _strange(target: Path) -> bool:
    """Return whether something lies in a store that no manifest can name: a link, a pipe, a socket."""
    return any(
        path.is_symlink() or not path.is_file() for root, _, names in os.walk(target) for path in (Path(root) / name for name in names)
    ) or any((Path(root) / name).is_symlink() for root, folders, _ in os.walk(target) for name in folders)


def source_of(store: Path) -> str:
    """Return the source that a described store names, as its crate says; nothing when it names none."""
    root = _root_of(_crate(store))
    based = root.get("isBasedOn")
    return str(based.get("@id", "")) if isinstance(based, dict) else ""


def _labels(lines: list[str]) -> set[str]:
    return {found.group(1) for line in lines if (found := OF_LABELS.match(line[66:]))}


def _image(lines: list[str]) -> list[str]:
    return [line for line in lines if not line[66:].startswith(LABELS) and line[66:] != CRATE]


def _of_labels(lines: list[str]) -> set[str]:
    return {line for line in lines if OF_LABELS.match(line[66:])}


def _undated(store: Path) -> Any:
    crate = _crate(store)
    _root_of(crate).pop("datePublished", None)
    return crate


def _crate(store: Path) -> Any:
    try:
        return read_json(store / CRATE)
    except (OSError, ValueError):
        return None


def _root_of(crate: Any) -> dict[str, Any]:
    graph = crate.get("@graph") if isinstance(crate, dict) else None
    roots = [entity for entity in graph if isinstance(entity, dict) and entity.get("@id") == "./"] if isinstance(graph, list) else []
    return roots[0] if roots else {}


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder for the moment of a rename, so that no other run moves a store to the same name in between."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
