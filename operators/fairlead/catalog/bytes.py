"""Bytes of published versions: stores, pictures, tables, crates, manifests. Nothing hidden, nothing outside, nothing unpublished."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fastapi import Request
from fastapi.responses import FileResponse, Response

from fairlead.catalog.negotiation import is_fresh
from fairlead.catalog.redirecting import Mirrored
from fairlead.errors import NotFound, NotPermitted
from fairlead.publish import AccessRights, DatasetStore

MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".ttl": "text/turtle",
    ".jsonld": "application/ld+json",
    ".json": "application/json",
    ".csv": "text/csv",
    ".png": "image/png",
    ".txt": "text/plain",
}
ROOTS: Final = ("zarr.json", ".zattrs")
CACHE: Final = "public, no-cache"
"""Every use is asked for again, which an ETag makes cheap: what was withdrawn must not live on in caches."""


def find_file(folder: Path, path: str) -> Path:
    """Return the file of a published folder; a store's own address gives its root metadata.

    Raises
    ------
    NotFound : no such file, or a path that is hidden, absolute, or leads out of the folder.
    """
    parts = [part for part in path.split("/") if part]
    if not parts or any(part.startswith(".") or "\\" in part or "\x00" in part for part in parts):
        raise NotFound("There is no such file.")
    file = folder.joinpath(*parts)
    if file.is_dir():
        file = file / "zarr.json"
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


def serve_file(store: DatasetStore, request: Request, *, dataset: str, version: int, path: str, mirrored: Mirrored) -> Response:
    """Answer with a file, or the part of it that ``Range`` names, with length, ETag and type; or send to the bucket that has it."""
    folder = store.folder(dataset, version)
    if not path.startswith("record."):
        require_public(store, dataset, version)
    file = find_file(folder, path)
    if (elsewhere := mirrored.elsewhere(request, folder, file)) is not None:
        return elsewhere
    media_type = MEDIA_TYPES.get(file.suffix.lower()) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    stat = file.stat()
    etag = f'"{stat.st_size:x}-{stat.st_mtime_ns:x}"'
    headers = {"ETag": etag, "Cache-Control": CACHE, "X-Content-Type-Options": "nosniff"}
    if is_fresh(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return FileResponse(file, headers=headers, media_type=media_type, stat_result=stat)
