"""The OME-XML of a microscopy source, de-identified, kept inside the stores that were made of it.

Source: NGFF 0.5, section "bioformats2raw.layout" (transitional): ``OME/METADATA.ome.xml``, and for a collection the attribute with the
value 3 and the paths of its images in the order of the document.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Final

import tifffile

from fairlead.convert.ome_xml import binary_only_target, read_document
from fairlead.convert.plan import CollectionPlan, CopyPlan, ImagePlan, StorePlan
from fairlead.convert.sources import Source, SourceKind, shown
from fairlead.deidentify import clean_ome_xml, load_profile
from fairlead.errors import FairleadError
from fairlead.keys import KEY_BYTES

XML: Final = "OME/METADATA.ome.xml"
LAYOUT: Final = 3


def with_xml(plan: StorePlan, source: Source) -> StorePlan:
    """Return the plan with the OME-XML of a TIFF or companion; without it, and said so, when the XML cannot be de-identified."""
    if isinstance(plan, CopyPlan) or source.kind not in {SourceKind.TIFF, SourceKind.COMPANION}:
        return plan
    try:
        content = _content(source)
        # Nothing that comes out depends on the key: no dates, no names of files. A key that a document gives could be tried out.
        xml = clean_ome_xml(content, load_profile("basic"), secrets.token_bytes(KEY_BYTES), file_name=shown(source.path.name))
    except FairleadError as error:
        return replace(plan, dropped=(*plan.dropped, f"OME-XML ({error.code})"))
    if isinstance(plan, ImagePlan):
        return replace(plan, files={**plan.files, XML: xml})
    return replace(plan, files={**plan.files, XML: xml}, groups=_as_layout(plan))


def _content(source: Source) -> bytes:
    if source.kind is SourceKind.COMPANION:
        return read_document(source.path)
    with tifffile.TiffFile(source.path) as tiff:
        xml = tiff.ome_metadata or ""
    companion = binary_only_target(xml)
    return xml.encode() if companion is None else read_document(source.path.parent / companion)


def _as_layout(plan: CollectionPlan) -> dict[str, dict[str, object]]:
    """Return the groups of a plate that says where its images lie, in the order of the document."""
    order = sorted(plan.images, key=lambda path: plan.images[path].image_index or 0)
    root = {**plan.groups[""], "bioformats2raw.layout": LAYOUT}
    return {**plan.groups, "": root, "OME": {"series": order}}
