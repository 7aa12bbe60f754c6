"""The image viewer beside the pages: files of the package, which load nothing from other hosts."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response

from fairlead.errors import NotFound

logger = logging.getLogger(__name__)
VIEWER_PAGE: Final = "viewer.html"
POLICY: Final = "connect-src 'self'; frame-ancestors 'self'"
"""Beside the page's own policy: images of this catalogue only, in frames of this catalogue only."""


@cache
def viewer_folder() -> Path | None:
    """Return the folder of the built viewer, None where the web assets were not built."""
    from fairlead.convert import viewer_folder as built  # zarr: not before a page is made

    return built()


def add_viewer_routes(app: FastAPI) -> None:
    """Serve the viewer's files below ``/viewer/``."""

    @app.api_route("/viewer/{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
    def viewer(path: str) -> Response:
        """Return a file of the viewer."""
        folder = viewer_folder()
        file = _file_of(folder, path) if folder is not None else None
        if file is None:
            logger.debug("no file of the viewer: %s", "built" if folder else "not built; `make setup` builds it")
            raise NotFound("There is no such file.")
        headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "public, max-age=3600"}
        return FileResponse(file, headers=headers)


def _file_of(folder: Path, path: str) -> Path | None:
    """Return a file of the viewer; None for what leads out of its folder or is no name of a file."""
    try:
        file = (folder / path).resolve()
        return file if file.is_relative_to(folder.resolve()) and file.is_file() else None
    except (OSError, ValueError):
        return None
