"""Bytes of published versions: stores, pictures, tables, crates, manifests. Nothing hidden, nothing outside, nothing unpublished."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fastapi import Request
from fastapi.responses import FileResponse, Response

from fairlead.catalog.entries import PreconditionFailed
from fairlead.catalog.negotiation import is_fresh
from fairlead.catalog.problems import problem
from fairlead.catalog.redirecting import Mirrored
from fairlead.errors import NotFound, NotPermitted
from fairlead.publish import AccessRights, DatasetStore
from fairlead.publish.crate import CRATE

MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".ttl": "text/turtle",
    ".jsonld": "application/ld+json",
    CRATE: "application/ld+json",
    ".json": "application/json",
    ".csv": "text/csv",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".txt": "text/plain",
}
RANGES: Final = re.compile(r"bytes\s*=\s*\d{0,18}-\d{0,18}(?:\s*,\s*\d{0,18}-\d{0,18}){0,99}\s*", re.IGNORECASE)
CACHE: Final = "public, no-cache"
"""Every use is asked for again, which an ETag makes cheap: what was withdrawn must not live on in caches."""


def find_file(folder: Path, path: str) -> Path:
    """Return the file of a published folder; a store's own address gives its root metadata.

    Raises
    ------
    NotFound : no such file, or a path that is hidden, absolute, or leads out of the folder.
    """
    parts = path.removesuffix("/").split("/")
    if any(not part or part.startswith(".") or "\\" in part or "\x00" in part for part in parts):
        raise NotFound("There is no such file.")
    try:
        return _inside(folder, folder.joinpath(*parts), is_folder=path.endswith("/"))
    except (OSError, ValueError) as error:  # a name longer than file systems have, a file on the way, half a surrogate pair
        raise NotFound("There is no such file.") from error


def _inside(folder: Path, file: Path, *, is_folder: bool) -> Path:
    if file.is_dir():
        file = file / "zarr.json"
    elif is_folder:
        raise NotFound("There is no such file.")  # one thing has one address
    inside = file.resolve().is_relative_to(folder.resolve())
    if not inside or not file.is_file() or any(parent.is_symlink() for parent in (file, *file.parents) if parent.is_relative_to(folder)):
        raise NotFound("There is no such file.")
    return file


def require_public(store: DatasetStore, dataset: str, version: int) -> None:
    """Refuse the bytes of datasets that are not public, pictures too; their record says whom to ask.

    Raises
    ------
    NotPermitted : access is restricted or non-public.
    """
    rights = store.access_rights(dataset, version)
    if rights != AccessRights.PUBLIC:
        raise NotPermitted(f"The bytes of this dataset are {rights.value}.", remedy="Write to the contact point that its record names.")


def range_of(header: str, size: int) -> str | None:
    """Return the byte ranges that a file of a size has; None when the header is to be ignored (RFC 9110 sections 14.1.2 and 14.2).

    Raises
    ------
    ValueError : every range begins behind the end.

    >>> range_of("bytes=0-1, 90-", 50), range_of("items=0-1", 50), range_of("bytes=5-3", 50)
    ('bytes=0-1', None, None)
    """
    if RANGES.fullmatch(header) is None:
        return None
    held = []
    for part in header.partition("=")[2].split(","):
        first, _, last = part.strip().partition("-")
        if not (first or last) or (first and last and int(first) > int(last)):
            return None
        if (int(first) < size) if first else (size and int(last)):
            held.append(part.strip())
    if not held:
        raise ValueError("unsatisfiable")
    return f"bytes={','.join(held)}"


def _check_conditions(request: Request, etag: str, size: int) -> Response | None:
    """Return the answer that ends a conditional or partial request early; leave only a ``Range`` that can be served."""
    wanted = request.headers.get("if-match")
    if wanted is not None and wanted.strip() != "*" and etag not in {tag.strip() for tag in wanted.split(",")}:
        raise PreconditionFailed("The file has changed since you read it.")
    if "range" not in request.headers:
        return None
    try:
        held = range_of(request.headers["range"], size)
    except ValueError:
        if "if-range" in request.headers:
            return None
        length = {"Content-Range": f"bytes */{size}"}
        return problem(416, code="no-such-range", title="The file ends before that range.", detail=f"It has {size} bytes.", headers=length)
    kept = [pair for pair in request.scope["headers"] if pair[0] != b"range"]
    request.scope["headers"] = kept if held is None else [*kept, (b"range", held.encode())]
    return None


def serve_file(store: DatasetStore, request: Request, *, dataset: str, version: int, path: str, mirrored: Mirrored) -> Response:
    """Answer with a file, or the part of it that ``Range`` names, with length, ETag and type; or send to the bucket that has it."""
    folder = store.folder(dataset, version)
    is_record = path.startswith("record.")
    if not is_record:
        require_public(store, dataset, version)
    file = find_file(folder, path)
    if not is_record and (elsewhere := mirrored.elsewhere(request, folder, file)) is not None:
        return elsewhere
    media_type = (
        MEDIA_TYPES.get(file.name)
        or MEDIA_TYPES.get(file.suffix.lower())
        or mimetypes.guess_type(file.name)[0]
        or "application/octet-stream"
    )
    stat = file.stat()
    etag = f'"{stat.st_size:x}-{stat.st_mtime_ns:x}"'
    headers = {"ETag": etag, "Cache-Control": CACHE, "X-Content-Type-Options": "nosniff"}
    if (ended := _check_conditions(request, etag, stat.st_size)) is not None:
        return ended
    if is_fresh(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return FileResponse(file, headers=headers, media_type=media_type, stat_result=stat)
