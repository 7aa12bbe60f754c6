"""convert: safe DICOM instances and OME files in, verified OME-Zarr stores out, with the right geometry or a reason.

The front door. ``convert`` takes files and folders, with :class:`ConvertOptions`; ``convert_series`` and ``convert_ome`` take one
thing each; ``put_stores`` copies stores to object storage (``dated_as_there`` before);
``validate_store`` judges any OME-Zarr folder, ``validate_archive`` an ``.ozx`` file, and
``verify_files`` its digests; ``render_preview`` draws one;
``write_ozx`` makes one file of a store; ``viewer_folder`` holds the viewer for web pages.
"""

from fairlead.convert.archives import validate_archive
from fairlead.convert.browser_viewer import VIEWER_PAGE, viewer_folder
from fairlead.convert.objects import dated_as_there, put_stores
from fairlead.convert.options import ConvertOptions
from fairlead.convert.ozx import write_ozx
from fairlead.convert.preview import render_preview
from fairlead.convert.run import convert, convert_ome, convert_series
from fairlead.convert.small import draw_small
from fairlead.convert.validate import ValidationFinding, ValidationResult, validate_store
from fairlead.convert.verify_files import verify_files

__all__ = [
    "VIEWER_PAGE",
    "ConvertOptions",
    "ValidationFinding",
    "ValidationResult",
    "convert",
    "convert_ome",
    "convert_series",
    "dated_as_there",
    "draw_small",
    "put_stores",
    "render_preview",
    "validate_archive",
    "validate_store",
    "verify_files",
    "viewer_folder",
    "write_ozx",
]
