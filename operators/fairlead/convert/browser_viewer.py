"""The image viewer for web pages: neuroglancer, bundled at build time, served as files of the package and without any other host."""

from __future__ import annotations

from pathlib import Path
from typing import Final

VIEWER_PAGE: Final = "viewer.html"
"""``viewer.html?source=ADDRESS`` shows the OME-Zarr 0.5 image at ADDRESS, which may be relative to the page."""


def viewer_folder() -> Path | None:
    """Return the folder to serve, with :data:`VIEWER_PAGE` in it; None when the web assets were not built.

    The server of the stores has to answer Range requests: a shard is read in parts.
    """
    folder = Path(__file__).parent / "static" / "viewer"
    return folder if (folder / VIEWER_PAGE).is_file() else None
